// Opening the console by name: /dev/tty and /dev/console when a stream is a terminal, and the
// standard streams again through /dev/stdin or /proc/self/fd/N.
import { ENXIO } from '../../abi/errno.ts';
import { O_ACCMODE, O_RDONLY } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import { type Dentry, type File, FILE_CONSOLE, type Inode } from '../records/vfs.ts';
import { makeFile, setFilePlace } from './file.ts';

/** Bits of Console.terminals: stdin, stdout. */
const STDIN_IS_TERMINAL = 1;

/** Opens the terminal through its node (/dev/tty, /dev/console); ENXIO when no stream is one. */
export function openTerminal(
  k: Kernel,
  inode: Inode,
  dentry: Dentry | null,
  flags: number,
): File | number {
  const { console } = k.root;
  if (console === null || console.terminals === 0) return -ENXIO;
  const file = makeFile(k, FILE_CONSOLE, flags);
  file.object = console;
  file.variant = terminalStream(console.terminals, flags);
  setFilePlace(k, file, inode, dentry);
  return file;
}

/** Opens the stream of a console file once more. */
export function reopenStream(k: Kernel, from: File, flags: number): File {
  const file = makeFile(k, FILE_CONSOLE, flags);
  file.object = from.object;
  file.variant = from.variant;
  setFilePlace(k, file, from.inode);
  return file;
}

/** The stream that is a terminal and suits the access mode best. */
function terminalStream(terminals: number, flags: number): number {
  if ((flags & O_ACCMODE) === O_RDONLY && (terminals & STDIN_IS_TERMINAL) !== 0) return 0;
  if ((terminals & 2) !== 0) return 1;
  return (terminals & 4) !== 0 ? 2 : 0;
}
