// The guest's stdin, stdout and stderr over a console of the host, as pipes and as a terminal.
import { EAGAIN, EBADF, EFAULT, EINVAL, ENOTTY, EPIPE, ESRCH } from '../../../../vmm/abi/errno.ts';
import { O_NONBLOCK } from '../../../../vmm/abi/fcntl.ts';
import {
  FIONREAD, ICANON, TCGETS, TCGETS2, TCSETS, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCSPGRP, TIOCSWINSZ,
} from '../../../../vmm/abi/ioctl.ts';
import { POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM } from '../../../../vmm/abi/poll.ts';
import { S_IFCHR, S_IFIFO, S_IFMT } from '../../../../vmm/abi/stat.ts';
import { Termios } from '../../../../vmm/abi/struct-terminal.ts';
import {
  consoleReadable, consoleWritable, flushConsole, makeConsole, reconnectConsole,
} from '../../../../vmm/kernel/ipc/console.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { installFd } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { opsOf } from '../../../../vmm/kernel/vfs/file-ops.ts';
import type { TestKernelOptions } from '../../../helpers/kernel.ts';
import { assert, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/console');
const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;

class ConsoleDriver extends Driver {
  constructor(options: TestKernelOptions = {}) {
    super(options);
    const { stdin, stdout, stderr } = makeConsole(this.t.k);
    for (const file of [stdin, stdout, stderr]) installFd(this.t.k, this.t.process, file);
  }

  ioctl(fd: number, request: number, gva: number = this.base): number {
    const file = this.file(fd);
    return opsOf(file).ioctl?.(this.t.k, this.t.task, file, request, gva) ?? -ENOTTY;
  }
}

test('read() gives what the host has, and the end of it', () => {
  const d = new ConsoleDriver({ stdin: 'line one\nline two\n' });
  assert.is(d.read(0, 9), 'line one\n');
  assert.is(d.poll(0), READABLE);
  assert.is(d.read(0, 100), 'line two\n');
  assert.is(d.poll(0), 0);
  d.t.console.end();
  assert.is(d.poll(0), READABLE);
  assert.is(d.read(0, 100), '');
  d.end();
});

test('read() blocks until the host says that there is input', () => {
  const d = new ConsoleDriver();
  assert.is(d.call('read', 0, d.base, 10), BLOCKED);
  consoleReadable(d.t.k);
  assert.is(d.again(), BLOCKED, 'woken for nothing');
  d.t.console.feed('go');
  consoleReadable(d.t.k);
  assert.is(d.again(), 2);
  d.file(0).flags |= O_NONBLOCK;
  assert.is(d.call('read', 0, d.base, 10), -EAGAIN);
  d.end();
});

test('input is asked for until it is announced, and again once some was taken', () => {
  const d = new ConsoleDriver();
  const wants = (): boolean => d.t.k.root.console?.wantsInput === true;
  assert.is(wants(), false, 'nobody has looked');
  assert.is(d.poll(0), 0);
  assert.is(wants(), true, 'poll() found none');
  d.t.console.feed('go on');
  consoleReadable(d.t.k);
  assert.is(wants(), false, 'announced');
  assert.is(d.poll(0), READABLE);
  assert.is(wants(), false, 'known, but not taken');
  assert.is(d.read(0, 2), 'go');
  assert.is(wants(), true, 'taken');
  consoleReadable(d.t.k);
  reconnectConsole(d.t.k);
  assert.is(wants(), true, 'another host');
  d.end();
});

test('read() with a bad address loses nothing', () => {
  const d = new ConsoleDriver({ stdin: 'precious' });
  assert.is(d.call('read', 0, BAD_GVA, 10), -EFAULT);
  const end = d.base + 1024 * 1024;
  assert.is(d.call('read', 0, end - 3, 10), 3);
  assert.is(d.poll(0), READABLE);
  assert.is(d.read(0, 2), 'ci');
  assert.is(d.read(0, 10), 'ous');
  d.end();
});

test('write() goes to its stream', () => {
  const d = new ConsoleDriver();
  assert.is(d.poll(1), WRITABLE);
  const text = 'x'.repeat(10_000);
  assert.is(d.write(1, text), 10_000);
  assert.is(d.write(2, 'oops'), 4);
  assert.is(d.t.console.output(1), text);
  assert.is(d.t.console.output(2), 'oops');
  assert.is(d.call('write', 1, BAD_GVA, 4), -EFAULT);
  d.end();
});

test('write() blocks while the host takes nothing', () => {
  const d = new ConsoleDriver();
  d.t.console.full = true;
  assert.is(d.poll(1), 0);
  d.put(d.base, 'text');
  assert.is(d.call('write', 1, d.base, 4), BLOCKED);
  d.t.console.full = false;
  consoleWritable(d.t.k);
  assert.is(d.again(), 4);
  assert.is(d.t.console.output(1), 'text');
  d.end();
});

test('a stream that nobody takes from does not hold the other one up, and is not asked', () => {
  const d = new ConsoleDriver();
  const { console } = d.t;
  let takesErrors = false;
  console.writable = (stream) => stream === 2 && takesErrors;
  assert.is(d.poll(1), 0);
  d.put(d.base, 'oops');
  assert.is(d.call('write', 2, d.base, 4), BLOCKED);
  consoleWritable(d.t.k);
  assert.ok(d.isBlocked());
  takesErrors = true;
  consoleWritable(d.t.k);
  assert.not(d.isBlocked());
  assert.is(d.again(), 4);
  assert.is(console.output(2), 'oops');
  assert.is(d.t.k.root.console?.wantsOutput, 1, 'what is left to wait for');
  d.end();
});

test('a host that takes output in pieces gets all of it, once, in order', () => {
  const d = new ConsoleDriver();
  const { console } = d.t;
  let room = 0;
  const taken: number[] = [];
  console.writable = () => room > 0;
  console.write = (_stream, data) => {
    if (room === 0) return -EAGAIN;
    const count = Math.min(room, data.length);
    taken.push(...data.subarray(0, count));
    room -= count;
    return count;
  };
  const data = Uint8Array.from({ length: 20_000 }, (_, index) => index % 249);
  d.put(d.base, data);
  let result = d.call('write', 1, d.base, data.length);
  for (let turn = 0; turn < 40 && result === BLOCKED; turn++) {
    room = 1000;
    consoleWritable(d.t.k);
    if (!d.isBlocked()) result = d.again();
  }
  assert.is(result, data.length);
  while (!flushConsole(d.t.k)) room = 700;
  assert.bytes(Uint8Array.from(taken), data);
  d.end();
});

test('write() gives EPIPE when the host side is gone', () => {
  const d = new ConsoleDriver();
  d.t.console.write = () => -EPIPE;
  assert.is(d.write(1, 'x'), -EPIPE);
  d.end();
});

test('streams that are no terminals look like pipes', () => {
  const d = new ConsoleDriver({ stdin: 'abc' });
  for (const fd of [0, 1, 2]) {
    assert.is((d.file(fd).inode?.mode ?? 0) & S_IFMT, S_IFIFO);
    assert.is(d.ioctl(fd, TCGETS), -ENOTTY);
    assert.is(d.ioctl(fd, TIOCGWINSZ), -ENOTTY);
  }
  assert.is(d.ioctl(0, FIONREAD), 0);
  assert.is(d.i32(d.base), 3);
  assert.is(d.read(0, 10), 'abc');
  assert.is(d.call('write', 0, d.base, 1), -EBADF);
  d.end();
});

test('a terminal has settings that can be read and changed', () => {
  const d = new ConsoleDriver({ terminals: 7 });
  assert.is((d.file(0).inode?.mode ?? 0) & S_IFMT, S_IFCHR);
  assert.is(d.file(0).inode, d.file(2).inode);
  assert.is(d.ioctl(1, TCGETS), 0);
  const view = d.view(d.base, Termios.bytes);
  assert.is(Termios.c_iflag.get(view, 0), 0x500);
  assert.is(Termios.c_oflag.get(view, 0), 0x5);
  assert.is(Termios.c_cflag.get(view, 0), 0x4bf);
  assert.is(Termios.c_lflag.get(view, 0), 0x8a3b);
  assert.is(view.getUint8(Termios.c_cc.offset + 4), 4);
  d.putI32(d.base + Termios.c_lflag.offset, 0x8a3b & ~ICANON);
  assert.is(d.ioctl(0, TCSETS), 0);
  assert.is(d.ioctl(0, TCGETS2, d.base + 256), 0);
  assert.is(d.i32(d.base + 256 + Termios.c_lflag.offset), 0x8a3b & ~ICANON);
  assert.is(d.i32(d.base + 256 + 40), 38_400);
  assert.is(d.ioctl(0, TCGETS, BAD_GVA), -EFAULT);
  assert.is(d.ioctl(0, TCSETS, BAD_GVA), -EFAULT);
  assert.is(d.ioctl(0, 0x1234), -ENOTTY);
  d.end();
});

test('a terminal has a window and a foreground process group', () => {
  const d = new ConsoleDriver({ terminals: 7 });
  const { pgid, sid } = d.t.process;
  assert.is(d.ioctl(1, TIOCGWINSZ), 0);
  assert.is(d.i32(d.base), 80 << 16 | 24);
  d.putI32(d.base, 100 << 16 | 30, 0);
  assert.is(d.ioctl(1, TIOCSWINSZ), 0);
  assert.is(d.ioctl(1, TIOCGWINSZ), 0);
  assert.is(d.i32(d.base), 100 << 16 | 30);
  reconnectConsole(d.t.k);
  d.ioctl(1, TIOCGWINSZ);
  assert.is(d.i32(d.base), 80 << 16 | 24);
  assert.is(d.ioctl(0, TIOCGPGRP), 0);
  assert.is(d.i32(d.base), pgid);
  assert.is(d.ioctl(0, TIOCSPGRP), 0);
  d.putI32(d.base, pgid + 1);
  assert.is(d.ioctl(0, TIOCSPGRP), -ESRCH);
  d.putI32(d.base, -1);
  assert.is(d.ioctl(0, TIOCSPGRP), -EINVAL);
  assert.is(d.ioctl(0, TIOCGSID), 0);
  assert.is(d.i32(d.base), sid);
  d.end();
});

test('a terminal is written through any of its streams', () => {
  const d = new ConsoleDriver({ terminals: 7, stdin: 'in' });
  assert.is(d.poll(0), READABLE | WRITABLE);
  assert.is(d.write(0, 'prompt'), 6);
  assert.is(d.t.console.output(1), 'prompt');
  assert.is(d.read(2, 10), 'in');
  d.end();
});

test.run();
