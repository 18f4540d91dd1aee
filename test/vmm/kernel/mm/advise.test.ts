// madvise(2) and mincore(2): what is dropped, what is remembered, what is refused.
import { assert, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { EFAULT, EINVAL, ENOMEM } from '../../../../vmm/abi/errno.ts';
import * as mman from '../../../../vmm/abi/mman.ts';
import { adviseRange, isKnownAdvice, residency } from '../../../../vmm/kernel/mm/advise.ts';
import { wipeOnFork } from '../../../../vmm/kernel/mm/address-space.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import { mapRegion, protectRegion } from '../../../../vmm/kernel/mm/map.ts';
import { lowerInode, pattern } from './files.ts';

const test = suite('kernel/mm/advise');
const PAGE = 4096;
const BASE = 0x1000_0000;

function anon(
  t: TestKernel, pages: number, prot: number = 3, type: number = mman.MAP_PRIVATE,
): void {
  const flags = type | mman.MAP_ANONYMOUS | mman.MAP_FIXED;
  mapRegion(t.k, { gva: BASE, bytes: pages * PAGE, prot, flags });
}

function advise(t: TestKernel, first: number, count: number, advice: number): number {
  const start = BASE + first * PAGE;
  const result = adviseRange(t.k, t.mm, start, start + count * PAGE, advice);
  checkMm(t.k, t.mm);
  return result;
}

test('MADV_DONTNEED and MADV_FREE drop private memory, and give its frames back', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 16);
  for (let page = 0; page < 16; page++) cpu.write(BASE + page * PAGE, 1);
  assert.is(advise(t, 2, 3, mman.MADV_DONTNEED), 0);
  assert.is(advise(t, 8, 1, mman.MADV_FREE), 0);
  assert.is(t.k.frames.used, 12);
  assert.equal([1, 2, 4, 5, 8].map((page) => cpu.read(BASE + page * PAGE)), [1, 0, 0, 1, 0]);
  t.close();
});

test('MADV_DONTNEED keeps shared memory, MADV_REMOVE empties it', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 4, 3, mman.MAP_SHARED);
  for (let page = 0; page < 4; page++) cpu.write(BASE + page * PAGE, 7);
  assert.is(advise(t, 0, 2, mman.MADV_DONTNEED), 0);
  assert.is(cpu.read(BASE), 7);
  assert.is(advise(t, 1, 1, mman.MADV_REMOVE), 0);
  assert.equal([0, 1, 2].map((page) => cpu.read(BASE + page * PAGE)), [7, 0, 7]);
  t.close();
});

test('a private file page that was written shows the file again after MADV_DONTNEED', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) } });
  const cpu = new GuestCpu(t);
  const flags = mman.MAP_PRIVATE | mman.MAP_FIXED;
  mapRegion(t.k, { gva: BASE, bytes: 4 * PAGE, prot: 3, flags, inode: lowerInode(t, 'f') });
  cpu.write(BASE, 99);
  advise(t, 0, 1, mman.MADV_DONTNEED);
  assert.is(cpu.read(BASE), 1);
  t.close();
});

test('adviseRange() passes over holes and says ENOMEM at the end', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 2);
  cpu.write(BASE + PAGE, 1);
  assert.is(adviseRange(t.k, t.mm, BASE - PAGE, BASE + 3 * PAGE, mman.MADV_DONTNEED), -ENOMEM);
  assert.is(cpu.read(BASE + PAGE), 0, 'what is mapped was dropped all the same');
  t.close();
});

test('MADV_WIPEONFORK memory is empty after wipeOnFork(), other memory is not', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 4);
  for (let page = 0; page < 4; page++) cpu.write(BASE + page * PAGE, 7);
  assert.is(advise(t, 1, 2, mman.MADV_WIPEONFORK), 0);
  assert.is(advise(t, 2, 1, mman.MADV_KEEPONFORK), 0);
  assert.is(t.mm.vmas.length, 3);
  wipeOnFork(t.k, t.mm);
  assert.equal([0, 1, 2, 3].map((page) => cpu.read(BASE + page * PAGE)), [7, 0, 7, 7]);
  assert.is(advise(t, 0, 4, mman.MADV_KEEPONFORK), 0);
  assert.is(t.mm.vmas.length, 1);
  t.close();
});

test('what madvise() set stays with both halves of a mapping that is cut', () => {
  const t = makeTestKernel();
  anon(t, 4);
  advise(t, 0, 4, mman.MADV_DONTDUMP);
  protectRegion(t.k, BASE + PAGE, PAGE, 1);
  assert.equal([0, 1, 2].map((index) => t.mm.vmas.get(index)?.advice), [4, 4, 4]);
  t.close();
});

test('MADV_POPULATE_* fault pages in, or say why not', () => {
  const t = makeTestKernel({ lower: { f: pattern(2) } });
  anon(t, 40);
  assert.is(advise(t, 0, 40, mman.MADV_POPULATE_WRITE), 0);
  assert.is(t.mm.residentPages, 40);
  anon(t, 4, 1);
  assert.is(advise(t, 0, 4, mman.MADV_POPULATE_READ), 0);
  assert.is(advise(t, 0, 4, mman.MADV_POPULATE_WRITE), -EINVAL);
  assert.is(advise(t, 0, 41, mman.MADV_POPULATE_READ), -ENOMEM);
  const flags = mman.MAP_SHARED | mman.MAP_FIXED;
  mapRegion(t.k, { gva: BASE, bytes: 4 * PAGE, prot: 3, flags, inode: lowerInode(t, 'f') });
  assert.is(advise(t, 0, 4, mman.MADV_POPULATE_READ), -EFAULT);
  t.close();
});

test('isKnownAdvice() knows what Linux 6.1 has, but guard pages and poison', () => {
  const known = Array.from({ length: 128 }, (_, advice) => advice).filter(isKnownAdvice);
  const wanted = [0, 1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24];
  assert.equal(known, wanted);
});

test('residency() sees present and cached pages', () => {
  const t = makeTestKernel({ lower: { f: pattern(64) } });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  const flags = mman.MAP_PRIVATE | mman.MAP_FIXED;
  mapRegion(t.k, { gva: BASE, bytes: 64 * PAGE, prot: 1, flags, inode });
  cpu.read(BASE + 20 * PAGE);
  mapRegion(t.k, { gva: BASE + 0x100 * PAGE, bytes: 64 * PAGE, prot: 1, flags, inode });
  for (const start of [BASE, BASE + 0x100 * PAGE]) {
    const vector = new Uint8Array(64);
    assert.ok(residency(t.k, t.mm, start, vector));
    assert.equal([vector[15], vector[16], vector[31], vector[32]], [0, 1, 1, 0]);
  }
  assert.not(residency(t.k, t.mm, BASE, new Uint8Array(65)), 'a hole');
  t.close();
});

test.run();
