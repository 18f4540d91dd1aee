// The network port over the runtime's sockets: published ports, and what guests reach outside.
//
// Events of the host come in turns of the event loop, that is, never while the guest runs; each one
// calls the guest kernel and then wakes whoever drives the sandbox.
import { createServer, connect, type Server, type Socket as HostSocket } from 'node:net';
import type { Socket as HostDatagram } from 'node:dgram';
import { ECONNRESET, errnoOf } from '../../abi/errno.ts';
import { CatavmmError } from '../../errors.ts';
import {
  acceptOutside, closedOutside, endAt, endedOutside, failedOutside, hasUnsent, openedOutside,
  pumpOutside, receiveDatagramOutside, receiveOutside,
} from '../../kernel/inet/outside.ts';
import { isMapped, portOf } from '../../kernel/inet/endpoint.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { NetPort } from '../../kernel/ports.ts';
import type { Socket } from '../../kernel/records/ipc.ts';
import type { PublishedPort } from '../../options.ts';
import { addressText, endpointOf } from './address-text.ts';
import { openDatagram } from './host-datagram.ts';

/** Most connections of a sandbox with the outside, datagram sockets included. */
const HANDLES_MOST = 4096;
/** How long what a guest has sent may take to leave after its end. */
const DRAIN_MS = 2000;
const DRAIN_STEP_MS = 2;
const EMFILE = 24;

/** One connection of the host. */
interface Line {
  socket: HostSocket;
  /** Address of the outside end. */
  end: number;
  hasEnded: boolean;
  isPaused: boolean;
}

/** A sandbox's part of the host's network. Ownership: of all sockets it opens, until close(). */
export class HostNet implements NetPort {
  readonly isOutbound: boolean;
  readonly #k: Kernel;
  readonly #wake: () => void;
  readonly #lines: Map<number, Line> = new Map();
  readonly #datagrams: Map<number, HostDatagram> = new Map();
  readonly #servers: Server[] = [];
  #nextHandle: number = 1;
  #isClosed: boolean = false;

  /** @param wake called after events that may let the guest go on */
  constructor(k: Kernel, isOutbound: boolean, wake: () => void) {
    this.#k = k;
    this.isOutbound = isOutbound;
    this.#wake = wake;
  }

