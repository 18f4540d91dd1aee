// File content and offsets: random calls, and calls that must fail, against the host's kernel; the
// lower layer's identity and handles.
import { assert, type Random, seededRandom, suite } from '../../../harness.ts';
import { lowerFile, type LowerTree } from '../../../helpers/lower-tree.ts';
import { Flock } from '../../../../vmm/abi/struct-file.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { type Argument, makeGuest } from './guest.ts';
import { dumpTree, GuestSide, HostSide, type Side } from './host-oracle.ts';

const test = suite('vmm/kernel/vfs/file-io');

const O_WRONLY = 1;
const O_RDWR = 2;
const O_APPEND = 0o2000;
const O_TRUNC = 0o1000;
const O_CREAT = 0o100;

function tree(): LowerTree {
  const long = Uint8Array.from({ length: 10_000 }, (_, index) => index % 251);
  return { short: 'short text', long };
}

/** Calls on both sides; pairs of descriptors are kept under one number. */
class Both {
  readonly guest: GuestSide = new GuestSide(tree());
  readonly host: HostSide = new HostSide(tree());
  readonly #fds: [guest: number, host: number][] = [];

  /** A call whose arguments may name descriptors ('fd0') and the result buffer ('out'). */
  call(name: string, ...args: readonly Argument[]): number {
    const results = [this.guest, this.host].map((side, index) => {
      return side.call(name, ...args.map((value) => this.#pass(side, index, value)));
    });
    assert.is(results[0], results[1], `${name}(${args.map(String).join(', ')})`);
    return results[0] as number;
  }

  #pass(side: Side, index: number, value: Argument): Argument {
    if (value === 'out') return side.out;
    if (value === 'dir') return side.dir;
    const found = typeof value === 'string' ? /^fd(\d+)$/.exec(value) : null;
    return found === null ? value : this.#fds[Number(found[1])]?.[index] ?? -1;
  }

  /** Opens on both sides; a name for the pair, or '' when both refused. */
  open(path: string, flags: number): string {
    const [guest, host] = [this.guest, this.host].map((side) => {
      return side.call('openat', side.dir, path, flags, 0o644);
    }) as [number, number];
    assert.is(Math.min(guest, 0), Math.min(host, 0), `open ${path} ${flags.toString(8)}`);
    if (guest < 0) return '';
    return `fd${this.#fds.push([guest, host]) - 1}`;
  }

  /** A call that gives a descriptor. */
  descriptor(name: string, ...args: readonly Argument[]): string {
    const [guest, host] = [this.guest, this.host].map((side, index) => {
      return side.call(name, ...args.map((value) => this.#pass(side, index, value)));
    }) as [number, number];
    assert.is(Math.min(guest, 0), Math.min(host, 0), name);
    return guest < 0 ? '' : `fd${this.#fds.push([guest, host]) - 1}`;
  }

  sameBuffer(count: number, what: string): void {
    if (count <= 0) return;
    const wanted = this.host.peek(this.host.out, count);
    assert.bytes(this.guest.peek(this.guest.out, count), wanted, what);
  }

  end(): void {
    assert.is(dumpTree(this.guest), dumpTree(this.host));
    checkVfs(this.guest.guest.k);
    this.host.close();
    this.guest.close();
  }
}

function randomStep(both: Both, random: Random, fds: string[]): void {
  const fd = random.pick(fds);
  const bytes = random.pick([0, 1, 7, 100, 4096, 5000]);
  const offset = random.pick([0, 1, 10, 4095, 4096, 9_999, 10_000, 20_000, 100_000]);
  const data = random.bytes(bytes);
  switch (random.int(0, 13)) {
    case 0: both.sameBuffer(both.call('read', fd, 'out', bytes), 'read'); break;
    case 1: both.call('write', fd, data, bytes); break;
    case 2: both.sameBuffer(both.call('pread64', fd, 'out', bytes, offset), 'pread64'); break;
    case 3: both.call('pwrite64', fd, data, bytes, offset); break;
    case 4: both.call('lseek', fd, random.pick([0, 5, -5, offset]), random.int(0, 2)); break;
    case 5: both.call('ftruncate', fd, random.pick([0, 1, 3000, 4096, 12_345])); break;
    case 6: {
      const mode = random.pick([0, 1, 3, 16, 17, 2, 99]);
      both.call('fallocate', fd, mode, offset, 1 + bytes);
      break;
    }
    case 7: both.call('fstat', fd, 'out'); break;
    case 8: both.call('fcntl', fd, 3); break;
    case 9: {
      const name = random.pick(['short', 'long', 'new']);
      const flags = random.pick([0, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDWR | O_TRUNC]);
      fds.push(both.open(name, flags | O_CREAT));
      break;
    }
    case 10: fds.push(both.descriptor('dup', fd)); break;
    case 11: both.call('unlinkat', 'dir', random.pick(['short', 'new']), 0); break;
    case 12: both.call('fcntl', fd, 4, random.pick([0, O_APPEND])); break;
    default:
      if (fds.length > 2) both.call('close', fds.splice(fds.indexOf(fd), 1)[0] as string);
  }
}

test('reads, writes, seeks and truncations give what the host gives', () => {
  const random = seededRandom();
  for (let round = 0; round < 20; round++) {
    const both = new Both();
    const fds = [both.open('short', O_RDWR), both.open('long', O_RDWR)];
    for (let n = 0; n < 150; n++) randomStep(both, random, fds);
    both.end();
  }
}, { timeoutMs: 120_000 });

/**
 * Name, arguments: one call each on fresh descriptors fd0 (short, O_RDWR), fd1 (directory), fd2
 * (O_PATH).
 */
const HOSTILE: readonly (readonly [name: string, ...args: Argument[]])[] = [
  ['read', 'fd0', 'out', 2 ** 63],
  ['read', 'fd0', 'out', 2 ** 62],
  ['read', 'fd0', 8, 100],
  ['read', 'fd0', 8, 0],
  ['read', 'fd1', 'out', 10],
  ['read', 'fd2', 'out', 10],
  ['read', 9999, 'out', 10],
  ['read', -1, 'out', 10],
  ['write', 'fd0', 8, 100],
  ['write', 'fd1', 'out', 1],
  ['write', 'fd2', 'out', 1],
  ['pread64', 'fd0', 'out', 10, -1],
  ['pread64', 'fd0', 'out', 10, 2 ** 62],
  ['pread64', 'fd1', 'out', 10, 0],
  ['pread64', 'fd2', 'out', 10, 0],
  ['pwrite64', 'fd0', 'out', 1, -1],
  ['pwrite64', 'fd0', 'out', 1, 2 ** 62],
  ['readv', 'fd0', 'out', -1],
  ['readv', 'fd0', 'out', 1025],
  ['readv', 'fd0', 8, 1],
  ['readv', 'fd0', 8, 0],
  ['preadv', 'fd0', 'out', 0, -1],
  ['preadv2', 'fd0', 'out', 0, -2],
  ['lseek', 'fd0', -1, 0],
  ['lseek', 'fd0', -100, 2],
  ['lseek', 'fd0', 0, 5],
  ['lseek', 'fd0', 0, 77],
  ['lseek', 'fd0', 0, 3],
  ['lseek', 'fd0', 0, 4],
  ['lseek', 'fd0', 10, 3],
  ['lseek', 'fd0', 100, 4],
  ['lseek', 'fd0', -1, 3],
  ['lseek', 'fd2', 0, 0],
  ['ftruncate', 'fd0', -1],
  ['ftruncate', 'fd0', 2 ** 60],
  ['ftruncate', 'fd1', 0],
  ['ftruncate', 'fd2', 0],
  ['fallocate', 'fd0', 0, -1, 10],
  ['fallocate', 'fd0', 0, 0, 0],
  ['fallocate', 'fd0', 0, 0, -5],
  ['fallocate', 'fd0', 2, 0, 5],
  ['fallocate', 'fd0', 0, 2 ** 62, 5],
  ['fallocate', 'fd1', 0, 0, 5],
  ['dup2', 'fd0', -1],
  ['dup2', 9999, 9999],
  ['dup3', 'fd0', 'fd0', 0],
  ['dup3', 'fd0', 50, 7],
  ['dup', 9999],
  ['fcntl', 'fd0', 12345],
  ['fcntl', 'fd0', 0, -1],
  ['fcntl', 'fd2', 4, 0],
  ['fcntl', 'fd2', 1, 0],
  ['fcntl', 'fd0', 5, 8],
  ['fcntl', 'fd0', 1034],
  ['fcntl', 'fd0', 1032],
  ['fchmod', 'fd2', 0o600],
  ['fchdir', 'fd0'],
  ['getdents64', 'fd0', 'out', 100],
  ['getdents64', 'fd1', 'out', 10],
  ['getdents64', 'fd1', 8, 1000],
  ['fsync', 'fd0'],
  ['fsync', 'fd2'],
  ['fdatasync', 'fd1'],
  ['fadvise64', 'fd0', 0, 0, 9],
  ['fadvise64', 'fd0', 0, -1, 0],
  ['readahead', 'fd1', 0, 10],
  ['sync_file_range', 'fd0', 0, 0, 99],
  ['sync_file_range', 'fd0', -1, 0, 0],
  ['close_range', 10, 5, 0],
  ['close_range', 1000, 2000, 9],
  ['copy_file_range', 'fd0', 0, 'fd0', 0, 10],
  ['sendfile', 'fd0', 'fd0', 0, 0],
  ['sendfile', 'fd0', 'fd1', 0, 10],
  ['openat', 'dir', 'short', 0o20200000, 0],
  ['openat', 'dir', 'short', 0o20200002, 0],
  ['openat', 'dir', 'x', 0o200100, 0o644],
  ['openat', 'dir', '.', 0o20200000, 0],
  ['openat', 'dir', 8, 0, 0],
  ['openat', 'dir', 'x'.repeat(5000), 0, 0],
  ['unlinkat', 'dir', 'short', 0x100],
  ['linkat', 'dir', 'short', 'dir', 'l2'],
  ['renameat2', 'dir', 'short', 'dir', 8, 0],
  ['renameat2', 'dir', 'short', 'dir', 8, 0x999],
  ['renameat2', 'dir', 8, 'dir', 'short', 3],
  ['newfstatat', 'dir', 'short', 'out', 0x9_9999],
  ['newfstatat', 'dir', '', 'out', 0x9_9999],
  ['newfstatat', 'dir', 0, 'out', 0x9_9999],
  ['newfstatat', 'fd0', 0, 8, 0x1000],
  ['newfstatat', -100, 0, 'out', 0x9_9999],
  ['newfstatat', 999, 0, 'out', 0x9_9999],
  ['statx', 'dir', '', 0x9_9999, 0xfff, 'out'],
  ['statx', 'dir', 'short', 0x9_9999, 0xfff, 'out'],
  ['statx', 'dir', 0, 0xf_ffff, 0xfff, 'out'],
  ['mkdirat', 'dir', 'x'.repeat(256), 0],
  ['mknodat', 'dir', 'node', 0o170000, 0],
  ['mknodat', 'dir', 'node', 0o040755, 0],
  ['mknodat', 'dir', 'fifo', 0o010644, 0],
  ['faccessat2', 'dir', 'short', 8, 0],
  ['faccessat2', 'dir', 'short', 1, 0],
  ['faccessat2', 'dir', 'short', 4, 0x40],
  ['utimensat', 'dir', 'short', 8, 0],
  ['utimensat', 'dir', 0, 0, 0],
  ['utimensat', 'fd0', 0, 0, 0x100],
  ['utimensat', 'fd0', 0, 0, 0],
  ['statx', 'dir', 'short', 0x6000, 0xfff, 'out'],
  ['statx', 'dir', 'short', 0, 0x8000_0000, 'out'],
  ['statx', 'dir', 'short', 0, 0xfff, 8],
  ['readlinkat', 'dir', 'short', 'out', 10],
  ['readlinkat', 'dir', 'short', 'out', 0],
  ['readlinkat', 'fd0', '', 'out', 10],
  ['readlinkat', 'dir', 'missing', 'out', 10],
  ['fgetxattr', 'fd0', 'user.none', 'out', 10],
  ['fgetxattr', 'fd0', 'nonsense', 'out', 10],
  ['fgetxattr', 'fd0', '', 'out', 10],
  ['fgetxattr', 'fd0', 'x'.repeat(300), 'out', 10],
  ['fgetxattr', 'fd2', 'user.none', 'out', 10],
  ['fsetxattr', 'fd0', 'user.a', 'value', 5, 2],
  ['fsetxattr', 'fd0', 'user.a', 'value', 5, 9],
  ['fsetxattr', 'fd0', 'user.a', 'value', 70_000, 0],
  ['flistxattr', 'fd0', 'out', 0],
  ['fremovexattr', 'fd0', 'user.a'],
  ['flock', 'fd0', 99],
  ['flock', 'fd0', 16],
  ['flock', 9999, 16],
  ['flock', 9999, 2],
  ['flock', 'fd2', 2],
  ['memfd_create', 8, 0],
  ['memfd_create', 'x'.repeat(260), 0],
  ['memfd_create', 'x', 0x100],
  ['splice', 'fd0', 0, 'fd0', 0, 10],
];

for (const [name, ...args] of HOSTILE) {
  const shown = args.map((value) => String(value).slice(0, 20)).join(', ');
  test(`${name}(${shown}) fails as on the host`, () => {
    const both = new Both();
    both.open('short', O_RDWR);
    both.open('.', 0o200000);
    both.open('short', 0o10000000);
    both.call(name, ...args);
    both.end();
  });
}

test('file content of the lower layer is read once the identity was checked', () => {
  const g = makeGuest({ f: 'lower' });
  assert.is(g.file('/f'), 'lower');
  g.t.lower.write('f', 'longer now');
  const fd = g.open('/f');
  // The handle is open still and the host changed the file in place: the size seen first holds.
  assert.is(g.text(fd), 'longe');
  g.close();
});

test('a lower file that was replaced is ESTALE and told once more to whoever listens', () => {
  const g = makeGuest({ f: 'lower', gone: 'x' });
  assert.is(g.mustStat('/f').size, 5);
  assert.is(g.mustStat('/gone').size, 1);
  g.t.lower.replace('f', 'other');
  g.t.lower.remove('gone');
  const fd = g.open('/f');
  assert.is(g.try('read', fd, g.out, 10), 'ESTALE');
  assert.is(g.try('read', g.open('/gone'), g.out, 10), 'EIO');
  assert.equal(g.t.events, [
    { kind: 'lower-file-changed', detail: '/f' },
    { kind: 'lower-file-missing', detail: '/gone' },
  ]);
  g.close();
});

test('at most 64 lower files are open on the host, and closing the inode closes them', () => {
  const files: LowerTree = {};
  for (let n = 0; n < 100; n++) files[`f${n}`] = `content ${n}`;
  const g = makeGuest(files);
  const fds = Object.keys(files).map((name) => g.open(`/${name}`));
  fds.forEach((fd, n) => assert.is(g.text(fd), `content ${n}`));
  assert.is(g.t.lower.openHandles, 64);
  assert.is(g.k.vfs.hostOpens, 100);
  assert.is(g.call('pread64', fds[0] as number, g.out, 7, 0), 7);
  assert.is(g.k.vfs.hostOpens, 101);
  for (let n = 0; n < 100; n++) {
    g.call('unlinkat', g.open('/', 0o200000), `f${n}`, 0);
    g.call('close', fds[n] as number);
  }
  assert.is(g.t.lower.openHandles, 0);
  g.close();
});

test('an unlinked file lives until its last descriptor is closed', () => {
  const g = makeGuest({ f: lowerFile('still here') });
  const fd = g.open('/f', O_RDWR);
  assert.is(g.call('unlinkat', -100, '/f', 0), 0);
  assert.is(g.stat('/f'), 'ENOENT');
  assert.is(g.fstat(fd).nlink, 0);
  assert.is(g.text(fd), 'still here');
  assert.is(g.readlink(`/proc/self/fd/${fd}`), '/f (deleted)');
  assert.is(g.call('write', fd, 'more', 4), 4);
  assert.is(g.write('/f', 'another'), 7);
  assert.is(g.file('/f'), 'another');
  assert.is(g.call('lseek', fd, 0, 0), 0);
  assert.is(g.text(fd), 'still heremore');
  g.call('close', fd);
  checkVfs(g.k);
  g.close();
});

test('O_TMPFILE makes a file without a name, which linkat() can give one', () => {
  const g = makeGuest({ tmp: {} });
  const fd = g.open('/tmp', 0o20200002);
  assert.is(g.fstat(fd).nlink, 0);
  assert.is(g.call('write', fd, 'hello', 5), 5);
  assert.equal(g.list('/tmp'), []);
  assert.is(g.try('linkat', -100, `/proc/self/fd/${fd}`, -100, '/tmp/named', 0x400), 0);
  assert.is(g.file('/tmp/named'), 'hello');
  assert.is(g.fstat(fd).nlink, 1);
  const once = g.open('/tmp', 0o20200202);
  assert.is(g.try('linkat', -100, `/proc/self/fd/${once}`, -100, '/tmp/no', 0x400), 'ENOENT');
  g.call('close', fd);
  g.call('close', once);
  checkVfs(g.k);
  g.close();
});

test('memfd_create() makes a file that seals can close', () => {
  const g = makeGuest();
  const fd = g.call('memfd_create', 'mem', 3);
  assert.is(g.readlink(`/proc/self/fd/${fd}`), '/memfd:mem (deleted)');
  assert.is(g.call('write', fd, 'abc', 3), 3);
  assert.is(g.call('fcntl', fd, 1034), 0);
  assert.is(g.call('fcntl', fd, 1033, 4), 0);
  assert.is(g.try('pwrite64', fd, 'xyz', 3, 1), 2);
  assert.is(g.try('write', fd, 'x', 1), 'EPERM');
  assert.is(g.try('ftruncate', fd, 10), 'EPERM');
  assert.is(g.try('ftruncate', fd, 2), 0);
  assert.is(g.call('fcntl', fd, 1033, 8 | 1), 0);
  assert.is(g.try('pwrite64', fd, 'x', 1, 0), 'EPERM');
  assert.is(g.try('fcntl', fd, 1033, 2), 'EPERM');
  assert.is(g.call('fcntl', fd, 1034), 13);
  const again = g.open(`/proc/self/fd/${fd}`, O_RDWR);
  assert.is(g.text(again), 'ax');
  g.close();
});

test('write() says ENOSPC when the sandbox has no memory left', () => {
  const g = makeGuest({}, { bankFrames: 64 });
  const fd = g.open('/big', O_RDWR | O_CREAT);
  let total = 0;
  let result = 0;
  for (let n = 0; n < 1000 && result >= 0; n++) {
    result = g.call('write', fd, g.out, 4096);
    if (result > 0) total += result;
  }
  assert.is(result, -28);
  assert.ok(total > 0 && total < 64 * 4096);
  assert.is(g.fstat(fd).size, total);
  assert.is(g.call('ftruncate', fd, 0), 0);
  assert.is(g.call('pwrite64', fd, g.out, 4096, 0), 4096);
  g.close();
});

test('a lock is described with whole numbers', () => {
  const raw = new Uint8Array(Flock.bytes);
  Flock.l_type.set(new DataView(raw.buffer), 0, 1);
  const g = makeGuest({ f: 'x' });
  assert.is(g.call('fcntl', g.open('/f', O_RDWR), 6, raw), 0);
  g.close();
});

test.run();
