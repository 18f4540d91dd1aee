// Calls with arguments that make no sense: nothing may throw, and the records stay right.
import { assert, seededRandom, suite } from '../../../harness.ts';
import { lowerLink } from '../../../helpers/lower-tree.ts';
import { removeWaiters } from '../../../../vmm/kernel/task/block.ts';
import { TASK_RUNNABLE } from '../../../../vmm/kernel/records/task.ts';
import { Bytes } from '../../../../vmm/kernel/state/containers.ts';
import { enqueue } from '../../../../vmm/kernel/task/run-queue.ts';
import { BLOCKED, type Family } from '../../../../vmm/kernel/syscalls/define.ts';
import { descriptorCalls } from '../../../../vmm/kernel/syscalls/descriptor.ts';
import { directoryCalls } from '../../../../vmm/kernel/syscalls/directory.ts';
import { filesystemCalls } from '../../../../vmm/kernel/syscalls/filesystem.ts';
import { lockCalls } from '../../../../vmm/kernel/syscalls/lock.ts';
import { openCalls } from '../../../../vmm/kernel/syscalls/open.ts';
import { readWriteCalls } from '../../../../vmm/kernel/syscalls/read-write.ts';
import { statCalls } from '../../../../vmm/kernel/syscalls/stat.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { pruneUnpinned } from '../../../../vmm/kernel/vfs/prune.ts';
import { type Argument, type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/hostile');

const FAMILIES: Family = {
  ...openCalls, ...readWriteCalls, ...statCalls, ...directoryCalls, ...descriptorCalls,
  ...filesystemCalls, ...lockCalls,
};
/** Calls that would take the ground away from under the others. */
const LEFT_OUT = new Set(['chroot']);

const PATHS = [
  '', '/', '.', '..', 'a', 'a/b', '/a/f', 'f', 'l', 'loop', '/proc/self/fd/3', '/proc/self/exe',
  '/proc/self/cwd', '/proc/self/root/a', '/proc', '/proc/self/maps', '/dev/null', '/dev/zero',
  '/dev/fd', '/dev/stdin', '/dev/tty', '/sys', 'a/', 'f/', '//a//', 'x'.repeat(255),
  'x'.repeat(256), 'x/'.repeat(2047), 'n1', 'n2', 'a/n3', '/dev/shm/n4',
];

const NUMBERS = [
  0, 1, 2, 3, 4, 5, 7, 8, -1, -2, -100, 63, 64, 100, 255, 256, 1023, 1024, 4095, 4096, 65536,
  0o100, 0o200, 0o1000, 0o2000, 0o4000, 0o200000, 0o2000000, 0o20200000, 0o010644, 0x7fff_ffff,
  0x8000_0000, 0xffff_ffff, 2 ** 32, 2 ** 40, 2 ** 47, 2 ** 52, 2 ** 62, 2 ** 63, 2 ** 64 - 4096,
];

function tree(): Guest {
  const links = { l: lowerLink('a'), loop: lowerLink('loop') };
  const g = makeGuest({ a: { b: {}, f: 'text' }, f: 'more text', ...links });
  for (const path of ['/f', '/a', '/proc/self/status', '/dev/zero', '/a/f']) g.open(path);
  g.open('/n0', 0o102);
  g.call('pipe2', g.out, 0o4000);
  g.call('memfd_create', 'm', 2);
  g.open('/a', 0o10000000);
  return g;
}

test('no call throws, whatever its arguments are, and the records stay right', () => {
  const random = seededRandom();
  const names = Object.keys(FAMILIES).filter((name) => !LEFT_OUT.has(name));
  for (let round = 0; round < 5; round++) {
    const g = tree();
    for (let n = 0; n < 3000; n++) {
      const name = random.pick(names);
      const args: Argument[] = Array.from({ length: 6 }, () => randomArgument(g, random));
      const result = g.call(name, ...args);
      assert.ok(Number.isInteger(result), `${name} returned ${result}`);
      assert.ok(result >= -4095 || result === BLOCKED || result < -500, name);
      if (result === BLOCKED) unblock(g);
    }
    checkVfs(g.k);
    pruneUnpinned(g.k);
    checkVfs(g.k);
    g.close();
  }
}, { timeoutMs: 120_000 });

function randomArgument(g: Guest, random: ReturnType<typeof seededRandom>): Argument {
  switch (random.int(0, 4)) {
    case 0: return random.pick(PATHS);
    case 1: return random.int(0, 12);
    case 2: return random.pick([g.out, g.out + 4095, g.out + 1000, 8, 0]);
    case 3: return random.bytes(32);
    default: return random.pick(NUMBERS);
  }
}

/** Takes the task out of its wait, as a signal would. */
function unblock(g: Guest): void {
  removeWaiters(g.k, g.task);
  g.task.state = TASK_RUNNABLE;
  enqueue(g.k, g.task);
}

test('a guest that fills the kernel\'s memory with names gets ENOMEM and can go on', () => {
  const g = makeGuest({ d: {} }, { arenaBytes: 1024 * 1024 });
  let made = 0;
  let message = '';
  for (; made < 100_000; made++) {
    try {
      if (g.call('mkdir', `/d/${made}`, 0o755) !== 0) break;
    } catch (error) {
      message = (error as Error).name;
      break;
    }
  }
  // The dispatcher makes ENOMEM of it.
  assert.is(message, 'ArenaFullError');
  assert.ok(made > 1000);
  for (let n = 0; n < made; n++) assert.is(g.call('rmdir', `/d/${n}`), 0);
  assert.is(g.call('mkdir', '/d/again', 0o755), 0);
  checkVfs(g.k);
  g.close();
}, { timeoutMs: 60_000 });

test('an unlink or a rename that finds no kernel memory changes nothing', () => {
  const g = makeGuest({ d: { lower: 'text', other: 'more' } }, { arenaBytes: 256 * 1024 });
  const held = g.open('/d/lower');
  // Every record size is used up, so that only what is freed can be made again.
  for (const tail of [4096, 512, 64, 8, 0]) {
    try {
      for (;;) g.k.arena.make(Bytes, tail);
    } catch (error) {
      assert.is((error as Error).name, 'ArenaFullError');
    }
  }
  for (const call of ['unlink', 'rename']) {
    assert.throws(() => g.call(call, '/d/lower', '/d/a-rather-long-name-here'), 'kernel state');
    assert.is(g.mustStat('/d/lower').nlink, 1);
    checkVfs(g.k);
  }
  assert.is(g.text(held), 'text');
  g.close();
});

test.run();
