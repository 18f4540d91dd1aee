// The two console ports: this process's own stdio (command line), and queues that a program fills
// and empties (API). Both can wait for what would make a blocked guest go on.
import { EAGAIN, EPIPE } from '../../abi/errno.ts';
import { POLLIN, POLLOUT } from '../../abi/poll.ts';
import { giveTurn } from '../../host/event-loop.ts';
import type { ConsolePort } from '../../kernel/ports.ts';
import {
  isReadable, isWritable, pollFds, readFd, setTerminalMode, terminalMode, terminalSize, writeFd,
} from '../../host/stdio.ts';

/** What a driver may wait for while all threads of the guest are blocked. */
export interface WaitFor {
  stdin: boolean;
  /** 1: room on stream 1, 2: on stream 2, 3: on either. */
  output: number;
  /** Longest wait; Infinity = until something happens. */
  timeoutMs: number;
}

/** A console port whose owner can wait for it. */
export interface WaitableConsole extends ConsolePort {
  /** Returns at once, or a promise when the wait must let the event loop run. */
  wait(what: WaitFor): void | Promise<void>;
  /** When the guest wrote its first byte (host monotonic ms, performance.now), or 0. */
  firstOutputMs: number;
  /** Gives back what the guest has changed: the mode of the terminal. */
  release?(): void;
  /** Called with each piece that was written, for --entry line=TEXT. */
  onOutput: ((data: Uint8Array) => void) | null;
}

/** Longest single wait in poll(2): signals and aborts are looked at in between. */
const POLL_STEP_MS = 50;
/** Where others need the event loop, the streams are asked again and again: less and less. */
const ASK_MS_MAX = 16;
/** Timers take no more; what is longer is waited for in several turns. */
const TIMER_MS_MAX = 0x7fff_ffff;

/** In struct termios2, what a guest may set: c_iflag and c_oflag, c_lflag, c_cc. */
const GUEST_TERMIOS: readonly (readonly [from: number, to: number])[] =
  [[0, 8], [12, 16], [17, 36]];

/** stdin, stdout and stderr of this process. */
export class HostConsole implements WaitableConsole {
  readonly terminals: number;
  readonly columns: number;
  readonly rows: number;
  firstOutputMs: number = 0;
  onOutput: ((data: Uint8Array) => void) | null = null;
  /** Longest wait in poll(2), which keeps the event loop waiting too; 0 where that may not be. */
  readonly #stepMs: number;
  #askMs: number = 1;
  #wake: (() => void) | null = null;
  /** The terminal's mode before the guest changed it; null while it has not. */
  #mode: Uint8Array | null = null;

  /** @param burstMs how long the event loop may be kept waiting; not at all unless given */
  constructor(burstMs: number = 0) {
    this.#stepMs = Math.min(burstMs, POLL_STEP_MS);
    const sizes = [0, 1, 2].map(terminalSize);
    this.terminals = sizes.reduce((bits, size, fd) => bits | (size === null ? 0 : 1 << fd), 0);
    const first = sizes.find((size) => size !== null);
    this.columns = first?.columns ?? 80;
    this.rows = first?.rows ?? 24;
  }

