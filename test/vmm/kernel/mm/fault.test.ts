// Page faults: verdicts, windows, stacks, files, what a restore leaves, and no stale translation.
import { assert, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { rebase } from '../../../helpers/rebase.ts';
import {
  MAP_ANONYMOUS, MAP_FIXED, MAP_GROWSDOWN, MAP_NORESERVE, MAP_PRIVATE, MAP_SHARED,
} from '../../../../vmm/abi/mman.ts';
import { RLIMIT_STACK } from '../../../../vmm/abi/resource.ts';
import { accessPage } from '../../../../vmm/kernel/mm/access.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import { handlePageFault } from '../../../../vmm/kernel/mm/fault.ts';
import { mapRegion, unmapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { truncatePages, writeFilePages } from '../../../../vmm/kernel/mm/page-cache.ts';
import { remapRegion } from '../../../../vmm/kernel/mm/remap.ts';
import { PTE_P, PTE_RW } from '../../../../vmm/kernel/mm/pte.ts';
import { findEntry } from '../../../../vmm/kernel/mm/tables.ts';
import { copyIn, copyOut, USER_END } from '../../../../vmm/kernel/mm/user-memory.ts';
import { Process } from '../../../../vmm/kernel/records/task.ts';
import { f64, u32 } from '../../../../vmm/kernel/state/memory.ts';
import { kernelBuffer } from '../../../../vmm/kernel/vfs/io-buffer.ts';
import { lowerInode, pattern } from './files.ts';

const test = suite('kernel/mm/fault');
const PAGE = 4096;
const BASE = 0x1000_0000;
const READ = 4;
const WRITE = 6;
const PRESENT = 1;
const FETCH = 20;

function anon(t: TestKernel, pages: number, prot: number = 3, flags: number = 0): number {
  const fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  return mapRegion(t.k, { gva: BASE, bytes: pages * PAGE, prot, flags: fixed | flags });
}

function mapFile(
  t: TestKernel, inode: ReturnType<typeof lowerInode>, gva: number, pages: number, prot: number,
  flags: number,
): number {
  return mapRegion(t.k, { gva, bytes: pages * PAGE, prot, flags: flags | MAP_FIXED, inode });
}

function isPresent(t: TestKernel, gva: number): boolean {
  const at = findEntry(t.k.tables, t.mm.rootTable, gva);
  return at !== 0 && ((u32[at] as number) & PTE_P) !== 0;
}

/** Copies one byte as the kernel; 1 or 0. */
function poke(t: TestKernel, gva: number, value: number): number {
  return copyOut(t.k, gva, Uint8Array.of(value));
}

function peek(t: TestKernel, gva: number): number {
  const byte = new Uint8Array(1);
  return copyIn(t.k, gva, byte) === 1 ? byte[0] as number : -1;
}

function busError(address: number): object {
  return { kind: 'signal', signal: 7, code: 2, address, errorCode: READ };
}

/** [prot, error code, signal, si_code]; 0 = resolved. */
const verdicts: [number, number, number, number][] = [
  [3, READ, 0, 0], [3, WRITE, 0, 0], [3, FETCH, 11, 2], [1, WRITE, 11, 2], [1, READ, 0, 0],
  [0, READ, 11, 2], [0, WRITE, 11, 2], [2, READ, 0, 0], [4, READ, 0, 0], [5, FETCH, 0, 0],
  [3, READ | PRESENT, 0, 0], [3, READ | 8, 11, 1],
];

test('handlePageFault() decides by the mapping as Linux does', () => {
  for (const [prot, errorCode, signal, code] of verdicts) {
    const t = makeTestKernel();
    anon(t, 4, prot);
    const result = handlePageFault(t.k, BASE + 5, errorCode);
    const address = BASE + 5;
    const wanted = signal === 0
      ? { kind: 'ok' }
      : { kind: 'signal', signal, code, address, errorCode };
    assert.equal(result, wanted, `prot ${prot}, error code ${errorCode}`);
    t.close();
  }
});

test('handlePageFault() gives SEGV_MAPERR outside every mapping and outside user space', () => {
  const t = makeTestKernel();
  anon(t, 4);
  const rows: [number, number, number][] = [
    [0, READ, READ], [BASE - 1, READ, READ], [BASE + 4 * PAGE, WRITE, WRITE],
    [BASE + 4 * PAGE, FETCH, FETCH],
    // Of addresses that are not the user's it is not told whether something is there.
    [USER_END, READ, READ | PRESENT], [2 ** 47, READ, READ | PRESENT],
    [-(2 ** 47), FETCH, FETCH | PRESENT], [-1, WRITE | PRESENT, WRITE | PRESENT],
  ];
  for (const [gva, given, errorCode] of rows) {
    const result = handlePageFault(t.k, gva, given);
    assert.equal(result, { kind: 'signal', signal: 11, code: 1, address: gva, errorCode });
  }
  t.close();
});

test('a fault in anonymous memory brings a window, which grows with sequential access', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 512);
  cpu.read(BASE + 20 * PAGE);
  assert.is(t.mm.residentPages, 16);
  assert.ok(isPresent(t, BASE + 16 * PAGE) && isPresent(t, BASE + 31 * PAGE));
  for (let page = 0; page < 512; page++) cpu.write(BASE + page * PAGE, 1);
  assert.atMost(cpu.faults, 14, 'faults for 2 MiB');
  checkMm(t.k, t.mm);
  t.close();
});

