// Epoll instances. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { File } from '../records/vfs.ts';

/** The last descriptor of `file` is gone: removes every interest in it. Called by dropFile. */
export function epollFileGone(_k: Kernel, _file: File): void {}
