// epoll: level, edge and one-shot, waiting and waking, nested instances and their limits.
import {
  EBADF, EEXIST, EFAULT, EINTR, EINVAL, ELOOP, ENOENT, EPERM,
} from '../../../../vmm/abi/errno.ts';
import { EFD_NONBLOCK } from '../../../../vmm/abi/eventfd.ts';
import { O_NONBLOCK } from '../../../../vmm/abi/fcntl.ts';
import {
  EPOLL_CTL_ADD, EPOLL_CTL_DEL, EPOLL_CTL_MOD, EPOLLET, EPOLLEXCLUSIVE, EPOLLHUP, EPOLLIN,
  EPOLLONESHOT, EPOLLOUT, EPOLLRDHUP, POLLIN, POLLRDNORM,
} from '../../../../vmm/abi/poll.ts';
import { SI_USER, SIGUSR1 } from '../../../../vmm/abi/signal.ts';
import { AF_UNIX, SOCK_STREAM } from '../../../../vmm/abi/socket.ts';
import type { Epoll } from '../../../../vmm/kernel/records/ipc.ts';
import { FILE_REGULAR } from '../../../../vmm/kernel/records/vfs.ts';
import { makeInfo, sendSignal } from '../../../../vmm/kernel/signal/pending.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { runTimers } from '../../../../vmm/kernel/time/timers.ts';
import { defineFileOps, opsOf } from '../../../../vmm/kernel/vfs/file-ops.ts';
import { installFd } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { holdFile, makeFile } from '../../../../vmm/kernel/vfs/file.ts';
import { actionBytes } from '../../../../vmm/kernel/signal/actions.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/epoll');

/** One event as a pair [events, data]. */
type Event = [events: number, data: number];

class EpollDriver extends Driver {
  readonly ep: number = this.call('epoll_create1', 0);

  ctl(op: number, fd: number, events: number, data: number = fd, ep: number = this.ep): number {
    this.putI32(this.base, events | 0, data, 0);
    return this.call('epoll_ctl', ep, op, fd, this.base);
  }

  add(fd: number, events: number, ep: number = this.ep): number {
    return this.ctl(EPOLL_CTL_ADD, fd, events, fd, ep);
  }

  events(count: number): Event[] {
    return Array.from({ length: count }, (_, index) => {
      const at = this.view(this.base + index * 12, 12);
      return [at.getUint32(0, true), at.getInt32(4, true)];
    });
  }

  /** epoll_wait(2) that does not wait: the events. */
  now(most: number = 16, ep: number = this.ep): Event[] {
    const count = this.call('epoll_wait', ep, this.base, most, 0);
    if (count < 0) throw new Error(`epoll_wait: ${count}`);
    return this.events(count);
  }

  pipe(): [number, number] {
    return this.pair('pipe2', O_NONBLOCK);
  }
}

test('epoll_wait() tells level-triggered readiness as long as it holds', () => {
  const d = new EpollDriver();
  const [reader, writer] = d.pipe();
  assert.is(d.add(reader, EPOLLIN), 0);
  assert.equal(d.now(), []);
  d.write(writer, 'ab');
  assert.equal(d.now(), [[EPOLLIN, reader]]);
  assert.equal(d.now(), [[EPOLLIN, reader]]);
  d.read(reader, 2);
  assert.equal(d.now(), []);
  d.close(writer);
  assert.equal(d.now(), [[EPOLLHUP, reader]]);
  d.end();
});

test('epoll_wait() tells edge-triggered readiness once per write', () => {
  const d = new EpollDriver();
  const [reader, writer] = d.pipe();
  d.write(writer, 'a');
  d.add(reader, (EPOLLIN | EPOLLET) >>> 0);
  assert.equal(d.now(), [[EPOLLIN, reader]], 'ready when added');
  assert.equal(d.now(), []);
  d.write(writer, 'b');
  assert.equal(d.now(), [[EPOLLIN, reader]], 'a write while data is there');
  d.read(reader, 1);
  assert.equal(d.now(), [], 'reading is no edge');
  d.ctl(EPOLL_CTL_MOD, reader, (EPOLLIN | EPOLLET) >>> 0);
  assert.equal(d.now(), [[EPOLLIN, reader]], 'EPOLL_CTL_MOD looks again');
  d.end();
});