test('a window stays inside its mapping', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  mapRegion(t.k, {
    gva: BASE + 3 * PAGE, bytes: 2 * PAGE, prot: 3, flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
  });
  cpu.read(BASE + 4 * PAGE);
  assert.is(t.mm.residentPages, 2);
  checkMm(t.k, t.mm);
  t.close();
});

test('a stack grows to the address touched, within its limit and above the guard gap', () => {
  const t = makeTestKernel();
  const top = BASE + 0x4000 * PAGE;
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  mapRegion(t.k, { gva: top - PAGE, bytes: PAGE, prot: 3, flags: flags | MAP_GROWSDOWN });
  assert.is(poke(t, top - 5 * PAGE, 1), 1);
  assert.is(handlePageFault(t.k, top - 100 * PAGE, WRITE).kind, 'ok');
  assert.is(handlePageFault(t.k, top - 0x800 * PAGE, WRITE).kind, 'ok', 'exactly 8 MiB');
  assert.is(handlePageFault(t.k, top - 0x801 * PAGE, WRITE).kind, 'signal');
  f64[((t.process.address + Process.offset('limits')) >> 3) + RLIMIT_STACK * 2] = Infinity;
  mapRegion(t.k, { gva: top - 0x1100 * PAGE, bytes: PAGE, prot: 3, flags });
  assert.is(handlePageFault(t.k, top - 0x1000 * PAGE, WRITE).kind, 'signal', 'in the guard gap');
  assert.is(handlePageFault(t.k, top - 0xfff * PAGE, WRITE).kind, 'ok');
  checkMm(t.k, t.mm);
  t.close();
});

