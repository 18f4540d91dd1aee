// Calls system calls by name on a test kernel, as the dispatcher does: wait fields are zero on the
// first execution and kept after BLOCKED, and the same call is executed again by `again()`.
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../../vmm/abi/mman.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyIn, copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import { TASK_RUNNABLE, type Task } from '../../../../vmm/kernel/records/task.ts';
import type { File } from '../../../../vmm/kernel/records/vfs.ts';
import { argsOf, REG, setReg } from '../../../../vmm/kernel/syscalls/args.ts';
import { BLOCKED, type Family } from '../../../../vmm/kernel/syscalls/define.ts';
import { epollCalls } from '../../../../vmm/kernel/syscalls/epoll.ts';
import { eventfdCalls } from '../../../../vmm/kernel/syscalls/eventfd.ts';
import { pipeCalls } from '../../../../vmm/kernel/syscalls/pipe.ts';
import { pollCalls } from '../../../../vmm/kernel/syscalls/poll.ts';
import { readWriteCalls } from '../../../../vmm/kernel/syscalls/read-write.ts';
import { signalfdCalls } from '../../../../vmm/kernel/syscalls/signalfd.ts';
import { messageCalls } from '../../../../vmm/kernel/syscalls/message.ts';
import { socketCalls } from '../../../../vmm/kernel/syscalls/socket.ts';
import { timerfdCalls } from '../../../../vmm/kernel/syscalls/timerfd.ts';
import { restoreMask } from '../../../../vmm/kernel/signal/mask.ts';
import { closeFd } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { getFile } from '../../../../vmm/kernel/vfs/file.ts';
import {
  makeTestKernel, type TestKernel, type TestKernelOptions,
} from '../../../helpers/kernel.ts';

const calls: Family = {
  ...pipeCalls, ...eventfdCalls, ...socketCalls, ...messageCalls, ...epollCalls, ...pollCalls,
  ...timerfdCalls, ...signalfdCalls, ...readWriteCalls,
};
const REGISTERS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9] as const;

/** Bytes of guest memory that every driver has mapped. */
const MEMORY_BYTES = 1024 * 1024;
/** An address where nothing is mapped. */
export const BAD_GVA = 0x1000;

export class Driver {
  readonly t: TestKernel;
  /** First address of mapped guest memory; bytes below `scratch` are the test's. */
  readonly base: number;
  /** Where the driver puts its own arguments. */
  readonly scratch: number;
  #last: { task: Task; name: string } | null = null;

  constructor(options: TestKernelOptions = {}) {
    this.t = makeTestKernel(options);
    const prot = PROT_READ | PROT_WRITE;
    const flags = MAP_PRIVATE | MAP_ANONYMOUS;
    const gva = mapRegion(this.t.k, { gva: 0, bytes: MEMORY_BYTES, prot, flags });
    if (gva < 0) throw new Error(`mapRegion: ${gva}`);
    this.base = gva;
    this.scratch = gva + MEMORY_BYTES / 2;
  }

  /** First execution of a call. */
  call(name: string, ...args: readonly number[]): number {
    return this.callAs(this.t.task, name, ...args);
  }

  callAs(task: Task, name: string, ...args: readonly number[]): number {
    REGISTERS.forEach((register, index) => setReg(task, register, args[index] ?? 0));
    clearWait(task);
    this.#last = { task, name };
    return this.#execute(task, name);
  }

  /** Executes the last call of `task` again, as after a wake-up. Fails unless it was woken. */
  again(task: Task = this.t.task, name: string = this.#last?.name ?? ''): number {
    if (task.state !== TASK_RUNNABLE) throw new Error(`${name}: the task was not woken`);
    return this.#execute(task, name);
  }

  #execute(task: Task, name: string): number {
    const row = calls[name];
    if (row === undefined) throw new Error(`no call ${name}`);
    const result = row.handler(this.t.k, task, argsOf(task));
    if (result !== BLOCKED) {
      clearWait(task);
      restoreMask(this.t.k, task);
    }
    return result;
  }

  isBlocked(task: Task = this.t.task): boolean {
    return task.state !== TASK_RUNNABLE;
  }

  put(gva: number, data: Uint8Array | string): number {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    if (copyOut(this.t.k, gva, bytes) !== bytes.length) throw new Error('bad test address');
    return gva;
  }

  get(gva: number, bytes: number): Uint8Array {
    const data = new Uint8Array(bytes);
    if (copyIn(this.t.k, gva, data) !== bytes) throw new Error('bad test address');
    return data;
  }

  view(gva: number, bytes: number): DataView {
    return new DataView(this.get(gva, bytes).buffer);
  }

  i32(gva: number): number {
    return this.view(gva, 4).getInt32(0, true);
  }

  putI32(gva: number, ...values: number[]): number {
    return this.put(gva, new Uint8Array(Int32Array.from(values).buffer));
  }

  putU64(gva: number, ...values: (number | bigint)[]): number {
    return this.put(gva, new Uint8Array(BigInt64Array.from(values.map((v) => BigInt(v))).buffer));
  }

  /** write(2) of bytes that the driver puts into the guest. */
  write(fd: number, data: Uint8Array | string): number {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    this.put(this.scratch, bytes);
    return this.call('write', fd, this.scratch, bytes.length);
  }

  /** read(2); the text, or the error. */
  read(fd: number, bytes: number): string | number {
    const result = this.call('read', fd, this.scratch, bytes);
    return result < 0 ? result : new TextDecoder().decode(this.get(this.scratch, result));
  }

  /** pipe2(2) and the like: [first, second] of an `int[2]` out argument. */
  pair(name: string, ...args: number[]): [number, number] {
    const at = this.scratch;
    const full = name === 'pipe2' ? [at, ...args] : [...args, at];
    const result = this.call(name, ...full);
    if (result < 0) throw new Error(`${name}: ${result}`);
    return [this.i32(at), this.i32(at + 4)];
  }

  /** Readiness of one descriptor as poll(2) says it at once: revents. */
  poll(fd: number, events: number = 0xffdf): number {
    const at = this.scratch + 4096;
    this.putI32(at, fd, events);
    const result = this.call('poll', at, 1, 0);
    if (result < 0) throw new Error(`poll: ${result}`);
    return this.view(at + 6, 2).getUint16(0, true);
  }

  close(fd: number): number {
    return closeFd(this.t.k, this.t.process, fd);
  }

  file(fd: number): File {
    const file = getFile(this.t.task, fd);
    if (file === null) throw new Error(`fd ${fd} is not open`);
    return file;
  }

  end(): void {
    this.t.close();
  }
}

function clearWait(task: Task): void {
  task.waitDeadlineNs = 0;
  task.waitProgress = 0;
  task.waitState = 0;
  task.waitArgument = 0;
}
