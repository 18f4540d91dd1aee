// AF_UNIX sockets. (Signatures; the body follows.)
import type { File } from '../records/vfs.ts';

/** True when `file` is a socket on which listen(2) was called. */
export function isListening(_file: File): boolean {
  return false;
}
