// What inodes take over from the lower layer.
import { assert, suite } from '../../../harness.ts';
import { loadLowerInode } from '../../../../vmm/kernel/vfs/child.ts';
import type { Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { S_IFDIR, S_IFREG } from '../../../../vmm/abi/stat.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/child');

/** An inode as the host has it now; `moment` is what changes by itself. */
function load(g: Guest, mode: number, moment: number): Inode {
  return loadLowerInode(g.k, {
    dev: 1, ino: 2, mode, nlink: moment, uid: 0, gid: 0, rdev: 0, bytes: 7,
    atimeSec: moment, atimeNsec: moment, mtimeSec: mode === S_IFDIR ? moment : 5, mtimeNsec: 6,
    ctimeSec: mode === S_IFDIR ? moment : 5, ctimeNsec: 6,
  }, new Uint8Array(1));
}

function attributes(inode: Inode): number[] {
  return [inode.nlink, inode.bytes, inode.atimeSec, inode.atimeNsec, inode.mtimeSec,
    inode.mtimeNsec, inode.ctimeSec, inode.ctimeNsec, inode.lowerMtimeSec, inode.lowerMtimeNsec];
}

test('loadLowerInode() takes nothing that changes by itself in deterministic mode', () => {
  const g = makeGuest({});
  assert.is(load(g, S_IFDIR, 100).nlink, 100);
  assert.is(load(g, S_IFREG, 100).atimeSec, 100);
  g.k.root.deterministic = true;
  assert.equal(attributes(load(g, S_IFDIR, 100)), attributes(load(g, S_IFDIR, 200)));
  const file = load(g, S_IFREG, 100);
  assert.equal([file.atimeSec, file.atimeNsec, file.mtimeSec, file.nlink], [5, 6, 5, 100]);
  g.close();
});

test.run();
