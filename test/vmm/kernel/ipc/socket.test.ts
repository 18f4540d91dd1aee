// Expected values were taken from C programs on the host kernel (Linux 6.18).
import {
  EAFNOSUPPORT, EAGAIN, EBADF, ECONNREFUSED, ECONNRESET, EFAULT, EINTR, EINVAL, EISCONN, EMSGSIZE,
  ENOTCONN, ENOTSOCK, ENOTTY, EOPNOTSUPP, EPIPE, EPROTONOSUPPORT, ESOCKTNOSUPPORT,
} from '../../../../vmm/abi/errno.ts';
import { O_NONBLOCK } from '../../../../vmm/abi/fcntl.ts';
import { FIONREAD, TCGETS, TIOCOUTQ } from '../../../../vmm/abi/ioctl.ts';
import { SI_USER, SIGPIPE, SIGUSR1 } from '../../../../vmm/abi/signal.ts';
import {
  AF_INET, AF_INET6, AF_UNIX, IPPROTO_TCP, IPPROTO_UDP, MSG_DONTWAIT, MSG_NOSIGNAL, MSG_OOB,
  MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
  SHUT_RD, SHUT_RDWR, SHUT_WR, SO_ERROR, SO_RCVTIMEO, SO_SNDBUF, SO_SNDTIMEO, SOCK_CLOEXEC,
  SOCK_DGRAM, SOCK_NONBLOCK, SOCK_RAW, SOCK_SEQPACKET, SOCK_STREAM, SOL_SOCKET,
} from '../../../../vmm/abi/socket.ts';
import type { Socket } from '../../../../vmm/kernel/records/ipc.ts';
import { actionBytes } from '../../../../vmm/kernel/signal/actions.ts';
import { makeInfo, pendingSet, sendSignal } from '../../../../vmm/kernel/signal/pending.ts';
import { BLOCKED, ERESTARTSYS } from '../../../../vmm/kernel/syscalls/define.ts';
import { runTimers } from '../../../../vmm/kernel/time/timers.ts';
import { opsOf } from '../../../../vmm/kernel/vfs/file-ops.ts';
import { isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/socket');

class SocketDriver extends Driver {
  socketpair(type: number): [number, number] {
    return this.pair('socketpair', AF_UNIX, type, 0);
  }

  send(fd: number, data: string | Uint8Array, flags: number = 0): number {
    const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
    this.put(this.scratch, bytes);
    return this.call('sendto', fd, this.scratch, bytes.length, flags, 0, 0);
  }

  recv(fd: number, bytes: number, flags: number = 0): string | number {
    const result = this.call('recvfrom', fd, this.scratch, bytes, flags, 0, 0);
    if (result < 0) return result;
    return new TextDecoder().decode(this.get(this.scratch, Math.min(result, bytes)));
  }

  getError(fd: number): number {
    this.putI32(this.base, 0, 4);
    assert.is(this.call('getsockopt', fd, SOL_SOCKET, SO_ERROR, this.base, this.base + 4), 0);
    return this.i32(this.base);
  }

  ioctl(fd: number, request: number): number {
    const file = this.file(fd);
    const result = opsOf(file).ioctl?.(this.t.k, this.t.task, file, request, this.base) ?? -1;
    return result < 0 ? result : this.i32(this.base);
  }

  has(signal: number): boolean {
    return (pendingSet(this.t.task) & (1n << BigInt(signal - 1))) !== 0n;
  }
}

test('socket() and socketpair() accept and refuse what Linux does', () => {
  const d = new SocketDriver();
  const rows: [domain: number, type: number, protocol: number, expected: number][] = [
    [-1, 1, 0, -EAFNOSUPPORT], [99, 1, 0, -EAFNOSUPPORT],
    [AF_INET, SOCK_STREAM, IPPROTO_UDP, -EPROTONOSUPPORT],
    [AF_INET6, SOCK_DGRAM, IPPROTO_TCP, -EPROTONOSUPPORT],
    [AF_UNIX, 99, 0, -EINVAL], [AF_UNIX, 11, 0, -EINVAL],
    [AF_UNIX, 9, 0, -ESOCKTNOSUPPORT], [AF_UNIX, 0, 0, -ESOCKTNOSUPPORT],
    [AF_UNIX, SOCK_STREAM, 5, -EPROTONOSUPPORT], [AF_UNIX, SOCK_STREAM | 0x100, 0, -EINVAL],
    [AF_UNIX, SOCK_STREAM, 1, 0], [AF_UNIX, SOCK_RAW, 0, 1],
  ];
  for (const [domain, type, protocol, expected] of rows) {
    assert.is(d.call('socket', domain, type, protocol), expected, `${domain} ${type} ${protocol}`);
  }
  assert.is(d.call('socketpair', AF_UNIX, SOCK_STREAM, 0, BAD_GVA), -EFAULT);
  assert.is(d.call('socketpair', AF_INET, SOCK_STREAM, 0, d.base), -EOPNOTSUPP);
  assert.is(d.call('socketpair', 99, SOCK_STREAM, 0, d.base), -EAFNOSUPPORT);
  const [a] = d.socketpair(SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK);
  assert.is(a, 2);
  assert.is(isCloseOnExec(d.t.process.fds, a), true);
  assert.is(d.file(a).flags & O_NONBLOCK, O_NONBLOCK);
  d.end();
});

test('fresh sockets answer with the errors and readiness of Linux', () => {
  const d = new SocketDriver();
  const rows: [type: number, poll: number, recv: number, listen: number, accept: number][] = [
    [SOCK_STREAM, 0x314, -EINVAL, -EINVAL, -EINVAL],
    [SOCK_DGRAM, 0x304, -EAGAIN, -EOPNOTSUPP, -EOPNOTSUPP],
    [SOCK_SEQPACKET, 0x314, -ENOTCONN, -EINVAL, -EINVAL],
  ];
  for (const [type, poll, recv, listen, accept] of rows) {
    const fd = d.call('socket', AF_UNIX, type, 0);
    assert.is(d.poll(fd), poll, `poll ${type}`);
    assert.is(d.recv(fd, 1, MSG_DONTWAIT), recv, `recv ${type}`);
    assert.is(d.send(fd, 'x', MSG_DONTWAIT), -ENOTCONN, `send ${type}`);
    assert.is(d.call('listen', fd, 1), listen, `listen ${type}`);
    assert.is(d.call('accept', fd, 0, 0), accept, `accept ${type}`);
    assert.is(d.call('shutdown', fd, SHUT_RDWR), 0, `shutdown ${type}`);
  }
  d.end();
});

test('every call tells descriptors that are no sockets from those that are not open', () => {
  const d = new SocketDriver();
  const fd = d.call('eventfd2', 0, 0);
  const names = [
    'bind', 'listen', 'connect', 'accept', 'shutdown', 'getsockname', 'getpeername', 'sendto',
    'recvfrom', 'sendmsg', 'recvmsg', 'setsockopt', 'getsockopt',
  ];
  for (const name of names) {
    assert.is(d.call(name, fd), -ENOTSOCK, name);
    assert.is(d.call(name, 99), -EBADF, name);
  }
  // In Linux's order.
  const kernel = 2 ** 47;
  assert.is(d.call('connect', fd, BAD_GVA, 16), -EFAULT);
  assert.is(d.call('accept4', 99, 0, 0, 0x1234), -EBADF);
  assert.is(d.call('accept4', fd, 0, 0, 0x1234), -EINVAL);
  for (const name of ['sendto', 'recvfrom']) {
    assert.is(d.call(name, 99, kernel, 8), -EFAULT);
    assert.is(d.call(name, 99, BAD_GVA, 2 ** 60), -EBADF, 'the length is cut first');
  }
  d.end();
});

test('a stream carries bytes in both directions without borders', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  assert.is(d.poll(a), 0x304);
  assert.is(d.send(a, 'hello '), 6);
  assert.is(d.write(a, 'world'), 5);
  assert.is(d.ioctl(b, FIONREAD), 11);
  assert.is(d.recv(b, 4, MSG_PEEK), 'hell');
  assert.is(d.recv(b, 8), 'hello wo');
  assert.is(d.read(b, 100), 'rld');
  assert.is(d.recv(b, 100), -EAGAIN);
  assert.is(d.send(b, 'back'), 4);
  assert.is(d.recv(a, 100), 'back');
  assert.is(d.recv(a, 1, MSG_OOB), -EOPNOTSUPP);
  assert.is(d.send(a, 'x', MSG_OOB), -EOPNOTSUPP);
  assert.is(d.send(a, ''), 0);
  assert.is(d.ioctl(b, FIONREAD), 0);
  assert.is(d.ioctl(b, TCGETS), -ENOTTY);
  d.end();
});

