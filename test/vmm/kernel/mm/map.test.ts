// Where mappings go, what they replace, how they are cut and joined, limits, brk.
import { assert, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { EEXIST, ENOMEM, EPERM } from '../../../../vmm/abi/errno.ts';
import { MAX_MAP_COUNT } from '../../../../vmm/abi/limits.ts';
import {
  MAP_32BIT, MAP_ANONYMOUS, MAP_FIXED, MAP_FIXED_NOREPLACE, MAP_GROWSDOWN, MAP_NORESERVE,
  MAP_POPULATE, MAP_PRIVATE, MAP_SHARED,
} from '../../../../vmm/abi/mman.ts';
import { RLIMIT_AS, RLIMIT_DATA } from '../../../../vmm/abi/resource.ts';
import { destroyMm, makeMm, setBrk } from '../../../../vmm/kernel/mm/address-space.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import { mapRegion, protectRegion, unmapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { copyIn, copyOut, USER_END } from '../../../../vmm/kernel/mm/user-memory.ts';
import { findVma, vmaAt } from '../../../../vmm/kernel/mm/vma.ts';
import { Process } from '../../../../vmm/kernel/records/task.ts';
import { VMA_HEAP } from '../../../../vmm/kernel/records/mm.ts';
import { f64 } from '../../../../vmm/kernel/state/memory.ts';
import { lowerInode, pattern } from './files.ts';

const test = suite('kernel/mm/map');
const PAGE = 4096;
const ANON: number = MAP_PRIVATE | MAP_ANONYMOUS;

function anon(
  t: TestKernel, gva: number, pages: number, prot: number = 3, flags: number = 0,
): number {
  return mapRegion(t.k, { gva, bytes: pages * PAGE, prot, flags: ANON | flags });
}

function setLimit(t: TestKernel, resource: number, value: number): void {
  f64[((t.process.address + Process.offset('limits')) >> 3) + resource * 2] = value;
}

/** [start page, end page, prot] of each mapping, pages counted from `base`. */
function layout(t: TestKernel, base: number): number[][] {
  const rows: number[][] = [];
  for (let index = 0; index < t.mm.vmas.length; index++) {
    const { start, end, prot } = vmaAt(t.mm, index);
    rows.push([(start - base) / PAGE, (end - base) / PAGE, prot]);
  }
  return rows;
}

test('mapRegion() goes down from mmapBase and fills the highest gap that is large enough', () => {
  const t = makeTestKernel();
  const base = t.mm.mmapBase;
  assert.is(anon(t, 0, 4, 1), base - 4 * PAGE);
  assert.is(anon(t, 0, 2, 3), base - 6 * PAGE);
  assert.is(unmapRegion(t.k, base - 3 * PAGE, 2 * PAGE), 0);
  assert.is(anon(t, 0, 3, 5), base - 9 * PAGE, 'the hole of 2 is too small');
  assert.is(anon(t, 0, 2, 5), base - 3 * PAGE);
  checkMm(t.k, t.mm);
  t.close();
});

test('mapRegion() finds room among many mappings without passing all of them', () => {
  const t = makeTestKernel();
  const base = t.mm.mmapBase;
  const start = performance.now();
  const count = 20_000;
  for (let i = 1; i <= count; i++) assert.is(anon(t, 0, 2, 1 + i % 2), base - 2 * i * PAGE);
  assert.atMost(performance.now() - start, 3000, 'milliseconds');
  assert.is(unmapRegion(t.k, base - 101 * PAGE, PAGE), 0);
  assert.is(unmapRegion(t.k, base - 200 * PAGE, 2 * PAGE), 0);
  assert.is(anon(t, 0, 2, 5), base - 200 * PAGE);
  assert.is(anon(t, 0, 1, 5), base - 101 * PAGE);
  assert.is(anon(t, 0, 1, 5), base - (2 * count + 1) * PAGE);
  checkMm(t.k, t.mm);
  t.close();
});

test('mapRegion() takes a hint that is free and ignores one that is not', () => {
  const t = makeTestKernel();
  assert.is(anon(t, 0x1234_5678, 2), 0x1234_5000);
  assert.is(anon(t, 0x1234_6000, 1), t.mm.mmapBase - PAGE);
  assert.is(anon(t, 2 ** 63, 1, 1), t.mm.mmapBase - 2 * PAGE);
  assert.is(anon(t, 1, 1, 1), t.mm.mmapBase - 3 * PAGE);
  assert.is(anon(t, PAGE, 1, 5), 0x10000, 'a hint below mmap_min_addr is raised to it');
  t.close();
});

test('mapRegion() replaces with MAP_FIXED and refuses with MAP_FIXED_NOREPLACE', () => {
  const t = makeTestKernel();
  const base = 0x1000_0000;
  anon(t, base, 8, 3, MAP_FIXED);
  copyOut(t.k, base, new Uint8Array(8 * PAGE).fill(1));
  assert.is(anon(t, base + 7 * PAGE, 2, 1, MAP_FIXED_NOREPLACE), -EEXIST);
  assert.is(anon(t, base + 2 * PAGE, 3, 1, MAP_FIXED), base + 2 * PAGE);
  assert.equal(layout(t, base), [[0, 2, 3], [2, 5, 1], [5, 8, 3]]);
  assert.is(t.mm.residentPages, 5);
  checkMm(t.k, t.mm);
  t.close();
});

test('mapRegion() refuses addresses below 64 KiB and from the last page on', () => {
  const t = makeTestKernel();
  assert.is(anon(t, 0, 1, 3, MAP_FIXED), -EPERM);
  assert.is(anon(t, 0xf000, 1, 3, MAP_FIXED), -EPERM);
  assert.is(anon(t, USER_END, 1, 3, MAP_FIXED), -ENOMEM);
  assert.is(anon(t, USER_END - PAGE, 1, 3, MAP_FIXED), USER_END - PAGE);
  assert.is(USER_END + PAGE, 2 ** 47);
  t.close();
});

test('mapRegion() keeps MAP_32BIT below 2 GiB', () => {
  const t = makeTestKernel();
  assert.is(anon(t, 0, 1, 3, MAP_32BIT), 0x4000_0000);
  assert.is(anon(t, 0, 0x4_0000, 3, MAP_32BIT | MAP_NORESERVE), -ENOMEM);
  t.close();
});

test('mapRegion() leaves the guard gap below a stack free', () => {
  const t = makeTestKernel();
  const base = t.mm.mmapBase;
  anon(t, base - 0x100 * PAGE, 4, 3, MAP_FIXED | MAP_GROWSDOWN);
  assert.is(anon(t, 0, 0xfd), base - 0x300 * PAGE + (0x100 - 0xfd) * PAGE);
  t.close();
});

test('mapRegion() refuses what overcommit and the limits forbid', () => {
  const t = makeTestKernel({ limits: { memoryBytes: 1 << 26 } });
  const pages = (1 << 26) / PAGE;
  assert.is(anon(t, 0, pages + 1), -ENOMEM);
  assert.ok(anon(t, 0, pages + 1, 3, MAP_NORESERVE) > 0);
  assert.ok(anon(t, 0, 2 ** 30, 0) > 0, 'reserving address space is no use of memory');
  assert.is(mapRegion(t.k, { gva: 0, bytes: 2 ** 47, prot: 0, flags: ANON }), -ENOMEM);
  setLimit(t, RLIMIT_AS, t.mm.mappedBytes + 2 * PAGE);
  assert.is(anon(t, 0, 3, 1), -ENOMEM);
  assert.ok(anon(t, 0, 2, 1) > 0);
  setLimit(t, RLIMIT_AS, Infinity);
  setLimit(t, RLIMIT_DATA, (pages + 1) * PAGE + PAGE);
  assert.is(anon(t, 0, 2), -ENOMEM);
  assert.ok(anon(t, 0, 2, 1) > 0);
  checkMm(t.k, t.mm);
  t.close();
});

test('mapRegion() stops at the number of mappings Linux allows', () => {
  const t = makeTestKernel({ arenaBytes: 32 << 20, tables: 32 });
  const base = 0x1000_0000;
  anon(t, base, 2 * MAX_MAP_COUNT, 0, MAP_FIXED);
  let made = 0;
  let result = 0;
  for (; made < MAX_MAP_COUNT && result === 0; made++) {
    result = protectRegion(t.k, base + (made * 2 + 1) * PAGE, PAGE, 1);
  }
  assert.is(result, -ENOMEM);
  assert.is(t.mm.vmas.length, MAX_MAP_COUNT);
  assert.is(unmapRegion(t.k, base + (2 * MAX_MAP_COUNT - 5) * PAGE, PAGE), -ENOMEM);
  t.close();
});

test('MAP_POPULATE makes the pages present at once', () => {
  const t = makeTestKernel();
  anon(t, 0, 40, 3, MAP_POPULATE);
  assert.is(t.mm.residentPages, 40);
  t.close();
});

test('neighbours that differ in nothing become one mapping', () => {
  const t = makeTestKernel({ lower: { f: pattern(8) } });
  const base = 0x1000_0000;
  anon(t, base, 2, 3, MAP_FIXED);
  anon(t, base + 4 * PAGE, 2, 3, MAP_FIXED);
  anon(t, base + 2 * PAGE, 2, 3, MAP_FIXED);
  assert.equal(layout(t, base), [[0, 6, 3]]);
  assert.is(protectRegion(t.k, base + PAGE, 2 * PAGE, 1), 0);
  assert.equal(layout(t, base), [[0, 1, 3], [1, 3, 1], [3, 6, 3]]);
  assert.is(protectRegion(t.k, base + PAGE, 2 * PAGE, 3), 0);
  assert.equal(layout(t, base), [[0, 6, 3]]);
  const inode = lowerInode(t, 'f');
  for (const [page, offset] of [[10, 0], [11, 1], [12, 3]] as const) {
    mapRegion(t.k, {
      gva: base + page * PAGE, bytes: PAGE, prot: 1, flags: MAP_PRIVATE | MAP_FIXED, inode,
      fileOffset: offset * PAGE,
    });
  }
  assert.equal(layout(t, base), [[0, 6, 3], [10, 12, 1], [12, 13, 1]]);
  assert.is(inode.refs, 3);
  checkMm(t.k, t.mm);
  t.close();
});

test('neighbours that differ in what they may become stay apart', () => {
  const t = makeTestKernel({ lower: { f: pattern(8) } });
  const inode = lowerInode(t, 'f');
  for (const [page, maxProt] of [[0, 7], [1, 5], [2, 5]] as const) {
    mapRegion(t.k, {
      gva: 0x1000_0000 + page * PAGE, bytes: PAGE, prot: 1, flags: MAP_SHARED | MAP_FIXED, inode,
      fileOffset: page * PAGE, maxProt,
    });
  }
  assert.equal(layout(t, 0x1000_0000), [[0, 1, 1], [1, 3, 1]]);
  t.close();
});

test('unmapRegion() gives frames, references and mappings back', () => {
  const t = makeTestKernel({ lower: { f: pattern(8) } });
  const inode = lowerInode(t, 'f');
  const at = mapRegion(t.k, { gva: 0, bytes: 8 * PAGE, prot: 3, flags: MAP_PRIVATE, inode });
  const flags = MAP_SHARED | MAP_ANONYMOUS;
  const shared = mapRegion(t.k, { gva: 0, bytes: 8 * PAGE, prot: 3, flags });
  copyOut(t.k, at, new Uint8Array(3 * PAGE).fill(9));
  copyOut(t.k, shared, new Uint8Array(3 * PAGE).fill(9));
  assert.ok(t.k.frames.used >= 6);
  assert.is(unmapRegion(t.k, at, 8 * PAGE), 0);
  assert.is(unmapRegion(t.k, shared, 8 * PAGE), 0);
  assert.is(t.k.frames.used, 0);
  assert.is(inode.refs, 1);
  assert.is(inode.firstVma, null);
  assert.equal([t.mm.vmas.length, t.mm.mappedBytes, t.mm.residentPages], [0, 0, 0]);
  t.close();
});

test('protectRegion() keeps the content of pages through PROT_NONE', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  const at = anon(t, 0, 4);
  cpu.write(at, 42);
  assert.is(protectRegion(t.k, at, PAGE, 0), 0);
  assert.is(copyOut(t.k, at, new Uint8Array(1)), 0, 'the kernel must not reach it either');
  const refused = { kind: 'signal', signal: 11, code: 2, address: at, errorCode: 5 };
  assert.equal(cpu.read(at), refused);
  assert.is(protectRegion(t.k, at, PAGE, 1), 0);
  assert.is(cpu.read(at), 42);
  checkMm(t.k, t.mm);
  t.close();
});

