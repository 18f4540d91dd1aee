// poll(2), ppoll(2), select(2) and pselect6(2): readiness, deadlines, restarts, refused arguments.
import { EBADF, EFAULT, EINVAL } from '../../../../vmm/abi/errno.ts';
import { EFD_NONBLOCK } from '../../../../vmm/abi/eventfd.ts';
import { O_NONBLOCK } from '../../../../vmm/abi/fcntl.ts';
import {
  POLLHUP, POLLIN, POLLNVAL, POLLOUT, POLLPRI, POLLRDNORM,
} from '../../../../vmm/abi/poll.ts';
import { SI_USER, SIGUSR1 } from '../../../../vmm/abi/signal.ts';
import { actionBytes } from '../../../../vmm/kernel/signal/actions.ts';
import { makeInfo, sendSignal } from '../../../../vmm/kernel/signal/pending.ts';
import {
  BLOCKED, ERESTART_RESTARTBLOCK, ERESTARTNOHAND,
} from '../../../../vmm/kernel/syscalls/define.ts';
import { runTimers } from '../../../../vmm/kernel/time/timers.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/poll');
const MS = 1_000_000;

class PollDriver extends Driver {
  /** Writes a pollfd array and returns its address. */
  pollfds(...entries: [fd: number, events: number][]): number {
    for (const [index, [fd, events]] of entries.entries()) {
      this.putI32(this.base + index * 8, fd, events | 0x7777 << 16);
    }
    return this.base;
  }

  revents(count: number): number[] {
    return Array.from({ length: count }, (_, index) =>
      this.view(this.base + index * 8, 8).getUint16(6, true));
  }

  /** Writes an fd_set of 1024 bits. */
  set(gva: number, ...fds: number[]): number {
    const bits = new Uint8Array(128);
    for (const fd of fds) bits[fd >> 3] = (bits[fd >> 3] ?? 0) | 1 << (fd & 7);
    return this.put(gva, bits);
  }

  members(gva: number): number[] {
    const bits = this.get(gva, 128);
    return Array.from({ length: 1024 }, (_, fd) => fd).filter((fd) =>
      (((bits[fd >> 3] ?? 0) >> (fd & 7)) & 1) !== 0);
  }

  handleSignal(): void {
    actionBytes(this.t.process, SIGUSR1).set([0, 0, 0x10]);
    sendSignal(this.t.k, this.t.process, makeInfo(SIGUSR1, SI_USER));
  }
}

test('poll() reports what was asked for, errors, and descriptors that are not open', () => {
  const d = new PollDriver();
  const [reader, writer] = d.pair('pipe2', O_NONBLOCK);
  d.write(writer, 'x');
  const at = d.pollfds(
    [reader, POLLIN], [-1, POLLIN], [99, 0], [writer, POLLIN], [reader, POLLPRI],
  );
  assert.is(d.call('poll', at, 5, -1), 2);
  assert.equal(d.revents(5), [POLLIN, 0, POLLNVAL, 0, 0]);
  d.close(writer);
  d.pollfds([reader, 0]);
  assert.is(d.call('poll', at, 1, 0), 1);
  assert.equal(d.revents(1), [POLLHUP]);
  d.pollfds([reader, POLLRDNORM]);
  assert.is(d.call('poll', at, 1, 0), 1);
  assert.equal(d.revents(1), [POLLHUP | POLLRDNORM]);
  d.end();
});

test('poll() refuses more entries than descriptors are allowed, and bad addresses', () => {
  const d = new PollDriver();
  assert.is(d.call('poll', d.base, 1025, 0), -EINVAL);
  assert.is(d.call('poll', d.base, -1, 0), -EINVAL);
  assert.is(d.call('poll', BAD_GVA, 1, 0), -EFAULT);
  assert.is(d.call('poll', 0, 0, 0), 0);
  d.end();
});