test('MSG_PEEK sees beyond one message of a stream and leaves all', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  d.send(a, 'one');
  d.send(a, 'two');
  assert.is(d.recv(b, 5, MSG_PEEK), 'onetw');
  assert.is(d.recv(b, 2), 'on');
  assert.is(d.recv(b, 10, MSG_PEEK), 'etwo');
  assert.is(d.recv(b, 10), 'etwo');
  d.end();
});

test('a stream fills at its send buffer and is writable again at a quarter', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  let small = 0;
  while (d.send(a, 'x') === 1) small++;
  assert.is(small, 278);
  assert.is(d.poll(a), 0);
  for (let left = small; left > 100; left--) assert.is(d.recv(b, 1), 'x');
  assert.is(d.poll(a), 0);
  for (let left = 100; left > 0; left--) assert.is(d.recv(b, 1), 'x');
  assert.is(d.poll(a), 0x304);
  let total = 0;
  for (let sent = 1; sent > 0; total += Math.max(0, sent)) sent = d.send(a, new Uint8Array(70_000));
  assert.is(total, 210_000);
  assert.ok(d.ioctl(a, TIOCOUTQ) >= 210_000);
  d.end();
});

test('a blocking send goes on where it stopped and returns all', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  const other = d.t.addTask();
  const data = Uint8Array.from({ length: 400_000 }, (_, index) => index % 253);
  d.put(d.base, data);
  assert.is(d.call('sendto', a, d.base, data.length, 0, 0, 0), BLOCKED);
  const got: number[] = [];
  for (;;) {
    const count = d.callAs(other, 'recvfrom', b, d.base + 450_000, 50_000, MSG_DONTWAIT, 0, 0);
    if (count > 0) got.push(...d.get(d.base + 450_000, count));
    else if (d.isBlocked()) throw new Error('the sender was not woken');
    if (!d.isBlocked() && got.length < data.length) {
      const result = d.again(d.t.task, 'sendto');
      if (result !== BLOCKED) assert.is(result, data.length);
    }
    if (got.length === data.length) break;
  }
  assert.bytes(Uint8Array.from(got), data);
  d.end();
});

