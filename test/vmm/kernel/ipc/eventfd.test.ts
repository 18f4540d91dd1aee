// eventfd(2): the counter, the semaphore, blocking at both ends, refused sizes and values.
import { EAGAIN, EFAULT, EINVAL } from '../../../../vmm/abi/errno.ts';
import { EFD_CLOEXEC, EFD_NONBLOCK, EFD_SEMAPHORE } from '../../../../vmm/abi/eventfd.ts';
import { POLLIN, POLLOUT } from '../../../../vmm/abi/poll.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/eventfd');

function add(d: Driver, fd: number, value: bigint): number {
  d.putU64(d.base, value);
  return d.call('write', fd, d.base, 8);
}

function take(d: Driver, fd: number): bigint | number {
  const result = d.call('read', fd, d.base, 8);
  return result < 0 ? result : d.view(d.base, 8).getBigUint64(0, true);
}

test('read() gives the sum and sets it to zero', () => {
  const d = new Driver();
  const fd = d.call('eventfd2', 3, EFD_NONBLOCK | EFD_CLOEXEC);
  assert.is(isCloseOnExec(d.t.process.fds, fd), true);
  assert.is(d.poll(fd), POLLIN | POLLOUT);
  assert.is(add(d, fd, 4n), 8);
  assert.is(take(d, fd), 7n);
  assert.is(d.poll(fd), POLLOUT);
  assert.is(take(d, fd), -EAGAIN);
  d.end();
});

test('read() of a semaphore counts down by one', () => {
  const d = new Driver();
  const fd = d.call('eventfd2', 2, EFD_NONBLOCK | EFD_SEMAPHORE);
  assert.is(take(d, fd), 1n);
  assert.is(take(d, fd), 1n);
  assert.is(take(d, fd), -EAGAIN);
  d.end();
});

test('sizes and values that Linux refuses are refused', () => {
  const d = new Driver();
  const fd = d.call('eventfd', 1);
  const rows: [name: string, bytes: number, result: number][] = [
    ['read', 7, -EINVAL], ['read', 4, -EINVAL], ['write', 7, -EINVAL], ['write', 9, -EINVAL],
    ['write', 16, -EINVAL], ['write', 8, 8], ['read', 20, 8],
  ];
  for (const [name, bytes, result] of rows) {
    d.putU64(d.base, 1, 1, 1);
    assert.is(d.call(name, fd, d.base, bytes), result, `${name} ${bytes}`);
  }
  assert.is(add(d, fd, 0xffff_ffff_ffff_ffffn), -EINVAL);
  assert.is(d.call('write', fd, BAD_GVA, 8), -EFAULT);
  assert.is(d.call('eventfd2', 0, 2), -EINVAL);
  d.end();
});

test('write() blocks while the counter would overflow', () => {
  const d = new Driver();
  const other = d.t.addTask();
  const fd = d.call('eventfd2', 0, 0);
  assert.is(add(d, fd, 0xffff_ffff_ffff_fffen), 8);
  assert.is(d.poll(fd), POLLIN);
  assert.is(add(d, fd, 1n), BLOCKED);
  assert.is(d.callAs(other, 'read', fd, d.scratch, 8), 8);
  assert.is(d.view(d.scratch, 8).getBigUint64(0, true), 0xffff_ffff_ffff_fffen);
  assert.is(d.again(d.t.task, 'write'), 8);
  d.end();
});

test('read() blocks until another thread writes', () => {
  const d = new Driver();
  const other = d.t.addTask();
  const fd = d.call('eventfd2', 0, 0);
  assert.is(d.callAs(other, 'read', fd, d.scratch, 8), BLOCKED);
  assert.is(add(d, fd, 9n), 8);
  assert.is(d.again(other, 'read'), 8);
  assert.is(d.view(d.scratch, 8).getBigUint64(0, true), 9n);
  d.end();
});

test.run();
