// The overlay (records above, lower file system below) against a plain directory of the host.
import { assert, seededRandom, suite } from '../../../harness.ts';
import { type LowerTree, lowerLink } from '../../../helpers/lower-tree.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { dumpTree, GuestSide, HostSide, type Operation, run } from './host-oracle.ts';

const test = suite('vmm/kernel/vfs/overlay');

/** What both sides begin with: the guest as its lower layer. */
function lowerTree(): LowerTree {
  return {
    a: { x: 'ax', y: 'ay', d: { deep: 'deep', e: {} } },
    b: { x: 'bx' },
    c: 'file c',
    L: lowerLink('a'),
    M: lowerLink('missing'),
    F: lowerLink('c'),
    empty: {},
  };
}

function compare(operations: readonly Operation[]): void {
  const guest = new GuestSide(lowerTree());
  const host = new HostSide(lowerTree());
  try {
    for (const operation of operations) {
      assert.is(run(guest, operation), run(host, operation), JSON.stringify(operation));
    }
    assert.is(dumpTree(guest), dumpTree(host));
    checkVfs(guest.guest.k);
  } finally {
    host.close();
    guest.close();
  }
}

const O_EXCL = 0o300;
const O_CREAT = 0o100;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;
const O_DIRECTORY = 0o200000;
const O_NOFOLLOW = 0o400000;

const TABLES: Readonly<Record<string, readonly Operation[]>> = {
  'unlink and make again': [
    ['unlink', 'c'], ['lstat', 'c'], ['list', '.'], ['write', 'c', O_EXCL, 'new'], ['read', 'c'],
    ['unlink', 'c'], ['unlink', 'c'], ['read', 'F'],
  ],
  'directories that are removed and made again are empty': [
    ['rmdir', 'a'], ['unlink', 'a/x'], ['unlink', 'a/y'], ['unlink', 'a/d/deep'], ['rmdir', 'a/d'],
    ['rmdir', 'a/d/e'], ['rmdir', 'a/d'], ['list', 'a'], ['rmdir', 'a'], ['mkdir', 'a'],
    ['list', 'a'], ['lstat', 'a/x'], ['write', 'a/x', 0, 'again'], ['list', 'a'],
  ],
  'a renamed directory keeps its lower children': [
    ['rename', 'a', 'moved'], ['list', 'moved'], ['read', 'moved/d/deep'], ['lstat', 'a'],
    ['read', 'L/x'], ['mkdir', 'a'], ['list', 'a'], ['rename', 'moved/d', 'a/d'], ['list', 'a/d'],
    ['read', 'a/d/deep'], ['list', 'moved'], ['rename', 'a', 'moved/d'], ['list', 'moved'],
    ['read', 'moved/d/d/deep'],
  ],
  'rename over what exists': [
    ['rename', 'c', 'b/x'], ['read', 'b/x'], ['lstat', 'c'], ['rename', 'b/x', 'c'], ['list', 'b'],
    ['rename', 'a', 'c'], ['rename', 'c', 'a'], ['rename', 'a', 'b'], ['rename', 'empty', 'a'],
    ['rename', 'b', 'empty'], ['rename', 'a', 'a/d'], ['rename', 'a/d', 'a'],
    ['rename', 'a/x', 'a/x'],
    ['rename', 'missing', 'a'], ['rename', 'a/x', 'missing/x'], ['rename', 'a/.', 'b'],
    ['rename', 'c', 'd/'], ['rename', 'c/', 'd'], ['rename', 'a/d', 'nd/'], ['list', 'nd'],
  ],
  'links count and share content': [
    ['link', 'c', 'c2'], ['lstat', 'c'], ['write', 'c2', O_APPEND, '+'], ['read', 'c'],
    ['unlink', 'c'], ['lstat', 'c2'], ['link', 'c2', 'a/c3'], ['rename', 'a/c3', 'c2'],
    ['list', 'a'], ['link', 'a', 'a2'],
    ['link', 'F', 'F2'], ['readlink', 'F2'], ['link', 'c2', 'b'], ['link', 'c2', 'new/'],
    ['link', 'missing', 'z'],
  ],
  'symbolic links': [
    ['symlink', 'x', 'a/s'], ['read', 'a/s'], ['symlink', 'y', 'a/s'], ['unlink', 'L'],
    ['list', 'a'],
    ['symlink', 'a/d', 'L'], ['list', 'L'], ['unlink', 'L/'], ['rmdir', 'L'], ['mkdir', 'M'],
    ['symlink', 'q', 'new/'], ['readlink', 'a'], ['readlink', 'c'], ['rename', 'M', 'M2'],
    ['readlink', 'M2'],
  ],
  'open with its flags': [
    ['open', 'c', O_EXCL], ['open', 'new', O_EXCL], ['open', 'new', O_EXCL], ['open', 'a', 1],
    ['open', 'a', 2], ['open', 'a', O_CREAT], ['open', 'a', O_TRUNC], ['open', 'a', O_DIRECTORY],
    ['open', 'c', O_DIRECTORY], ['open', 'L', O_NOFOLLOW], ['open', 'L', O_NOFOLLOW | O_DIRECTORY],
    ['open', 'F', O_NOFOLLOW], ['open', 'F', O_CREAT], ['open', 'M', 0], ['open', 'M', O_EXCL],
    ['open', 'M', O_CREAT | O_NOFOLLOW], ['open', 'M', O_CREAT], ['lstat', 'missing'],
    ['open', 'nodir/x', O_CREAT], ['open', 'c/x', O_CREAT], ['open', 'fresh/', O_CREAT],
    ['open', 'a/', O_CREAT], ['open', 'a/.', O_CREAT], ['open', 'a/..', O_CREAT],
    ['open', 'c', O_TRUNC | 2], ['read', 'c'], ['open', 'b/x', O_TRUNC], ['read', 'b/x'],
  ],
  'writing at the start, the end, and after a truncation': [
    ['write', 'c', 0, 'FI'], ['read', 'c'], ['write', 'c', O_APPEND, '!'], ['read', 'c'],
    ['truncate', 'c', 3], ['read', 'c'], ['truncate', 'c', 6], ['read', 'c'],
    ['write', 'c', O_APPEND, 'z'],
    ['read', 'c'], ['truncate', 'a', 0], ['truncate', 'missing', 0], ['truncate', 'M', 0],
    ['truncate', 'F', 1], ['read', 'c'], ['truncate', 'c', 5000], ['lstat', 'c'],
    ['truncate', 'c', 1],
    ['truncate', 'c', 5000], ['read', 'c'],
  ],
  'modes': [
    ['chmod', 'c', 0o600], ['lstat', 'c'], ['chmod', 'F', 0o640], ['lstat', 'c'], ['lstat', 'F'],
    ['chmod', 'a', 0o700], ['lstat', 'a'], ['chmod', 'M', 0o700],
  ],
  'rename without replacing, and exchange': [
    ['rename', 'c', 'b/x', 1], ['rename', 'c', 'b/z', 1], ['lstat', 'c'], ['rename', 'b/z', 'a', 2],
    ['list', '.'], ['read', 'a'], ['list', 'b/z'], ['rename', 'a', 'missing', 2],
    ['rename', 'a', 'b/x', 3],
    ['rename', 'b', 'b/z', 2], ['rename', 'b/z/d', 'b', 2], ['rename', 'empty', 'a', 2],
    ['rename', 'a', '.', 1], ['rename', 'a', 'b', 8], ['rename', 'F', 'L', 2], ['readlink', 'F'],
    ['rename', 'F/', 'a/', 2], ['rename', 'a', 'empty/', 2],
  ],
  'names that make no sense': [
    ['mkdir', '.'], ['mkdir', 'a/..'], ['rmdir', 'a/.'], ['rmdir', 'a/..'], ['unlink', 'a/.'],
    ['unlink', 'a/..'], ['mkdir', 'c'], ['mkdir', 'c/d'], ['mkdir', 'm/n'], ['mkdir', 'new/'],
    ['rmdir', 'new/'], ['unlink', 'a'], ['unlink', 'a/'], ['unlink', 'c/'], ['rmdir', 'c'],
    ['rmdir', 'missing'], ['mkdir', 'L'], ['mkdir', 'L/'], ['rmdir', 'L/'],
  ],
};

