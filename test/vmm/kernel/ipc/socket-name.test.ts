// Expected values were taken from a C program on the host kernel (Linux 6.18).
import {
  EADDRINUSE, EAGAIN, ECONNREFUSED, ECONNRESET, EFAULT, EINVAL, EISCONN, EMFILE, ENOENT, ENOTCONN,
  EPERM, EPROTOTYPE,
} from '../../../../vmm/abi/errno.ts';
import { FIONREAD } from '../../../../vmm/abi/ioctl.ts';
import { POLLIN, POLLRDNORM } from '../../../../vmm/abi/poll.ts';
import {
  AF_UNIX, MSG_DONTWAIT, SHUT_RD, SOCK_CLOEXEC, SOCK_DGRAM, SOCK_NONBLOCK, SOCK_STREAM,
} from '../../../../vmm/abi/socket.ts';
import { isListening } from '../../../../vmm/kernel/ipc/socket.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { opsOf } from '../../../../vmm/kernel/vfs/file-ops.ts';
import { isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { mountRoot } from '../../../../vmm/kernel/vfs/mount.ts';
import { holdDentry } from '../../../../vmm/kernel/vfs/dentry.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/socket-name');

class NameDriver extends Driver {
  /** Calls `name(fd, address, length)`; '@' at the start stands for the NUL of an abstract name. */
  named(name: string, fd: number, path: string): number {
    const [gva, bytes] = this.address(path);
    return this.call(name, fd, gva, bytes);
  }

  address(path: string): [gva: number, bytes: number] {
    const text = new TextEncoder().encode(path.replace('@', '\0'));
    this.put(this.scratch, Uint8Array.of(AF_UNIX, 0, ...text, 0));
    return [this.scratch, 2 + text.length + (path.startsWith('@') ? 0 : 1)];
  }

  socket(type: number): number {
    return this.call('socket', AF_UNIX, type, 0);
  }

  /** getsockname or getpeername: the name with '@' for NUL, or the error. */
  nameBy(call: string, fd: number): string | number {
    this.putI32(this.scratch + 256, 110);
    const result = this.call(call, fd, this.scratch, this.scratch + 256);
    if (result < 0) return result;
    const bytes = this.get(this.scratch, this.i32(this.scratch + 256));
    return new TextDecoder().decode(bytes.subarray(2)).replaceAll('\0', '@');
  }

  mount(): void {
    const { k, process } = this.t;
    mountRoot(k);
    const root = k.root.rootDentry;
    if (root === null) throw new Error('no root');
    process.root = holdDentry(k, root);
    process.cwd = holdDentry(k, root);
  }
}

test('a listener on an abstract name accepts a connection', () => {
  const d = new NameDriver();
  const listener = d.socket(SOCK_STREAM | SOCK_NONBLOCK);
  const client = d.socket(SOCK_STREAM | SOCK_NONBLOCK);
  assert.is(d.named('bind', listener, '@srv'), 0);
  assert.is(isListening(d.file(listener)), false);
  assert.is(d.named('connect', client, '@srv'), -ECONNREFUSED);
  assert.is(d.call('listen', listener, 5), 0);
  assert.is(isListening(d.file(listener)), true);
  assert.is(d.call('accept', listener, 0, 0), -EAGAIN);
  assert.is(d.named('connect', client, '@srv'), 0);
  assert.is(d.poll(client), 0x304);
  assert.is(d.poll(listener), POLLIN | POLLRDNORM);
  assert.is(d.named('connect', client, '@srv'), -EISCONN);
  d.putI32(d.base, 110);
  const server = d.call('accept4', listener, d.base + 8, d.base, SOCK_CLOEXEC | SOCK_NONBLOCK);
  assert.is(isCloseOnExec(d.t.process.fds, server), true);
  assert.is(d.i32(d.base), 2, 'the client has no name');
  assert.is(d.nameBy('getsockname', server), '@srv');
  assert.is(d.nameBy('getpeername', client), '@srv');
  assert.is(d.nameBy('getsockname', client), '');
  d.write(client, 'ping');
  assert.is(d.read(server, 10), 'ping');
  d.write(server, 'pong');
  assert.is(d.read(client, 10), 'pong');
  d.end();
});

