// /dev, descriptors, buffers over guest memory, and writes that have to wait.
import { assert, suite } from '../../../harness.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../../vmm/abi/mman.ts';
import { makeConsole } from '../../../../vmm/kernel/ipc/console.ts';
import { mapRegion, unmapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { FILE_ENTRY } from '../../../../vmm/kernel/records/vfs.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { closeOnExec, installFd, isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { type IoBuffer } from '../../../../vmm/kernel/vfs/file-ops.ts';
import {
  iovecBuffer, kernelBuffer, limitBuffer, userBuffer,
} from '../../../../vmm/kernel/vfs/io-buffer.ts';
import { openPath } from '../../../../vmm/kernel/vfs/open.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/device-file');

const O_RDWR = 2;
const O_NONBLOCK = 0o4000;

test('/dev has the usual nodes with Linux\'s numbers', () => {
  const g = makeGuest();
  const nodes: readonly (readonly [name: string, rdev: number, mode: number])[] = [
    ['null', 0x103, 0o020666], ['zero', 0x105, 0o020666], ['full', 0x107, 0o020666],
    ['random', 0x108, 0o020666], ['urandom', 0x109, 0o020666], ['tty', 0x500, 0o020666],
  ];
  for (const [name, rdev, mode] of nodes) {
    const found = g.mustStat(`/dev/${name}`);
    assert.equal([found.rdev, found.mode], [rdev, mode], name);
  }
  assert.is(g.readlink('/dev/fd'), '/proc/self/fd');
  assert.is(g.readlink('/dev/stdout'), '/proc/self/fd/1');
  assert.is(g.mustStat('/dev/shm').mode, 0o041777);
  assert.is(g.mustStat('/dev/ptmx').rdev, 0x502);
  assert.is(g.stat('/dev/pts/0'), 'ENOENT');
  assert.is(g.write('/dev/shm/file', 'shared'), 6);
  assert.is(g.file('/dev/shm/file'), 'shared');
  assert.is(g.mustStat('/dev/shm/file').dev, g.mustStat('/dev').dev);
  assert.is(g.try('rename', '/dev/shm/file', '/file'), 'EXDEV');
  g.close();
});

test('null, zero, full and random read and write as on Linux', () => {
  const g = makeGuest();
  const [empty, zero, full, random] = ['null', 'zero', 'full', 'urandom']
    .map((name) => g.open(`/dev/${name}`, O_RDWR)) as [number, number, number, number];
  assert.is(g.call('read', empty, g.out, 10), 0);
  assert.is(g.call('write', empty, 'gone', 4), 4);
  assert.is(g.call('write', empty, 8, 4), 4);
  assert.is(g.call('read', zero, g.out, 10_000), 10_000);
  assert.ok(g.peek(g.out, 10_000).every((byte) => byte === 0));
  assert.is(g.call('pread64', zero, g.out, 10, 5), 10);
  assert.is(g.call('read', full, g.out, 5), 5);
  assert.is(g.try('write', full, 'x', 1), 'ENOSPC');
  assert.is(g.call('read', random, g.out, 64), 64);
  const first = g.peek(g.out, 64);
  assert.is(g.call('read', random, g.out, 64), 64);
  assert.ok(first.some((byte, index) => byte !== g.peek(g.out, 64)[index]));
  assert.is(g.call('lseek', empty, 100, 0), 0);
  assert.is(g.try('read', zero, 8, 10), 'EFAULT');
  assert.is(g.try('ioctl', zero, 0x5401, g.out), 'ENOTTY');
  assert.is(g.call('read', zero, g.out, 0), 0);
  g.close();
});

test('/dev/catavmm/entry opens as a file of its own kind', () => {
  const g = makeGuest();
  const path = new TextEncoder().encode('/dev/catavmm/entry');
  const file = openPath(g.k, g.task, -100, path, 0, 0);
  assert.is(typeof file === 'number' ? file : file.kind, FILE_ENTRY);
  g.close();
});

