// mremap(2): growing, shrinking, moving, and what goes with a mapping.
import { assert, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { EFAULT, EINVAL, ENOMEM } from '../../../../vmm/abi/errno.ts';
import {
  MADV_WIPEONFORK, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MREMAP_DONTUNMAP,
  MREMAP_FIXED, MREMAP_MAYMOVE,
} from '../../../../vmm/abi/mman.ts';
import { adviseRange } from '../../../../vmm/kernel/mm/advise.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import { mapRegion, unmapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { remapRegion } from '../../../../vmm/kernel/mm/remap.ts';
import { findVma } from '../../../../vmm/kernel/mm/vma.ts';
import { lowerInode, pattern } from './files.ts';

const test = suite('kernel/mm/remap');
const PAGE = 4096;
const BASE = 0x1000_0000;
const FAR = 0x2000_0000;

function anon(t: TestKernel, page: number, pages: number, type: number = MAP_PRIVATE): number {
  return mapRegion(t.k, {
    gva: BASE + page * PAGE, bytes: pages * PAGE, prot: 3, flags: type | MAP_ANONYMOUS | MAP_FIXED,
  });
}

function remap(
  t: TestKernel, page: number, oldPages: number, newPages: number, flags: number,
  newGva: number = 0,
): number {
  const result = remapRegion(t.k, {
    gva: BASE + page * PAGE, oldBytes: oldPages * PAGE, newBytes: newPages * PAGE, flags, newGva,
  });
  checkMm(t.k, t.mm);
  return result;
}

test('remapRegion() shrinks in place and grows in place while there is room', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 8);
  cpu.write(BASE + 7 * PAGE, 1);
  assert.is(remap(t, 0, 8, 4, 0), BASE);
  assert.is((cpu.read(BASE + 7 * PAGE) as { kind: string }).kind, 'signal');
  anon(t, 10, 1);
  assert.is(remap(t, 0, 4, 10, 0), BASE);
  assert.is(cpu.read(BASE + 7 * PAGE), 0, 'grown memory is zero');
  t.close();
});

test('remapRegion() moves with the content, or says ENOMEM when it may not move', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 4);
  anon(t, 4, 1, MAP_SHARED);
  for (let page = 0; page < 4; page++) cpu.write(BASE + page * PAGE, page + 10);
  assert.is(remap(t, 0, 4, 6, 0), -ENOMEM);
  const to = remap(t, 0, 4, 6, MREMAP_MAYMOVE);
  assert.is(to, t.mm.mmapBase - 6 * PAGE);
  for (let page = 0; page < 4; page++) assert.is(cpu.read(to + page * PAGE), page + 10);
  assert.is((cpu.read(BASE) as { kind: string }).kind, 'signal', 'the old place is empty');
  t.close();
});

test('remapRegion() moves a piece out of the middle', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 9);
  for (let page = 0; page < 9; page++) cpu.write(BASE + page * PAGE, page + 10);
  assert.is(remap(t, 3, 3, 3, MREMAP_MAYMOVE | MREMAP_FIXED, FAR), FAR);
  assert.equal([0, 1, 2].map((page) => cpu.read(FAR + page * PAGE)), [13, 14, 15]);
  assert.is(t.mm.vmas.length, 3);
  t.close();
});

test('MREMAP_FIXED replaces what is at the target', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 2);
  anon(t, 0x100, 8);
  cpu.write(BASE, 5);
  cpu.write(BASE + 0x100 * PAGE, 6);
  assert.is(remap(t, 0, 2, 3, 3, BASE + 0x100 * PAGE), BASE + 0x100 * PAGE);
  assert.equal([0x100, 0x102, 0x103].map((page) => cpu.read(BASE + page * PAGE)), [5, 0, 0]);
  t.close();
});

test('a move to a fixed address takes several mappings along, with their gaps', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 2);
  anon(t, 2, 1, MAP_SHARED);
  anon(t, 4, 1);
  for (const page of [0, 1, 2, 4]) cpu.write(BASE + page * PAGE, page + 10);
  assert.is(remap(t, 3, 2, 2, 3, FAR), -EFAULT, 'a gap at the start');
  assert.is(remap(t, 0, 5, 5, 3, FAR), FAR);
  assert.equal([0, 1, 2, 4].map((page) => cpu.read(FAR + page * PAGE)), [10, 11, 12, 14]);
  assert.is((cpu.read(FAR + 3 * PAGE) as { kind: string }).kind, 'signal');
  assert.is((cpu.read(BASE) as { kind: string }).kind, 'signal');
  t.close();
});