test('an interrupted send returns what it has sent, or is restarted', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  actionBytes(d.t.process, SIGUSR1).set([0, 0, 0x10]);
  assert.is(d.call('sendto', a, d.base, 300_000, 0, 0, 0), BLOCKED);
  sendSignal(d.t.k, d.t.process, makeInfo(SIGUSR1, SI_USER));
  const sent = d.again();
  assert.ok(sent > 200_000 && sent < 300_000, `${sent}`);
  assert.is(d.call('sendto', a, d.base, 10, 0, 0, 0), -ERESTARTSYS);
  d.call('recvfrom', b, d.base, 300_000, 0, 0, 0);
  assert.is(d.call('recvfrom', b, d.base, 10, 0, 0, 0), -ERESTARTSYS);
  d.end();
});

test('MSG_WAITALL waits for everything, the end, or an error', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  const other = d.t.addTask();
  assert.is(d.callAs(other, 'recvfrom', b, d.base, 6, MSG_WAITALL, 0, 0), BLOCKED);
  d.send(a, 'abc');
  assert.is(d.again(other, 'recvfrom'), BLOCKED);
  d.send(a, 'defg');
  assert.is(d.again(other, 'recvfrom'), 6);
  assert.bytes(d.get(d.base, 6), new TextEncoder().encode('abcdef'));
  assert.is(d.callAs(other, 'recvfrom', b, d.base, 6, MSG_WAITALL, 0, 0), BLOCKED);
  d.close(a);
  assert.is(d.again(other, 'recvfrom'), 1);
  d.end();
});

