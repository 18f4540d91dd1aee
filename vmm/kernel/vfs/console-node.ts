// Opening the console by name: /dev/tty and /dev/console when a stream is a terminal, and the standard
// streams again through /dev/stdin or /proc/self/fd/N.
import { ENXIO } from '../../abi/errno.ts';
import { O_ACCMODE, O_RDONLY } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import { type File, FILE_CONSOLE } from '../records/vfs.ts';
import { makeFile, setFilePlace } from './file.ts';

/** Bits of Console.terminals: stdin, stdout. */
const STDIN_IS_TERMINAL = 1;

/**
 * A new open file on the console.
 * @param from the console file to open again; without it, the terminal, if there is one (ENXIO)
 */
export function openConsole(k: Kernel, flags: number, from?: File): File | number {
  const { console } = k.root;
  if (console === null) return -ENXIO;
  if (from === undefined && console.terminals === 0) return -ENXIO;
  const file = makeFile(k, FILE_CONSOLE, flags);
  file.object = console;
  file.variant = from?.variant ?? terminalStream(console.terminals, flags);
  setFilePlace(k, file, from?.inode ?? console.inode);
  return file;
}

/** The stream that is a terminal and suits the access mode best. */
function terminalStream(terminals: number, flags: number): number {
  if ((flags & O_ACCMODE) === O_RDONLY && (terminals & STDIN_IS_TERMINAL) !== 0) return 0;
  if ((terminals & 2) !== 0) return 1;
  return (terminals & 4) !== 0 ? 2 : 0;
}
