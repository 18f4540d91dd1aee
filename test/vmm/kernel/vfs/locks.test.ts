// Record locks, OFD locks and flock, against the host's kernel where one process can compare them.
import { assert, seededRandom, suite } from '../../../harness.ts';
import {
  F_GETLK, F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_RDLCK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK,
  LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN,
} from '../../../../vmm/abi/fcntl.ts';
import { Flock } from '../../../../vmm/abi/struct-file.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { type FileLock } from '../../../../vmm/kernel/records/vfs.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { type Guest, makeGuest } from './guest.ts';
import { GuestSide, HostSide, type Side } from './host-oracle.ts';

const test = suite('vmm/kernel/vfs/locks');

const O_RDWR = 2;

function flockBytes(type: number, start: number, length: number, whence: number = 0): Uint8Array {
  const raw = new Uint8Array(Flock.bytes);
  const view = new DataView(raw.buffer);
  Flock.l_type.set(view, 0, type);
  Flock.l_whence.set(view, 0, whence);
  Flock.l_start.set(view, 0, start);
  Flock.l_len.set(view, 0, length);
  return raw;
}

/** Two open files on each side. */
function openTwice(side: Side): number[] {
  return [0, 1].map(() => side.call('openat', side.dir, 'file', O_RDWR, 0));
}

/** What F_OFD_GETLK says: a result, or the conflicting lock. */
function query(side: Side, fd: number, raw: Uint8Array): string {
  // The argument is written back, so it has to be where the result can be read.
  const start = side.call('lseek', fd, 0, 1);
  const copy = side.call('pwrite64', fd, raw, raw.length, 0);
  side.call('pread64', fd, side.out, raw.length, 0);
  const result = side.call('fcntl', fd, F_OFD_GETLK, side.out);
  const back = side.peek(side.out, Flock.bytes);
  const view = new DataView(back.buffer, back.byteOffset);
  const type = Flock.l_type.get(view, 0);
  const range = type === F_UNLCK ? '' : `${Flock.l_start.get(view, 0)}+${Flock.l_len.get(view, 0)}`;
  return `${result} ${copy - start} ${type} ${range}`;
}

test('record locks of two open files meet as on the host when ranges split and join', () => {
  const random = seededRandom();
  const tree = { file: 'x'.repeat(100) };
  const guest = new GuestSide(tree);
  const host = new HostSide(tree);
  const sides = [guest, host].map((side) => ({ side, fds: openTwice(side) }));
  for (let n = 0; n < 2000; n++) {
    const which = random.int(0, 1);
    const type = random.pick([F_RDLCK, F_RDLCK, F_WRLCK, F_UNLCK]);
    const start = random.int(0, 40);
    const length = random.pick([0, 1, 5, 10, 10, 20, -3]);
    const raw = flockBytes(type, start, length);
    const isQuery = type !== F_UNLCK && random.bool(0.4);
    const [seen, wanted] = sides.map(({ side, fds }) => {
      const fd = fds[which] as number;
      return isQuery ? query(side, fd, raw) : String(side.call('fcntl', fd, F_OFD_SETLK, raw));
    });
    assert.is(seen, wanted, `${n}: file ${which} type ${type} ${start}+${length} query ${isQuery}`);
  }
  host.close();
  guest.close();
});

/** The guest's locks as sorted text: type, start, end. */
function held(g: Guest, fd: number): string[] {
  const locks: string[] = [];
  const inode = g.task.process.fds.slots.get(fd)?.inode ?? null;
  for (let lock: FileLock | null = inode?.locks ?? null; lock !== null; lock = lock.next) {
    locks.push(`${lock.type === F_RDLCK ? 'r' : 'w'}${lock.start}-${lock.end}`);
  }
  return locks.sort();
}

type Split = readonly [requests: readonly (readonly number[])[], expected: string[]];

const SPLITS: readonly Split[] = [
  [[[F_WRLCK, 0, 10], [F_WRLCK, 10, 10]], ['w0-20']],
  [[[F_WRLCK, 0, 10], [F_RDLCK, 10, 10]], ['r10-20', 'w0-10']],
  [[[F_WRLCK, 0, 30], [F_UNLCK, 10, 10]], ['w0-10', 'w20-30']],
  [[[F_WRLCK, 0, 30], [F_RDLCK, 10, 10]], ['r10-20', 'w0-10', 'w20-30']],
  [[[F_WRLCK, 0, 0], [F_UNLCK, 100, 0]], ['w0-100']],
  [[[F_WRLCK, 5, 5], [F_WRLCK, 20, 5], [F_RDLCK, 0, 0]], ['r0-Infinity']],
  [[[F_WRLCK, 10, -5]], ['w5-10']],
  [[[F_RDLCK, 0, 10], [F_RDLCK, 20, 10], [F_RDLCK, 10, 10]], ['r0-30']],
  [[[F_RDLCK, 0, 10], [F_UNLCK, 0, 0]], []],
];

test('fcntl() splits and joins the ranges of one process', () => {
  for (const [requests, expected] of SPLITS) {
    const g = makeGuest({ f: 'x' });
    const fd = g.open('/f', O_RDWR);
    for (const [type, start, length] of requests as readonly [number, number, number][]) {
      assert.is(g.call('fcntl', fd, F_SETLK, flockBytes(type, start, length)), 0);
    }
    assert.equal(held(g, fd), expected);
    g.close();
  }
});

