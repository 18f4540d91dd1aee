// Volumes as mounts: where they can be, what they show, and that a read-only one refuses every
// change as a read-only bind mount of Linux does (the table was taken from one).
import { errnoName } from '../../../../vmm/abi/errno.ts';
import { AT_FDCWD } from '../../../../vmm/abi/fcntl.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { mountVolume } from '../../../../vmm/kernel/vfs/mount-volume.ts';
import {
  showLowerPath, splitVolumePath, volumePath,
} from '../../../../vmm/kernel/vfs/volume-path.ts';
import { assert, suite } from '../../../harness.ts';
import { type LowerTree, lowerFile, lowerLink } from '../../../helpers/lower-tree.ts';
import { type Argument, type Guest, makeGuest, nameOf } from './guest.ts';

const test = suite('vmm/kernel/vfs/volume');
const encoder = new TextEncoder();
const decoder = new TextDecoder();

const S_IFIFO = 0o010000;
const O_WRONLY = 1;
const O_RDWR = 2;
const O_CREAT = 0o100;
const O_EXCL = 0o200;
const O_TRUNC = 0o1000;
const O_TMPFILE = 0o20200000;

function volumeTree(): LowerTree {
  return {
    f: 'file f\n', d: { deep: 'deep\n' }, l: lowerLink('f'),
    p: lowerFile('', { mode: S_IFIFO | 0o644 }),
  };
}

/** The lower layer of a rootfs with three volumes beside it: two directories and a file. */
function lowerTree(): LowerTree {
  return {
    etc: { hostname: 'guest\n' }, v: { hidden: 'hidden' }, var: { run: lowerLink('/run') }, run: {},
    dangling: lowerLink('/nowhere'),
    [pathOf(0)]: volumeTree(), [pathOf(1)]: volumeTree(), [pathOf(2)]: 'a single file\n',
  };
}

function pathOf(index: number): string {
  return decoder.decode(volumePath(index));
}

function mount(g: Guest, index: number, target: string, readOnly: boolean): string {
  const error = mountVolume(g.k, g.process, index, { target: encoder.encode(target), readOnly });
  return error === 0 ? 'ok' : errnoName(-error);
}

type Row = readonly [expected: string, name: string, ...args: Argument[]];

/** Calls on a read-only volume that is the working directory, and what Linux says. */
const READ_ONLY: readonly Row[] = [
  ['ok', 'open', 'f', 0], ['EROFS', 'open', 'f', O_WRONLY], ['EROFS', 'open', 'f', O_RDWR],
  ['EROFS', 'open', 'f', O_TRUNC], ['ok', 'open', 'f', O_CREAT, 0o644],
  ['EROFS', 'open', 'new', O_CREAT, 0o644], ['EROFS', 'open', 'f', O_CREAT | O_RDWR, 0o644],
  ['EEXIST', 'open', 'f', O_CREAT | O_EXCL | O_RDWR, 0o644],
  ['EISDIR', 'open', 'd', O_WRONLY], ['EISDIR', 'open', 'd', O_CREAT, 0o644],
  ['EROFS', 'open', '.', O_TMPFILE | O_RDWR, 0o644], ['ok', 'open', 'p', O_RDWR],
  ['ENOENT', 'open', 'no', O_WRONLY], ['ENOENT', 'open', 'no/x', O_CREAT | O_WRONLY, 0o644],
  ['ok', 'access', 'f', 4], ['EROFS', 'access', 'f', 2], ['EACCES', 'access', 'f', 1],
  ['EROFS', 'access', 'd', 2], ['EROFS', 'access', 'l', 2], ['ok', 'access', 'p', 2],
  ['ok', 'access', 'f', 0], ['ENOENT', 'access', 'no', 2],
  ['EROFS', 'mkdir', 'n', 0o755], ['EEXIST', 'mkdir', 'd', 0o755],
  ['ENOENT', 'mkdir', 'no/x', 0o755], ['ENOTDIR', 'mkdir', 'f/x', 0o755],
  ['EROFS', 'rmdir', 'd'], ['EROFS', 'rmdir', 'no'], ['EROFS', 'rmdir', 'f'],
  ['EINVAL', 'rmdir', '.'], ['EBUSY', 'rmdir', '/v'],
  ['EROFS', 'unlink', 'f'], ['EROFS', 'unlink', 'no'], ['EROFS', 'unlink', 'd'],
  ['EROFS', 'rename', 'f', 'g'], ['EROFS', 'rename', 'no', 'g'], ['EBUSY', 'rename', '/v', '/w'],
  ['EXDEV', 'rename', '/etc/hostname', 'g'], ['EXDEV', 'rename', 'f', '/etc/g'],
  ['EROFS', 'link', 'f', 'g'], ['EEXIST', 'link', 'f', 'p'],
  ['EROFS', 'link', '/etc/hostname', 'g'], ['EXDEV', 'link', 'f', '/etc/g'],
  ['EROFS', 'symlink', 'f', 'g'], ['EEXIST', 'symlink', 'f', 'd'],
  ['EROFS', 'mknod', 'g', S_IFIFO | 0o644, 0],
  ['EROFS', 'chmod', 'f', 0o600], ['EROFS', 'chown', 'f', 1, 1], ['EROFS', 'lchown', 'l', 1, 1],
  ['EROFS', 'utimensat', AT_FDCWD, 'f', 0, 0], ['EROFS', 'truncate', 'f', 0],
  ['EISDIR', 'truncate', 'd', 0], ['ENOENT', 'truncate', 'no', 0],
  ['EROFS', 'setxattr', 'f', 'user.x', 'y', 1, 0], ['EROFS', 'setxattr', 'f', 'bogus.x', 'y', 1, 0],
  ['EROFS', 'removexattr', 'f', 'user.x'],
];