test('/dev/tty is the terminal when there is one, else ENXIO', () => {
  const g = makeGuest();
  assert.is(g.try('openat', -100, '/dev/tty', O_RDWR, 0), 'ENXIO');
  g.close();
  const other = makeGuest({}, { terminals: 7 });
  makeConsole(other.k);
  const fd = other.open('/dev/tty', O_RDWR);
  assert.is(other.readlink(`/proc/self/fd/${fd}`), '/dev/tty');
  assert.is(other.call('write', fd, 'shown', 5), 5);
  assert.is(other.t.console.output(1), 'shown');
  other.close();
});

test('/dev/stdout opens the stream again when it is a pipe on the host', () => {
  const g = makeGuest();
  const { stdin, stdout } = makeConsole(g.k);
  installFd(g.k, g.process, stdin);
  installFd(g.k, g.process, stdout);
  const fd = g.open('/dev/stdout', 1);
  assert.is(g.call('write', fd, 'out', 3), 3);
  assert.is(g.t.console.output(1), 'out');
  assert.is(g.mustStat('/dev/stdout', 0).mode & 0o170000, 0o010000);
  g.close();
});

test('descriptors are the lowest free ones, up to RLIMIT_NOFILE', () => {
  const g = makeGuest({ f: 'x' });
  assert.equal([g.open('/f'), g.open('/f'), g.open('/f')], [0, 1, 2]);
  g.call('close', 1);
  assert.is(g.call('fcntl', 0, 0, 10), 10);
  assert.is(g.open('/f'), 1);
  assert.is(g.open('/f'), 3);
  assert.is(g.call('dup2', 0, 1000), 1000);
  assert.is(g.call('close_range', 3, 2 ** 32 - 1, 0), 0);
  assert.is(g.open('/f'), 3);
  let last = 0;
  for (let n = 0; n < 2000 && last >= 0; n++) last = g.open('/f');
  assert.is(last, -24);
  assert.is(g.try('dup', 0), 'EMFILE');
  assert.is(g.try('dup2', 0, 1024), 'EBADF');
  g.call('close', 500);
  assert.is(g.open('/f'), 500);
  g.close();
});

test('close-on-exec follows O_CLOEXEC, FIOCLEX, dup3 and F_SETFD', () => {
  const g = makeGuest({ f: 'x' });
  const fd = g.open('/f', 0o2000000);
  const { fds } = g.process;
  assert.is(g.call('fcntl', fd, 1), 1);
  const copy = g.call('dup', fd);
  assert.is(isCloseOnExec(fds, copy), false);
  assert.is(g.call('ioctl', copy, 0x5451), 0);
  assert.is(isCloseOnExec(fds, copy), true);
  assert.is(g.call('fcntl', copy, 2, 0), 0);
  assert.is(g.call('dup3', fd, 40, 0o2000000), 40);
  assert.is(g.call('fcntl', fd, 1030, 50), 50);
  closeOnExec(g.k, g.process);
  const left = g.list('/proc/self/fd').filter((name) => g.call('fcntl', Number(name), 1) === 0);
  assert.equal(left, [String(copy)]);
  g.close();
});

function pipeOf(g: Guest): [reader: number, writer: number] {
  g.call('pipe', g.out);
  const ends = new Int32Array(g.peek(g.out, 8).buffer);
  return [ends[0] as number, ends[1] as number];
}

test('write() to a full pipe goes on where it had to wait', () => {
  const g = makeGuest();
  const [reader, writer] = pipeOf(g);
  const other = g.t.addTask();
  const data = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
  assert.is(g.callAs(other, 'write', writer, data, data.length), BLOCKED);
  assert.is(other.waitProgress, 65_536);
  const seen: number[] = [];
  while (seen.length < data.length) {
    const count = g.call('read', reader, g.out, 10_000);
    if (count <= 0) break;
    for (const byte of g.peek(g.out, count)) seen.push(byte);
    if (seen.length === 40_000) assert.is(g.again(other, 'write'), 100_000);
  }
  assert.bytes(Uint8Array.from(seen), data);
  g.call('fcntl', writer, 4, O_NONBLOCK);
  assert.is(g.call('write', writer, data, data.length), 65_536);
  assert.is(g.try('write', writer, 'x', 1), 'EAGAIN');
  g.close();
});

