// FILE_GENERATED: files of /proc and /sys. The text is made at the first read and again by each
// read at offset 0 (programs keep such files open and rewind them), and stays the same in between.
import { EFAULT, EINVAL, EIO } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import { type File, FILE_GENERATED, type Inode } from '../records/vfs.ts';
import { Bytes } from '../state/containers.ts';
import { defineFileOps, type IoBuffer } from './file-ops.ts';
import { generateText, generatorOf } from './proc/generated.ts';
import { ALWAYS_READY, seekWithin } from './regular-file.ts';

/** Most bytes of one write (Linux: a page). */
const WRITE_BYTES_MOST = 4096;

/**
 * Copies `data` into a byte string whose room is rounded up, so that a freed one fits the next text
 * of about that size (the arena reuses by exact size).
 */
export function makeRoundedBytes(k: Kernel, data: Uint8Array): Bytes {
  let room = 64;
  while (room < data.length) room *= 2;
  const made = k.arena.make(Bytes, room);
  made.length = data.length;
  made.data.set(data);
  return made;
}

function contentOf(k: Kernel, file: File, offset: number): Bytes | number {
  const { content } = file;
  if (content !== null && offset !== 0) return content;
  const text = generateText(k, file.inode as Inode);
  if (typeof text === 'number') return text;
  if (content !== null) {
    file.content = null;
    k.arena.free(content);
  }
  const made = makeRoundedBytes(k, text);
  file.content = made;
  return made;
}

function readGenerated(k: Kernel, file: File, to: IoBuffer, offset: number): number {
  if (to.remaining === 0) return 0;
  const content = contentOf(k, file, offset);
  if (typeof content === 'number') return content;
  if (offset >= content.length) return 0;
  const wanted = Math.min(to.remaining, content.length - offset);
  const done = to.put(content.data.subarray(offset, offset + wanted));
  return done === 0 ? -EFAULT : done;
}

function writeGenerated(k: Kernel, file: File, from: IoBuffer, _offset: number): number {
  const inode = file.inode as Inode;
  const { write } = generatorOf(inode);
  if (write === undefined) return -EIO;
  const data = new Uint8Array(Math.min(from.remaining, WRITE_BYTES_MOST));
  const taken = from.take(data);
  if (taken < data.length) return -EFAULT;
  const error = write(k, inode.generatorArgument, data);
  return error < 0 ? error : taken;
}

defineFileOps(FILE_GENERATED, {
  seekable: true,
  read: readGenerated,
  write: writeGenerated,
  poll: () => ALWAYS_READY,
  queue: () => null,
  // Linux: seq_lseek knows SEEK_SET and SEEK_CUR only.
  seek: (_k, file, offset, whence) => whence > 1 ? -EINVAL : seekWithin(file, offset, whence, 0),
});