test('bind() refuses bad and taken names', () => {
  const d = new NameDriver();
  const a = d.socket(SOCK_DGRAM);
  const b = d.socket(SOCK_DGRAM);
  assert.is(d.named('bind', a, '@x'), 0);
  assert.is(d.named('bind', a, '@y'), -EINVAL);
  assert.is(d.named('bind', b, '@x'), -EADDRINUSE);
  assert.is(d.named('bind', d.socket(SOCK_STREAM), '@x'), 0, 'another type');
  for (const [bytes, expected] of [[1, -EINVAL], [111, -EINVAL], [200, -EINVAL], [-1, -EINVAL]]) {
    assert.is(d.call('bind', b, d.base, bytes ?? 0), expected, `${bytes}`);
  }
  assert.is(d.call('bind', b, BAD_GVA, 10), -EFAULT);
  d.put(d.base, Uint8Array.of(2, 0, 1, 1));
  assert.is(d.call('bind', b, d.base, 4), -EINVAL);
  d.close(a);
  assert.is(d.named('bind', b, '@x'), 0, 'free again');
  d.end();
});

test('bind() without a name makes one of five digits', () => {
  const d = new NameDriver();
  const [a, b] = [d.socket(SOCK_STREAM), d.socket(SOCK_STREAM)];
  d.put(d.base, Uint8Array.of(AF_UNIX, 0));
  assert.is(d.call('bind', a, d.base, 2), 0);
  assert.is(d.call('bind', b, d.base, 2), 0);
  const names = [d.nameBy('getsockname', a), d.nameBy('getsockname', b)];
  assert.match(String(names[0]), /^@[0-9a-f]{5}$/);
  assert.ok(names[0] !== names[1]);
  d.end();
});

test('getsockname() cuts the address to the buffer and gives its true length', () => {
  const d = new NameDriver();
  const fd = d.socket(SOCK_STREAM);
  d.named('bind', fd, '@name');
  d.putI32(d.base, 3, 0x7777_7777);
  assert.is(d.call('getsockname', fd, d.base + 4, d.base), 0);
  assert.is(d.i32(d.base), 7);
  assert.bytes(d.get(d.base + 4, 4), Uint8Array.of(1, 0, 0, 0x77));
  d.putI32(d.base, -1);
  assert.is(d.call('getsockname', fd, d.base + 4, d.base), -EINVAL);
  assert.is(d.call('getsockname', fd, d.base + 4, BAD_GVA), -EFAULT);
  assert.is(d.nameBy('getpeername', fd), -ENOTCONN);
  d.end();
});

test('the backlog limits waiting connections; connect() waits for room', () => {
  const d = new NameDriver();
  const listener = d.socket(SOCK_STREAM);
  d.named('bind', listener, '@srv');
  d.call('listen', listener, 0);
  assert.is(d.named('connect', d.socket(SOCK_STREAM), '@srv'), 0);
  const late = d.socket(SOCK_STREAM | SOCK_NONBLOCK);
  assert.is(d.named('connect', late, '@srv'), -EAGAIN);
  const other = d.t.addTask();
  const [gva, bytes] = d.address('@srv');
  assert.is(d.callAs(other, 'connect', d.socket(SOCK_STREAM), gva, bytes), BLOCKED);
  assert.ok(d.call('accept', listener, 0, 0) > 0);
  assert.is(d.again(other, 'connect'), 0);
  d.end();
});

test('accept() blocks until a connection comes', () => {
  const d = new NameDriver();
  const other = d.t.addTask();
  const listener = d.socket(SOCK_STREAM);
  d.named('bind', listener, '@srv');
  d.call('listen', listener, 5);
  assert.is(d.callAs(other, 'accept4', listener, 0, 0, 0), BLOCKED);
  d.named('connect', d.socket(SOCK_STREAM), '@srv');
  assert.ok(d.again(other, 'accept4') > 0);
  assert.is(d.call('accept4', listener, 0, 0, 1), -EINVAL);
  d.end();
});

test('accept() leaves the connection waiting when there is no descriptor for it', () => {
  const d = new NameDriver({ limits: { descriptors: 2 } });
  const listener = d.socket(SOCK_STREAM);
  d.named('bind', listener, '@srv');
  d.call('listen', listener, 5);
  const client = d.socket(SOCK_STREAM);
  d.named('connect', client, '@srv');
  assert.is(d.call('accept', listener, 0, 0), -EMFILE);
  assert.is(d.poll(listener), POLLIN | POLLRDNORM);
  d.end();
});

test('a listener shut down for reading gives what waits, then EINVAL', () => {
  const d = new NameDriver();
  const listener = d.socket(SOCK_STREAM);
  d.named('bind', listener, '@srv');
  d.call('listen', listener, 5);
  d.named('connect', d.socket(SOCK_STREAM), '@srv');
  const file = d.file(listener);
  assert.is(opsOf(file).ioctl?.(d.t.k, d.t.task, file, FIONREAD, d.base), -EINVAL);
  d.call('shutdown', listener, SHUT_RD);
  assert.is(d.poll(listener), 0x2041);
  assert.ok(d.call('accept', listener, 0, 0) > 0);
  assert.is(d.call('accept', listener, 0, 0), -EINVAL);
  assert.is(d.named('connect', d.socket(SOCK_STREAM), '@srv'), -ECONNREFUSED);
  d.end();
});

