// Opening a FIFO: who waits for whom, and what O_NONBLOCK, O_RDWR and signals change in that.
import { ENXIO, EPIPE } from '../../../../vmm/abi/errno.ts';
import { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } from '../../../../vmm/abi/fcntl.ts';
import { POLLHUP, POLLIN, POLLRDNORM } from '../../../../vmm/abi/poll.ts';
import { SI_USER, SIGUSR1 } from '../../../../vmm/abi/signal.ts';
import { S_IFIFO } from '../../../../vmm/abi/stat.ts';
import { openFifo } from '../../../../vmm/kernel/ipc/fifo.ts';
import { type Inode, FS_OVERLAY } from '../../../../vmm/kernel/records/vfs.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { actionBytes } from '../../../../vmm/kernel/signal/actions.ts';
import { makeInfo, sendSignal } from '../../../../vmm/kernel/signal/pending.ts';
import { BLOCKED, ERESTARTSYS } from '../../../../vmm/kernel/syscalls/define.ts';
import { holdInode, makeInode } from '../../../../vmm/kernel/vfs/inode.ts';
import { installFd } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { assert, suite } from '../../../harness.ts';
import { Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/fifo');

class FifoDriver extends Driver {
  readonly inode: Inode = holdInode(makeInode(this.t.k, FS_OVERLAY, S_IFIFO | 0o644));

  /** Opens the FIFO: a descriptor, or what openFifo() returned. */
  open(flags: number, task: Task = this.t.task): number {
    const { k, process } = this.t;
    const file = openFifo(k, task, this.inode, flags);
    if (typeof file !== 'number') {
      task.waitState = 0;
      task.waitArgument = 0;
      return installFd(k, process, file);
    }
    return file;
  }
}

test('a reader and a writer wait for each other', () => {
  const d = new FifoDriver();
  const other = d.t.addTask();
  assert.is(d.open(O_RDONLY, other), BLOCKED);
  assert.is(d.isBlocked(other), true);
  const writer = d.open(O_WRONLY);
  assert.ok(writer >= 0);
  assert.is(d.isBlocked(other), false);
  const reader = d.open(O_RDONLY, other);
  d.write(writer, 'through');
  assert.is(d.read(reader, 10), 'through');
  d.close(writer);
  assert.is(d.read(reader, 10), '');
  d.close(reader);
  assert.is(d.inode.object, null);
  d.end();
});

test('a waiting open succeeds even when the other side has gone again', () => {
  const d = new FifoDriver();
  const other = d.t.addTask();
  assert.is(d.open(O_RDONLY, other), BLOCKED);
  const writer = d.open(O_WRONLY);
  d.write(writer, 'left behind');
  d.close(writer);
  const reader = d.open(O_RDONLY, other);
  assert.is(d.read(reader, 20), 'left behind');
  assert.is(d.read(reader, 20), '');
  d.end();
});

test('O_NONBLOCK: a reader opens alone, a writer gets ENXIO', () => {
  const d = new FifoDriver();
  assert.is(d.open(O_WRONLY | O_NONBLOCK), -ENXIO);
  assert.is(d.inode.object, null);
  const reader = d.open(O_RDONLY | O_NONBLOCK);
  assert.is(d.poll(reader), 0, 'no hang-up before the first writer');
  assert.is(d.read(reader, 1), '');
  const writer = d.open(O_WRONLY | O_NONBLOCK);
  d.write(writer, 'x');
  d.close(writer);
  assert.is(d.poll(reader), POLLIN | POLLRDNORM | POLLHUP);
  d.close(reader);
  d.end();
});

test('O_RDWR never waits and counts as both ends', () => {
  const d = new FifoDriver();
  const both = d.open(O_RDWR);
  assert.is(d.write(both, 'self'), 4);
  assert.is(d.read(both, 10), 'self');
  const writer = d.open(O_WRONLY);
  d.close(both);
  assert.is(d.write(writer, 'x'), -EPIPE);
  d.close(writer);
  assert.is(d.inode.object, null);
  d.end();
});

test('a signal ends a waiting open, which counts no more', () => {
  const d = new FifoDriver();
  const { k, process, task } = d.t;
  actionBytes(process, SIGUSR1).set([0, 0, 0x10]);
  assert.is(d.open(O_WRONLY), BLOCKED);
  sendSignal(k, process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.open(O_WRONLY), -ERESTARTSYS);
  assert.is(d.inode.object, null);
  assert.is(task.waiters, null);
  d.end();
});

test.run();
