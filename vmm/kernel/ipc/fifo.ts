// Named pipes: open(2) of a FIFO, which waits for the other side.
//
// The pipe hangs from the inode (Inode.object) while any end is open or waits. An open that waits
// is counted as an end already, so that the other side finds it; the open counters tell it that the
// other side came, even when it has gone again (Linux: fifo_open, wait_for_partner).
import { ENXIO } from '../../abi/errno.ts';
import { O_ACCMODE, O_NONBLOCK, O_RDONLY, O_RDWR } from '../../abi/fcntl.ts';
import type { Kernel } from '../kernel.ts';
import { Pipe } from '../records/ipc.ts';
import type { Task } from '../records/task.ts';
import { type File, FILE_PIPE, type Inode } from '../records/vfs.ts';
import { BLOCKED } from '../syscalls/define.ts';
import { block, wake } from '../task/block.ts';
import { makeAnonFile } from './anon-file.ts';
import { freePipe, makePipe, PIPE_BOTH_ENDS, PIPE_READ_END, PIPE_WRITE_END } from './pipe.ts';

/** Task.waitState of an open that is counted as an end already and waits for the other one. */
const OPEN_WAITS = 1;

/**
 * Opens an end of a nameless pipe again, through /proc/self/fd. Linux: nobody waits for the other
 * side there, which may be gone.
 */
export function openPipeAgain(k: Kernel, inode: Inode, flags: number): File {
  const mode = flags & O_ACCMODE;
  const oneEnd = mode === O_RDONLY ? PIPE_READ_END : PIPE_WRITE_END;
  const variant = mode === O_RDWR ? PIPE_BOTH_ENDS : oneEnd;
  return finishOpen(k, fifoOf(k, inode), inode, flags, variant);
}

/**
 * Opens the FIFO `inode` (open(2) calls it last, for its wait fields are used here).
 * @returns a file with one reference (its inode set), -ENXIO, or what block() says: BLOCKED,
 * -ERESTARTSYS
 */
export function openFifo(k: Kernel, task: Task, inode: Inode, flags: number): File | number {
  const mode = flags & O_ACCMODE;
  const pipe = fifoOf(k, inode);
  const counted = task.waitState === OPEN_WAITS;
  if (mode === O_RDWR) return finishOpen(k, pipe, inode, flags, PIPE_BOTH_ENDS);
  const isReader = mode === O_RDONLY;
  const others = isReader ? pipe.writers : pipe.readers;
  if (!isReader && (flags & O_NONBLOCK) !== 0 && others === 0) {
    freeUnused(k, inode, pipe);
    return -ENXIO;
  }
  if (!counted) countEnd(k, pipe, isReader, true);
  const came = counted && task.waitArgument !== (isReader ? pipe.writerOpens : pipe.readerOpens);
  if (others > 0 || came || (flags & O_NONBLOCK) !== 0) {
    uncountEnd(pipe, isReader);
    return finishOpen(k, pipe, inode, flags, isReader ? PIPE_READ_END : PIPE_WRITE_END);
  }
  if (!counted) task.waitArgument = isReader ? pipe.writerOpens : pipe.readerOpens;
  task.waitState = OPEN_WAITS;
  const result = block(k, task, [pipe.queue]);
  if (result !== BLOCKED) {
    uncountEnd(pipe, isReader);
    freeUnused(k, inode, pipe);
  }
  return result;
}

function fifoOf(k: Kernel, inode: Inode): Pipe {
  if (inode.object !== null) return k.arena.at(Pipe, inode.object.address);
  const pipe = makePipe(k);
  inode.object = pipe;
  return pipe;
}

function freeUnused(k: Kernel, inode: Inode, pipe: Pipe): void {
  if (pipe.readers + pipe.writers > 0) return;
  inode.object = null;
  freePipe(k, pipe);
}

function countEnd(k: Kernel, pipe: Pipe, isReader: boolean, isNew: boolean): void {
  if (isReader) pipe.readers++;
  else pipe.writers++;
  if (!isNew) return;
  if (isReader) pipe.readerOpens++;
  else pipe.writerOpens++;
  wake(k, pipe.queue);
}

function uncountEnd(pipe: Pipe, isReader: boolean): void {
  if (isReader) pipe.readers--;
  else pipe.writers--;
}

function finishOpen(
  k: Kernel,
  pipe: Pipe,
  inode: Inode,
  flags: number,
  variant: number,
): File {
  const file = makeAnonFile(k, FILE_PIPE, flags, pipe, inode);
  file.variant = variant;
  if (variant === PIPE_BOTH_ENDS) {
    countEnd(k, pipe, true, true);
    countEnd(k, pipe, false, true);
  } else {
    countEnd(k, pipe, variant === PIPE_READ_END, false);
  }
  // See pollPipe: which writers had come when this reader came alone.
  if (pipe.writers === 0) file.position = pipe.writerOpens;
  return file;
}
