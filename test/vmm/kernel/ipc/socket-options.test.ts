// Expected values were taken from a C program on the host kernel (Linux 6.18).
import {
  EAGAIN, EDOM, EFAULT, EINVAL, ENOPROTOOPT, EOPNOTSUPP,
} from '../../../../vmm/abi/errno.ts';
import {
  AF_UNIX, SO_ACCEPTCONN, SO_BROADCAST, SO_DOMAIN, SO_ERROR, SO_KEEPALIVE, SO_LINGER, SO_PASSCRED,
  SO_PEERCRED, SO_PROTOCOL, SO_RCVBUF, SO_RCVLOWAT, SO_RCVTIMEO, SO_REUSEADDR, SO_REUSEPORT,
  SO_SNDBUF, SO_SNDTIMEO, SO_TYPE, SOCK_STREAM, SOL_SOCKET, SOL_TCP,
} from '../../../../vmm/abi/socket.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/socket-options');

/** getsockopt(2) into 64 bytes: the words of the value, or the error. */
function get(d: Driver, fd: number, name: number, room: number = 64): number[] | number {
  d.putI32(d.base, room);
  const result = d.call('getsockopt', fd, SOL_SOCKET, name, d.base + 8, d.base);
  if (result < 0) return result;
  const bytes = d.i32(d.base);
  return Array.from({ length: bytes >> 2 }, (_, index) => d.i32(d.base + 8 + index * 4));
}

function set(d: Driver, fd: number, name: number, ...words: number[]): number {
  d.putI32(d.base, ...words);
  return d.call('setsockopt', fd, SOL_SOCKET, name, d.base, words.length * 4);
}

test('options of a fresh pair have the values of Linux, and take 1 as Linux does', () => {
  const d = new Driver();
  const [fd] = d.pair('socketpair', AF_UNIX, SOCK_STREAM, 0);
  const rows: [name: number, value: number[] | number, set: number][] = [
    [SO_TYPE, [1], -ENOPROTOOPT], [SO_DOMAIN, [1], -ENOPROTOOPT], [SO_PROTOCOL, [0], -ENOPROTOOPT],
    [SO_SNDBUF, [212_992], 0], [SO_RCVBUF, [212_992], 0], [SO_ACCEPTCONN, [0], -ENOPROTOOPT],
    [SO_REUSEADDR, [0], 0], [SO_KEEPALIVE, [0], 0], [SO_RCVLOWAT, [1], 0], [SO_BROADCAST, [0], 0],
    [SO_LINGER, [0, 0], -EINVAL], [SO_PASSCRED, [0], 0], [SO_REUSEPORT, [0], -EOPNOTSUPP],
    [SO_RCVTIMEO, [0, 0, 0, 0], -EINVAL], [SO_ERROR, [0], -ENOPROTOOPT],
    [200, -ENOPROTOOPT, -ENOPROTOOPT],
    [SO_PEERCRED, [d.t.process.pid, 0, 0], -ENOPROTOOPT],
  ];
  for (const [name, value, result] of rows) {
    assert.equal(get(d, fd, name), value, `get ${name}`);
    assert.is(set(d, fd, name, 1), result, `set ${name}`);
  }
  assert.equal(get(d, fd, SO_REUSEADDR), [1]);
  assert.equal(get(d, fd, SO_SNDBUF), [4608]);
  assert.equal(get(d, fd, SO_RCVBUF), [2304]);
  set(d, fd, SO_SNDBUF, -1);
  assert.equal(get(d, fd, SO_SNDBUF), [425_984]);
  assert.is(set(d, fd, SO_REUSEADDR, 0), 0);
  assert.equal(get(d, fd, SO_REUSEADDR), [0]);
  d.end();
});

test('lengths, levels and addresses are checked', () => {
  const d = new Driver();
  const [fd] = d.pair('socketpair', AF_UNIX, SOCK_STREAM, 0);
  assert.is(d.call('setsockopt', fd, SOL_SOCKET, SO_SNDBUF, d.base, 3), -EINVAL);
  assert.is(d.call('setsockopt', fd, SOL_SOCKET, SO_SNDBUF, d.base, -1), -EINVAL);
  assert.is(d.call('setsockopt', fd, SOL_SOCKET, SO_SNDBUF, BAD_GVA, 4), -EFAULT);
  assert.is(d.call('setsockopt', fd, SOL_TCP, 1, d.base, 4), -EOPNOTSUPP);
  assert.is(d.call('getsockopt', fd, SOL_TCP, 1, d.base, d.base), -EOPNOTSUPP);
  assert.is(get(d, fd, SO_TYPE, -1), -EINVAL);
  assert.is(d.call('getsockopt', fd, SOL_SOCKET, SO_TYPE, d.base, BAD_GVA), -EFAULT);
  d.putI32(d.base, 2, -1);
  assert.is(d.call('getsockopt', fd, SOL_SOCKET, SO_TYPE, d.base + 4, d.base), 0);
  assert.is(d.i32(d.base), 2);
  assert.is(d.i32(d.base + 4), -0x1_0000 + SOCK_STREAM);
  d.end();
});

test('timeouts and linger are kept', () => {
  const d = new Driver();
  const [fd] = d.pair('socketpair', AF_UNIX, SOCK_STREAM, 0);
  assert.is(set(d, fd, SO_RCVTIMEO, 0, 0, 1_000_000, 0), -EDOM);
  assert.is(set(d, fd, SO_RCVTIMEO, 3, 0, 20_000, 0), 0);
  assert.equal(get(d, fd, SO_RCVTIMEO), [3, 0, 20_000, 0]);
  assert.equal(get(d, fd, SO_SNDTIMEO), [0, 0, 0, 0]);
  // A negative time does not wait at all, and reads as zero.
  assert.is(set(d, fd, SO_RCVTIMEO, -5, -1, 0, 0), 0);
  assert.equal(get(d, fd, SO_RCVTIMEO), [0, 0, 0, 0]);
  assert.is(d.call('recvfrom', fd, d.base, 1, 0, 0, 0), -EAGAIN);
  assert.is(set(d, fd, SO_LINGER, 1, 30), 0);
  assert.equal(get(d, fd, SO_LINGER), [1, 30]);
  d.end();
});

test.run();
