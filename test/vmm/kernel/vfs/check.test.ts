// checkVfs(): passes what the kernel makes, refuses what a forged image could say.
import { assert, suite } from '../../../harness.ts';
import type { Dentry, Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { checkVfs, VfsCorruptError } from '../../../../vmm/kernel/vfs/check.ts';
import { findChild } from '../../../../vmm/kernel/vfs/dentry.ts';
import { makeConsole } from '../../../../vmm/kernel/ipc/console.ts';
import { installFd } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/check');

function used(): Guest {
  const g = makeGuest({ d: { a: 'a', b: 'b' } });
  const { stdin } = makeConsole(g.k);
  installFd(g.k, g.process, stdin);
  g.open('/d/a', 2);
  g.write('/d/new', 'x');
  g.call('mkdir', '/d/sub', 0o755);
  g.call('unlink', '/d/b');
  g.open('/proc/self/status');
  g.call('fcntl', 1, 6, new Uint8Array([1, ...new Uint8Array(31)]));
  return g;
}

function child(g: Guest, ...names: string[]): Dentry {
  let at = g.k.root.rootDentry;
  for (const name of names) {
    at = at === null ? null : findChild(g.k, at, new TextEncoder().encode(name));
  }
  if (at === null) throw new Error(`no ${names.join('/')}`);
  return at;
}

/** What a forged image might say, one thing at a time. */
const FORGERIES: Readonly<Record<string, (g: Guest) => void>> = {
  'a sibling list leads back': (g) => {
    const dentry = child(g, 'd', 'a');
    dentry.nextSibling = child(g, 'd').firstChild;
  },
  'a directory is inside itself': (g) => { child(g, 'd', 'sub').firstChild = child(g, 'd'); },
  'a parent is its own grandchild': (g) => {
    const file = g.process.fds.slots.get(1);
    const dentry = file?.dentry ?? null;
    if (dentry === null) throw new Error('no file');
    dentry.parent = dentry;
  },
  'a file has children': (g) => { child(g, 'd', 'a').firstChild = child(g, 'd', 'new'); },
  'a reference too many is counted': (g) => { child(g, 'd', 'new').refs++; },
  'an inode has one user less than it counts': (g) => {
    (child(g, 'd', 'a').inode as Inode).refs--;
  },
  'a size is not a number': (g) => { (child(g, 'd', 'a').inode as Inode).bytes = NaN; },
  'a size is negative': (g) => { (child(g, 'd', 'a').inode as Inode).bytes = -1; },
  'more lower bytes than bytes': (g) => { (child(g, 'd', 'a').inode as Inode).lowerBytes = 100; },
  'an inode of no file system': (g) => { (child(g, 'd', 'a').inode as Inode).fs = 77; },
  'locks lead back': (g) => {
    const { locks } = child(g, 'd', 'a').inode as Inode;
    if (locks === null) throw new Error('no lock');
    locks.next = locks;
  },
  'a name with a slash': (g) => { child(g, 'd', 'a').name.data[0] = 0x2f; },
  'a file of no kind': (g) => { g.process.fds.slots.get(1)!.kind = 99; },
  'a file without its inode': (g) => { g.process.fds.slots.get(1)!.inode = null; },
  'a descriptor table that is longer than it is': (g) => { g.process.fds.slots.length = 10_000; },
  'a hint beyond a free descriptor': (g) => { g.process.fds.hint = 50; },
  'a working directory that is a file': (g) => { g.process.cwd = child(g, 'd', 'a'); },
  'a mount that does not know where it is': (g) => { child(g, 'proc').mounted!.mountPoint = null; },
};

test('checkVfs() passes what the kernel itself has made', () => {
  const g = used();
  checkVfs(g.k);
  g.close();
});

for (const [what, forge] of Object.entries(FORGERIES)) {
  test(`checkVfs() refuses records in which ${what}`, () => {
    const g = used();
    forge(g);
    g.t.isBroken = true;
    assert.throws(() => checkVfs(g.k), VfsCorruptError);
    g.close();
  });
}

test.run();
