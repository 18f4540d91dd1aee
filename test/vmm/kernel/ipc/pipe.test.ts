// Expected values were taken from a C program on the host kernel (Linux 6.18).
import {
  EAGAIN, EBADF, EBUSY, EFAULT, EINVAL, EMFILE, ENOTTY, EPERM, EPIPE,
} from '../../../../vmm/abi/errno.ts';
import { O_CLOEXEC, O_DIRECT, O_NONBLOCK } from '../../../../vmm/abi/fcntl.ts';
import { FIONREAD, TCGETS } from '../../../../vmm/abi/ioctl.ts';
import {
  POLLERR, POLLHUP, POLLIN, POLLOUT, POLLRDNORM, POLLWRNORM,
} from '../../../../vmm/abi/poll.ts';
import { S_IFIFO, S_IFMT } from '../../../../vmm/abi/stat.ts';
import { getPipeBytes, setPipeBytes } from '../../../../vmm/kernel/ipc/pipe.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { isCloseOnExec } from '../../../../vmm/kernel/vfs/fd-table.ts';
import { opsOf } from '../../../../vmm/kernel/vfs/file-ops.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { BAD_GVA, Driver } from './driver.ts';

const test = suite('vmm/kernel/ipc/pipe');
const READABLE = POLLIN | POLLRDNORM;
const WRITABLE = POLLOUT | POLLWRNORM;

function withPipe(flags: number, body: (d: Driver, reader: number, writer: number) => void): void {
  const d = new Driver();
  const [reader, writer] = d.pair('pipe2', flags);
  body(d, reader, writer);
  d.end();
}

test('pipe2() sets the flags asked for and refuses others', () => {
  withPipe(O_CLOEXEC | O_NONBLOCK | O_DIRECT, (d, reader, writer) => {
    assert.is(isCloseOnExec(d.t.process.fds, reader), true);
    assert.is(isCloseOnExec(d.t.process.fds, writer), true);
    assert.is(d.file(reader).flags & O_NONBLOCK, O_NONBLOCK);
    assert.is(d.call('pipe2', d.scratch, 1), -EINVAL);
    assert.is((d.file(reader).inode?.mode ?? 0) & S_IFMT, S_IFIFO);
    assert.is(d.file(reader).inode, d.file(writer).inode);
  });
});

test('pipe2() leaves no descriptor behind when the result cannot be written', () => {
  withPipe(0, (d, reader, writer) => {
    assert.is(d.call('pipe2', BAD_GVA, 0), -EFAULT);
    const [next] = d.pair('pipe2', 0);
    assert.is(next, Math.max(reader, writer) + 1);
  });
});

test('pipe2() leaves no descriptor behind when there is room for one only', () => {
  const d = new Driver({ limits: { descriptors: 3 } });
  d.pair('pipe2', 0);
  assert.is(d.call('pipe2', d.scratch, 0), -EMFILE);
  assert.is(d.t.process.fds.slots.get(2), null);
  d.end();
});

test('read() gives what write() put in, in order, over the end of the ring', () => {
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    assert.is(d.write(writer, 'hello '), 6);
    assert.is(d.write(writer, 'world'), 5);
    assert.is(d.read(reader, 3), 'hel');
    assert.is(d.read(reader, 100), 'lo world');
    assert.is(d.read(reader, 100), -EAGAIN);
  });
});

test('write() of nothing succeeds, also without readers', () => {
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    d.close(reader);
    assert.is(d.write(writer, ''), 0);
    assert.is(d.write(writer, 'x'), -EPIPE);
  });
});

test('read() gives end of file when all writers are gone', () => {
  withPipe(0, (d, reader, writer) => {
    d.write(writer, 'last');
    d.close(writer);
    assert.is(d.poll(reader), READABLE | POLLHUP);
    assert.is(d.read(reader, 10), 'last');
    assert.is(d.poll(reader), POLLHUP);
    assert.is(d.read(reader, 10), '');
  });
});

test('write() is atomic up to PIPE_BUF and partial beyond', () => {
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    assert.is(d.write(writer, new Uint8Array(65536)), 65536);
    assert.is(d.poll(writer), 0);
    assert.is(d.poll(reader), READABLE);
    // A page counts as used until all of it was read.
    d.call('read', reader, d.scratch, 4095);
    assert.is(d.write(writer, 'x'), -EAGAIN);
    assert.is(d.poll(writer), 0);
    d.call('read', reader, d.scratch, 1);
    assert.is(d.poll(writer), WRITABLE);
    assert.is(d.write(writer, new Uint8Array(5000)), 4096);
    d.call('read', reader, d.scratch, 4096);
    assert.is(d.write(writer, new Uint8Array(3000)), 3000);
    assert.is(d.write(writer, new Uint8Array(3000)), -EAGAIN);
  });
});

test('write() blocks until all is written when a reader makes room', () => {
  withPipe(0, (d, reader, writer) => {
    const other = d.t.addTask();
    const data = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251);
    d.put(d.base, data);
    assert.is(d.call('write', writer, d.base, data.length), BLOCKED);
    assert.is(d.callAs(other, 'read', reader, d.scratch, 65536), 65536);
    assert.bytes(d.get(d.scratch, 65536), data.subarray(0, 65536));
    assert.is(d.again(d.t.task, 'write'), 100_000);
    assert.is(d.callAs(other, 'read', reader, d.scratch, 65536), 100_000 - 65536);
    assert.bytes(d.get(d.scratch, 100_000 - 65536), data.subarray(65536));
  });
});