test('a process meets no lock of its own and loses all when it closes any descriptor', () => {
  const g = makeGuest({ f: 'x' });
  const first = g.open('/f', O_RDWR);
  const second = g.open('/f', O_RDWR);
  assert.is(g.call('fcntl', first, F_SETLK, flockBytes(F_WRLCK, 0, 0)), 0);
  assert.is(g.call('fcntl', second, F_SETLKW, flockBytes(F_WRLCK, 0, 5)), 0);
  const at = g.put(flockBytes(F_WRLCK, 0, 0));
  assert.is(g.call('fcntl', second, F_GETLK, at), 0);
  assert.is(g.peek(at, 2)[0], F_UNLCK);
  g.call('close', second);
  assert.equal(held(g, first), []);
  g.close();
});

test('fcntl() wants a descriptor that can do what the lock says', () => {
  const g = makeGuest({ f: 'x' });
  const reader = g.open('/f', 0);
  const writer = g.open('/f', 1);
  assert.is(g.try('fcntl', reader, F_SETLK, flockBytes(F_WRLCK, 0, 1)), 'EBADF');
  assert.is(g.try('fcntl', writer, F_SETLK, flockBytes(F_RDLCK, 0, 1)), 'EBADF');
  assert.is(g.try('fcntl', reader, F_SETLK, flockBytes(9, 0, 1)), 'EINVAL');
  assert.is(g.try('fcntl', reader, F_SETLK, flockBytes(F_RDLCK, 0, 1, 7)), 'EINVAL');
  assert.is(g.try('fcntl', reader, F_SETLK, flockBytes(F_RDLCK, -1, 1)), 'EINVAL');
  assert.is(g.try('fcntl', reader, F_SETLK, flockBytes(F_RDLCK, 1, -2)), 'EINVAL');
  const beyond = flockBytes(F_RDLCK, 2 ** 62, 1.5 * 2 ** 62);
  assert.is(g.try('fcntl', reader, F_SETLK, beyond), 'EOVERFLOW');
  assert.is(g.try('fcntl', reader, F_SETLK, flockBytes(F_RDLCK, -1, 0, 2)), 0);
  assert.equal(held(g, reader), ['r0-Infinity']);
  g.close();
});

test('F_OFD_SETLKW waits until the other open file gives the lock up', () => {
  const g = makeGuest({ f: 'x' });
  const first = g.open('/f', O_RDWR);
  const second = g.open('/f', O_RDWR);
  const other = g.t.addTask();
  assert.is(g.call('fcntl', first, F_OFD_SETLK, flockBytes(F_WRLCK, 0, 10)), 0);
  const lock = flockBytes(F_WRLCK, 5, 1);
  assert.is(g.callAs(other, 'fcntl', second, F_OFD_SETLKW, lock), BLOCKED);
  assert.is(g.try('fcntl', first, F_OFD_SETLK, flockBytes(F_UNLCK, 0, 5)), 0);
  assert.is(g.again(other, 'fcntl'), BLOCKED);
  assert.is(g.call('close', first), 0);
  assert.is(g.again(other, 'fcntl'), 0);
  assert.equal(held(g, second), ['w5-6']);
  g.close();
});

test('flock() locks belong to the open file, which dup() shares', () => {
  const g = makeGuest({ f: 'x' });
  const first = g.open('/f', 0);
  const copy = g.call('dup', first);
  const second = g.open('/f', 0);
  assert.is(g.call('flock', first, LOCK_EX), 0);
  assert.is(g.call('flock', copy, LOCK_EX), 0);
  assert.is(g.try('flock', second, LOCK_SH | LOCK_NB), 'EAGAIN');
  assert.is(g.call('flock', copy, LOCK_SH), 0);
  assert.is(g.call('flock', second, LOCK_SH | LOCK_NB), 0);
  assert.is(g.try('flock', second, LOCK_EX | LOCK_NB), 'EAGAIN');
  g.call('close', first);
  assert.is(g.try('flock', second, LOCK_EX | LOCK_NB), 'EAGAIN');
  g.call('close', copy);
  assert.is(g.call('flock', second, LOCK_EX | LOCK_NB), 0);
  assert.is(g.call('flock', second, LOCK_UN), 0);
  assert.equal(held(g, second), []);
  g.close();
});

test('fcntl() says ENOLCK when a file has thousands of ranges, and unlocks them all', () => {
  const g = makeGuest({ f: 'x' });
  const fd = g.open('/f', O_RDWR);
  let result = 0;
  let count = 0;
  for (; result === 0 && count < 10_000; count++) {
    result = g.call('fcntl', fd, F_SETLK, flockBytes(F_WRLCK, count * 2, 1));
  }
  assert.is(result, -37);
  assert.ok(count > 4_000);
  assert.is(g.call('fcntl', fd, F_SETLK, flockBytes(F_UNLCK, 0, 0)), 0);
  assert.equal(held(g, fd), []);
  g.close();
});

test('a file that goes while a thread waits for its lock takes no reference along', () => {
  const g = makeGuest({ f: 'x' });
  const first = g.open('/f', O_RDWR);
  const second = g.open('/f', O_RDWR);
  const other = g.t.addTask();
  g.call('flock', first, LOCK_EX);
  assert.is(g.callAs(other, 'flock', second, LOCK_EX), BLOCKED);
  g.call('unlinkat', -100, '/f', 0);
  g.call('close', second);
  g.call('close', first);
  assert.is(g.again(other, 'flock'), -9);
  checkVfs(g.k);
  g.close();
});

test.run();