test('poll() waits for any of its descriptors and leaves no waiters behind', () => {
  const d = new PollDriver();
  const other = d.t.addTask();
  const [reader, writer] = d.pair('pipe2', O_NONBLOCK);
  const fd = d.call('eventfd2', 0, EFD_NONBLOCK);
  const at = d.pollfds([reader, POLLIN], [fd, POLLIN], [reader, POLLIN]);
  assert.is(d.callAs(other, 'poll', at, 3, -1), BLOCKED);
  d.write(writer, 'x');
  assert.is(d.again(other, 'poll'), 2);
  assert.equal(d.revents(3), [POLLIN, 0, POLLIN]);
  assert.is(other.waiters, null);
  d.end();
});

test('poll() ends at its deadline, which an early wake-up does not move', () => {
  const d = new PollDriver();
  const fd = d.call('eventfd2', 1, EFD_NONBLOCK);
  const other = d.t.addTask();
  const at = d.pollfds([fd, POLLPRI]);
  assert.is(d.callAs(other, 'poll', at, 1, 20), BLOCKED);
  d.t.clock.advance(15 * MS);
  d.putU64(d.scratch, 1);
  d.call('write', fd, d.scratch, 8);
  assert.is(d.again(other, 'poll'), BLOCKED);
  d.t.clock.advance(5 * MS);
  runTimers(d.t.k);
  assert.is(d.again(other, 'poll'), 0);
  assert.equal(d.revents(1), [0]);
  d.end();
});

test('poll() is restarted with its deadline, ppoll() and select() with the time left', () => {
  const d = new PollDriver();
  const { task } = d.t;
  assert.is(d.call('poll', d.base, 0, 100), BLOCKED);
  d.t.clock.advance(30 * MS);
  d.handleSignal();
  assert.is(d.again(), -ERESTART_RESTARTBLOCK);
  assert.is(task.restartDeadlineNs, d.t.clock.nowNs + 70 * MS);
  task.restartDeadlineNs = 0;

  const timespec = d.putU64(d.scratch, 0, 100 * MS);
  // The signal is still there.
  assert.is(d.call('ppoll', d.base, 0, timespec, 0, 8), -ERESTARTNOHAND);
  assert.is(d.view(timespec, 16).getBigInt64(8, true), BigInt(100 * MS));
  task.process.pending = null;
  assert.is(d.call('ppoll', d.base, 0, timespec, 0, 8), BLOCKED);
  d.t.clock.advance(40 * MS);
  d.handleSignal();
  assert.is(d.again(), -ERESTARTNOHAND);
  assert.is(d.view(timespec, 16).getBigInt64(8, true), BigInt(60 * MS));

  task.process.pending = null;
  const timeval = d.putU64(d.scratch, 0, 100_000);
  assert.is(d.call('select', 0, 0, 0, 0, timeval), BLOCKED);
  d.t.clock.advance(25 * MS);
  d.handleSignal();
  assert.is(d.again(), -ERESTARTNOHAND);
  assert.is(d.view(timeval, 16).getBigInt64(8, true), 75_000n);
  d.end();
});

test('ppoll() checks timeout and mask before it looks at anything', () => {
  const d = new PollDriver();
  const mask = d.putU64(d.base + 4096, 0);
  assert.is(d.call('ppoll', d.base, 0, BAD_GVA, 0, 0), -EFAULT);
  assert.is(d.call('ppoll', d.base, 0, d.putU64(d.scratch, 0, -1), 0, 0), -EINVAL);
  assert.is(d.call('ppoll', d.base, 0, d.putU64(d.scratch, -1, 0), 0, 0), -EINVAL);
  assert.is(d.call('ppoll', d.base, 0, 0, mask, 16), -EINVAL);
  assert.is(d.call('ppoll', d.base, 0, 0, BAD_GVA, 8), -EFAULT);
  assert.is(d.call('ppoll', d.base, 0, d.putU64(d.scratch, 0, 0), mask, 8), 0);
  d.end();
});

