// Address spaces of forks: copies that share frames until somebody writes, on CPUs that keep stale
// translations, against a model. All invariants are checked after every step.
import { assert, type Random, seededRandom, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import {
  MADV_DONTFORK, MADV_DONTNEED, MADV_WIPEONFORK, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED,
} from '../../../../vmm/abi/mman.ts';
import { releaseMm } from '../../../../vmm/kernel/mm/address-space.ts';
import { adviseRange } from '../../../../vmm/kernel/mm/advise.ts';
import { checkSpaces } from '../../../../vmm/kernel/mm/check.ts';
import { forkMm } from '../../../../vmm/kernel/mm/fork-space.ts';
import { mapRegion, protectRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyIn, copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import type { Mm } from '../../../../vmm/kernel/records/mm.ts';
import { Process, Task } from '../../../../vmm/kernel/records/task.ts';

const test = suite('kernel/mm fork-space');
const PAGE = 4096;
const BASE = 0x4000_0000;
const PAGES = 24;
/** The last pages are shared between all. */
const SHARED_FROM = 20;
const FORKS_MOST = 5;

/** A process as far as the memory manager knows one, and what it has to see. */
interface Space {
  task: Task;
  cpu: GuestCpu;
  bytes: Uint8Array;
}

interface Run {
  t: TestKernel;
  random: Random;
  spaces: Space[];
  shared: Uint8Array;
}

function mmOf({ task }: Space): Mm {
  const { mm } = task.process;
  if (mm === null) throw new Error('no address space');
  return mm;
}

function makeSpace(t: TestKernel, mm: Mm, bytes: Uint8Array): Space {
  const process = t.k.arena.make(Process);
  process.mm = mm;
  process.limits = t.process.limits;
  const task = t.k.arena.make(Task);
  task.process = process;
  return { task, cpu: new GuestCpu(t, task), bytes };
}

function mapBoth(t: TestKernel): void {
  const prot = 3;
  const flags = MAP_ANONYMOUS | MAP_FIXED;
  const at = BASE + SHARED_FROM * PAGE;
  const bytes = SHARED_FROM * PAGE;
  assert.is(mapRegion(t.k, { gva: BASE, bytes, prot, flags: flags | MAP_PRIVATE }), BASE);
  const rest = (PAGES - SHARED_FROM) * PAGE;
  assert.is(mapRegion(t.k, { gva: at, bytes: rest, prot, flags: flags | MAP_SHARED }), at);
}

function start(seed: number): Run {
  const t = makeTestKernel({ tables: 256 });
  mapBoth(t);
  const first = { task: t.task, cpu: new GuestCpu(t), bytes: new Uint8Array(PAGES) };
  return { t, random: seededRandom(seed), spaces: [first], shared: new Uint8Array(PAGES) };
}

function modelOf({ shared }: Run, { bytes }: Space, page: number): Uint8Array {
  return page >= SHARED_FROM ? shared : bytes;
}

function fork(run: Run, parent: Space): void {
  if (run.spaces.length >= FORKS_MOST) return;
  run.t.k.current = parent.task;
  run.spaces.push(makeSpace(run.t, forkMm(run.t.k, mmOf(parent)), parent.bytes.slice()));
}

function end(run: Run, space: Space): void {
  if (space === run.spaces[0]) return;
  run.spaces.splice(run.spaces.indexOf(space), 1);
  releaseMm(run.t.k, mmOf(space));
  space.task.process.mm = null;
  run.t.k.current = run.t.task;
  run.t.k.arena.free(space.task.process);
  run.t.k.arena.free(space.task);
}

function writeByKernel(run: Run, space: Space, page: number, value: number): void {
  run.t.k.current = space.task;
  assert.is(copyOut(run.t.k, BASE + page * PAGE, Uint8Array.of(value)), 1);
  modelOf(run, space, page)[page] = value;
}

function step(run: Run): void {
  const { random, t } = run;
  const space = random.pick(run.spaces);
  const page = random.int(0, PAGES - 1);
  const gva = BASE + page * PAGE;
  const value = random.int(1, 255);
  switch (random.int(0, 9)) {
    case 0: return fork(run, space);
    case 1: return random.bool(0.5) ? end(run, space) : undefined;
    case 2: return writeByKernel(run, space, page, value);
    case 3: assert.is(space.cpu.beginWrite(gva), null); return;
    case 4: {
      t.k.current = space.task;
      // Takes the right to write away and gives it back.
      assert.is(protectRegion(t.k, gva, PAGE, 1), 0);
      assert.is(protectRegion(t.k, gva, PAGE, 3), 0);
      return;
    }
    case 5: {
      if (page >= SHARED_FROM) return;
      t.k.current = space.task;
      assert.is(adviseRange(t.k, mmOf(space), gva, gva + PAGE, MADV_DONTNEED), 0);
      space.bytes[page] = 0;
      return;
    }
    default:
      assert.is(space.cpu.write(gva, value), null);
      modelOf(run, space, page)[page] = value;
  }
}

function checkAll(run: Run): void {
  checkSpaces(run.t.k, run.spaces.map(mmOf));
  const byte = new Uint8Array(1);
  for (const space of run.spaces) {
    for (let page = 0; page < PAGES; page++) {
      const wanted = modelOf(run, space, page)[page];
      assert.is(space.cpu.read(BASE + page * PAGE), wanted, `page ${page} as the guest sees it`);
      run.t.k.current = space.task;
      assert.is(copyIn(run.t.k, BASE + page * PAGE, byte), 1);
      assert.is(byte[0], wanted, `page ${page} as the kernel sees it`);
    }
  }
}

function finish(run: Run): void {
  for (const space of run.spaces.slice(1)) end(run, space);
  run.t.k.current = run.t.task;
  checkSpaces(run.t.k, [run.t.mm]);
  run.t.close();
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`forks and writes in random order, seed ${seed}`, () => {
    const run = start(seed);
    for (let i = 0; i < 400; i++) {
      step(run);
      if (i % 3 === 0) checkAll(run);
    }
    checkAll(run);
    finish(run);
  });
}

test('forks copy no frame until somebody writes, and free what they had', () => {
  const run = start(1);
  const [parent] = run.spaces as [Space];
  for (let page = 0; page < PAGES; page++) writeByKernel(run, parent, page, page + 1);
  const before = run.t.k.frames.used;
  for (let i = 1; i < FORKS_MOST; i++) fork(run, parent);
  assert.is(run.t.k.frames.used, before);
  assert.is(run.spaces[1]?.cpu.write(BASE, 99), null);
  assert.is(run.t.k.frames.used, before + 1);
  run.spaces[1]?.bytes.fill(99, 0, 1);
  checkAll(run);
  for (const space of run.spaces.slice(1)) end(run, space);
  assert.is(run.t.k.frames.used, before);
  finish(run);
});

test('MADV_DONTFORK leaves a range out, MADV_WIPEONFORK leaves it empty', () => {
  const run = start(1);
  const [parent] = run.spaces as [Space];
  const { k, mm } = run.t;
  for (let page = 0; page < 4; page++) writeByKernel(run, parent, page, 7);
  assert.is(adviseRange(k, mm, BASE, BASE + PAGE, MADV_DONTFORK), 0);
  assert.is(adviseRange(k, mm, BASE + PAGE, BASE + 2 * PAGE, MADV_WIPEONFORK), 0);
  fork(run, parent);
  const child = run.spaces[1] as Space;
  const missing = child.cpu.read(BASE);
  assert.ok(typeof missing !== 'number' && missing.kind === 'signal');
  assert.is(child.cpu.read(BASE + PAGE), 0);
  assert.is(child.cpu.read(BASE + 2 * PAGE), 7);
  assert.is(parent.cpu.read(BASE), 7);
  checkSpaces(k, run.spaces.map(mmOf));
  finish(run);
});

test('a fork that finds no page tables fails, with nothing left of it', () => {
  const t = makeTestKernel({ tables: 56 });
  mapBoth(t);
  for (let i = 0; i < 2; i++) copyOut(t.k, BASE + i * PAGE, Uint8Array.of(1));
  const before = t.k.frames.used;
  let made = 0;
  const spaces: Mm[] = [];
  assert.throws(() => {
    for (; made < 10; made++) spaces.push(forkMm(t.k, t.mm));
  }, /page tables/);
  assert.ok(made > 0 && made < 10);
  for (const mm of spaces) releaseMm(t.k, mm);
  assert.is(t.k.frames.used, before);
  checkSpaces(t.k, [t.mm]);
  t.close();
});

test.run();
