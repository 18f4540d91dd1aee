// sendmsg(2) and recvmsg(2): scattered data, descriptors and credentials that travel along.
import {
  EAGAIN, EBADF, EFAULT, EINVAL, EMSGSIZE, ENOBUFS, EPERM,
} from '../../../../vmm/abi/errno.ts';
import { EFD_NONBLOCK } from '../../../../vmm/abi/eventfd.ts';
import { O_NONBLOCK } from '../../../../vmm/abi/fcntl.ts';
import {
  AF_UNIX, MSG_CMSG_CLOEXEC, MSG_CTRUNC, MSG_DONTWAIT, MSG_PEEK, MSG_TRUNC, MSG_WAITALL,
  MSG_WAITFORONE, SCM_CREDENTIALS, SCM_RIGHTS, SO_PASSCRED, SOCK_DGRAM, SOCK_STREAM, SOL_SOCKET,
} from '../../../../vmm/abi/socket.ts';
import { Cmsghdr, Mmsghdr, Msghdr } from '../../../../vmm/abi/struct-socket.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { holdFile } from '../../../../vmm/kernel/vfs/file.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/socket-control');

interface Header {
  parts?: [gva: number, bytes: number][];
  control?: [gva: number, bytes: number];
  name?: [gva: number, bytes: number];
  iovCount?: number;
}

class MessageDriver extends Driver {
  readonly header: number = this.base + 0x1000;
  readonly iov: number = this.base + 0x2000;
  readonly data: number = this.base + 0x3000;
  readonly control: number = this.base + 0x8000;

  /** Writes a msghdr at `at` and returns its address. */
  message(header: Header, at: number = this.header, iov: number = this.iov): number {
    const raw = new Uint8Array(Msghdr.bytes);
    const view = new DataView(raw.buffer);
    const parts = header.parts ?? [];
    parts.forEach(([gva, bytes], index) => this.putU64(iov + index * 16, gva, bytes));
    Msghdr.msg_name.set(view, 0, header.name?.[0] ?? 0);
    Msghdr.msg_namelen.set(view, 0, header.name?.[1] ?? 0);
    Msghdr.msg_iov.set(view, 0, iov);
    Msghdr.msg_iovlen.set(view, 0, header.iovCount ?? parts.length);
    Msghdr.msg_control.set(view, 0, header.control?.[0] ?? 0);
    Msghdr.msg_controllen.set(view, 0, header.control?.[1] ?? 0);
    return this.put(at, raw);
  }

  field(name: 'msg_flags' | 'msg_controllen' | 'msg_namelen'): number {
    return Msghdr[name].get(this.view(this.header, Msghdr.bytes), 0);
  }

  /** Writes one control message and returns [address, bytes]. */
  entry(type: number, words: number[], level: number = SOL_SOCKET): [number, number] {
    const bytes = Cmsghdr.bytes + words.length * 4;
    this.putU64(this.control, bytes);
    this.putI32(this.control + 8, level, type, ...words);
    return [this.control, bytes];
  }

  sendFds(fd: number, text: string, ...fds: number[]): number {
    this.put(this.data, text);
    const control = this.entry(SCM_RIGHTS, fds);
    const header = this.message({ parts: [[this.data, text.length]], control });
    return this.call('sendmsg', fd, header, 0);
  }

  /** recvmsg(2) with room for `controlBytes`: the text, or the error. */
  receive(fd: number, bytes: number, controlBytes: number, flags: number = 0): string | number {
    const control: [number, number] = [this.control, controlBytes];
    const header = this.message({ parts: [[this.data, bytes]], control });
    const result = this.call('recvmsg', fd, header, flags);
    return result < 0 ? result : new TextDecoder().decode(this.get(this.data, result));
  }

  /** Words of the control message that was received: [length, level, type, data …]. */
  received(): number[] {
    const bytes = this.field('msg_controllen');
    if (bytes === 0) return [];
    const length = this.view(this.control, 8).getUint32(0, true);
    const count = Math.floor((length - 8) / 4);
    return [length, ...Array.from({ length: count }, (_, i) => this.i32(this.control + 8 + i * 4))];
  }

  socketpair(type: number): [number, number] {
    return this.pair('socketpair', AF_UNIX, type | O_NONBLOCK, 0);
  }
}

test('sendmsg() gathers and recvmsg() scatters', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM);
  d.put(d.data, 'onetwo');
  const parts: [number, number][] = [[d.data, 3], [d.data, 0], [d.data + 3, 3]];
  assert.is(d.call('sendmsg', a, d.message({ parts }), 0), 6);
  const into: [number, number][] = [[d.data + 16, 2], [d.data + 32, 3]];
  assert.is(d.call('recvmsg', b, d.message({ parts: into }), 0), 5);
  assert.bytes(d.get(d.data + 16, 2), new TextEncoder().encode('on'));
  assert.bytes(d.get(d.data + 32, 3), new TextEncoder().encode('etw'));
  assert.is(d.field('msg_flags'), MSG_TRUNC);
  d.end();
});

