// A guest kernel over plain arrays, for unit tests without KVM: one process with one thread and an
// address space, a lower file system from an object literal, a console in memory, a clock that the
// test sets, entropy from a seed.
//
//   const t = makeTestKernel({ lower: { etc: { motd: 'hi\n' } } });
//   t.clock.advance(5_000_000);  t.console.feed('line\n');  t.console.output(1)
//   t.close();                   // gives the state memory back; call it in every test
import type { Kernel, KernelLimits } from '../../vmm/kernel/kernel.ts';
import { DEFAULT_LIMITS } from '../../vmm/kernel/kernel.ts';
import { EAGAIN } from '../../vmm/abi/errno.ts';
import { RLIMIT_NOFILE, RLIMIT_STACK, RLIM_NLIMITS } from '../../vmm/abi/resource.ts';
import type {
  ClockPort, ConsolePort, EntropyPort, FpuPort, GuestFrames, Ports, TableWindow,
} from '../../vmm/kernel/ports.ts';
import { PAGE_BYTES } from '../../vmm/kernel/ports.ts';
import {
  Dentry, FdTable, FileSlots, Inode, Process, Sandbox, SignalActions, Task, TASK_RUNNABLE,
  TaskTable,
} from '../../vmm/kernel/records/index.ts';
import type { Mm } from '../../vmm/kernel/records/mm.ts';
import { Arena } from '../../vmm/kernel/state/arena.ts';
import { makeBytes, makeWords } from '../../vmm/kernel/state/containers.ts';
import { f64, giveRegion, type Region, takeRegion } from '../../vmm/kernel/state/memory.ts';
import { FrameAllocator } from '../../vmm/kernel/mm/frames.ts';
import { TableAllocator } from '../../vmm/kernel/mm/tables.ts';
import { makeMm } from '../../vmm/kernel/mm/address-space.ts';
import { VfsCache } from '../../vmm/kernel/vfs/cache.ts';
import { enqueue } from '../../vmm/kernel/task/run-queue.ts';
import { assertSavable } from './savable.ts';
import { type LowerTree, type TestLower, treeFs } from './lower-tree.ts';

export interface TestKernelOptions {
  /** The read-only rootfs. */
  lower?: LowerTree;
  /** Bank frames, frame 0 included; default 4096 (16 MiB). */
  bankFrames?: number;
  /** Base frames (an image's), all zero until the test fills `t.base`; default 0. */
  baseFrames?: number;
  /** Page tables in the window; default 512. */
  tables?: number;
  /** Bytes of kernel state; default 8 MiB. */
  arenaBytes?: number;
  limits?: Partial<KernelLimits>;
  /** What stdin holds when the guest starts; `end` below says whether it ends there. */
  stdin?: string | Uint8Array;
  /** Bit n: stream n is a terminal. */
  terminals?: number;
  seed?: number;
}

/** One call of Translations.stale. */
export interface StaleCall {
  gva: number;
  oldPte: bigint;
  tableIndex: number;
  entryIndex: number;
}

export interface TestConsole extends ConsolePort {
  terminals: number;
  /** Appends to what stdin holds. */
  feed(data: string | Uint8Array): void;
  /** After what was fed, stdin is at its end. */
  end(): void;
  /** Everything the guest has written to a stream, as text. */
  output(stream: 1 | 2): string;
  /** While true, writes say -EAGAIN. */
  full: boolean;
}

export interface TestClock extends ClockPort {
  nowNs: number;
  realSec: number;
  advance(ns: number): void;
}

export interface TestKernel {
  readonly k: Kernel;
  readonly process: Process;
  readonly task: Task;
  readonly mm: Mm;
  readonly lower: TestLower;
  readonly console: TestConsole;
  readonly clock: TestClock;
  readonly stale: StaleCall[];
  readonly events: { kind: string; detail: string }[];
  /** Content of the base window; `t.baseGone = true` makes its reads fail. */
  readonly base: Uint8Array;
  baseGone: boolean;
  /** Highest count that ensureBacked() was called with. */
  readonly backedFrames: () => number;
  /** How often everything cached was forgotten. */
  readonly forgotten: () => number;
  /** Set by tests that put into records what no kernel writes: else close() checks them. */
  isBroken: boolean;
  /** Adds a thread to the process. */
  addTask(): Task;
  close(): void;
}