test('protectRegion() remembers that a page is in use when it gains permission', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  const at = anon(t, 0, 1, 1);
  cpu.read(at);
  protectRegion(t.k, at, PAGE, 3);
  assert.is(t.stale.length, 0, 'more permission needs no report');
  unmapRegion(t.k, at, PAGE);
  assert.is(t.stale.length, 1, 'what the CPU cached before is still in use');
  t.close();
});

test('setBrk() moves the end of the heap and refuses as Linux does', () => {
  const t = makeTestKernel();
  const start = 0x60_0000;
  t.mm.brkStart = start;
  t.mm.brk = start;
  assert.is(setBrk(t.k, 0), start);
  assert.is(setBrk(t.k, start + 100), start + 100);
  assert.is(setBrk(t.k, start + 3 * PAGE), start + 3 * PAGE);
  assert.is(findVma(t.mm, start)?.role, VMA_HEAP);
  assert.equal(layout(t, start), [[0, 3, 3]]);
  copyOut(t.k, start, new Uint8Array(3 * PAGE).fill(1));
  assert.is(setBrk(t.k, start + PAGE), start + PAGE);
  assert.equal(layout(t, start), [[0, 1, 3]]);
  anon(t, start + 4 * PAGE, 1, 3, MAP_FIXED);
  assert.is(setBrk(t.k, start + 5 * PAGE), start + PAGE, 'something is in the way');
  // The mapping in the way is data, too.
  setLimit(t, RLIMIT_DATA, 3 * PAGE);
  assert.is(setBrk(t.k, start + 3 * PAGE), start + PAGE);
  assert.is(setBrk(t.k, start + 2 * PAGE), start + 2 * PAGE);
  checkMm(t.k, t.mm);
  t.close();
});

test('destroyMm() frees everything, page tables when everything cached is forgotten', () => {
  const t = makeTestKernel();
  const at = anon(t, 0, 8);
  copyOut(t.k, at, new Uint8Array(8 * PAGE).fill(1));
  let mm = t.mm;
  for (let round = 0; round < 300; round++) {
    t.process.mm = null;
    destroyMm(t.k, mm);
    assert.is(t.k.frames.used, 0);
    const forgotten = t.forgotten();
    mm = makeMm(t.k);
    assert.is(mm.vmas.length, 0);
    t.process.mm = mm;
    assert.is(anon(t, at, 8, 3, MAP_FIXED), at);
    const byte = new Uint8Array(1);
    assert.is(copyIn(t.k, at, byte), 1);
    assert.is(byte[0], 0, 'a table that is used again is empty');
    assert.is(copyOut(t.k, at, Uint8Array.of(1)), 1);
    checkMm(t.k, mm);
    assert.ok(t.forgotten() - forgotten <= 1);
  }
  assert.ok(t.forgotten() > 0 && t.forgotten() < 10, `forgotten ${t.forgotten()} times`);
  assert.ok(t.k.tables.end < 512, 'the window is not used up');
  t.close();
});

test.run();
