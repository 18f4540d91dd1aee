// Listings of both layers, and what stat, chmod, mknod and extended attributes keep.
import { assert, suite } from '../../../harness.ts';
import { lowerFile, lowerLink, type LowerTree } from '../../../helpers/lower-tree.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/directory-file');

const O_DIRECTORY = 0o200000;

function manyFiles(count: number): LowerTree {
  const files: LowerTree = {};
  for (let n = 0; n < count; n++) files[`lower${n}`] = 'x';
  return files;
}

/** Reads on to the end with a small buffer. */
function rest(g: Guest, fd: number): string[] {
  const names: string[] = [];
  for (;;) {
    const some = g.entries(fd, 200);
    if (some.length === 0) return names;
    names.push(...some.map(({ name }) => name));
  }
}

test('getdents64() merges both layers and leaves removed names out', () => {
  const g = makeGuest({ d: { one: '1', two: '2', sub: {}, link: lowerLink('one') } });
  g.write('/d/new', 'n');
  g.call('unlink', '/d/one');
  g.call('mkdir', '/d/dir', 0o755);
  g.call('rename', '/d/two', '/d/renamed');
  g.call('mknod', '/d/fifo', 0o010644, 0);
  assert.equal(g.list('/d'), ['dir', 'fifo', 'link', 'new', 'renamed', 'sub']);
  const fd = g.open('/d', O_DIRECTORY);
  const types = Object.fromEntries(g.entries(fd).map(({ name, type }) => [name, type]));
  assert.equal(types, {
    '.': 4, '..': 4, dir: 4, fifo: 1, link: 10, new: 8, renamed: 8, sub: 4,
  });
  g.close();
});

test('getdents64() tells the inode numbers that stat() tells', () => {
  const g = makeGuest({ d: { lower: 'x', sub: {} } });
  g.write('/d/upper', 'n');
  const fd = g.open('/d', O_DIRECTORY);
  for (const { name, ino } of g.entries(fd)) assert.is(ino, g.mustStat(`/d/${name}`).ino, name);
  const root = g.open('/', O_DIRECTORY);
  for (const { name, ino } of g.entries(root)) assert.is(ino, g.mustStat(`/${name}`).ino, name);
  g.close();
});

test('the root directory shows what is mounted where the lower layer has no such names', () => {
  const g = makeGuest({});
  assert.equal(g.list('/'), ['dev', 'proc', 'sys']);
  const other = makeGuest({ dev: { junk: 'x' }, proc: 'a file', bin: {} });
  assert.equal(other.list('/'), ['bin', 'dev', 'proc', 'sys']);
  assert.is(other.stat('/dev/junk'), 'ENOENT');
  g.close();
  other.close();
});

test('a listing tells each name once when names come and go in the middle', () => {
  const g = makeGuest({ d: manyFiles(50) });
  const fd = g.open('/d', O_DIRECTORY);
  const first = g.entries(fd, 400).map(({ name }) => name);
  for (let n = 0; n < 50; n += 2) g.call('unlink', `/d/lower${n}`);
  for (let n = 0; n < 20; n++) g.write(`/d/upper${n}`, 'x');
  const second = rest(g, fd);
  const all = [...first, ...second];
  assert.is(new Set(all).size, all.length);
  for (let n = 1; n < 50; n += 2) assert.ok(all.includes(`lower${n}`), `lower${n}`);
  assert.not(second.some((name) => /^lower\d*[02468]$/.test(name)));
  g.close();
});

test('removing everything while listing leaves an empty directory', () => {
  const g = makeGuest({ d: manyFiles(100) });
  const fd = g.open('/d', O_DIRECTORY);
  for (;;) {
    const some = g.entries(fd, 256);
    if (some.length === 0) break;
    for (const { name } of some) if (name.startsWith('lower')) g.call('unlink', `/d/${name}`);
  }
  assert.equal(g.list('/d'), []);
  assert.is(g.call('rmdir', '/d'), 0);
  assert.is(g.try('getdents64', fd, g.out, 1000), 'ENOENT');
  g.close();
});