test('write() to a pipe without readers is EPIPE and SIGPIPE', () => {
  const g = makeGuest();
  const [reader, writer] = pipeOf(g);
  g.call('close', reader);
  assert.is(g.try('write', writer, 'x', 1), 'EPIPE');
  assert.is(g.task.pending?.signal, 13);
  assert.is(g.try('lseek', writer, 0, 0), 'ESPIPE');
  assert.is(g.try('pread64', writer, g.out, 1, 0), 'ESPIPE');
  g.close();
});

test('sendfile() to a pipe waits and goes on', () => {
  const data = Uint8Array.from({ length: 150_000 }, (_, index) => index % 249);
  const g = makeGuest({ f: data });
  const [reader, writer] = pipeOf(g);
  const file = g.open('/f');
  const other = g.t.addTask();
  assert.is(g.callAs(other, 'sendfile', writer, file, 0, 150_000), 65_536);
  assert.is(g.callAs(other, 'sendfile', writer, file, 0, 1000), BLOCKED);
  assert.is(g.call('read', reader, g.out, 65_536), 65_536);
  assert.is(g.again(other, 'sendfile'), 1000);
  assert.is(g.call('lseek', file, 0, 1), 66_536);
  assert.is(g.call('read', reader, g.out, 65_536), 1000);
  assert.bytes(g.peek(g.out, 1000), data.subarray(65_536, 66_536));
  g.close();
});

test('an IoBuffer over iovecs fills them in order and stops at a bad one', () => {
  const g = makeGuest();
  const page = mapRegion(g.k, {
    gva: 0, bytes: 8192, prot: PROT_READ | PROT_WRITE, flags: MAP_PRIVATE | MAP_ANONYMOUS,
  });
  unmapRegion(g.k, page + 4096, 4096);
  const raw = new Uint8Array(64);
  const view = new DataView(raw.buffer);
  const ranges = [[g.out, 3], [g.out + 100, 0], [page + 4094, 4], [g.out + 200, 5]];
  ranges.forEach(([base, bytes], index) => {
    view.setBigUint64(index * 16, BigInt(base as number), true);
    view.setBigUint64(index * 16 + 8, BigInt(bytes as number), true);
  });
  const to = iovecBuffer(g.k, g.put(raw), 4) as IoBuffer;
  assert.is(to.remaining, 12);
  assert.is(to.put(Uint8Array.of(1, 2)), 2);
  assert.is(to.put(Uint8Array.of(3, 4, 5, 6, 7, 8)), 3);
  assert.is(to.remaining, 7);
  assert.bytes(g.peek(g.out, 3), Uint8Array.of(1, 2, 3));
  assert.bytes(g.peek(page + 4094, 2), Uint8Array.of(4, 5));
  view.setBigUint64(8, 2n ** 63n, true);
  assert.is(iovecBuffer(g.k, g.put(raw), 4), -22);
  assert.is(iovecBuffer(g.k, 8, 4), -14);
  g.close();
});

test('kernelBuffer() and limitBuffer() count what is left', () => {
  const g = makeGuest();
  const data = new Uint8Array(10);
  const whole = kernelBuffer(data);
  const part = limitBuffer(whole, 4);
  assert.is(part.put(Uint8Array.of(1, 2, 3, 4, 5, 6)), 4);
  assert.is(part.remaining, 0);
  assert.is(whole.remaining, 6);
  assert.bytes(data, Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 0, 0, 0));
  assert.is(userBuffer(g.k, g.out, 2 ** 40).remaining, 0x7fff_f000);
  g.close();
});

test('a program cannot be written while it runs', () => {
  const g = makeGuest({ bin: { prog: 'ELF' } });
  const dentry = g.process.fds.slots.get(g.open('/bin/prog'))?.dentry ?? null;
  if (dentry === null) throw new Error('no dentry');
  g.process.exe = dentry;
  dentry.refs++;
  assert.is(g.try('openat', -100, '/bin/prog', 1, 0), 'ETXTBSY');
  assert.is(g.try('truncate', '/bin/prog', 0), 'ETXTBSY');
  assert.is(g.call('unlink', '/bin/prog'), 0);
  assert.is(g.write('/bin/prog', 'new'), 3);
  checkVfs(g.k);
  g.close();
});

test.run();