test('read() blocks until a writer comes, and until the last writer goes', () => {
  withPipe(0, (d, reader, writer) => {
    const other = d.t.addTask();
    assert.is(d.callAs(other, 'read', reader, d.base, 10), BLOCKED);
    assert.is(d.isBlocked(other), true);
    d.write(writer, 'abc');
    assert.is(d.again(other, 'read'), 3);
    assert.is(d.callAs(other, 'read', reader, d.base, 10), BLOCKED);
    d.close(writer);
    assert.is(d.again(other, 'read'), 0);
  });
});

test('a blocked read() finds its descriptor closed when both ends go', () => {
  withPipe(0, (d, reader, writer) => {
    const other = d.t.addTask();
    assert.is(d.callAs(other, 'read', reader, d.base, 10), BLOCKED);
    d.close(reader);
    d.close(writer);
    assert.is(d.again(other, 'read'), -EBADF);
  });
});

test('poll() tells a writer without readers of an error', () => {
  withPipe(0, (d, reader, writer) => {
    assert.is(d.poll(writer), WRITABLE);
    d.close(reader);
    assert.is(d.poll(writer), WRITABLE | POLLERR);
  });
});

test('bad addresses lose nothing', () => {
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    assert.is(d.call('write', writer, BAD_GVA, 5), -EFAULT);
    assert.is(d.read(reader, 5), -EAGAIN);
    d.write(writer, 'abcde');
    assert.is(d.call('read', reader, BAD_GVA, 5), -EFAULT);
    assert.is(d.read(reader, 5), 'abcde');
    // The end of the mapped memory: a chunk with a bad byte is left out.
    const end = d.base + 1024 * 1024;
    d.write(writer, '0123456789');
    assert.is(d.call('read', reader, end - 4, 10), 4);
    assert.is(d.read(reader, 10), '456789');
  });
});

test('F_SETPIPE_SZ rounds up and keeps the content', () => {
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    const file = d.file(reader);
    const { k } = d.t;
    assert.is(getPipeBytes(k, file), 65536);
    assert.is(setPipeBytes(k, file, 0), 4096);
    assert.is(setPipeBytes(k, file, 5000), 8192);
    assert.is(setPipeBytes(k, file, 2_000_000), -EPERM);
    assert.is(setPipeBytes(k, file, -1), -EINVAL);
    d.write(writer, new Uint8Array(6000).fill(7));
    d.call('read', reader, d.scratch, 5000);
    assert.is(d.write(writer, new Uint8Array(2000).fill(8)), 2000);
    assert.is(setPipeBytes(k, file, 4096), 4096);
    assert.is(setPipeBytes(k, file, 16384), 16384);
    assert.is(d.call('read', reader, d.scratch, 9000), 3000);
    assert.bytes(d.get(d.scratch + 999, 2), Uint8Array.of(7, 8));
    d.write(writer, new Uint8Array(5000));
    assert.is(setPipeBytes(k, file, 4096), -EBUSY);
  });
});

test('ioctl() counts bytes and knows nothing of terminals', () => {
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    const ops = opsOf(d.file(reader));
    d.write(writer, 'four');
    assert.is(ops.ioctl?.(d.t.k, d.t.task, d.file(reader), FIONREAD, d.base), 0);
    assert.is(d.i32(d.base), 4);
    assert.is(ops.ioctl?.(d.t.k, d.t.task, d.file(reader), FIONREAD, BAD_GVA), -EFAULT);
    assert.is(ops.ioctl?.(d.t.k, d.t.task, d.file(reader), TCGETS, d.base), -ENOTTY);
  });
});

test('closed pipes give their memory back', () => {
  const d = new Driver();
  const once = (): void => {
    const [reader, writer] = d.pair('pipe2', O_NONBLOCK);
    d.write(writer, new Uint8Array(30_000));
    d.close(reader);
    d.close(writer);
  };
  once();
  const used = d.t.k.arena.usedBytes;
  for (let round = 0; round < 20; round++) once();
  assert.is(d.t.k.arena.usedBytes, used);
  d.end();
});

test('random traffic gives the same bytes as a queue', () => {
  const random = seededRandom();
  withPipe(O_NONBLOCK, (d, reader, writer) => {
    const model: number[] = [];
    let next = 0;
    for (let step = 0; step < 800; step++) {
      if (random.int(0, 1) === 0) {
        const bytes = random.int(1, 9000);
        const data = Uint8Array.from({ length: bytes }, (_, index) => (next + index) & 0xff);
        const result = d.write(writer, data);
        if (result < 0) {
          assert.is(result, -EAGAIN);
          assert.ok(model.length > 65536 - 4096 - 4096, 'EAGAIN although there was room');
        } else {
          if (bytes <= 4096) assert.is(result, bytes);
          for (let index = 0; index < result; index++) model.push((next + index) & 0xff);
          next += result;
        }
      } else {
        const bytes = random.int(1, 9000);
        const result = d.call('read', reader, d.scratch, bytes);
        const expected = model.splice(0, bytes);
        if (expected.length === 0) assert.is(result, -EAGAIN);
        else assert.bytes(d.get(d.scratch, result), Uint8Array.from(expected));
      }
      assert.atMost(model.length, 65536);
    }
  });
});

test.run();
