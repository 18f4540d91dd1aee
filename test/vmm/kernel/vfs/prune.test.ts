// What a save keeps of the file system, and what an image says about its open files.
import { assert, suite } from '../../../harness.ts';
import { type LowerTree } from '../../../helpers/lower-tree.ts';
import { Dentry, File, Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { kindIdAt } from '../../../../vmm/kernel/state/record.ts';
import { saveObjects } from '../../../../vmm/kernel/state/save.ts';
import { trimDentries } from '../../../../vmm/kernel/vfs/dentry.ts';
import { openFilesForImage } from '../../../../vmm/kernel/vfs/image-files.ts';
import { closeLowerHandles } from '../../../../vmm/kernel/vfs/lower.ts';
import { pinForSelfContained, pruneUnpinned } from '../../../../vmm/kernel/vfs/prune.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/prune');

/** How many records of a kind a save would keep. */
function count(g: Guest, kind: { id: number }): number {
  return [...saveObjects(g.k.root).offsets.keys()].filter((at) => kindIdAt(at) === kind.id).length;
}

function tree(): LowerTree {
  const big: LowerTree = {};
  for (let n = 0; n < 500; n++) big[`f${n}`] = `text ${n}`;
  return { big, keep: { open: 'open file', changed: 'x', removed: 'y', cwd: { deep: {} } } };
}

test('pruneUnpinned() frees what was only looked at and keeps what is in use or changed', () => {
  const g = makeGuest(tree());
  const before = { dentries: count(g, Dentry), inodes: count(g, Inode) };
  for (let n = 0; n < 500; n++) g.stat(`/big/f${n}`);
  for (let n = 0; n < 50; n++) g.stat(`/keep/missing${n}`);
  const fd = g.open('/keep/open');
  g.write('/keep/changed', 'new content');
  g.call('unlink', '/keep/removed');
  g.call('chdir', '/keep/cwd/deep');
  pruneUnpinned(g.k);
  checkVfs(g.k);
  // keep, open, changed, removed (a whiteout), cwd, deep
  assert.is(count(g, Dentry) - before.dentries, 6);
  assert.is(count(g, Inode) - before.inodes, 5);
  assert.is(g.text(fd), 'open file');
  assert.is(g.file('/keep/changed'), 'new content');
  assert.is(g.stat('/keep/removed'), 'ENOENT');
  assert.is(g.cwd(), '/keep/cwd/deep');
  assert.is(g.file('/big/f7'), 'text 7');
  g.close();
});

test('pruneUnpinned() walks a tree of any depth', () => {
  const g = makeGuest({ d: {} });
  g.call('chdir', '/d');
  for (let n = 0; n < 20_000; n++) {
    if (g.call('mkdir', 'n', 0o755) !== 0 || g.call('chdir', 'n') !== 0) break;
  }
  pruneUnpinned(g.k);
  assert.is(g.call('chdir', '/'), 0);
  assert.is(g.mustStat('/d/n/n/n').nlink, 3);
  g.close();
}, { timeoutMs: 60_000 });

test('trimDentries() evicts the names that were used longest ago', () => {
  const g = makeGuest(tree());
  const asked: string[] = [];
  const { stat } = g.t.lower;
  g.t.lower.stat = (path) => {
    asked.push(new TextDecoder().decode(path));
    return stat(path);
  };
  for (let n = 0; n < 500; n++) g.stat(`/big/f${n}`);
  for (let n = 0; n < 1000; n++) g.stat(`/big/missing${n}`);
  g.stat('/big/f0');
  g.stat('/big/missing3');
  trimDentries(g.k, 1_500);
  assert.is(g.k.vfs.unused.size, 1_500);
  trimDentries(g.k, 1_499);
  assert.is(g.k.vfs.unused.size, 500);
  checkVfs(g.k);
  asked.length = 0;
  const names = ['f0', 'missing3', 'missing999', 'f1', 'f499', 'missing2'];
  for (const name of names) g.stat(`/big/${name}`);
  assert.equal(asked, ['big/f1', 'big/f499', 'big/missing2']);
  g.close();
});

test('caches can be dropped at any moment', () => {
  const g = makeGuest(tree());
  const fd = g.open('/keep/open');
  assert.is(g.call('read', fd, g.out, 2), 2);
  g.write('/keep/changed', 'new');
  g.call('unlink', '/keep/removed');
  g.k.vfs.drop(g.t.lower);
  assert.is(g.t.lower.openHandles, 0);
  assert.is(g.text(fd), 'en file');
  assert.is(g.file('/keep/changed'), 'new');
  assert.is(g.stat('/keep/removed'), 'ENOENT');
  assert.equal(g.list('/keep'), ['changed', 'cwd', 'open']);
  closeLowerHandles(g.k);
  assert.is(g.t.lower.openHandles, 0);
  checkVfs(g.k);
  g.close();
});

test('pinForSelfContained() makes open files readable without the lower layer', () => {
  const long = Uint8Array.from({ length: 50_000 }, (_, index) => index % 253);
  const g = makeGuest({ open: long, dir: { other: 'x' } });
  const fd = g.open('/open');
  assert.is(g.call('read', fd, g.out, 10), 10);
  assert.is(pinForSelfContained(g.k), 0);
  g.t.lower.remove('open');
  closeLowerHandles(g.k);
  assert.is(g.call('lseek', fd, 0, 0), 0);
  assert.bytes(g.bytes(fd), long);
  assert.equal(g.t.events, []);
  g.close();
});

test('pinForSelfContained() tells when the memory does not hold the files', () => {
  const g = makeGuest({ open: new Uint8Array(1024 * 1024) }, { bankFrames: 64 });
  g.open('/open');
  assert.is(pinForSelfContained(g.k), -12);
  g.close();
});

test('openFilesForImage() gives a row for each descriptor', () => {
  const g = makeGuest({ f: 'content', d: {} });
  const fd = g.open('/f', 0);
  g.call('read', fd, g.out, 3);
  const dir = g.open('/d', 0o200000);
  g.call('pipe', g.out);
  const rows = openFilesForImage(g.k);
  assert.equal(rows.map(({ fd: one, kind, offset }) => [one, kind, offset >= 0]), [
    [fd, 'file', true], [dir, 'dir', true], [dir + 1, 'pipe', true], [dir + 2, 'pipe', true],
  ]);
  const [first] = rows;
  assert.is(new TextDecoder().decode(first?.path), '/f');
  assert.is(first?.offset, 3);
  assert.is(first?.cached, true);
  assert.is(first?.identity?.bytes, 7);
  assert.is(first?.identity?.mtimeNs, 1_700_000_000_000_000_005n);
  assert.is(rows[2]?.identity, undefined);
  g.close();
});

test('closing everything leaves nothing but the mounted tree', () => {
  const g = makeGuest({ f: 'x', d: { g: 'y' } });
  const before = { dentries: count(g, Dentry), inodes: count(g, Inode) };
  const fds = [
    g.open('/f'), g.open('/d', 0o200000), g.open('/dev/null'), g.open('/proc/self/status'),
    g.call('memfd_create', 'm', 0), g.open('/d', 0o20200002), g.open('/f', 0o10000000),
  ];
  for (const fd of fds) {
    assert.ok(fd >= 0);
    g.call('read', fd, g.out, 10);
    g.call('getdents64', fd, g.out, 1000);
  }
  fds.forEach((fd) => g.call('close', fd));
  pruneUnpinned(g.k);
  assert.is(count(g, File), 0);
  assert.equal(
    { dentries: count(g, Dentry), inodes: count(g, Inode) },
    before,
  );
  g.close();
});

test.run();