  /** Listens for one published port. @returns the host's port @throws CatavmmError */
  async publish({ address = '127.0.0.1', hostPort, guestPort }: PublishedPort): Promise<number> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#accept(socket, guestPort);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new CatavmmError(
          'CATAVMM_OPTION',
          `Port ${hostPort} of ${address} cannot be published: ${error.code ?? error.message}.`,
          'Choose another port, or 0 for any free one.'));
      });
      server.listen(hostPort, address, resolve);
    });
    this.#servers.push(server);
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : hostPort;
  }

  #accept(socket: HostSocket, guestPort: number): void {
    socket.on('error', () => {});
    const from = endpointOf(socket.remoteAddress ?? '', socket.remotePort ?? 0);
    if (this.#isClosed || this.#isFull() || from === null) {
      socket.destroy();
      return;
    }
    const handle = this.#nextHandle++;
    const end = acceptOutside(this.#k, guestPort, from, handle);
    if (end === null) {
      reset(socket);
      return;
    }
    this.#watch(handle, socket, end.address);
    this.#wake();
  }

  #isFull(): boolean {
    return this.#lines.size + this.#datagrams.size >= HANDLES_MOST;
  }

  /** Passes on what happens to a connection. */
  #watch(handle: number, socket: HostSocket, end: number): void {
    const line: Line = { socket, end, hasEnded: false, isPaused: false };
    this.#lines.set(handle, line);
    socket.setNoDelay(true);
    socket.on('data', (data: Uint8Array) => {
      this.#tell(handle, (record) => {
        if (receiveOutside(this.#k, record, data)) return;
        line.isPaused = true;
        socket.pause();
      });
    });
    socket.on('end', () => this.#tell(handle, (record) => { endedOutside(this.#k, record); }));
    socket.on('drain', this.#wake);
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#tell(handle, (record) => {
        failedOutside(this.#k, record, errnoOf(error.code ?? '') ?? ECONNRESET);
      });
    });
    socket.on('close', () => {
      this.#tell(handle, (record) => { closedOutside(this.#k, record); });
      this.#lines.delete(handle);
    });
  }

  /** Lets the guest kernel know of something, if it still cares. */
  #tell(handle: number, say: (end: Socket) => void): void {
    const line = this.#lines.get(handle);
    if (line === undefined || this.#isClosed) return;
    const record = endAt(this.#k, line.end);
    if (record === null || record.hostHandle !== handle) return;
    say(record);
    this.#wake();
  }

  connect(to: Uint8Array): number {
    if (this.#isFull()) return -EMFILE;
    const handle = this.#nextHandle++;
    const socket = connect({ host: addressText(to), port: portOf(to), allowHalfOpen: true });
    socket.on('connect', () => this.#tell(handle, (end) => { openedOutside(this.#k, end); }));
    this.#watch(handle, socket, 0);
    return handle;
  }

  attach(handle: number, end: number): void {
    const line = this.#lines.get(handle);
    if (line !== undefined) line.end = end;
  }

  write(handle: number, data: Uint8Array): number {
    const line = this.#lines.get(handle);
    // What goes to a connection that is gone is lost, as on a network.
    if (line === undefined || line.socket.destroyed || line.hasEnded) return data.length;
    if (line.socket.writableNeedDrain) return 0;
    line.socket.write(data.slice());
    return data.length;
  }

  end(handle: number): void {
    const line = this.#lines.get(handle);
    if (line === undefined || line.hasEnded) return;
    line.hasEnded = true;
    line.socket.end();
  }

  resume(handle: number): void {
    const line = this.#lines.get(handle);
    if (line === undefined || !line.isPaused) return;
    line.isPaused = false;
    line.socket.resume();
  }

  destroy(handle: number, isReset: boolean): void {
    const datagram = this.#datagrams.get(handle);
    this.#datagrams.delete(handle);
    datagram?.close();
    const line = this.#lines.get(handle);
    if (line === undefined) return;
    line.end = 0;
    if (isReset) reset(line.socket);
    else this.end(handle);
    // Who goes on sending is not listened to.
    line.socket.resume();
  }

  sendDatagram(handle: number, owner: number, to: Uint8Array, data: Uint8Array): number {
    let own = handle;
    let socket = this.#datagrams.get(own);
    if (socket === undefined) {
      if (this.#isFull()) return -EMFILE;
      own = this.#nextHandle++;
      socket = openDatagram(isMapped(to), (from, bytes) => {
        if (this.#isClosed || !this.#datagrams.has(own)) return;
        receiveDatagramOutside(this.#k, owner, from, bytes);
        this.#wake();
      });
      this.#datagrams.set(own, socket);
    }
    socket.send(data, portOf(to), addressText(to), () => {});
    return own;
  }

  /** Ends everything, once what guests have sent is out, or DRAIN_MS later. Idempotent. */
  async close(): Promise<void> {
    const untilMs = performance.now() + DRAIN_MS;
    while (!this.#isClosed && hasUnsent(this.#k) && performance.now() < untilMs) {
      pumpOutside(this.#k);
      await new Promise((resolve) => { setTimeout(resolve, DRAIN_STEP_MS); });
    }
    this.#isClosed = true;
    for (const server of this.#servers) server.close();
    for (const datagram of this.#datagrams.values()) datagram.close();
    this.#datagrams.clear();
    const lines = [...this.#lines.values()];
    const late = new Promise<void>((resolve) => { setTimeout(resolve, DRAIN_MS).unref?.(); });
    await Promise.race([Promise.all(lines.map(({ socket }) => finished(socket))), late]);
    for (const { socket } of lines) socket.destroy();
  }
}

/** Resolves when what was written is out, or nothing will be. */
function finished(socket: HostSocket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed || socket.writableFinished) return resolve();
    socket.once('finish', resolve);
    socket.once('close', () => { resolve(); });
    socket.end();
  });
}

/** Ends a connection with an RST where the runtime can. */
function reset(socket: HostSocket): void {
  if (typeof socket.resetAndDestroy === 'function' && !socket.connecting) socket.resetAndDestroy();
  else socket.destroy();
}