test('epoll_wait() keeps events of the other direction from edge-triggered interests', () => {
  const d = new EpollDriver();
  const [a, b] = d.pair('socketpair', AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0);
  d.write(b, 'unread');
  d.add(a, (EPOLLIN | EPOLLET) >>> 0);
  assert.equal(d.now(), [[EPOLLIN, a]]);
  // The peer reads what was sent: room for writing is no input.
  d.write(a, 'x'.repeat(1000));
  d.read(b, 1000);
  assert.equal(d.now(), []);
  d.write(b, 'more');
  assert.equal(d.now(), [[EPOLLIN, a]]);
  d.end();
});

test('EPOLLONESHOT disables an interest until EPOLL_CTL_MOD', () => {
  const d = new EpollDriver();
  const fd = d.call('eventfd2', 1, EFD_NONBLOCK);
  d.add(fd, EPOLLIN | EPOLLONESHOT);
  assert.equal(d.now(), [[EPOLLIN, fd]]);
  assert.equal(d.now(), []);
  d.putU64(d.scratch, 1);
  d.call('write', fd, d.scratch, 8);
  assert.equal(d.now(), [], 'also no new event');
  assert.is(d.ctl(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLONESHOT, 77), 0);
  assert.equal(d.now(), [[EPOLLIN, 77]]);
  d.end();
});

test('epoll_wait() takes turns when there are more events than room', () => {
  const d = new EpollDriver();
  const fds = [1, 2, 3].map(() => d.call('eventfd2', 1, EFD_NONBLOCK));
  for (const fd of fds) d.add(fd, EPOLLIN);
  const seen = [d.now(2), d.now(2), d.now(2)].flat().map(([, data]) => data);
  assert.equal(seen, [fds[0], fds[1], fds[2], fds[0], fds[1], fds[2]]);
  d.end();
});

test('EPOLLRDHUP comes when the peer shuts down writing', () => {
  const d = new EpollDriver();
  const [a, b] = d.pair('socketpair', AF_UNIX, SOCK_STREAM | O_NONBLOCK, 0);
  d.add(a, EPOLLRDHUP | EPOLLOUT);
  assert.equal(d.now(), [[EPOLLOUT, a]]);
  d.call('shutdown', b, 1);
  assert.equal(d.now(), [[EPOLLRDHUP | EPOLLOUT, a]]);
  d.end();
});

test('epoll_ctl() fails as on Linux', () => {
  const d = new EpollDriver();
  const fd = d.call('eventfd2', 0, EFD_NONBLOCK);
  const regular = installFd(d.t.k, d.t.process, regularFile(d));
  const rows: [what: string, result: number, expected: number][] = [
    ['itself', d.add(d.ep, EPOLLIN), -EINVAL],
    ['unknown op', d.ctl(9, fd, EPOLLIN), -EINVAL],
    ['MOD before ADD', d.ctl(EPOLL_CTL_MOD, fd, EPOLLIN), -ENOENT],
    ['DEL before ADD', d.ctl(EPOLL_CTL_DEL, fd, 0), -ENOENT],
    ['no epoll', d.add(d.ep, EPOLLIN, fd), -EINVAL],
    ['bad epfd', d.add(fd, EPOLLIN, 99), -EBADF],
    ['bad fd', d.add(99, EPOLLIN), -EBADF],
    ['bad event', d.call('epoll_ctl', d.ep, EPOLL_CTL_ADD, fd, 0), -EFAULT],
    ['DEL needs no event', d.call('epoll_ctl', d.ep, EPOLL_CTL_DEL, fd, 0), -ENOENT],
    ['regular file', d.add(regular, EPOLLIN), -EPERM],
    ['ADD', d.add(fd, EPOLLIN), 0],
    ['ADD twice', d.add(fd, EPOLLIN), -EEXIST],
    ['MOD to exclusive', d.ctl(EPOLL_CTL_MOD, fd, EPOLLIN | EPOLLEXCLUSIVE), -EINVAL],
    ['DEL', d.ctl(EPOLL_CTL_DEL, fd, 0), 0],
    ['exclusive with ONESHOT', d.add(fd, EPOLLIN | EPOLLEXCLUSIVE | EPOLLONESHOT), -EINVAL],
    ['exclusive', d.add(fd, EPOLLIN | EPOLLEXCLUSIVE), 0],
    ['MOD of exclusive', d.ctl(EPOLL_CTL_MOD, fd, EPOLLIN), -EINVAL],
    ['size 0', d.call('epoll_create', 0), -EINVAL],
    ['flags', d.call('epoll_create1', 1), -EINVAL],
  ];
  for (const [what, result, expected] of rows) assert.is(result, expected, what);
  d.end();
});