test('sendmsg() and recvmsg() check their header as on Linux', () => {
  const d = new MessageDriver();
  const [a] = d.socketpair(SOCK_STREAM);
  assert.is(d.call('sendmsg', a, BAD_GVA, 0), -EFAULT);
  assert.is(d.call('sendmsg', a, d.message({ iovCount: 1025 }), 0), -EMSGSIZE);
  assert.is(d.call('recvmsg', a, d.message({ iovCount: 1025 }), 0), -EMSGSIZE);
  assert.is(d.call('sendmsg', a, d.message({ parts: [[BAD_GVA, 4]] }), 0), -EFAULT);
  assert.is(d.call('sendmsg', a, d.message({ name: [d.data, -1] }), 0), -EINVAL);
  assert.is(d.call('sendmsg', a, d.message({ name: [0, -1] }), 0), 0);
  assert.is(d.call('sendmsg', a, d.message({ control: [BAD_GVA, 16] }), 0), -EFAULT);
  assert.is(d.call('sendmsg', a, d.message({ control: [d.control, 1 << 20] }), 0), -ENOBUFS);
  d.end();
});

test('SCM_RIGHTS passes open files, which get new descriptors', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  const event = d.call('eventfd2', 41, EFD_NONBLOCK);
  const file = d.file(event);
  assert.is(d.sendFds(a, 'x', event, event), 1);
  assert.is(file.refs, 3);
  d.close(event);
  assert.is(d.receive(b, 10, 64, MSG_CMSG_CLOEXEC), 'x');
  const [length, level, type, first = -1, second = -1] = d.received();
  assert.equal([length, level, type], [24, SOL_SOCKET, SCM_RIGHTS]);
  assert.is(d.field('msg_controllen'), 24);
  assert.is(d.field('msg_flags'), MSG_CMSG_CLOEXEC);
  assert.is(d.file(first), file);
  assert.is(d.file(second), file);
  assert.is(isCloseOnExec(d.t.process.fds, first), true);
  assert.is(file.refs, 2);
  d.end();
});

test('files that have no room are closed and MSG_CTRUNC is set', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  const event = d.call('eventfd2', 0, 0);
  const file = d.file(event);
  const rows: [room: number, installed: number, used: number][] = [
    [0, 0, 0], [15, 0, 0], [16, 0, 0], [20, 1, 20], [24, 2, 24], [28, 3, 28], [32, 3, 32],
    [40, 3, 32],
  ];
  for (const [room, installed, used] of rows) {
    d.sendFds(a, 'x', event, event, event);
    assert.is(d.receive(b, 1, room), 'x');
    const flags = installed === 3 ? 0 : MSG_CTRUNC;
    assert.is(d.field('msg_flags'), flags, `flags for ${room}`);
    assert.is(d.field('msg_controllen'), used, `bytes for ${room}`);
    assert.is(file.refs, 1 + installed, `references for ${room}`);
    for (const fd of d.received().slice(3)) d.close(fd);
  }
  d.end();
});

test('a receive of a stream stops at a message with files', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  const event = d.call('eventfd2', 0, 0);
  d.write(a, 'plain');
  d.sendFds(a, 'with', event);
  d.write(a, 'after');
  assert.is(d.receive(b, 100, 64), 'plainwith');
  assert.is(d.received().length, 4);
  assert.is(d.receive(b, 100, 64), 'after');
  assert.equal(d.received(), []);
  d.end();
});

test('files are dropped by a plain read, and by closing the socket unread', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_STREAM);
  const event = d.call('eventfd2', 0, 0);
  const file = d.file(event);
  d.sendFds(a, 'one', event);
  assert.is(d.read(b, 10), 'one');
  assert.is(file.refs, 1);
  d.sendFds(a, 'two', event);
  assert.is(file.refs, 2);
  d.close(b);
  assert.is(file.refs, 1);
  d.end();
});

test('MSG_PEEK gives files of its own and leaves the message its', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM);
  const event = d.call('eventfd2', 0, 0);
  const file = d.file(event);
  d.sendFds(a, 'x', event);
  assert.is(d.receive(b, 10, 64, MSG_PEEK), 'x');
  assert.is(file.refs, 3);
  assert.is(d.receive(b, 10, 64), 'x');
  assert.is(file.refs, 3);
  d.end();
});