  /** The guest's choice of what the line discipline does; line speeds and such stay the host's. */
  setTerminal(termios: Uint8Array): void {
    this.#mode ??= terminalMode(0);
    if (this.#mode === null) return;
    const mode = this.#mode.slice();
    for (const [from, to] of GUEST_TERMIOS) mode.set(termios.subarray(from, to), from);
    setTerminalMode(0, mode);
  }

  release(): void {
    if (this.#mode !== null) setTerminalMode(0, this.#mode);
    this.#mode = null;
  }

  read(target: Uint8Array): number {
    return readFd(0, target);
  }

  write(stream: 1 | 2, data: Uint8Array): number {
    const result = writeFd(stream, data);
    if (result > 0) {
      if (this.firstOutputMs === 0) this.firstOutputMs = performance.now();
      this.onOutput?.(data.subarray(0, result));
    }
    return result;
  }

  readable(): boolean {
    return isReadable(0);
  }

  writable(stream: 1 | 2): boolean {
    return isWritable(stream);
  }

  wait(what: WaitFor): void | Promise<void> {
    const requests = [];
    if (what.stdin) requests.push({ fd: 0, events: POLLIN });
    for (const fd of [1, 2]) if ((what.output & fd) !== 0) requests.push({ fd, events: POLLOUT });
    const stepMs = Math.min(what.timeoutMs, this.#stepMs);
    if (pollFds(requests, Math.ceil(stepMs))) {
      this.#askMs = 1;
      return;
    }
    return this.#stepMs > 0 ? giveTurn(true) : this.#sleep(what.timeoutMs);
  }

  /** Makes a pending wait() return (an abort, a signal). */
  interrupt(): void {
    this.#wake?.();
  }

  /** Lets others run for a moment. */
  #sleep(mostMs: number): Promise<void> {
    const sleepMs = Math.min(mostMs, this.#askMs);
    this.#askMs = Math.min(this.#askMs * 2, ASK_MS_MAX);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, sleepMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** Bytes that a program gives and takes; used by the API. */
export class QueueConsole implements WaitableConsole {
  readonly terminals: number = 0;
  readonly columns: number = 80;
  readonly rows: number = 24;
  firstOutputMs: number = 0;
  onOutput: ((data: Uint8Array) => void) | null = null;
  /** Takes what the guest writes; returns false when it wants no more for now. */
  #sink: (stream: 1 | 2, data: Uint8Array) => boolean;
  #input: Uint8Array[] = [];
  #queuedBytes: number = 0;
  #ended: boolean = false;
  #full: boolean[] = [false, false, false];
  #wake: (() => void) | null = null;
  #onRead: (() => void) | null = null;

  constructor(sink: (stream: 1 | 2, data: Uint8Array) => boolean) {
    this.#sink = sink;
  }

  /** Bytes that the guest has not read yet. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Resolves when the guest has left at most `bytes` unread. One caller at a time. */
  async drained(bytes: number): Promise<void> {
    while (this.#queuedBytes > bytes) {
      await new Promise<void>((resolve) => { this.#onRead = resolve; });
    }
  }

  /** Appends to the guest's stdin. */
  push(data: Uint8Array): void {
    if (data.length > 0) this.#input.push(data);
    this.#queuedBytes += data.length;
    this.#notify();
  }

  /** Ends the guest's stdin. */
  end(): void {
    this.#ended = true;
    this.#notify();
  }

  /** The taker of `stream` wants more again. */
  resume(stream: 1 | 2): void {
    this.#full[stream] = false;
    this.#notify();
  }

  /** Makes a pending wait() return (an abort, a signal). */
  interrupt(): void {
    this.#notify();
  }

  read(target: Uint8Array): number {
    const first = this.#input[0];
    if (first === undefined) return this.#ended ? 0 : -EAGAIN;
    const count = Math.min(first.length, target.length);
    target.set(first.subarray(0, count));
    if (count === first.length) this.#input.shift();
    else this.#input[0] = first.subarray(count);
    this.#queuedBytes -= count;
    const onRead = this.#onRead;
    this.#onRead = null;
    onRead?.();
    return count;
  }

  write(stream: 1 | 2, data: Uint8Array): number {
    if (this.#full[stream] === true) return -EAGAIN;
    if (this.firstOutputMs === 0) this.firstOutputMs = performance.now();
    try {
      this.#full[stream] = !this.#sink(stream, data.slice());
    } catch {
      return -EPIPE;
    }
    this.onOutput?.(data);
    return data.length;
  }

  readable(): boolean {
    return this.#input.length > 0 || this.#ended;
  }

  writable(stream: 1 | 2): boolean {
    return this.#full[stream] !== true;
  }

  wait(what: WaitFor): Promise<void> {
    if (what.stdin && this.readable()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = Number.isFinite(what.timeoutMs)
        ? setTimeout(() => this.#notify(), Math.min(what.timeoutMs, TIMER_MS_MAX)) : null;
      this.#wake = () => {
        if (timer !== null) clearTimeout(timer);
        resolve();
      };
    });
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
  }
}