const encoder: TextEncoder = new TextEncoder();

function bytesOf(data: string | Uint8Array): Uint8Array {
  return typeof data === 'string' ? encoder.encode(data) : data;
}

function makeConsole(options: TestKernelOptions): TestConsole {
  let input: number[] = [...bytesOf(options.stdin ?? '')];
  let ended = false;
  const written: { 1: number[]; 2: number[] } = { 1: [], 2: [] };
  return {
    terminals: options.terminals ?? 0,
    columns: 80,
    rows: 24,
    full: false,
    feed(data) { input.push(...bytesOf(data)); },
    end() { ended = true; },
    output(stream) { return new TextDecoder().decode(Uint8Array.from(written[stream])); },
    read(target) {
      if (input.length === 0) return ended ? 0 : -EAGAIN;
      const count = Math.min(input.length, target.length);
      target.set(input.slice(0, count));
      input = input.slice(count);
      return count;
    },
    write(stream, data) {
      if (this.full) return -EAGAIN;
      for (const byte of data) written[stream].push(byte);
      return data.length;
    },
    readable() { return input.length > 0 || ended; },
    writable() { return !this.full; },
  };
}

function makeClock(): TestClock {
  return {
    nowNs: 1_000_000_000,
    realSec: 1_800_000_000,
    advance(ns) { this.nowNs += ns; },
    monotonicNs() { return this.nowNs; },
    realtime() {
      return { sec: this.realSec + Math.floor(this.nowNs / 1e9), nsec: this.nowNs % 1e9 };
    },
    cpuNs() { return Math.floor(this.nowNs / 2); },
    share() {},
    refresh() {},
  };
}

/** xorshift32: the same bytes for the same seed. */
function makeEntropy(seed: number): EntropyPort {
  let state = seed >>> 0 || 1;
  return {
    fill(target) {
      for (let index = 0; index < target.length; index++) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        target[index] = state & 0xff;
      }
    },
  };
}

/** x87, SSE and AVX state of one vCPU, kept as bytes. */
function makeFpu(): FpuPort {
  const bytes = 832;
  const area = new Uint8Array(bytes);
  return {
    features: 7n,
    bytes,
    read: () => area,
    write: (from) => area.set(from.subarray(0, bytes)),
  };
}

function makeFrames(
  options: TestKernelOptions,
  t: { base: Uint8Array; baseGone: boolean; backed: number },
): GuestFrames {
  const bankFrames = options.bankFrames ?? 4096;
  return {
    bank: new Uint8Array(bankFrames * PAGE_BYTES),
    bankAddress: 0x7000_0000_0000,
    bankFrames,
    bankPfn: 0x10_0000,
    baseFrames: options.baseFrames ?? 0,
    basePfn: 0x100_0000,
    readBase(index, offset, target) {
      if (t.baseGone) return false;
      const start = index * PAGE_BYTES + offset;
      target.set(t.base.subarray(start, start + target.length));
      return true;
    },
    ensureBacked(frames) { t.backed = Math.max(t.backed, frames); },
  };
}

/**
 * Soft and hard limits of RLIMIT_*: none, but the stack and descriptors as a login shell has them.
 */
function setLimits(process: Process): void {
  const at = (process.address + Process.offset('limits')) >> 3;
  f64.fill(Infinity, at, at + RLIM_NLIMITS * 2);
  f64[at + RLIMIT_STACK * 2] = 8 * 1024 * 1024;
  f64[at + RLIMIT_NOFILE * 2] = 1024;
  f64[at + RLIMIT_NOFILE * 2 + 1] = 65536;
}