for (const [title, operations] of Object.entries(TABLES)) {
  test(`the overlay answers as the host does: ${title}`, () => compare(operations));
}

const NAMES = ['a', 'b', 'c', 'd', 'x', 'L', 'F', 'M', 'empty'] as const;
const KINDS = [
  'mkdir', 'rmdir', 'unlink', 'rename', 'rename', 'link', 'symlink', 'write', 'write', 'truncate',
  'open', 'list', 'lstat', 'read', 'chmod',
] as const;
const FLAGS = [0, 2, O_CREAT, O_EXCL, O_TRUNC | 1, O_APPEND | 1, O_DIRECTORY, O_NOFOLLOW];

test('the overlay answers as the host does when 200 random operations run', () => {
  const random = seededRandom();
  const { pick } = random;
  const path = (): string => {
    const parts = [pick(NAMES)];
    while (random.int(0, 2) > 0 && parts.length < 4) parts.push(pick(NAMES));
    return parts.join('/');
  };
  for (let round = 0; round < 10; round++) {
    const operations: Operation[] = [];
    for (let n = 0; n < 200; n++) {
      const kind = pick(KINDS);
      const first = kind === 'symlink' ? pick(NAMES) : path();
      const second = kind === 'write' || kind === 'open'
        ? pick(FLAGS)
        : kind === 'chmod' ? pick([0o755, 0o700]) : kind === 'truncate' ? pick([0, 3, 9]) : path();
      operations.push([kind, first, second, kind === 'rename' ? pick([0, 0, 1, 2]) : 'text']);
    }
    compare(operations);
  }
}, { timeoutMs: 120_000 });

test.run();
