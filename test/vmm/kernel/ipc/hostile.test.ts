// Random calls with random arguments, as a hostile guest makes them: nothing may throw, every
// result is a result or an errno, and closing everything is survived by those who wait.
import {
  EPOLL_CTL_ADD, EPOLLET, EPOLLIN, EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP,
} from '../../../../vmm/abi/poll.ts';
import { SCM_RIGHTS, SOL_SOCKET } from '../../../../vmm/abi/socket.ts';
import { Msghdr } from '../../../../vmm/abi/struct-socket.ts';
import { TASK_RUNNABLE, type Task } from '../../../../vmm/kernel/records/task.ts';
import { FILE_EPOLL, FILE_SOCKET, FILE_TIMERFD } from '../../../../vmm/kernel/records/vfs.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { restoreMask } from '../../../../vmm/kernel/signal/mask.ts';
import { flushSignals } from '../../../../vmm/kernel/signal/pending.ts';
import { SIGNAL_BITS } from '../../../../vmm/kernel/signal/set.ts';
import { wakeTask } from '../../../../vmm/kernel/task/block.ts';
import { runTimers } from '../../../../vmm/kernel/time/timers.ts';
import { closeAllFds } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { assert, type Random, seededRandom, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc');
const STEPS = 15_000;
const OPEN_MOST = 40;

/**
 * Calls and how their arguments are drawn: f descriptor, p pointer, n number, s small, t timeout.
 */
const CALLS: readonly (readonly [name: string, args: string])[] = [
  ['pipe2', 'pn'], ['eventfd2', 'sn'], ['socket', 'ssn'], ['socketpair', 'ssnp'], ['bind', 'fps'],
  ['listen', 'fs'], ['connect', 'fps'], ['accept4', 'fppn'], ['shutdown', 'fs'],
  ['getsockname', 'fpp'], ['getpeername', 'fpp'], ['sendto', 'fpn0p0'], ['recvfrom', 'fpn000'],
  ['sendmsg', 'fmn'], ['recvmsg', 'fmn'], ['sendmmsg', 'fmsn'], ['recvmmsg', 'fmsnp'],
  ['setsockopt', 'fsspn'], ['getsockopt', 'fsspp'], ['epoll_create1', 's'], ['epoll_ctl', 'fsfe'],
  ['epoll_wait', 'fpnt'], ['epoll_pwait2', 'fpnppn'], ['poll', 'psT'], ['ppoll', 'psppn'],
  ['select', 'nppp0'], ['pselect6', 'nppppp'], ['timerfd_create', 'sn'],
  ['timerfd_settime', 'fspp'],
  ['timerfd_gettime', 'fp'], ['signalfd4', 'fpnn'], ['read', 'fpn'], ['write', 'fpn'],
  ['readv', 'fps'], ['writev', 'fps'],
];

/** Calls whose second argument is flags that are wrong most of the time when drawn at random. */
const FLAGGED: readonly string[] = ['pipe2', 'eventfd2', 'timerfd_create'];

const SOCKET_CALLS: readonly string[] = [
  'bind', 'listen', 'connect', 'accept4', 'shutdown', 'getsockname', 'getpeername', 'sendto',
  'recvfrom', 'sendmsg', 'recvmsg', 'sendmmsg', 'recvmmsg', 'setsockopt', 'getsockopt',
];

class Hostile extends Driver {
  readonly random: Random;
  /** Threads that wait, with the call that they are in. */
  readonly waiting: Map<Task, string> = new Map();
  readonly tasks: Task[] = [this.t.task];

  constructor(random: Random) {
    super({ arenaBytes: 48 * 1024 * 1024, limits: { descriptors: 80 } });
    this.random = random;
    for (let count = 0; count < 6; count++) this.tasks.push(this.t.addTask());
  }

  pick<T>(values: readonly T[]): T {
    return values[this.random.int(0, values.length - 1)] as T;
  }

  argument(kind: string): number {
    const { random } = this;
    switch (kind) {
      case 'f': return random.int(0, 9) === 0 ? random.int(-1, 80) : this.openFd();
      case 'p': return this.pointer();
      case 's': return random.int(-1, 6);
      case 't': return random.int(-1, 3);
      case 'T': return random.int(0, 3);
      case 'm': return this.message();
      case 'e': return this.event();
      case '0': return 0;
      default: return this.pick([
        0, 0, 0, 1, 8, 8, 16, 100, 100, 5000, 70_000, 2 ** 31,
        2 ** 32 - 1, 2 ** 40, -1, 0o4000, 0o2000000, 0x40, 0x2,
      ]);
    }
  }

  pointer(): number {
    if (this.random.int(0, 7) > 0) return this.base + this.random.int(0, 2000) * 8;
    return this.pick([0, BAD_GVA, 2 ** 47, -8, this.base + 0x10_0000 - 4]);
  }

  /** Makes the first argument a descriptor of the kind that the call is for. */
  suit(name: string, args: number[]): void {
    const kind = name.startsWith('epoll') ? FILE_EPOLL
      : name.startsWith('timerfd_') ? FILE_TIMERFD
      : SOCKET_CALLS.includes(name) ? FILE_SOCKET : 0;
    if (kind === 0 || name.includes('create')) return;
    const { slots } = this.t.process.fds;
    const found = Array.from({ length: slots.length }, (_, fd) => fd)
      .filter((fd) => slots.get(fd)?.kind === kind);
    if (found.length > 0) args[0] = this.pick(found);
  }

  openCount(): number {
    const { slots } = this.t.process.fds;
    return Array.from({ length: slots.length }, (_, fd) => slots.get(fd)).filter(Boolean).length;
  }

  openFd(): number {
    const { slots } = this.t.process.fds;
    const open = Array.from({ length: slots.length }, (_, fd) => fd)
      .filter((fd) => slots.get(fd) !== null);
    return open.length === 0 ? -1 : this.pick(open);
  }

  /** A socket address: one of a few abstract names, so that they meet. */
  address(): number {
    const name = this.random.int(0, 3);
    return this.put(this.base + 0xa000, Uint8Array.of(1, 0, 0, 65 + name, 66, 67, 68));
  }

  /** A message header that often makes sense and carries descriptors. */
  message(): number {
    const at = this.base + 0x8000;
    const raw = new Uint8Array(Msghdr.bytes);
    const view = new DataView(raw.buffer);
    Msghdr.msg_iov.set(view, 0, this.putU64(at + 0x100, this.base, this.random.int(0, 5000)));
    Msghdr.msg_iovlen.set(view, 0, this.random.int(0, 1));
    Msghdr.msg_control.set(view, 0, at + 0x200);
    Msghdr.msg_controllen.set(view, 0, this.pick([0, 20, 24, 32]));
    this.putU64(at + 0x200, 24);
    this.putI32(at + 0x208, SOL_SOCKET, SCM_RIGHTS, this.argument('f'), this.argument('f'));
    return this.put(at, raw);
  }

  event(): number {
    const bits = this.pick([
      EPOLLIN, EPOLLIN | EPOLLET, EPOLLOUT | EPOLLONESHOT, EPOLLIN | EPOLLOUT | EPOLLRDHUP,
    ]);
    return this.putI32(this.base + 0x9000, bits | 0, this.argument('s'), 0);
  }

  step(): void {
    // SIGPIPE would otherwise keep every later call from waiting.
    flushSignals(this.t.k, this.t.process, SIGNAL_BITS);
    for (const [task, name] of this.waiting) {
      if (task.state !== TASK_RUNNABLE) continue;
      this.waiting.delete(task);
      this.settle(task, name, this.again(task, name));
    }
    const idle = this.tasks.filter((task) => !this.waiting.has(task));
    const task = idle[0];
    while (this.openCount() > OPEN_MOST) this.close(this.openFd());
    if (task === undefined || this.random.int(0, 19) === 0) {
      this.disturb();
      return;
    }
    const [name, kinds] = this.pick(CALLS);
    const args = [...kinds].map((kind) => this.argument(kind));
    if (name === 'epoll_ctl' && this.random.int(0, 1) === 0) args[1] = EPOLL_CTL_ADD;
    if (name === 'socketpair' || name === 'socket') args.splice(0, 3, 1, this.type(), 0);
    if (FLAGGED.includes(name)) args[1] = this.pick([0, 0o4000]);
    if (name === 'pipe2' || name === 'eventfd2') args[0] = this.base;
    if (name === 'epoll_wait') args[2] = this.random.int(1, 8);
    if (this.random.int(0, 9) > 0) this.suit(name, args);
    const isNamed = name === 'bind' || name === 'connect';
    if (isNamed) args.splice(1, 2, this.address(), this.pick([4, 4, 7, 2, 200]));
    this.settle(task, name, this.callAs(task, name, ...args));
  }

  type(): number {
    return this.pick([1, 2, 5, 1, 2, 5, 9, -1]) | this.pick([0, 0o4000, 0o4000]);
  }

  /** Time passes, a descriptor is closed, or a call is given up as a signal would make it. */
  disturb(): void {
    const { k } = this.t;
    this.t.clock.advance(1_000_000);
    runTimers(k);
    if (this.random.int(0, 2) === 0) this.close(this.openFd());
    const [task] = [...this.waiting.keys()];
    if (task === undefined || this.random.int(0, 1) === 0) return;
    wakeTask(k, task);
    restoreMask(k, task);
    this.waiting.delete(task);
  }

  settle(task: Task, name: string, result: number): void {
    assert.ok(Number.isSafeInteger(result), `${name} gave ${result}`);
    if (result === BLOCKED) this.waiting.set(task, name);
    else assert.ok(result >= -4095, `${name} gave ${result}`);
  }
}

test('random calls neither throw nor give anything but results and errors', () => {
  const d = new Hostile(seededRandom());
  const { k, process } = d.t;
  for (let step = 0; step < STEPS; step++) d.step();
  closeAllFds(k, process);
  // Who was woken by that finds its descriptors gone; nobody stumbles over freed records.
  for (const [task, name] of d.waiting) {
    if (task.state === TASK_RUNNABLE) d.settle(task, name, d.again(task, name));
  }
  const used = k.arena.usedBytes;
  for (let count = 0; count < 100; count++) {
    const [first, second] = d.pair('pipe2', 0);
    d.close(first);
    d.close(second);
  }
  assert.atMost(k.arena.usedBytes - used, 64 * 1024);
  d.end();
}, { timeoutMs: 120_000 });

test.run();