/** An open file whose readiness never changes; the kind's real operations may not be loaded. */
function regularFile(d: Driver): ReturnType<typeof makeFile> {
  const file = makeFile(d.t.k, FILE_REGULAR);
  try {
    opsOf(file);
  } catch {
    defineFileOps(FILE_REGULAR, { seekable: true, poll: () => POLLIN, queue: () => null });
  }
  return file;
}

test('epoll_wait() checks its arguments in the order of Linux', () => {
  const d = new EpollDriver();
  const fd = d.call('eventfd2', 1, 0);
  d.add(fd, EPOLLIN);
  const rows: [args: number[], expected: number][] = [
    [[99, 0, 0, 0], -EBADF],
    [[d.ep, d.base, 0, 0], -EINVAL],
    [[d.ep, d.base, 0x7fff_ffff, 0], -EINVAL],
    [[d.ep, 0x7fff_ffff_ff00, 100, 0], -EFAULT],
    [[fd, d.base, 1, 0], -EINVAL],
    [[d.ep, BAD_GVA, 1, 0], -EFAULT],
  ];
  for (const [args, expected] of rows) {
    assert.is(d.call('epoll_wait', ...args), expected, args.join(' '));
  }
  // What could not be written is still there.
  assert.equal(d.now(), [[EPOLLIN, fd]]);
  d.end();
});

test('epoll_wait() blocks until an event, and once woken gives it', () => {
  const d = new EpollDriver();
  const waiter = d.t.addTask();
  const [reader, writer] = d.pipe();
  d.add(reader, EPOLLIN);
  assert.is(d.callAs(waiter, 'epoll_wait', d.ep, d.base, 8, -1), BLOCKED);
  d.write(writer, 'x');
  assert.is(d.again(waiter, 'epoll_wait'), 1);
  assert.equal(d.events(1), [[EPOLLIN, reader]]);
  d.end();
});

test('epoll_ctl() wakes a waiter when what it adds is ready', () => {
  const d = new EpollDriver();
  const waiter = d.t.addTask();
  const fd = d.call('eventfd2', 1, 0);
  assert.is(d.callAs(waiter, 'epoll_wait', d.ep, d.base + 4096, 8, -1), BLOCKED);
  d.add(fd, EPOLLIN);
  assert.is(d.again(waiter, 'epoll_wait'), 1);
  d.end();
});

test('epoll_wait() and epoll_pwait2() end at their deadline', () => {
  const d = new EpollDriver();
  for (const name of ['epoll_wait', 'epoll_pwait2']) {
    d.putU64(d.scratch, 0, 50_000_000);
    const timeout = name === 'epoll_wait' ? 50 : d.scratch;
    assert.is(d.call(name, d.ep, d.base, 8, timeout), BLOCKED);
    d.t.clock.advance(49_000_000);
    runTimers(d.t.k);
    assert.is(d.isBlocked(), true, name);
    d.t.clock.advance(1_000_000);
    runTimers(d.t.k);
    assert.is(d.again(), 0, name);
  }
  d.putU64(d.scratch, 0, 1_000_000_000);
  assert.is(d.call('epoll_pwait2', d.ep, d.base, 8, d.scratch), -EINVAL);
  assert.is(d.call('epoll_pwait2', d.ep, d.base, 8, BAD_GVA), -EFAULT);
  d.end();
});

test('epoll_pwait() swaps the mask, and a signal interrupts it with EINTR', () => {
  const d = new EpollDriver();
  const { k, task, process } = d.t;
  actionBytes(process, SIGUSR1).set([0, 0, 0x10]);
  task.mask = 1n << BigInt(SIGUSR1 - 1);
  d.putU64(d.scratch, 0);
  assert.is(d.call('epoll_pwait', d.ep, d.base, 8, -1, d.scratch, 7), -EINVAL);
  assert.is(d.call('epoll_pwait', d.ep, d.base, 8, -1, BAD_GVA, 8), -EFAULT);
  assert.is(d.call('epoll_pwait', d.ep, d.base, 8, -1, d.scratch, 8), BLOCKED);
  assert.is(task.mask, 0n);
  sendSignal(k, process, makeInfo(SIGUSR1, SI_USER));
  assert.is(d.again(), -EINTR);
  d.end();
});

test('an interest goes with the last descriptor of its file', () => {
  const d = new EpollDriver();
  const [reader, writer] = d.pipe();
  d.write(writer, 'x');
  d.add(reader, EPOLLIN);
  const copy = installFd(d.t.k, d.t.process, holdFile(d.file(reader)));
  d.close(reader);
  assert.equal(d.now(), [[EPOLLIN, reader]], 'a duplicate keeps it');
  d.close(copy);
  assert.equal(d.now(), []);
  assert.is((d.file(d.ep).object as Epoll).items.length, 0);
  d.end();
});