test('SO_RCVTIMEO ends a receive with EAGAIN, and makes interruptions EINTR', () => {
  const d = new SocketDriver();
  const [, b] = d.socketpair(SOCK_STREAM);
  d.putU64(d.base, 0, 20_000);
  assert.is(d.call('setsockopt', b, SOL_SOCKET, SO_RCVTIMEO, d.base, 16), 0);
  assert.is(d.call('recvfrom', b, d.base, 1, 0, 0, 0), BLOCKED);
  d.t.clock.advance(20_000_000);
  runTimers(d.t.k);
  assert.is(d.again(), -EAGAIN);
  actionBytes(d.t.process, SIGUSR1).set([0, 0, 0x10]);
  sendSignal(d.t.k, d.t.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.call('recvfrom', b, d.base, 1, 0, 0, 0), -EINTR);
  d.end();
});

test('read() and write() of a socket end after SO_RCVTIMEO and SO_SNDTIMEO', () => {
  const d = new SocketDriver();
  const [a] = d.socketpair(SOCK_STREAM);
  d.putU64(d.base, 0, 20_000);
  assert.is(d.call('setsockopt', a, SOL_SOCKET, SO_RCVTIMEO, d.base, 16), 0);
  assert.is(d.call('setsockopt', a, SOL_SOCKET, SO_SNDTIMEO, d.base, 16), 0);
  assert.is(d.call('read', a, d.base, 1), BLOCKED);
  d.t.clock.advance(20_000_000);
  runTimers(d.t.k);
  assert.is(d.again(), -EAGAIN);
  const bytes = 256 * 1024;
  assert.is(d.call('write', a, d.base, bytes), BLOCKED);
  d.t.clock.advance(20_000_000);
  runTimers(d.t.k);
  const fitted = d.again();
  assert.ok(fitted > 0 && fitted < bytes, `${fitted} bytes were written in time`);
  // A negative timeout does not wait at all.
  d.putI32(d.base, -1, -1, 0, 0);
  assert.is(d.call('setsockopt', a, SOL_SOCKET, SO_RCVTIMEO, d.base, 16), 0);
  assert.is(d.call('read', a, d.base, 1), -EAGAIN);
  d.end();
});

test('write() to a socket without a reader sends SIGPIPE to itself for streams only', () => {
  for (const type of [SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET]) {
    const d = new SocketDriver();
    const [a] = d.socketpair(type);
    assert.is(d.call('shutdown', a, SHUT_WR), 0);
    assert.is(d.call('write', a, d.base, 1), -EPIPE);
    assert.is(d.has(SIGPIPE), type === SOCK_STREAM, `type ${type}`);
    const { pending } = d.t.task;
    assert.is(pending?.code ?? SI_USER, SI_USER);
    assert.is(pending?.pid ?? d.t.process.pid, d.t.process.pid);
    d.end();
  }
});

test('closing one end hangs up the other, after what was sent', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  d.send(a, 'bye');
  d.close(a);
  assert.is(d.poll(b), 0x2355);
  assert.is(d.recv(b, 10), 'bye');
  assert.is(d.recv(b, 10), '');
  assert.is(d.getError(b), 0);
  assert.is(d.send(b, 'x', MSG_NOSIGNAL), -EPIPE);
  assert.is(d.has(SIGPIPE), false);
  assert.is(d.send(b, 'x'), -EPIPE);
  assert.is(d.has(SIGPIPE), true);
  d.end();
});

test('closing with unread data resets the connection', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  d.send(b, 'unread');
  d.close(a);
  assert.is(d.poll(b), 0x235d);
  assert.is(d.recv(b, 1), -ECONNRESET);
  assert.is(d.recv(b, 1), '');
  assert.is(d.poll(b), 0x2355);
  const [c, e] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  d.send(e, 'unread');
  d.close(c);
  assert.is(d.send(e, 'x', MSG_NOSIGNAL), -EPIPE);
  assert.is(d.getError(e), ECONNRESET);
  assert.is(d.getError(e), 0);
  d.end();
});