test('closing a listener resets connections that nobody accepted', () => {
  const d = new NameDriver();
  const listener = d.socket(SOCK_STREAM);
  d.named('bind', listener, '@srv');
  d.call('listen', listener, 5);
  const client = d.socket(SOCK_STREAM | SOCK_NONBLOCK);
  d.named('connect', client, '@srv');
  d.close(listener);
  assert.is(d.call('recvfrom', client, d.base, 1, 0, 0, 0), -ECONNRESET);
  assert.is(d.call('recvfrom', client, d.base, 1, 0, 0, 0), 0);
  assert.is(d.named('connect', d.socket(SOCK_STREAM), '@srv'), -ECONNREFUSED);
  d.end();
});

test('datagrams go to names, and tell theirs', () => {
  const d = new NameDriver();
  const [to, from] = [d.socket(SOCK_DGRAM | SOCK_NONBLOCK), d.socket(SOCK_DGRAM | SOCK_NONBLOCK)];
  d.named('bind', to, '@to');
  d.named('bind', from, '@from');
  d.put(d.base, 'hello');
  const [gva, bytes] = d.address('@to');
  assert.is(d.call('sendto', from, d.base, 5, 0, gva, bytes), 5);
  d.putI32(d.base + 64, 110);
  assert.is(d.call('recvfrom', to, d.base, 10, 0, d.base + 128, d.base + 64), 5);
  assert.is(d.i32(d.base + 64), 7);
  assert.bytes(d.get(d.base + 130, 5), new TextEncoder().encode('\0from'));
  let count = 0;
  const [again] = d.address('@to');
  while (d.call('sendto', from, d.base, 1, MSG_DONTWAIT, again, bytes) === 1) count++;
  assert.is(count, 11, 'the backlog of datagram sockets');
  assert.is(d.poll(from), 0x304);
  assert.is(d.named('connect', from, '@to'), 0);
  assert.is(d.poll(from), 0);
  // A connected receiver takes datagrams of its peer only.
  const third = d.socket(SOCK_DGRAM | SOCK_NONBLOCK);
  assert.is(d.named('connect', to, '@from'), 0);
  const [target] = d.address('@to');
  assert.is(d.call('sendto', third, d.base, 1, 0, target, bytes), -EPERM);
  assert.is(d.named('connect', third, '@to'), -EPERM);
  d.putI32(d.base, 0);
  assert.is(d.call('connect', to, d.base, 2), 0, 'AF_UNSPEC disconnects');
  assert.is(d.named('connect', third, '@to'), 0);
  assert.is(d.named('connect', third, '@nobody'), -ECONNREFUSED);
  d.end();
});

test('a path leads to its socket until it is closed', () => {
  const d = new NameDriver({ lower: { run: { file: 'x' } } });
  d.mount();
  const listener = d.socket(SOCK_STREAM);
  assert.is(d.named('bind', listener, '/run/file'), -EADDRINUSE);
  assert.is(d.named('bind', listener, '/none/s'), -ENOENT);
  assert.is(d.named('bind', listener, '/run/s'), 0);
  assert.is(d.named('bind', listener, '/run/t'), -EINVAL);
  assert.is(d.named('bind', listener, '/run/s'), -EADDRINUSE, 'the path is looked at first');
  assert.is(d.nameBy('getsockname', listener), '/run/s@');
  const client = d.socket(SOCK_STREAM | SOCK_NONBLOCK);
  assert.is(d.named('connect', client, '/run/s'), -ECONNREFUSED);
  d.call('listen', listener, 1);
  assert.is(d.named('connect', client, '/run/none'), -ENOENT);
  assert.is(d.named('connect', client, '/run/file'), -ECONNREFUSED);
  assert.is(d.named('connect', d.socket(SOCK_DGRAM), '/run/s'), -EPROTOTYPE);
  assert.is(d.named('connect', client, '/run/s'), 0);
  assert.is(d.nameBy('getpeername', client), '/run/s@');
  d.close(listener);
  assert.is(d.named('connect', d.socket(SOCK_STREAM), '/run/s'), -ECONNREFUSED);
  assert.is(d.named('bind', d.socket(SOCK_STREAM), '/run/s'), -EADDRINUSE, 'the name stays');
  d.end();
});

test.run();