test('control messages that Linux refuses are refused, without keeping files', () => {
  const d = new MessageDriver();
  const [a] = d.socketpair(SOCK_STREAM);
  const event = d.call('eventfd2', 0, 0);
  const send = (control: [number, number]): number =>
    d.call('sendmsg', a, d.message({ parts: [[d.data, 1]], control }), 0);
  assert.is(send(d.entry(SCM_RIGHTS, [event, 99])), -EBADF);
  assert.is(send(d.entry(SCM_RIGHTS, Array.from({ length: 254 }, () => event))), -EINVAL);
  assert.is(send(d.entry(SCM_RIGHTS, Array.from({ length: 253 }, () => event))), 1);
  assert.is(send(d.entry(77, [1])), -EINVAL);
  assert.is(send(d.entry(77, [1], 6)), 1, 'another level is skipped');
  assert.is(send(d.entry(SCM_CREDENTIALS, [1, 2])), -EINVAL);
  d.t.process.uid = 1000;
  assert.is(send(d.entry(SCM_CREDENTIALS, [d.t.process.pid, 0, 0])), -EPERM);
  assert.is(send(d.entry(SCM_CREDENTIALS, [d.t.process.pid, 1000, 0])), 1);
  const [gva] = d.entry(SCM_RIGHTS, [event]);
  assert.is(send([gva, 19]), -EINVAL, 'longer than the buffer');
  assert.is(d.file(event).refs, 254);
  d.end();
});

test('SO_PASSCRED adds who sent it', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM);
  d.putI32(d.base, 1);
  d.call('setsockopt', b, SOL_SOCKET, SO_PASSCRED, d.base, 4);
  d.t.process.uid = 7;
  d.t.process.gid = 8;
  d.write(a, 'x');
  assert.is(d.receive(b, 1, 64), 'x');
  const { pid } = d.t.process;
  assert.equal(d.received(), [28, SOL_SOCKET, SCM_CREDENTIALS, pid, 7, 8]);
  assert.is(d.field('msg_controllen'), 32);
  d.end();
});

test('sockets may carry sockets many levels deep', () => {
  const d = new MessageDriver({ arenaBytes: 64 * 1024 * 1024, limits: { descriptors: 64 } });
  let inner = d.call('eventfd2', 0, 0);
  const file = holdFile(d.file(inner));
  for (let level = 0; level < 5000; level++) {
    const [a, b] = d.socketpair(SOCK_STREAM);
    assert.is(d.sendFds(a, 'x', inner), 1);
    d.close(inner);
    d.close(a);
    inner = b;
  }
  assert.is(file.refs, 2);
  d.close(inner);
  assert.is(file.refs, 1);
  d.end();
});

test('MSG_WAITALL on several iovecs goes on in the middle of one', () => {
  const d = new MessageDriver();
  const [a, b] = d.pair('socketpair', AF_UNIX, SOCK_STREAM, 0);
  const other = d.t.addTask();
  const parts: [number, number][] = [[d.data, 4], [d.data + 100, 4], [d.data + 200, 4]];
  const header = d.message({ parts });
  assert.is(d.callAs(other, 'recvmsg', b, header, MSG_WAITALL), BLOCKED);
  d.write(a, 'abcdef');
  assert.is(d.again(other, 'recvmsg'), BLOCKED);
  d.write(a, 'ghijklm');
  assert.is(d.again(other, 'recvmsg'), 12);
  const text = parts.map(([gva]) => new TextDecoder().decode(d.get(gva, 4)));
  assert.equal(text, ['abcd', 'efgh', 'ijkl']);
  d.end();
});

test('sendmmsg() and recvmmsg() transfer many messages', () => {
  const d = new MessageDriver();
  const [a, b] = d.socketpair(SOCK_DGRAM);
  const vector = d.base + 0x10000;
  d.put(d.data, 'abcdef');
  const fill = (bytes: (index: number) => number): void => {
    for (let index = 0; index < 3; index++) {
      const at = vector + index * Mmsghdr.bytes;
      d.message({ parts: [[d.data + index * 16, bytes(index)]] }, at, d.iov + index * 16);
    }
  };
  const lengths = (count: number): number[] => Array.from({ length: count }, (_, index) =>
    d.i32(vector + index * Mmsghdr.bytes + Mmsghdr.msg_len.offset));
  fill((index) => index + 1);
  assert.is(d.call('sendmmsg', a, vector, 3, 0), 3);
  assert.equal(lengths(3), [1, 2, 3]);
  fill(() => 16);
  assert.is(d.call('recvmmsg', b, vector, 3, MSG_WAITFORONE, 0), 3);
  assert.equal(lengths(3), [1, 2, 3]);
  d.write(a, 'one');
  assert.is(d.call('recvmmsg', b, vector, 3, MSG_DONTWAIT, 0), 1);
  assert.is(d.call('recvmmsg', b, vector, 3, MSG_DONTWAIT, 0), -EAGAIN);
  d.end();
});

test.run();
