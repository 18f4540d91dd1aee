// Log files in the kernel, over a host of plain arrays: what is said without a grant, and that a
// number which an image forged leads nowhere.
import { EROFS } from '../../../../vmm/abi/errno.ts';
import type { LogPort } from '../../../../vmm/kernel/ports.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { LOGS_MOST, mountLog, RDEV_LOG } from '../../../../vmm/kernel/vfs/log-file.ts';
import { assert, suite } from '../../../harness.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/log-file');
const encoder = new TextEncoder();
const decoder = new TextDecoder();
const PATH = '/var/log/app.log';
const O_RDWR = 2;
const O_TRUNC = 0o1000;
const O_APPEND = 0o2000;

/** Log 0, which others can write too. */
class FakeLog implements LogPort {
  text: string = '';
  synced: number = 0;

  append(number: number, data: Uint8Array): number {
    if (number !== 0) return -EROFS;
    this.text += decoder.decode(data);
    return data.length;
  }

  read(number: number, offset: number, target: Uint8Array): number {
    if (number !== 0) return -EROFS;
    return encoder.encodeInto(this.text.slice(offset, offset + target.length), target).written;
  }

  bytes(number: number): number {
    return number === 0 ? this.text.length : -EROFS;
  }

  sync(number: number): number {
    this.synced++;
    return number === 0 ? 0 : -EROFS;
  }

  close(): void {}
}

function guestWithLog(): { g: Guest; log: FakeLog } {
  const g = makeGuest();
  const log = new FakeLog();
  g.k.ports.logs = log;
  assert.is(mountLog(g.k, g.process, encoder.encode(PATH)), 0);
  return { g, log };
}

test('writes go to the end, whatever the position and the flags', () => {
  const { g, log } = guestWithLog();
  const fd = g.open(PATH, O_RDWR | O_TRUNC);
  assert.is(g.call('write', fd, 'one\n', 4), 4);
  log.text += 'of another\n';
  assert.is(g.call('pwrite64', fd, 'two\n', 4, 0), 4);
  assert.is(g.call('write', g.open(PATH, O_RDWR | O_APPEND), '3\n', 2), 2);
  assert.is(g.file(PATH), 'one\nof another\ntwo\n3\n');
  assert.is(g.try('ftruncate', fd, 0), 'EINVAL');
  assert.is(g.call('fsync', fd), 0);
  assert.is(g.call('fdatasync', fd), 0);
  assert.is(log.synced, 2);
  checkVfs(g.k);
});

test('a log that is not granted says EROFS, and one event says so', () => {
  const { g, log } = guestWithLog();
  const fd = g.open(PATH, O_RDWR);
  delete g.k.ports.logs;
  assert.is(g.try('write', fd, 'x', 1), 'EROFS');
  assert.is(g.try('read', fd, g.out, 1), 'EROFS');
  assert.is(g.try('fsync', fd), 'EROFS');
  assert.is(log.text, '');
  assert.equal(g.t.events, [{ kind: 'log-not-granted', detail: PATH }]);
});

test('a forged number leads to no log', () => {
  const { g, log } = guestWithLog();
  const fd = g.open(PATH, O_RDWR);
  const inode = g.process.fds.slots.get(fd)?.inode ?? null;
  assert.ok(inode !== null);
  for (const rdev of [0, 1, RDEV_LOG - 1, RDEV_LOG + 1, RDEV_LOG + LOGS_MOST, 2 ** 32 - 1]) {
    inode.rdev = rdev;
    assert.is(g.try('write', fd, 'x', 1), 'EROFS', `${rdev}`);
    assert.is(g.try('lseek', fd, 0, 2), 'EROFS');
  }
  assert.is(log.text, '');
});

test.run();
