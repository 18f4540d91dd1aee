// Files for the tests of the memory manager: an inode over a lower file, without a path walk.
import { S_IFREG } from '../../../../vmm/abi/stat.ts';
import { FILE_REGULAR, FS_OVERLAY, type Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { makeBytes } from '../../../../vmm/kernel/state/containers.ts';
import { installFd } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { makeFile, setFilePlace } from '../../../../vmm/kernel/vfs/file.ts';
import { makeInode } from '../../../../vmm/kernel/vfs/inode.ts';
import type { TestKernel } from '../../../helpers/kernel.ts';

/** The inode of lower file `name` (at the root), held once. */
export function lowerInode(t: TestKernel, name: string): Inode {
  const path = new TextEncoder().encode(name);
  const stat = t.lower.stat(path);
  if (typeof stat === 'number') throw new Error(`no lower file ${name}`);
  const inode = makeInode(t.k, FS_OVERLAY, S_IFREG | 0o644);
  inode.refs = 1;
  inode.lowerPath = makeBytes(t.k.arena, path);
  inode.lowerDev = stat.dev;
  inode.lowerIno = stat.ino;
  inode.lowerSize = stat.bytes;
  inode.lowerMtimeSec = stat.mtimeSec;
  inode.lowerMtimeNsec = stat.mtimeNsec;
  inode.bytes = stat.bytes;
  inode.lowerBytes = stat.bytes;
  return inode;
}

/** A descriptor of the inode. */
export function openInode(t: TestKernel, inode: Inode, flags: number): number {
  const file = makeFile(t.k, FILE_REGULAR, flags);
  setFilePlace(t.k, file, inode);
  return installFd(t.k, t.process, file);
}

/** `pages` pages, each filled with its number + 1, and `extra` bytes of 0xee. */
export function pattern(pages: number, extra: number = 0): Uint8Array {
  const bytes = new Uint8Array(pages * 4096 + extra).fill(0xee);
  for (let page = 0; page < pages; page++) bytes.fill(page + 1, page * 4096, (page + 1) * 4096);
  return bytes;
}