test('d_off leads back to the same place, and 0 starts a fresh listing', () => {
  const g = makeGuest({ d: manyFiles(20) });
  const fd = g.open('/d', O_DIRECTORY);
  const all = g.entries(fd);
  for (const [index, { next }] of all.entries()) {
    assert.is(g.call('lseek', fd, next, 0), next);
    const wanted = all.slice(index + 1).map(({ name }) => name);
    assert.equal(g.entries(fd).map(({ name }) => name), wanted);
  }
  g.write('/d/late', 'x');
  assert.is(g.call('lseek', fd, 0, 0), 0);
  assert.ok(rest(g, fd).includes('late'));
  g.close();
});

test('lseek() on a directory takes any offset without harm', () => {
  const g = makeGuest({ d: manyFiles(20) });
  const fd = g.open('/d', O_DIRECTORY);
  g.entries(fd, 100);
  for (const offset of [1, 7, 11, 13, 2 ** 40, 2 ** 52]) {
    assert.is(g.call('lseek', fd, offset, 0), offset);
    assert.ok(g.call('getdents64', fd, g.out, 65536) >= 0);
  }
  assert.is(g.try('lseek', fd, -1, 0), 'EINVAL');
  g.close();
});

test('getdents() puts d_type into the last byte of a record', () => {
  const g = makeGuest({ d: { file: 'x', sub: {} } });
  const fd = g.open('/d', O_DIRECTORY);
  const count = g.call('getdents', fd, g.out, 1000);
  const raw = g.peek(g.out, count);
  const seen: Record<string, number> = {};
  for (let at = 0; at < count;) {
    const bytes = (raw[at + 16] as number) + (raw[at + 17] as number) * 256;
    const name = new TextDecoder().decode(raw.subarray(at + 18, raw.indexOf(0, at + 18)));
    seen[name] = raw[at + bytes - 1] as number;
    at += bytes;
  }
  assert.equal(seen, { '.': 4, '..': 4, file: 8, sub: 4 });
  g.close();
});

test('stat() keeps inode numbers over renames and first writes', () => {
  const g = makeGuest({ d: { f: 'x', sub: { deep: 'y' } }, e: {} });
  const before = g.mustStat('/d/f');
  g.write('/d/f', 'changed');
  g.call('chmod', '/d/f', 0o600);
  g.call('rename', '/d/f', '/e/g');
  const after = g.mustStat('/e/g');
  assert.is(after.ino, before.ino);
  assert.is(after.dev, before.dev);
  const deep = g.mustStat('/d/sub/deep').ino;
  g.call('rename', '/d/sub', '/e/sub');
  assert.is(g.mustStat('/e/sub/deep').ino, deep);
  const upper = g.mustStat('/e');
  g.write('/e/upper', 'x');
  assert.is(g.mustStat('/e/upper').dev, upper.dev);
  assert.ok(g.mustStat('/e/upper').ino > 2 ** 40);
  g.close();
});

test('mkdir() and rmdir() keep the link counts of directories', () => {
  const g = makeGuest({ d: {} });
  assert.is(g.mustStat('/d').nlink, 2);
  g.call('mkdir', '/d/a', 0o755);
  g.call('mkdir', '/d/b', 0o755);
  assert.is(g.mustStat('/d').nlink, 4);
  g.call('rename', '/d/b', '/d/a/b');
  assert.is(g.mustStat('/d').nlink, 3);
  assert.is(g.mustStat('/d/a').nlink, 3);
  g.call('rmdir', '/d/a/b');
  g.call('rmdir', '/d/a');
  assert.is(g.mustStat('/d').nlink, 2);
  g.close();
});

