// pipe(2), pipe2(2). Reading and writing is read-write.ts over ipc/pipe.ts.
import { EINVAL } from '../../abi/errno.ts';
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../../abi/fcntl.ts';
import { installPair } from '../ipc/anon-file.ts';
import { makePipeFiles } from '../ipc/pipe.ts';
import type { Kernel } from '../kernel.ts';
import type { Task } from '../records/task.ts';
import type { Args } from './args.ts';
import { type Family, full, partial } from './define.ts';

function pipe(k: Kernel, task: Task, a: Args): number {
  return openPipe(k, task, a.u64(0), 0);
}

function pipe2(k: Kernel, task: Task, a: Args): number {
  return openPipe(k, task, a.u64(0), a.i32(1));
}

function openPipe(k: Kernel, task: Task, gva: number, flags: number): number {
  if ((flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT)) !== 0) return -EINVAL;
  const files = makePipeFiles(k, flags & (O_NONBLOCK | O_DIRECT));
  return installPair(k, task.process, files, (flags & O_CLOEXEC) !== 0, gva);
}

export const pipeCalls: Family = {
  pipe: full(pipe),
  pipe2: partial(pipe2, 'O_DIRECT is accepted, but packets are not kept apart.'),
};
