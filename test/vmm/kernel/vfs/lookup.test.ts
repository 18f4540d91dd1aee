// The path walk: components, links, limits, *at calls, openat2, chroot.
import { assert, suite } from '../../../harness.ts';
import { lowerFile, lowerLink } from '../../../helpers/lower-tree.ts';
import { AT_FDCWD } from '../../../../vmm/abi/fcntl.ts';
import { OpenHow } from '../../../../vmm/abi/struct-file.ts';
import { type Guest, makeGuest, nameOf } from './guest.ts';

const test = suite('vmm/kernel/vfs/lookup');

function tree(): Guest {
  const guest = makeGuest({
    a: { b: { c: 'deep', up: lowerLink('../..') }, f: 'file' },
    link: lowerLink('a/b'),
    abs: lowerLink('/a/f'),
    loop: lowerLink('loop'),
    ping: lowerLink('pong'),
    pong: lowerLink('ping'),
    dangling: lowerLink('nowhere'),
    slashes: lowerLink('a//b///'),
    root: lowerLink('/'),
    escape: lowerLink('../../../../a/f'),
    noexec: lowerFile('x', { mode: 0o100644 }),
  });
  return guest;
}

/** Path, then what stat says: an errno, or the type's letter. */
const TABLE: readonly (readonly [path: string, expected: string])[] = [
  ['', 'ENOENT'],
  ['/', 'd'],
  ['//', 'd'],
  ['.', 'd'],
  ['..', 'd'],
  ['/..', 'd'],
  ['/../../a', 'd'],
  ['a', 'd'],
  ['a/', 'd'],
  ['a//b', 'd'],
  ['/a/./b/../f', '-'],
  ['a/f', '-'],
  ['a/f/', 'ENOTDIR'],
  ['a/f/.', 'ENOTDIR'],
  ['a/f/..', 'ENOTDIR'],
  ['a/f/x', 'ENOTDIR'],
  ['a/x', 'ENOENT'],
  ['a/x/', 'ENOENT'],
  ['a/x/y', 'ENOENT'],
  ['link', 'd'],
  ['link/', 'd'],
  ['link/c', '-'],
  ['link/..', 'd'],
  ['link/../f', '-'],
  ['link/up/noexec', '-'],
  ['abs', '-'],
  ['abs/', 'ENOTDIR'],
  ['slashes', 'd'],
  ['slashes/c', '-'],
  ['root', 'd'],
  ['root/a/f', '-'],
  ['root/', 'd'],
  ['escape', '-'],
  ['loop', 'ELOOP'],
  ['loop/x', 'ELOOP'],
  ['ping', 'ELOOP'],
  ['dangling', 'ENOENT'],
  ['dangling/', 'ENOENT'],
  ['x'.repeat(255), 'ENOENT'],
  ['x'.repeat(256), 'ENAMETOOLONG'],
  [`${'x'.repeat(256)}/a`, 'ENAMETOOLONG'],
  [`${'./'.repeat(2047)}a`, 'd'],
  [`${'./'.repeat(2047)}./a`, 'ENAMETOOLONG'],
  ['/proc/self/exe/x', 'ENOENT'],
  ['/proc/self/fd/99', 'ENOENT'],
];

test('stat() resolves a path as Linux does when it has links, dots and slashes', () => {
  const g = tree();
  for (const [path, expected] of TABLE) {
    const found = g.stat(path, 0);
    const seen = typeof found === 'string'
      ? found
      : (found.mode & 0o170000) === 0o040000 ? 'd' : '-';
    assert.is(seen, expected, path);
  }
  g.close();
});

test('lstat() stops at a last link unless a slash follows', () => {
  const g = tree();
  assert.is(g.mustStat('link').mode & 0o170000, 0o120000);
  assert.is(g.mustStat('link').size, 3);
  assert.is(g.mustStat('link/').mode & 0o170000, 0o040000);
  assert.is(g.mustStat('loop').mode & 0o170000, 0o120000);
  assert.is(g.stat('loop/'), 'ELOOP');
  assert.is(g.mustStat('dangling').mode & 0o170000, 0o120000);
  g.close();
});

test('lookup follows 40 links and refuses the 41st', () => {
  const g = makeGuest({ end: 'x' });
  g.call('symlink', 'end', 'l1');
  for (let n = 2; n <= 41; n++) g.call('symlink', `l${n - 1}`, `l${n}`);
  assert.is(g.file('l40'), 'x');
  assert.is(g.file('l41'), 'ELOOP');
  g.close();
});

test('lookup asks the lower layer once for a name, whether it exists or not', () => {
  const g = tree();
  const asked: string[] = [];
  const { stat } = g.t.lower;
  g.t.lower.stat = (path) => {
    asked.push(new TextDecoder().decode(path));
    return stat(path);
  };
  for (let n = 0; n < 3; n++) {
    g.stat('a/b/c');
    g.stat('a/missing');
    g.stat('link/c', 0);
  }
  assert.equal(asked, ['a', 'a/b', 'a/b/c', 'a/missing', 'link']);
  g.close();
});

test('lookup passes other errors of the lower layer on and does not remember them', () => {
  const g = tree();
  const { stat } = g.t.lower;
  g.t.lower.stat = () => -13;
  assert.is(g.stat('a'), 'EACCES');
  g.t.lower.stat = stat;
  assert.is(g.mustStat('a').mode & 0o170000, 0o040000);
  g.close();
});

