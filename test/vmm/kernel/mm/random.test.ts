// Random sequences of mapping calls, guest accesses, kernel accesses and file writes against a
// model, on a CPU that keeps stale translations. All invariants are checked after every step.
import { assert, type Random, seededRandom, suite } from '../../../harness.ts';
import { GuestCpu } from '../../../helpers/guest-cpu.ts';
import { makeTestKernel, type TestKernel } from '../../../helpers/kernel.ts';
import { rebase } from '../../../helpers/rebase.ts';
import {
  MADV_DONTNEED, MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, MAP_SHARED, MREMAP_FIXED, MREMAP_MAYMOVE,
} from '../../../../vmm/abi/mman.ts';
import { S_IFREG } from '../../../../vmm/abi/stat.ts';
import { adviseRange } from '../../../../vmm/kernel/mm/advise.ts';
import { checkMm } from '../../../../vmm/kernel/mm/check.ts';
import type { FaultResult } from '../../../../vmm/kernel/mm/fault.ts';
import { mapRegion, protectRegion, unmapRegion } from '../../../../vmm/kernel/mm/map.ts';
import {
  readFilePages, truncatePages, writeFilePages,
} from '../../../../vmm/kernel/mm/page-cache.ts';
import { remapRegion } from '../../../../vmm/kernel/mm/remap.ts';
import { copyIn, copyOut } from '../../../../vmm/kernel/mm/user-memory.ts';
import { FS_OVERLAY, type Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { makeBytes } from '../../../../vmm/kernel/state/containers.ts';
import { makeInode } from '../../../../vmm/kernel/vfs/inode.ts';
import { kernelBuffer } from '../../../../vmm/kernel/vfs/io-buffer.ts';
import { BASE, Model, type ModelFile, PAGE, PAGES, resizeFile, wholePages } from './model.ts';

const test = suite('kernel/mm random');
const MOST_FILE_PAGES = 24;

interface OpenFile extends ModelFile {
  inode: Inode;
}

/** A run: the kernel, the model and what the steps need. */
interface Run {
  t: TestKernel;
  cpu: GuestCpu;
  model: Model;
  random: Random;
  /** Never written: mapped privately too. Written and truncated: mapped shared only. */
  fixed: OpenFile;
  changing: OpenFile;
  /** Files behind shared anonymous mappings, by the kernel's inode. */
  hidden: ModelFile[];
  nextBase: number;
  /** Where the last accesses were: most steps stay near. */
  hot: number;
}

function openLower(t: TestKernel, name: string, data: Uint8Array): OpenFile {
  const inode = makeInode(t.k, FS_OVERLAY, S_IFREG | 0o644);
  const stat = t.lower.stat(new TextEncoder().encode(name));
  if (typeof stat === 'number') throw new Error(name);
  inode.refs = 1;
  inode.lowerPath = makeBytes(t.k.arena, new TextEncoder().encode(name));
  inode.lowerDev = stat.dev;
  inode.lowerIno = stat.ino;
  inode.lowerSize = stat.bytes;
  inode.lowerMtimeSec = stat.mtimeSec;
  inode.lowerMtimeNsec = stat.mtimeNsec;
  inode.bytes = stat.bytes;
  inode.lowerBytes = stat.bytes;
  return { name, inode, data: wholePages(data), bytes: data.length };
}

function start(seed: number, bankFrames: number): Run {
  const random = seededRandom(seed);
  const fixed = random.bytes(10 * PAGE + 123);
  const changing = random.bytes(8 * PAGE + 77);
  const lower = { fixed, changing };
  const t = makeTestKernel({ lower, bankFrames, baseFrames: 16384, tables: 64 });
  return {
    t, random,
    cpu: new GuestCpu(t),
    model: new Model(),
    fixed: openLower(t, 'fixed', fixed),
    changing: openLower(t, 'changing', changing),
    hidden: [],
    nextBase: 0,
    hot: 0,
  };
}

interface Range {
  first: number;
  count: number;
  gva: number;
  bytes: number;
}

/** A page: mostly one of a few near the last ones, so that what a step changes was used before. */
function pickPage(run: Run): number {
  const { random } = run;
  if (random.bool(0.08)) run.hot = random.int(0, PAGES - 1);
  return Math.min(Math.max(run.hot + random.int(-3, 3), 0), PAGES - 1);
}

function pickRange(run: Run, most: number): Range {
  const count = run.random.int(1, most);
  const near = pickPage(run) - run.random.int(0, count - 1);
  const first = Math.min(Math.max(near, 0), PAGES - count);
  return { first, count, gva: BASE + first * PAGE, bytes: count * PAGE };
}

const protections = [0, 1, 3, 3, 3, 5, 7] as const;

function map(run: Run): void {
  const { random, model, t } = run;
  const { first, count, gva, bytes } = pickRange(run, 30);
  const prot = random.pick(protections);
  const kind = random.int(0, 4);
  const isShared = kind === 1 || kind === 3 || kind === 4;
  const open = kind === 2 || kind === 3 ? run.fixed : kind === 4 ? run.changing : null;
  // The fixed file must not change, so that private mappings of it have one possible content.
  const maxProt = open === run.fixed && isShared ? 5 : 7;
  const wanted = prot & maxProt;
  const from = open === null ? 0 : random.int(0, 12);
  const type = isShared ? MAP_SHARED : MAP_PRIVATE;
  const flags = MAP_FIXED | type | (open === null ? MAP_ANONYMOUS : 0);
  const at = mapRegion(t.k, {
    gva, bytes, prot: wanted, flags, inode: open?.inode ?? null, fileOffset: from * PAGE, maxProt,
  });
  assert.is(at, gva);
  let file: ModelFile | null = open;
  if (open === null && isShared) {
    file = { name: 'shared', data: new Uint8Array(bytes), bytes };
    run.hidden.push(file);
  }
  for (let page = 0; page < count; page++) {
    model.pages[first + page] = {
      prot: wanted, flags: isShared ? MAP_SHARED : MAP_PRIVATE, file, index: from + page, own: null,
    };
  }
}

function unmap(run: Run): void {
  const { first, count, gva, bytes } = pickRange(run, 30);
  assert.is(unmapRegion(run.t.k, gva, bytes), 0);
  run.model.pages.fill(null, first, first + count);
}

function protect(run: Run): void {
  const { model, random, t } = run;
  const { first, count, gva, bytes } = pickRange(run, 30);
  const prot = random.pick(protections);
  const result = protectRegion(t.k, gva, bytes, prot);
  for (let page = first; page < first + count; page++) {
    const slot = model.pages[page] ?? null;
    if (slot === null) return assert.is(result, -12);
    const readOnly = slot.file === run.fixed && (slot.flags & MAP_SHARED) !== 0;
    if ((prot & 2) !== 0 && readOnly) return assert.is(result, -13);
    slot.prot = prot;
  }
  assert.is(result, 0);
}

function remap(run: Run): void {
  const { model, random, t } = run;
  const from = pickRange(run, 12);
  const count = random.int(1, 16);
  const to = random.int(0, PAGES - count);
  const overlaps = from.first + from.count > to && to + count > from.first;
  if (overlaps || !model.isOneMapping(from.first, from.count)) return;
  const result = remapRegion(t.k, {
    gva: from.gva, oldBytes: from.bytes, newBytes: count * PAGE,
    flags: MREMAP_MAYMOVE | MREMAP_FIXED, newGva: BASE + to * PAGE,
  });
  assert.is(result, BASE + to * PAGE);
  const moved = model.pages.slice(from.first, from.first + from.count);
  const last = moved[moved.length - 1];
  model.pages.fill(null, from.first, from.first + from.count);
  for (let page = 0; page < count; page++) {
    const extra = page - moved.length + 1;
    const grown = last === null || last === undefined ? null
      : { ...last, index: last.index + extra, own: null };
    model.pages[to + page] = page < moved.length ? moved[page] ?? null : grown;
  }
}

function expectFault(result: number | FaultResult | null, verdict: string): void {
  const wanted = { map: [11, 1], access: [11, 2], bus: [7, 2] }[verdict] as number[];
  if (result === null || typeof result === 'number') throw new Error(`no fault, wanted ${verdict}`);
  if (result.kind !== 'signal') throw new Error(`${result.kind}, wanted ${verdict}`);
  assert.equal([result.signal, result.code], wanted);
}

function isOom(result: number | FaultResult | null): boolean {
  return result !== null && typeof result === 'object' && result.kind === 'oom';
}

/** Often the same few bytes, so that a write is read again. */
function pickOffset(random: Random): number {
  return random.bool(0.7) ? random.int(0, 3) : random.int(0, PAGE - 1);
}

function expectFull(run: Run): void {
  assert.ok(run.t.k.frames.available < 8, 'out of memory with memory left');
}

function beginWrite(run: Run): void {
  const page = pickPage(run);
  const verdict = run.model.verdict(page, true);
  const result = run.cpu.beginWrite(BASE + page * PAGE);
  if (isOom(result)) return expectFull(run);
  if (verdict === 'ok') assert.is(result, null);
  else expectFault(result, verdict);
}

function accessByGuest(run: Run): void {
  const { model, random, cpu } = run;
  const page = pickPage(run);
  const offset = pickOffset(random);
  const gva = BASE + page * PAGE + offset;
  const forWrite = random.bool();
  const verdict = model.verdict(page, forWrite);
  const value = random.int(1, 255);
  const result = forWrite ? cpu.write(gva, value) : cpu.read(gva);
  if (isOom(result)) return expectFull(run);
  if (verdict !== 'ok') return expectFault(result, verdict);
  if (forWrite) {
    assert.is(result, null);
    model.write(page, offset, value);
  } else {
    assert.is(result, model.read(page, offset), `byte at 0x${gva.toString(16)}`);
  }
}

/** copyIn or copyOut over page borders; a bad page ends it early. */
function accessByKernel(run: Run): void {
  const { model, random, t } = run;
  const at = Math.min(pickPage(run), PAGES - 3) * PAGE + pickOffset(random);
  const forWrite = random.bool();
  const buffer = random.bytes(random.bool() ? random.int(1, 8) : random.int(1, 2 * PAGE));
  const before = t.k.frames.available;
  const wanted = buffer.slice();
  const moved = forWrite ? copyOut(t.k, BASE + at, buffer) : copyIn(t.k, BASE + at, buffer);
  for (let done = 0; done < moved; done++) {
    const page = Math.floor((at + done) / PAGE);
    const offset = (at + done) % PAGE;
    if (forWrite) model.write(page, offset, wanted[done] as number);
    else assert.is(buffer[done], model.read(page, offset), `byte ${at + done}`);
  }
  if (moved === buffer.length) return;
  const page = Math.floor((at + moved) / PAGE);
  assert.ok(model.verdict(page, forWrite) !== 'ok' || before < 8, 'copying stopped at a good page');
}

function accessFile(run: Run): void {
  const { random, t, changing, model } = run;
  const offset = random.int(0, MOST_FILE_PAGES - 3) * PAGE + pickOffset(random);
  const buffer = random.bytes(random.int(1, 2 * PAGE));
  if (random.bool(0.3)) {
    const bytes = random.int(0, MOST_FILE_PAGES * PAGE);
    if (truncatePages(t.k, changing.inode, bytes) === 0) resizeFile(model, changing, bytes, true);
    return;
  }
  if (random.bool()) {
    const moved = readFilePages(t.k, changing.inode, offset, kernelBuffer(buffer));
    assert.is(moved, Math.max(0, Math.min(buffer.length, changing.bytes - offset)));
    return assert.bytes(buffer.subarray(0, moved), changing.data.subarray(offset, offset + moved));
  }
  const moved = writeFilePages(t.k, changing.inode, offset, kernelBuffer(buffer));
  if (moved < 0) return assert.ok(t.k.frames.available < 8, 'no frames for a write');
  const end = changing.bytes;
  if (offset + moved > end) resizeFile(model, changing, offset + moved, offset > end);
  changing.data.set(buffer.subarray(0, moved), offset);
}

function discard(run: Run): void {
  const { first, count, gva, bytes } = pickRange(run, 20);
  const slots = run.model.pages.slice(first, first + count);
  const result = adviseRange(run.t.k, run.t.mm, gva, gva + bytes, MADV_DONTNEED);
  assert.is(result, slots.includes(null) ? -12 : 0);
  for (const slot of slots) if (slot !== null) slot.own = null;
}

function saveAndRestore(run: Run): void {
  const { t } = run;
  const inodes = [run.fixed.inode, run.changing.inode];
  for (let index = 0; index < t.mm.vmas.length; index++) {
    const inode = t.mm.vmas.get(index)?.inode ?? null;
    if (inode !== null) inodes.push(inode);
  }
  run.nextBase = rebase(t, inodes, run.nextBase);
  run.cpu.flush();
}

function step(run: Run): void {
  const choice = run.random.int(0, 99);
  if (choice < 4) map(run);
  else if (choice < 6) unmap(run);
  else if (choice < 11) protect(run);
  else if (choice < 14) remap(run);
  else if (choice < 16) discard(run);
  else if (choice < 24) accessFile(run);
  else if (choice < 36) accessByKernel(run);
  else if (choice < 39) beginWrite(run);
  else if (choice < 40) saveAndRestore(run);
  else accessByGuest(run);
}

function play(seed: number, steps: number, bankFrames: number): void {
  const run = start(seed, bankFrames);
  const others = [run.fixed.inode, run.changing.inode];
  for (let done = 0; done < steps; done++) {
    try {
      step(run);
      checkMm(run.t.k, run.t.mm, others);
    } catch (error) {
      throw new Error(`seed ${seed}, step ${done}: ${(error as Error).message}`, { cause: error });
    }
  }
  run.t.close();
}

for (let seed = 1; seed <= 12; seed++) {
  test(`the address space does what the model does, seed ${seed}`, () => play(seed, 1000, 2048));
}

test('the address space does what the model does when memory runs out', () => {
  for (const seed of [101, 102, 103, 104]) play(seed, 800, 90);
});

test.run();