test('a move that is refused leaves the target alone', () => {
  const t = makeTestKernel();
  anon(t, 0, 2);
  anon(t, 2, 2, MAP_SHARED);
  anon(t, 0x100, 8);
  assert.is(remap(t, 0, 4, 5, 3, BASE + 0x100 * PAGE), -EFAULT);
  assert.is(remap(t, 0, 4, 3, 3, BASE + 0x100 * PAGE), -EFAULT);
  assert.is(remap(t, 0, 0, 1, 3, BASE + 0x100 * PAGE), -EINVAL);
  assert.is(t.mm.mappedBytes, 12 * PAGE);
  t.close();
});

test('MREMAP_DONTUNMAP leaves an empty mapping behind', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 2);
  cpu.write(BASE, 5);
  const to = remap(t, 0, 2, 2, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
  assert.equal([cpu.read(to), cpu.read(BASE)], [5, 0]);
  assert.is(remap(t, 0, 2, 3, MREMAP_MAYMOVE | MREMAP_DONTUNMAP), -EINVAL);
  t.close();
});

test('an old size of 0 maps shared memory a second time, and is refused for private memory', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 0, 2, MAP_SHARED);
  const to = remap(t, 0, 0, 2, MREMAP_MAYMOVE);
  cpu.write(BASE, 5);
  assert.is(cpu.read(to), 5);
  unmapRegion(t.k, BASE, 2 * PAGE);
  assert.is(cpu.read(to), 5, 'the memory lives as long as one mapping does');
  anon(t, 0x100, 1);
  assert.is(remap(t, 0x100, 0, 1, MREMAP_MAYMOVE), -EINVAL);
  t.close();
});

test('remapRegion() refuses ranges that are not one mapping', () => {
  const t = makeTestKernel();
  anon(t, 0, 2);
  anon(t, 2, 2, MAP_SHARED);
  assert.is(remap(t, 0, 3, 3 + 1, MREMAP_MAYMOVE), -EFAULT);
  assert.is(remap(t, 8, 1, 2, MREMAP_MAYMOVE), -EFAULT);
  assert.is(remap(t, 0, 2, 2, 3, BASE + PAGE), -EINVAL, 'overlap');
  t.close();
});

test('a file mapping that moves or grows shows the same file', () => {
  const t = makeTestKernel({ lower: { f: pattern(8) } });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  mapRegion(t.k, {
    gva: BASE, bytes: 4 * PAGE, prot: 3, flags: MAP_SHARED | MAP_FIXED, inode, fileOffset: 2 * PAGE,
  });
  cpu.write(BASE + PAGE, 99);
  assert.is(remap(t, 1, 3, 6, 3, FAR), FAR);
  assert.equal([0, 1, 4].map((page) => cpu.read(FAR + page * PAGE)), [99, 5, 8]);
  assert.is((cpu.read(FAR + 5 * PAGE) as { signal: number }).signal, 7);
  assert.is(cpu.read(BASE), 3);
  t.close();
});

test('what madvise() set goes with the mapping', () => {
  const t = makeTestKernel();
  anon(t, 0, 2);
  adviseRange(t.k, t.mm, BASE, BASE + 2 * PAGE, MADV_WIPEONFORK);
  remap(t, 0, 2, 2, 3, FAR);
  assert.is(findVma(t.mm, FAR)?.advice, 2);
  t.close();
});

test('out of page tables is ENOMEM and changes nothing', () => {
  const t = makeTestKernel({ tables: 20 });
  const cpu = new GuestCpu(t);
  anon(t, 0, 2);
  cpu.write(BASE, 5);
  assert.is(remap(t, 0, 2, 2, 3, 0x6000_0000_0000), -ENOMEM);
  assert.is(cpu.read(BASE), 5);
  assert.is(t.mm.vmas.length, 1);
  t.close();
});

test.run();