test('a private file mapping that is only read borrows frames of the page cache', () => {
  const t = makeTestKernel({ lower: { f: pattern(40, 10) } });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  mapFile(t, inode, BASE, 50, 5, MAP_PRIVATE);
  assert.is(cpu.read(BASE + 17 * PAGE + 5), 18);
  assert.is(t.lower.reads, 1, 'a window in one read');
  assert.is(t.k.frames.used, 16);
  mapFile(t, inode, BASE + 0x100 * PAGE, 50, 1, MAP_SHARED);
  assert.is(cpu.read(BASE + 0x110 * PAGE), 17);
  assert.is(t.k.frames.used, 16, 'the second mapping shares them');
  assert.is(cpu.read(BASE + 40 * PAGE + 9), 0xee);
  assert.is(cpu.read(BASE + 40 * PAGE + 10), 0, 'zero behind the end');
  const behind = BASE + 41 * PAGE;
  assert.equal(cpu.read(behind), busError(behind));
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('a private writable file mapping copies, and leaves the page cache alone', () => {
  const t = makeTestKernel({ lower: { f: pattern(40) } });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  mapFile(t, inode, BASE, 40, 3, MAP_PRIVATE);
  cpu.write(BASE + 9 * PAGE, 77);
  assert.is(cpu.read(BASE + 9 * PAGE), 77);
  assert.is(cpu.read(BASE + 15 * PAGE), 16);
  assert.equal([cpu.faults, t.lower.reads, inode.pages], [1, 1, null]);
  mapFile(t, inode, BASE + 0x100 * PAGE, 40, 1, MAP_PRIVATE);
  assert.is(cpu.read(BASE + 0x109 * PAGE), 10);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('shared mappings and write(2) see each other, and the lower file stays as it is', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) } });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  mapFile(t, inode, BASE, 4, 3, MAP_SHARED);
  mapFile(t, inode, BASE + 0x100 * PAGE, 4, 1, MAP_SHARED);
  assert.is(cpu.read(BASE + 0x100 * PAGE), 1);
  const before = inode.mtimeSec * 1e9 + inode.mtimeNsec;
  t.clock.advance(5_000_000_000);
  cpu.write(BASE, 99);
  assert.is(cpu.read(BASE + 0x100 * PAGE), 99);
  const after = inode.mtimeSec * 1e9 + inode.mtimeNsec;
  assert.ok(after > before, 'a write through a mapping sets mtime');
  writeFilePages(t.k, inode, PAGE, kernelBuffer(Uint8Array.of(55)));
  assert.is(cpu.read(BASE + PAGE), 55);
  assert.is(t.lower.node('f')?.content[0], 1);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('a file that changed or is gone is SIGBUS and an event', () => {
  const t = makeTestKernel({ lower: { f: pattern(40), g: pattern(2) } });
  const cpu = new GuestCpu(t);
  const f = lowerInode(t, 'f');
  const g = lowerInode(t, 'g');
  mapFile(t, f, BASE, 40, 1, MAP_PRIVATE);
  mapFile(t, g, BASE + 0x100 * PAGE, 2, 3, MAP_PRIVATE);
  t.lower.replace('f', pattern(40));
  t.lower.remove('g');
  assert.equal(cpu.read(BASE), busError(BASE));
  assert.is((cpu.write(BASE + 0x100 * PAGE, 1) as { signal: number }).signal, 7);
  assert.equal(t.events.map((event) => event.kind), ['lower-file-changed', 'lower-file-missing']);
  assert.is(t.k.frames.used, 0, 'nothing is kept of a failed read');
  checkMm(t.k, t.mm, [f, g]);
  t.close();
});

test('a truncated file takes its pages out of every mapping, private copies too', () => {
  const t = makeTestKernel({ lower: { f: pattern(8) } });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  mapFile(t, inode, BASE, 8, 3, MAP_PRIVATE);
  mapFile(t, inode, BASE + 0x100 * PAGE, 8, 3, MAP_SHARED);
  cpu.write(BASE + 6 * PAGE, 1);
  cpu.read(BASE + 0x102 * PAGE);
  cpu.read(BASE + 0x106 * PAGE);
  truncatePages(t.k, inode, 2 * PAGE + 100);
  for (const gva of [BASE + 6 * PAGE, BASE + 0x106 * PAGE]) {
    assert.equal(cpu.read(gva), busError(gva));
  }
  assert.is(cpu.read(BASE + 0x102 * PAGE + 99), 3);
  assert.is(cpu.read(BASE + 0x102 * PAGE + 100), 0);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

/**
 * A kernel whose anonymous pages 0…n-1 hold page number + 1 and are base frames, as after a
 * restore.
 */
function restored(pages: number): { t: TestKernel; cpu: GuestCpu } {
  const t = makeTestKernel({ baseFrames: 256 });
  const cpu = new GuestCpu(t);
  anon(t, pages);
  copyOut(t.k, BASE, pattern(pages));
  rebase(t, [], 0);
  cpu.flush();
  return { t, cpu };
}

test('after a restore pages are read from the image and copied when they are written', () => {
  const { t, cpu } = restored(4);
  for (let page = 0; page < 4; page++) assert.is(cpu.read(BASE + page * PAGE), page + 1);
  assert.equal([cpu.faults, t.k.frames.used], [0, 0]);
  assert.is(cpu.write(BASE + PAGE, 50), null);
  assert.equal([peek(t, BASE + PAGE), peek(t, BASE + PAGE + 1)], [50, 2]);
  assert.is(t.base[PAGE], 2, 'the image is as it was');
  checkMm(t.k, t.mm);
  t.close();
});

test('a first write copies its neighbours, and reports those that the guest has read', () => {
  const { t, cpu } = restored(40);
  cpu.read(BASE + 3 * PAGE);
  cpu.write(BASE + PAGE, 50);
  assert.is(t.k.frames.used, 32, 'a window of 32 pages');
  assert.equal(t.stale.map((call) => call.gva), [BASE + 3 * PAGE]);
  for (let page = 0; page < 32; page++) cpu.write(BASE + page * PAGE + 1, 60);
  assert.is(cpu.faults, 1);
  assert.is(poke(t, BASE + 3 * PAGE, 61), 1);
  assert.is(cpu.read(BASE + 3 * PAGE), 61, 'no stale translation is left behind');
  assert.is(cpu.read(BASE + 33 * PAGE), 34);
  checkMm(t.k, t.mm);
  t.close();
});

test('a first write makes pages writable that are in the bank already', () => {
  const t = makeTestKernel();
  const cpu = new GuestCpu(t);
  anon(t, 16);
  for (let page = 0; page < 16; page++) cpu.write(BASE + page * PAGE, page);
  for (let page = 0; page < 16; page++) {
    const at = findEntry(t.k.tables, t.mm.rootTable, BASE + page * PAGE);
    u32[at] = (u32[at] as number) & ~PTE_RW;
  }
  cpu.flush();
  cpu.faults = 0;
  for (let page = 0; page < 16; page++) cpu.write(BASE + page * PAGE, page + 1);
  assert.is(cpu.faults, 1);
  assert.is(cpu.read(BASE + 15 * PAGE), 16);
  checkMm(t.k, t.mm);
  t.close();
});

test('a first write copies neighbours from wherever the image has them', () => {
  const { t, cpu } = restored(8);
  unmapRegion(t.k, BASE + 2 * PAGE, PAGE);
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
  mapRegion(t.k, { gva: BASE + 2 * PAGE, bytes: PAGE, prot: 3, flags });
  remapRegion(t.k, {
    gva: BASE + 5 * PAGE, oldBytes: PAGE, newBytes: PAGE, flags: 3, newGva: BASE + 9 * PAGE,
  });
  cpu.write(BASE, 50);
  assert.is(cpu.faults, 1);
  const seen = [1, 2, 3, 4, 6, 7].map((page) => cpu.read(BASE + page * PAGE));
  assert.equal(seen, [2, 0, 4, 5, 7, 8]);
  checkMm(t.k, t.mm);
  t.close();
});

test('the kernel\'s write to a page that the guest has read reports the old translation', () => {
  const { t, cpu } = restored(40);
  assert.is(cpu.read(BASE), 1);
  assert.is(poke(t, BASE, 70), 1);
  assert.is(t.stale.length, 1);
  assert.is(cpu.read(BASE), 70);
  assert.is(poke(t, BASE + 32 * PAGE, 71), 1);
  assert.is(t.stale.length, 1, 'a page that was never used needs no report');
  t.close();
});

test('a write fault that the guest does not repeat leaves no stale translation', () => {
  const { t, cpu } = restored(40);
  const other = BASE + 32 * PAGE;
  cpu.read(BASE);
  cpu.beginWrite(BASE);
  assert.is(t.stale.length, 0);
  poke(t, BASE, 80);
  assert.is(cpu.read(BASE), 80, 'the kernel wrote to the new frame');
  cpu.read(other);
  cpu.beginWrite(other);
  unmapRegion(t.k, other, PAGE);
  assert.is((cpu.read(other) as { kind: string }).kind, 'signal', 'unmapped means gone');
  assert.is(t.k.tables.unsettled.size, 0);
  t.close();
});

test('accessPage() refuses addresses that the page tables cannot hold', () => {
  const t = makeTestKernel();
  anon(t, 4);
  for (const gva of [-4096, 2 ** 47, 2 ** 48 + BASE, 2 ** 64, NaN]) {
    assert.is(accessPage(t.k, gva, false), null);
  }
  t.close();
});

test('a shared page of the image moves when it is written, and every mapping follows', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) }, baseFrames: 64 });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  const places = [BASE, BASE + 0x100 * PAGE, BASE + 0x200 * PAGE] as const;
  mapFile(t, inode, places[0], 4, 3, MAP_SHARED);
  mapFile(t, inode, places[1], 4, 1, MAP_SHARED);
  mapFile(t, inode, places[2], 4, 1, MAP_PRIVATE);
  for (const place of places) cpu.read(place);
  rebase(t, [inode], 0);
  cpu.flush();
  for (const place of places) assert.is(cpu.read(place), 1);
  cpu.write(places[0], 90);
  for (const place of places) assert.is(cpu.read(place), 90);
  writeFilePages(t.k, inode, PAGE, kernelBuffer(Uint8Array.of(91)));
  for (const place of places) assert.is(cpu.read(place + PAGE), 91);
  checkMm(t.k, t.mm, [inode]);
  t.close();
});