test('select() counts bits of all three sets and clears the others', () => {
  const d = new PollDriver();
  const [reader, writer] = d.pair('pipe2', O_NONBLOCK);
  const idle = d.call('eventfd2', 0, EFD_NONBLOCK);
  d.write(writer, 'x');
  const inSet = d.set(d.base, reader, idle);
  const outSet = d.set(d.base + 128, writer, idle);
  const exceptSet = d.set(d.base + 256, reader);
  assert.is(d.call('select', 10, inSet, outSet, exceptSet, 0), 3);
  assert.equal(d.members(inSet), [reader]);
  assert.equal(d.members(outSet), [writer, idle]);
  assert.equal(d.members(exceptSet), []);
  d.end();
});

test('select() tells the end of input as readable', () => {
  const d = new PollDriver();
  const [reader, writer] = d.pair('pipe2', O_NONBLOCK);
  d.close(writer);
  const set = d.set(d.base, reader);
  assert.is(d.call('select', reader + 1, set, 0, 0, 0), 1);
  assert.equal(d.members(set), [reader]);
  d.end();
});

test('select() fails as on Linux', () => {
  const d = new PollDriver();
  const fd = d.call('eventfd2', 1, 0);
  const set = d.set(d.base, fd, 40);
  const bad = d.putU64(d.scratch, -1, 0);
  const rows: [args: number[], expected: number][] = [
    [[-1, 0, 0, 0, 0], -EINVAL],
    [[41, set, 0, 0, 0], -EBADF],
    [[1, BAD_GVA, 0, 0, 0], -EFAULT],
    [[1, 0, 0, 0, BAD_GVA], -EFAULT],
    [[1, 0, 0, 0, bad], -EINVAL],
  ];
  for (const [args, expected] of rows) {
    assert.is(d.call('select', ...args), expected, args.join(' '));
  }
  // Bits from the count on do not matter, and neither does a count beyond the table's end.
  assert.is(d.call('select', fd + 1, set, 0, 0, 0), 1);
  assert.is(d.call('select', 0x7fff_ffff, d.set(d.base, fd), 0, 0, 0), 1);
  d.end();
});

test('select() carries microseconds over and waits until its deadline', () => {
  const d = new PollDriver();
  const timeval = d.putU64(d.scratch, 1, 2_500_000);
  const set = d.set(d.base, d.call('eventfd2', 0, 0));
  assert.is(d.call('select', 8, set, 0, 0, timeval), BLOCKED);
  d.t.clock.advance(3499 * MS);
  runTimers(d.t.k);
  assert.is(d.isBlocked(), true);
  d.t.clock.advance(1 * MS);
  runTimers(d.t.k);
  assert.is(d.again(), 0);
  assert.equal(d.members(set), []);
  assert.is(d.view(timeval, 16).getBigInt64(0, true), 0n);
  assert.is(d.view(timeval, 16).getBigInt64(8, true), 0n);
  d.end();
});

test('pselect6() reads the packed mask argument', () => {
  const d = new PollDriver();
  const { task } = d.t;
  const mask = d.putU64(d.base, 0);
  task.mask = 1n;
  const pack = d.putU64(d.base + 64, mask, 8);
  assert.is(d.call('pselect6', 0, 0, 0, 0, 0, pack), BLOCKED);
  assert.is(task.mask, 0n);
  assert.is(task.savedMask, 1n);
  const other = d.t.addTask();
  assert.is(d.callAs(other, 'pselect6', 0, 0, 0, 0, 0, d.putU64(d.base + 64, mask, 4)), -EINVAL);
  assert.is(d.callAs(other, 'pselect6', 0, 0, 0, 0, 0, BAD_GVA), -EFAULT);
  d.end();
});

test('poll() tells POLLOUT of what is writable', () => {
  const d = new PollDriver();
  const fd = d.call('eventfd2', 0, 0);
  assert.is(d.poll(fd), POLLOUT);
  d.end();
});

test.run();