test('one file under two descriptors makes two interests', () => {
  const d = new EpollDriver();
  const fd = d.call('eventfd2', 1, 0);
  const copy = installFd(d.t.k, d.t.process, holdFile(d.file(fd)));
  d.add(fd, EPOLLIN);
  d.add(copy, EPOLLIN);
  assert.equal(d.now(), [[EPOLLIN, fd], [EPOLLIN, copy]]);
  d.ctl(EPOLL_CTL_DEL, fd, 0);
  assert.equal(d.now(), [[EPOLLIN, copy]]);
  d.end();
});

test('an instance can be watched by poll() and by another instance', () => {
  const d = new EpollDriver();
  const outer = d.call('epoll_create1', 0);
  const waiter = d.t.addTask();
  const [reader, writer] = d.pipe();
  assert.is(d.add(reader, EPOLLIN), 0);
  assert.is(d.add(d.ep, EPOLLIN, outer), 0);
  assert.is(d.poll(d.ep), 0);
  assert.is(d.callAs(waiter, 'epoll_wait', outer, d.base, 8, -1), BLOCKED);
  d.write(writer, 'x');
  assert.is(d.poll(d.ep), POLLIN | POLLRDNORM);
  assert.is(d.again(waiter, 'epoll_wait'), 1);
  assert.equal(d.events(1), [[EPOLLIN, d.ep]]);
  d.read(reader, 1);
  assert.equal(d.now(16, outer), [], 'the inner instance is asked again');
  d.close(d.ep);
  assert.equal(d.now(16, outer), []);
  d.end();
});

test('epoll_ctl() refuses cycles and chains of more than five instances', () => {
  for (const upwards of [true, false]) {
    const d = new EpollDriver();
    const chain = Array.from({ length: 6 }, () => d.call('epoll_create1', 0));
    const results = chain.slice(1).map((fd, index) => {
      const before = chain[index] ?? -1;
      return upwards ? d.add(before, EPOLLIN, fd) : d.add(fd, EPOLLIN, before);
    });
    assert.equal(results, [0, 0, 0, 0, -ELOOP], upwards ? 'bottom up' : 'top down');
    const [first = -1, second = -1] = chain;
    assert.is(upwards ? d.add(second, EPOLLIN, first) : d.add(first, EPOLLIN, second), -ELOOP);
    d.end();
  }
});

test('epoll_ctl() bounds the ways that one wake-up may take', () => {
  const d = new EpollDriver({ arenaBytes: 32 * 1024 * 1024 });
  const fd = d.call('eventfd2', 0, 0);
  // eventfd ─► 30 instances ─► up to 30 watchers each: the limit is 500 at that depth.
  const middle = Array.from({ length: 30 }, () => d.call('epoll_create1', 0));
  for (const ep of middle) d.add(fd, EPOLLIN, ep);
  const results: number[] = [];
  for (let index = 0; index < 30; index++) {
    const top = d.call('epoll_create1', 0);
    for (const ep of middle) results.push(d.add(ep, EPOLLIN, top));
  }
  assert.is(results.filter((result) => result === 0).length, 500);
  assert.is(results.filter((result) => result === -EINVAL).length, 400);
  d.end();
});

test('closing an instance gives its memory back', () => {
  const d = new EpollDriver();
  const [reader, writer] = d.pipe();
  const once = (): void => {
    const ep = d.call('epoll_create1', 0);
    d.add(reader, EPOLLIN, ep);
    d.add(writer, EPOLLOUT, ep);
    d.close(ep);
  };
  once();
  const used = d.t.k.arena.usedBytes;
  for (let round = 0; round < 20; round++) once();
  assert.is(d.t.k.arena.usedBytes, used);
  d.end();
});

test('files without a position take lseek(); only epoll refuses ioctl() with EINVAL', () => {
  const d = new Driver();
  const [epoll, event] = [d.call('epoll_create1', 0), d.call('eventfd2', 0, 0)];
  for (const fd of [epoll, event]) assert.is(d.call('lseek', fd, 55, 0), 0);
  assert.is(opsOf(d.file(epoll)).ioctl?.(d.t.k, d.t.task, d.file(epoll), 0x5401, 0), -EINVAL);
  assert.is(opsOf(d.file(event)).ioctl, undefined);
  d.end();
});

test.run();