test('shutdown() closes one direction', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  const other = d.t.addTask();
  d.file(b).flags &= ~O_NONBLOCK;
  assert.is(d.callAs(other, 'recvfrom', b, d.base, 1, 0, 0, 0), BLOCKED);
  assert.is(d.call('shutdown', a, SHUT_WR), 0);
  assert.is(d.again(other, 'recvfrom'), 0);
  assert.is(d.poll(a), 0x304);
  assert.is(d.poll(b), 0x2345);
  assert.is(d.send(a, 'x', MSG_NOSIGNAL), -EPIPE);
  assert.is(d.send(b, 'y'), 1);
  assert.is(d.call('shutdown', a, SHUT_RD), 0);
  assert.is(d.poll(a), 0x2355);
  assert.is(d.poll(b), 0x2355);
  assert.is(d.recv(a, 1), 'y');
  assert.is(d.recv(a, 1), '');
  assert.is(d.send(b, 'z', MSG_NOSIGNAL), -EPIPE);
  assert.is(d.call('shutdown', a, 3), -EINVAL);
  d.end();
});

test('datagrams keep their borders and are cut to the buffer', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM | SOCK_NONBLOCK);
  d.send(a, 'first');
  d.send(a, '');
  d.send(a, 'third');
  assert.is(d.ioctl(b, FIONREAD), 5);
  assert.is(d.recv(b, 3), 'fir');
  assert.is(d.recv(b, 3), '');
  assert.is(d.call('recvfrom', b, d.base, 2, MSG_TRUNC | MSG_PEEK, 0, 0), 5);
  assert.is(d.recv(b, 100), 'third');
  assert.is(d.recv(b, 100), -EAGAIN);
  assert.is(d.send(a, new Uint8Array(300_000)), -EMSGSIZE);
  let count = 0;
  while (d.send(a, 'x') === 1) count++;
  assert.is(count, 278);
  assert.is(d.poll(a), 0);
  d.end();
});

test('a datagram socket whose peer is gone is refused once, then not connected', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM | SOCK_NONBLOCK);
  d.close(b);
  assert.is(d.poll(a), 0x304);
  assert.is(d.send(a, 'x'), -ECONNREFUSED);
  assert.is(d.send(a, 'x'), -ENOTCONN);
  d.end();
});

test('a datagram socket shut down for reading ends only for those who wait', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM);
  d.call('shutdown', a, SHUT_RD);
  assert.is(d.recv(a, 1, MSG_DONTWAIT), -EAGAIN);
  assert.is(d.recv(a, 1), '');
  assert.is(d.poll(a), 0x2345);
  assert.is(d.send(b, 'x'), -EPIPE);
  assert.is(d.has(SIGPIPE), false);
  assert.is(d.poll(b), 0x304);
  d.end();
});

test('a blocking datagram send waits for its receiver', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM);
  while (d.send(a, new Uint8Array(10_000), MSG_DONTWAIT) > 0);
  assert.is(d.send(a, 'last'), BLOCKED);
  const other = d.t.addTask();
  assert.is(d.callAs(other, 'recvfrom', b, d.base, 10_000, 0, 0, 0), 10_000);
  assert.is(d.again(d.t.task, 'sendto'), 4);
  d.end();
});

test('records of SOCK_SEQPACKET have borders and an end', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_SEQPACKET | SOCK_NONBLOCK);
  assert.is(d.send(a, ''), 0);
  assert.is(d.send(a, 'record'), 6);
  assert.is(d.poll(b), 0x345);
  assert.is(d.recv(b, 10), '');
  assert.is(d.recv(b, 3), 'rec');
  assert.is(d.recv(b, 10), -EAGAIN);
  d.close(a);
  assert.is(d.recv(b, 10), '');
  assert.is(d.poll(b), 0x2355);
  assert.is(d.send(b, 'x'), -EPIPE);
  assert.is(d.has(SIGPIPE), false);
  d.end();
});