test('a read-only volume refuses every change and allows the rest', () => {
  const g = makeGuest(lowerTree());
  assert.is(mount(g, 0, '/v', true), 'ok');
  g.call('chdir', '/v');
  for (const [expected, name, ...args] of READ_ONLY) {
    const result = g.try(name, ...args);
    const what = typeof result === 'string' ? result : 'ok';
    assert.is(what, expected, `${name} ${args.join(' ')}`);
  }
  assert.equal(g.list('/v'), ['d', 'f', 'l', 'p']);
  assert.is(g.file('/v/d/deep'), 'deep\n');
  const fd = g.open('/v/f');
  for (const [name, ...args] of [['fchmod', 0o600], ['fchown', 1, 1]] as const) {
    assert.is(nameOf(g.call(name, fd, ...args)), 'EROFS', name);
  }
  checkVfs(g.k);
  g.close();
});

test('another volume keeps its changes in memory, and is a mount of its own', () => {
  const g = makeGuest(lowerTree());
  assert.is(mount(g, 1, '/v', false), 'ok');
  assert.is(g.write('/v/f', 'changed'), 7);
  assert.is(g.write('/v/new', 'new'), 3);
  assert.is(g.call('unlink', '/v/d/deep'), 0);
  assert.is(g.call('rename', '/v/d', '/v/moved'), 0);
  assert.equal(g.list('/v'), ['f', 'l', 'moved', 'new', 'p']);
  assert.is(g.file('/v/l'), 'changed');
  assert.is(g.try('rename', '/v/f', '/f'), 'EXDEV');
  assert.is(g.try('rmdir', '/v'), 'EBUSY');
  assert.equal(g.list('/v/..'), g.list('/'));
  assert.is(g.t.lower.node(`${pathOf(1)}/f`)?.content.length, 7);
  checkVfs(g.k);
  g.close();
});

test('volumes can be mounted on directories, files, links and places that there are not', () => {
  const g = makeGuest(lowerTree());
  assert.is(mount(g, 0, '/var/run/deep/er', true), 'ok');
  assert.is(g.file('/run/deep/er/f'), 'file f\n');
  assert.is(mount(g, 1, '/run/deep/er/d', false), 'ok', 'in another, which is read-only');
  assert.is(g.write('/run/deep/er/d/d/deep', 'x'), 1);
  assert.is(mount(g, 2, '/etc/hostname', true), 'ok');
  assert.is(g.file('/etc/hostname'), 'a single file\n');
  assert.is(nameOf(g.open('/etc/hostname', O_RDWR)), 'EROFS');
  assert.is(g.try('unlink', '/etc/hostname'), 'EBUSY');
  assert.equal(g.list('/etc'), ['hostname']);
  assert.is(g.mustStat('/etc/hostname').size, 14);
  checkVfs(g.k);
  g.close();
});

test('volumes cannot be mounted where that makes no sense', () => {
  const g = makeGuest(lowerTree());
  assert.is(mount(g, 0, '/etc/hostname', true), 'ENOTDIR');
  assert.is(mount(g, 0, '/etc/hostname/x', true), 'ENOTDIR');
  assert.is(mount(g, 2, '/etc', true), 'EISDIR');
  assert.is(mount(g, 0, '/proc', true), 'EBUSY');
  assert.is(mount(g, 0, '/sys/x', true), 'EPERM');
  assert.is(mount(g, 0, '/dangling', true), 'ENOENT');
  assert.is(mount(g, 7, '/v', true), 'ENOENT');
  assert.is(mount(g, 0, '/dev/disk', true), 'ok');
  assert.is(mount(g, 1, '/dev/disk', true), 'EBUSY');
  assert.is(g.file('/dev/disk/f'), 'file f\n');
  checkVfs(g.k);
  g.close();
});

test('/proc tells of volumes and how they are mounted', () => {
  const g = makeGuest(lowerTree());
  mount(g, 1, '/with space', false);
  mount(g, 0, '/v', true);
  const lines = g.file('/proc/self/mounts').split('\n').filter((line) => line !== '');
  assert.equal(lines.slice(-2), [
    'overlay /v overlay ro,relatime 0 0', 'overlay /with\\040space overlay rw,relatime 0 0',
  ]);
  assert.is(lines.length, 6);
  const info = g.file('/proc/self/mountinfo').split('\n').filter((line) => line !== '');
  const ids = info.map((line) => line.split(' ')[0]);
  assert.is(new Set(ids).size, 6);
  const fd = g.open('/v/f');
  const [, id] = /^mnt_id:\t(\d+)$/m.exec(g.file(`/proc/self/fdinfo/${fd}`)) ?? [];
  assert.is(id, ids[info.findIndex((line) => line.includes(' /v '))]);
  g.close();
});

test('splitVolumePath() tells volumes from the rootfs, whatever an image says', () => {
  assert.is(splitVolumePath(encoder.encode('etc/motd')), null);
  assert.is(splitVolumePath(new Uint8Array()), null);
  assert.equal(splitVolumePath(volumePath(12)), { index: 12, rest: new Uint8Array() });
  const below = splitVolumePath(encoder.encode('\u00003/a/b'));
  assert.equal(below, { index: 3, rest: encoder.encode('a/b') });
  for (const path of ['\0', '\0x', '\0-1', '\u00001x/a', `\0${'9'.repeat(30)}`]) {
    assert.ok(Number.isNaN(splitVolumePath(encoder.encode(path))?.index), JSON.stringify(path));
  }
  assert.is(showLowerPath(encoder.encode('\u00003/a')), 'volume 3: /a');
  assert.is(showLowerPath(encoder.encode('a')), '/a');
});

test.run();
