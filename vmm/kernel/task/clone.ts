// New threads: clone(2), clone3(2). (Signatures; the body follows.)
import { EAGAIN } from '../../abi/errno.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';

/** `struct clone_args` as far as threads need it. */
export interface CloneRequest {
  /** CLONE_*; may exceed 32 bits. */
  flags: number;
  exitSignal: number;
  /** Value of rsp in the child; 0 = the parent's. */
  stack: number;
  tls: number;
  parentTid: number;
  childTid: number;
}

/** Makes a thread; returns its tid or -errno. */
export function cloneTask(_k: Kernel, _parent: Task, _request: CloneRequest): number {
  return -EAGAIN;
}
