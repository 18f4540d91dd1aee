// signalfd(2): signals that are read instead of delivered, and waiting for them.
import { EAGAIN, EBADF, EFAULT, EINVAL } from '../../../../vmm/abi/errno.ts';
import { POLLIN } from '../../../../vmm/abi/poll.ts';
import {
  SFD_CLOEXEC, SFD_NONBLOCK, SI_QUEUE, SI_USER, SIGKILL, SIGUSR1, SIGUSR2,
} from '../../../../vmm/abi/signal.ts';
import { SignalfdSiginfo } from '../../../../vmm/abi/struct-signal.ts';
import type { SignalFd } from '../../../../vmm/kernel/records/ipc.ts';
import { setMask } from '../../../../vmm/kernel/signal/mask.ts';
import {
  makeInfo, sendSignal, sendSignalToTask,
} from '../../../../vmm/kernel/signal/pending.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/signalfd');
const bit = (signal: number): bigint => 1n << BigInt(signal - 1);

class SignalDriver extends Driver {
  /** A descriptor for SIGUSR1 and SIGUSR2, which the thread blocks. */
  open(flags: number = SFD_NONBLOCK): number {
    const mask = bit(SIGUSR1) | bit(SIGUSR2);
    setMask(this.t.k, this.t.task, mask);
    this.putU64(this.base, mask);
    return this.call('signalfd4', -1, this.base, 8, flags);
  }

  info(index: number): DataView {
    return this.view(this.scratch + index * 128, 128);
  }
}

test('read() takes pending signals with what is known of them', () => {
  const d = new SignalDriver();
  const { k, process, task } = d.t;
  const fd = d.open(SFD_NONBLOCK | SFD_CLOEXEC);
  assert.is(isCloseOnExec(process.fds, fd), true);
  assert.is(d.call('read', fd, d.scratch, 128), -EAGAIN);
  assert.is(d.poll(fd), 0);
  sendSignal(k, process, makeInfo(SIGUSR2, SI_USER, 12, 34));
  sendSignalToTask(k, task, { ...makeInfo(SIGUSR1, SI_QUEUE, 5, 6), sigval: -2n });
  assert.is(d.poll(fd), POLLIN);
  assert.is(d.call('read', fd, d.scratch, 300), 256);
  const [first, second] = [d.info(0), d.info(1)];
  assert.is(SignalfdSiginfo.ssi_signo.get(first, 0), SIGUSR1);
  assert.is(SignalfdSiginfo.ssi_code.get(first, 0), SI_QUEUE);
  assert.is(SignalfdSiginfo.ssi_int.get(first, 0), -2);
  assert.is(SignalfdSiginfo.ssi_ptr.get(first, 0), 0xffff_ffff_ffff_fffen);
  assert.is(SignalfdSiginfo.ssi_signo.get(second, 0), SIGUSR2);
  assert.is(SignalfdSiginfo.ssi_pid.get(second, 0), 12);
  assert.is(SignalfdSiginfo.ssi_uid.get(second, 0), 34);
  assert.is(process.pending, null);
  assert.is(task.pending, null);
  d.end();
});

test('read() blocks until a signal of its set comes', () => {
  const d = new SignalDriver();
  const fd = d.open(0);
  assert.is(d.call('read', fd, d.scratch, 128), BLOCKED);
  sendSignal(d.t.k, d.t.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.again(), 128);
  d.end();
});

test('epoll_wait() tells of a signal', () => {
  const d = new SignalDriver();
  const fd = d.open();
  const ep = d.call('epoll_create1', 0);
  d.putI32(d.base, POLLIN, 5, 0);
  assert.is(d.call('epoll_ctl', ep, 1, fd, d.base), 0);
  assert.is(d.call('epoll_wait', ep, d.base, 1, 0), 0);
  sendSignal(d.t.k, d.t.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.call('epoll_wait', ep, d.base, 1, 0), 1);
  d.end();
});

test('signalfd() changes the set of an existing descriptor and leaves SIGKILL out', () => {
  const d = new SignalDriver();
  const fd = d.open();
  d.putU64(d.base, bit(SIGUSR2) | bit(SIGKILL));
  assert.is(d.call('signalfd', fd, d.base, 8), fd);
  assert.is((d.file(fd).object as SignalFd).mask, bit(SIGUSR2));
  sendSignal(d.t.k, d.t.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.call('read', fd, d.scratch, 128), -EAGAIN);
  d.end();
});

test('wrong arguments fail as on Linux', () => {
  const d = new SignalDriver();
  const fd = d.open();
  assert.is(d.call('signalfd4', -1, d.base, 4, 0), -EINVAL);
  assert.is(d.call('signalfd4', -1, BAD_GVA, 8, 0), -EFAULT);
  assert.is(d.call('signalfd4', -1, d.base, 8, 1), -EINVAL);
  assert.is(d.call('signalfd4', 99, d.base, 8, 0), -EBADF);
  assert.is(d.call('signalfd4', d.call('eventfd2', 0, 0), d.base, 8, 0), -EINVAL);
  assert.is(d.call('read', fd, d.scratch, 127), -EINVAL);
  sendSignal(d.t.k, d.t.process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.call('read', fd, BAD_GVA, 128), -EFAULT);
  d.end();
});

test.run();