test('sendto() with an address: EISCONN for streams', () => {
  const d = new SocketDriver();
  const [a] = d.socketpair(SOCK_STREAM);
  d.put(d.base, Uint8Array.of(1, 0, 0, 65));
  assert.is(d.call('sendto', a, d.scratch, 1, 0, d.base, 4), -EISCONN);
  const fresh = d.call('socket', AF_UNIX, SOCK_STREAM, 0);
  assert.is(d.call('sendto', fresh, d.scratch, 1, 0, d.base, 4), -EOPNOTSUPP);
  assert.is(d.call('sendto', fresh, d.scratch, 1, 0, d.base, -1), -EINVAL);
  d.end();
});

test('bad addresses: nothing is sent, a datagram that cannot be delivered is gone', () => {
  const d = new SocketDriver();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  assert.is(d.call('sendto', a, BAD_GVA, 5, 0, 0, 0), -EFAULT);
  assert.is(d.recv(b, 5), -EAGAIN);
  d.send(a, 'kept');
  assert.is(d.call('recvfrom', b, BAD_GVA, 5, 0, 0, 0), -EFAULT);
  assert.is(d.recv(b, 5), 'kept');
  const [e, f] = d.socketpair(SOCK_DGRAM | SOCK_NONBLOCK);
  d.send(e, 'lost');
  assert.is(d.call('recvfrom', f, BAD_GVA, 5, 0, 0, 0), -EFAULT);
  assert.is(d.recv(f, 5), -EAGAIN);
  d.end();
});

test('a smaller SO_SNDBUF fills earlier', () => {
  const d = new SocketDriver();
  const [a] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  d.putI32(d.base, 1000);
  assert.is(d.call('setsockopt', a, SOL_SOCKET, SO_SNDBUF, d.base, 4), 0);
  assert.is((d.file(a).object as Socket).sendLimit, 4608);
  const sent = d.send(a, new Uint8Array(100_000));
  assert.ok(sent > 2000 && sent < 10_000, `${sent}`);
  d.end();
});

test('closed sockets give their memory back, also with messages of many sizes', () => {
  const d = new SocketDriver();
  const random = seededRandom();
  const once = (): void => {
    for (const type of [SOCK_STREAM, SOCK_DGRAM]) {
      const [a, b] = d.socketpair(type | SOCK_NONBLOCK);
      for (let count = 0; count < 6; count++) d.send(a, new Uint8Array(random.int(1, 9000)));
      d.recv(b, 5000);
      d.close(a);
      d.recv(b, 5000);
      d.close(b);
    }
  };
  for (let round = 0; round < 30; round++) once();
  const used = d.t.k.arena.usedBytes;
  for (let round = 0; round < 100; round++) once();
  assert.atMost(d.t.k.arena.usedBytes - used, 64 * 1024);
  d.end();
});

test('random stream traffic gives the same bytes as a queue', () => {
  const d = new SocketDriver();
  const random = seededRandom();
  const [a, b] = d.socketpair(SOCK_STREAM | SOCK_NONBLOCK);
  const model: number[] = [];
  let next = 0;
  for (let step = 0; step < 500; step++) {
    const bytes = random.int(1, 20_000);
    if (random.int(0, 1) === 0) {
      const data = Uint8Array.from({ length: bytes }, (_, index) => (next + index) & 0xff);
      const sent = d.send(a, data);
      for (let index = 0; index < sent; index++) model.push((next + index) & 0xff);
      next += Math.max(0, sent);
    } else {
      const peeks = random.int(0, 3) === 0;
      const count = d.call('recvfrom', b, d.base, bytes, peeks ? MSG_PEEK : 0, 0, 0);
      const expected = peeks ? model.slice(0, bytes) : model.splice(0, bytes);
      if (expected.length === 0) assert.is(count, -EAGAIN);
      else assert.bytes(d.get(d.base, count), Uint8Array.from(expected));
    }
    assert.atMost(model.length, 212_992 + 32_768);
  }
  d.end();
});

test.run();
