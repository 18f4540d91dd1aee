// The sandbox's stdin, stdout and stderr over the console port. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { File } from '../records/vfs.ts';

/** The three standard files. Each has one reference, the caller's. */
export interface StandardFiles {
  stdin: File;
  stdout: File;
  stderr: File;
}

export function makeConsole(_k: Kernel): StandardFiles {
  throw new Error('makeConsole is not written yet');
}

/** The host side has input, or room for output: wakes whoever waits for the console. */
export function consoleReadable(_k: Kernel): void {}