test('an image that has gone is EFAULT for the kernel and SIGBUS for a write', () => {
  const { t, cpu } = restored(2);
  t.baseGone = true;
  assert.is(peek(t, BASE), -1);
  assert.is(poke(t, BASE, 1), 0);
  assert.is((cpu.write(BASE, 1) as { signal: number }).signal, 7);
  assert.is(t.k.frames.used, 0);
  t.close();
});

test('out of frames is oom, after pages that nobody touched were taken back', () => {
  const t = makeTestKernel({ bankFrames: 101 });
  const cpu = new GuestCpu(t);
  anon(t, 4096);
  let touched = 0;
  let result = cpu.write(BASE, 1);
  for (; result === null; touched++) result = cpu.write(BASE + touched * 20 * PAGE, 1);
  assert.equal(result, { kind: 'oom' });
  assert.is(touched, 101, 'every frame holds a page that was written');
  assert.is(t.mm.residentPages, 100);
  checkMm(t.k, t.mm);
  t.close();
});

test('out of page tables is oom', () => {
  const t = makeTestKernel({ tables: 22 });
  const cpu = new GuestCpu(t);
  anon(t, 2 ** 20, 3, MAP_NORESERVE);
  const results = [0, 1, 2, 3, 4].map((index) => cpu.write(BASE + index * 2 ** 21, 1));
  assert.equal(results.map((result) => result?.kind ?? 'ok'), ['ok', 'ok', 'ok', 'oom', 'oom']);
  t.close();
});

test('a full arena is oom, not an exception', () => {
  const t = makeTestKernel({ lower: { f: pattern(4) }, arenaBytes: 65536 });
  const cpu = new GuestCpu(t);
  const inode = lowerInode(t, 'f');
  mapFile(t, inode, BASE, 4, 1, MAP_PRIVATE);
  assert.throws(() => {
    for (;;) lowerInode(t, 'f');
  });
  assert.equal(cpu.read(BASE), { kind: 'oom' });
  t.close();
});

test.run();