test('umask and the set-group-ID bit of the directory shape new files', () => {
  const g = makeGuest({ d: {} });
  assert.is(g.call('umask', 0o027), 0o022);
  g.write('/d/f', 'x');
  assert.is(g.mustStat('/d/f').mode, 0o100640);
  g.call('chown', '/d', 5, 6);
  g.call('chmod', '/d', 0o2775);
  g.call('mkdir', '/d/sub', 0o777);
  assert.is(g.mustStat('/d/sub').mode, 0o042750);
  assert.is(g.mustStat('/d/sub').gid, 6);
  g.call('symlink', 'x', '/d/link');
  assert.is(g.mustStat('/d/link').mode, 0o120777);
  g.close();
});

test('chmod, chown and utimes change a lower file only in the sandbox', () => {
  const g = makeGuest({ f: lowerFile('text', { uid: 7, mode: 0o100755 }) });
  assert.is(g.call('chmod', '/f', 0o4711), 0);
  assert.is(g.call('chown', '/f', 10, -1), 0);
  const times = new Uint8Array(32);
  new DataView(times.buffer).setUint32(16, 12345, true);
  assert.is(g.call('utimensat', -100, '/f', times, 0), 0);
  const found = g.mustStat('/f');
  assert.equal([found.mode, found.uid, found.gid, found.mtime], [0o100711, 10, 0, 12345]);
  assert.is(g.file('/f'), 'text');
  assert.is(g.t.lower.node('f')?.uid, 7);
  g.close();
});

test('extended attributes are kept, listed, replaced and removed', () => {
  const g = makeGuest({ f: 'x', l: lowerLink('f') });
  assert.is(g.call('setxattr', '/f', 'user.one', 'value', 5, 0), 0);
  assert.is(g.call('setxattr', '/l', 'user.two', 'v', 1, 1), 0);
  assert.is(g.try('setxattr', '/f', 'user.two', 'v', 1, 1), 'EEXIST');
  assert.is(g.try('setxattr', '/f', 'user.three', 'v', 1, 2), 'ENODATA');
  assert.is(g.try('lsetxattr', '/l', 'user.one', 'v', 1, 0), 'EPERM');
  assert.is(g.try('setxattr', '/f', 'what.ever', 'v', 1, 0), 'EOPNOTSUPP');
  assert.is(g.call('getxattr', '/f', 'user.one', g.out, 100), 5);
  assert.bytes(g.peek(g.out, 5), new TextEncoder().encode('value'));
  assert.is(g.try('getxattr', '/f', 'user.one', g.out, 2), 'ERANGE');
  assert.is(g.call('getxattr', '/f', 'user.one', g.out, 0), 5);
  const count = g.call('listxattr', '/f', g.out, 100);
  assert.is(new TextDecoder().decode(g.peek(g.out, count)), 'user.one\0user.two\0');
  assert.is(g.call('removexattr', '/f', 'user.one'), 0);
  assert.is(g.try('removexattr', '/f', 'user.one'), 'ENODATA');
  assert.is(g.try('getxattr', '/proc/version', 'user.one', g.out, 10), 'EOPNOTSUPP');
  g.close();
});

test('a FIFO made by mknod() carries bytes between two opens', () => {
  const g = makeGuest({ d: {} });
  assert.is(g.call('mknod', '/d/fifo', 0o010600, 0), 0);
  assert.is(g.try('openat', -100, '/d/fifo', 0o4001, 0), 'ENXIO');
  const reader = g.open('/d/fifo', 0o4000);
  const writer = g.open('/d/fifo', 0o4001);
  assert.is(g.call('write', writer, 'hello', 5), 5);
  assert.is(g.call('read', reader, g.out, 100), 5);
  assert.is(g.readlink(`/proc/self/fd/${reader}`), '/d/fifo');
  g.call('close', reader);
  g.call('close', writer);
  checkVfs(g.k);
  g.close();
});

test('device nodes cannot be made', () => {
  const g = makeGuest({ d: {} });
  assert.is(g.try('mknod', '/d/null', 0o020666, 0x103), 'EPERM');
  assert.is(g.try('mknod', '/d/sda', 0o060666, 0x800), 'EPERM');
  g.close();
});

test.run();