/** A root directory of no file system: enough for `root` and `cwd`; vfs tests mount theirs. */
function makeRootDentry(k: Kernel): Dentry {
  const inode = k.arena.make(Inode);
  inode.serial = k.root.nextInodeSerial++;
  inode.mode = 0o040755;
  inode.nlink = 2;
  inode.refs = 1;
  const dentry = k.arena.make(Dentry);
  dentry.name = makeBytes(k.arena, new Uint8Array(0));
  dentry.inode = inode;
  dentry.pinned = true;
  dentry.refs = 1;
  return dentry;
}

function makeTask(k: Kernel, process: Process): Task {
  const task = k.arena.make(Task);
  task.tid = k.root.nextTid++;
  task.process = process;
  task.state = TASK_RUNNABLE;
  task.syscall = -1;
  process.tasks.set(process.tasks.length++, task);
  enqueue(k, task);
  return task;
}

function makeProcess(k: Kernel): Process {
  const process = k.arena.make(Process);
  process.pid = k.root.nextTid;
  process.ppid = 0;
  process.pgid = process.pid;
  process.sid = process.pid;
  process.tasks = k.arena.make(TaskTable, 64 * 4);
  const fds = k.arena.make(FdTable);
  fds.slots = k.arena.make(FileSlots, 64 * 4);
  fds.closeOnExec = makeWords(k.arena, 2);
  process.fds = fds;
  const root = makeRootDentry(k);
  root.refs += 2;
  process.root = root;
  process.cwd = root;
  process.umask = 0o022;
  process.actions = k.arena.make(SignalActions);
  process.dumpable = 1;
  setLimits(process);
  k.root.process = process;
  k.root.rootDentry = root;
  return process;
}

function assemble(options: TestKernelOptions, ports: Ports): Kernel {
  const arena = new Arena(options.arenaBytes ?? 8 * 1024 * 1024);
  const root = arena.make(Sandbox);
  root.nextInodeSerial = 1;
  root.nextObjectSerial = 1;
  root.nextTid = 1;
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  return {
    arena,
    root,
    ports,
    limits,
    frames: new FrameAllocator(ports.frames, limits),
    tables: new TableAllocator(ports.tables, () => ports.translations.forgetAll()),
    vfs: new VfsCache(),
    counters: {} as Kernel['counters'],
    current: null,
    isTrial: false,
  };
}

/**
 * Makes a kernel with a process, a thread and an empty address space. Call `close()` at the end.
 */
export function makeTestKernel(options: TestKernelOptions = {}): TestKernel {
  const count = options.tables ?? 512;
  const region: Region = takeRegion(count * PAGE_BYTES);
  const tables: TableWindow = { address: region.address, pfn: 0x10, count, firstFree: 16 };
  const base = new Uint8Array((options.baseFrames ?? 0) * PAGE_BYTES);
  const shared = { base, baseGone: false, backed: 0 };
  const stale: StaleCall[] = [];
  const events: { kind: string; detail: string }[] = [];
  const forgets = { count: 0 };
  const lower = treeFs(options.lower ?? {});
  const console = makeConsole(options);
  const clock = makeClock();
  const k = assemble(options, {
    frames: makeFrames(options, shared),
    tables,
    translations: {
      stale(gva, oldPte, tableIndex, entryIndex) {
        stale.push({ gva, oldPte, tableIndex, entryIndex });
      },
      forgetAll() { forgets.count++; },
    },
    lower,
    console,
    clock,
    entropy: makeEntropy(options.seed ?? 1),
    events: { event(kind, detail) { events.push({ kind, detail }); } },
    fpu: makeFpu(),
  });
  const process = makeProcess(k);
  const task = makeTask(k, process);
  const mm = makeMm(k);
  process.mm = mm;
  k.current = task;
  return {
    k, process, task, mm, lower, console, clock, stale, events,
    base,
    get baseGone(): boolean { return shared.baseGone; },
    set baseGone(gone: boolean) { shared.baseGone = gone; },
    backedFrames: () => shared.backed,
    forgotten: () => forgets.count,
    addTask: () => makeTask(k, process),
    isBroken: false,
    close() {
      if (!this.isBroken) assertSavable(k);
      k.arena.close();
      giveRegion(region);
    },
  };
}