test('*at calls take dirfd, AT_FDCWD and empty paths as Linux does', () => {
  const g = tree();
  const dir = g.open('a', 0o200000);
  const file = g.open('a/f');
  assert.is(g.try('newfstatat', dir, 'f', g.out, 0), 0);
  assert.is(g.try('newfstatat', file, 'f', g.out, 0), 'ENOTDIR');
  assert.is(g.try('newfstatat', 77, 'f', g.out, 0), 'EBADF');
  assert.is(g.try('newfstatat', 77, '/a/f', g.out, 0), 0);
  assert.is(g.try('newfstatat', dir, '', g.out, 0), 'ENOENT');
  assert.is(g.try('newfstatat', file, '', g.out, 0x1000), 0);
  assert.is(g.readStat().size, 4);
  assert.is(g.try('newfstatat', 77, '', g.out, 0x1000), 'EBADF');
  assert.is(g.try('newfstatat', AT_FDCWD, '', g.out, 0x1000), 0);
  assert.is(g.try('newfstatat', dir, 'f', g.out, 0x40), 'EINVAL');
  assert.is(g.try('newfstatat', dir, 0, g.out, 0), 'EFAULT');
  assert.is(g.try('newfstatat', dir, 'f', 8, 0), 'EFAULT');
  g.close();
});

function openat2(
  g: Guest,
  dirfd: number,
  path: string,
  flags: number,
  resolve: number,
): string | number {
  const how = new Uint8Array(OpenHow.bytes);
  const view = new DataView(how.buffer);
  OpenHow.flags.set(view, 0, BigInt(flags));
  OpenHow.resolve.set(view, 0, BigInt(resolve));
  const fd = g.call('openat2', dirfd, path, how, how.length);
  if (fd < 0) return nameOf(fd);
  g.call('close', fd);
  return 'ok';
}

/** dirfd is /a. Flags: NO_XDEV 1, NO_MAGICLINKS 2, NO_SYMLINKS 4, BENEATH 8, IN_ROOT 16. */
const RESOLVE_TABLE: readonly (readonly [path: string, resolve: number, expected: string])[] = [
  ['f', 8, 'ok'],
  ['b/../f', 8, 'ok'],
  ['../a/f', 8, 'EXDEV'],
  ['/a/f', 8, 'EXDEV'],
  ['b/up/f', 8, 'EXDEV'],
  ['..', 8, 'EXDEV'],
  ['f', 16, 'ok'],
  ['/f', 16, 'ok'],
  ['../../f', 16, 'ok'],
  ['b/up/f', 16, 'ok'],
  ['/a/f', 16, 'ENOENT'],
  ['b/up', 4, 'ELOOP'],
  ['b/up/a/f', 4, 'ELOOP'],
  ['f', 4, 'ok'],
  ['../proc/version', 0, 'ok'],
  ['../proc/version', 1, 'EXDEV'],
  ['../proc/version', 8, 'EXDEV'],
  ['/proc/self/root/a/f', 0, 'ok'],
  ['/proc/self/root/a/f', 2, 'ELOOP'],
  ['../proc/self/root', 16, 'ENOENT'],
  ['f', 64, 'EINVAL'],
  ['f', 24, 'EINVAL'],
];

test('openat2() keeps the walk where RESOLVE_* says', () => {
  const g = tree();
  const dir = g.open('a', 0o200000);
  for (const [path, resolve, expected] of RESOLVE_TABLE) {
    assert.is(openat2(g, dir, path, 0, resolve), expected, `${path} ${resolve}`);
  }
  g.close();
});

test('openat2() refuses structs and flags that it does not know', () => {
  const g = tree();
  const how = new Uint8Array(32);
  assert.is(g.try('openat2', AT_FDCWD, 'a/f', how, 16), 'EINVAL');
  assert.is(g.try('openat2', AT_FDCWD, 'a/f', how, 5000), 'E2BIG');
  assert.ok((g.try('openat2', AT_FDCWD, 'a/f', how, 32) as number) >= 0);
  how[31] = 1;
  assert.is(g.try('openat2', AT_FDCWD, 'a/f', how, 32), 'E2BIG');
  assert.is(openat2(g, AT_FDCWD, 'a/f', 0x4000_0000, 0), 'EINVAL');
  g.close();
});

test('chdir(), chroot() and getcwd() agree about where the process is', () => {
  const g = tree();
  assert.is(g.call('chdir', 'link'), 0);
  assert.is(g.cwd(), '/a/b');
  assert.is(g.file('c'), 'deep');
  assert.is(g.call('chdir', '..'), 0);
  assert.is(g.cwd(), '/a');
  assert.is(g.try('getcwd', g.out, 2), 'ERANGE');
  assert.is(g.try('chdir', 'f'), 'ENOTDIR');
  const out = g.open('/', 0o200000);
  assert.is(g.call('chroot', '/a/b'), 0);
  assert.is(g.cwd(), '(unreachable)/a');
  assert.is(g.call('chdir', '/'), 0);
  assert.is(g.cwd(), '/');
  assert.is(g.stat('/../../noexec'), 'ENOENT');
  assert.is(g.file('/c'), 'deep');
  assert.is(g.call('fchdir', out), 0);
  assert.is(g.mustStat('noexec').size, 1);
  g.close();
});

test('names that are no UTF-8 come back byte by byte', () => {
  const g = makeGuest();
  const name = Uint8Array.of(0x2f, 0xff, 0xfe, 0x80, 0x01, 0);
  assert.is(g.call('mkdir', name, 0o755), 0);
  assert.is(g.call('chdir', name), 0);
  g.call('getcwd', g.out, 100);
  assert.bytes(g.peek(g.out, 6), name);
  g.close();
});

test.run();
