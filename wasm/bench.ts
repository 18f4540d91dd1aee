// How long relocate, layout and merge take, beside their plain TypeScript references.
//
// The work: 100,000 relations over 1.2 MB of objects; a tree of 16,384 mapped pages (64 MiB of
// guest memory). Medians over `runs`, compiled and with warm caches: a first call takes longer.
// Both variants do the same work on the same memory, and their results are compared first.

import { createLayout } from './layout.ts';
import type { Layout, PackTarget } from './layout.ts';
import { createMerge } from './merge.ts';
import type { Merge } from './merge.ts';
import { createReferenceLayout } from './reference/layout.ts';
import { createReferenceMerge } from './reference/merge.ts';
import { createReferenceRelocate } from './reference/relocate.ts';
import { createRelocate } from './relocate.ts';
import type { Relocate } from './relocate.ts';
import type { TableWindow } from './tables.ts';

/** One line of the bench. */
export interface WasmBenchRow {
  name: string;
  /** Of the two medians. */
  unit: string;
  wasmMedian: number;
  referenceMedian: number;
  runs: number;
}

type Job = () => number;

function medianUs(job: Job, runs: number): number {
  const times: number[] = [];
  for (let run = 0; run < runs; run++) {
    const start = performance.now();
    job();
    times.push((performance.now() - start) * 1000);
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(runs / 2)] as number;
}

/** Times both jobs after warming them up; throws if they do not agree. */
function measure(name: string, runs: number, wasm: Job, reference: Job): WasmBenchRow {
  const results = [wasm(), reference()];
  if (results[0] !== results[1]) throw new Error(`${name}: ${results.join(' is not ')}`);
  for (let warmUp = 0; warmUp < 20; warmUp++) wasm();
  for (let warmUp = 0; warmUp < 3; warmUp++) reference();
  return {
    name, unit: 'µs', runs,
    wasmMedian: medianUs(wasm, runs), referenceMedian: medianUs(reference, runs),
  };
}

const relationCount = 100_000;
const recordBytes = 24;
const objects = 0x10000;
const objectsBytes = relationCount / 2 * recordBytes;
const relations = 0x200000;
const schema = 0x8000;
const scratch = 0x400000;

/** 50,000 records with two references each, some distance away. */
function putObjects(memory: WebAssembly.Memory): void {
  const words = new Uint32Array(memory.buffer);
  words.set([2, 0, 0, 0, 0, 0, 24, 0, 0, 2, 0, 8, 1, 12, 1], schema / 4);
  const records = relationCount / 2;
  for (let index = 0; index < records; index++) {
    const offset = index * recordBytes;
    words.set([1, recordBytes], (objects + offset) / 4);
    const targets = [index * 7919 % records * recordBytes, (index + 1) % records * recordBytes];
    for (const [field, target] of targets.entries()) {
      words.set([offset + 8 + field * 4, target], relations / 4 + index * 4 + field * 2);
    }
  }
}

function benchRelocate(runs: number): WasmBenchRow[] {
  const memory = new WebAssembly.Memory({ initial: 80 });
  putObjects(memory);
  const wasm = createRelocate(memory);
  const reference = createReferenceRelocate(memory);
  const relocate = (on: Relocate): Job => () =>
    on.relocate(objects, objectsBytes, relations, relationCount, objects);
  const unrelocate = (on: Relocate): Job => () =>
    on.unrelocate(objects, objectsBytes, relations, relationCount);
  const validate = (on: Relocate): Job => () =>
    on.validate(objects, objectsBytes, relations, relationCount, schema, scratch)?.code ?? 0;
  // The order matters: unrelocate leaves the saved form, which validate wants.
  return [
    measure('relocate 100,000 relations', runs, relocate(wasm), relocate(reference)),
    measure('unrelocate 100,000 relations', runs, unrelocate(wasm), unrelocate(reference)),
    measure('validate 50,000 objects', runs, validate(wasm), validate(reference)),
  ];
}

const pages = 16_384;
const window: TableWindow = {
  tables: 0x100000, tablesPfn: 0x100000, tableCount: 64,
  bankPfn: 0x200000, bankFrames: pages + 1, basePfn: 0x300000, baseFrames: 0,
};
const target: PackTarget = { tables: 0x200000, firstIndex: 0, capacity: 64, basePfn: 0x300000 };
const marks = 0x300000;
const map = 0x380000;
const words = 0x400000;
const mergedAt = 0x500000;
const zeroPagesAt = 0x600000;

/** Root, one directory of each level, and full leaf tables: frame i + 1 at page i. */
function putTables(memory: WebAssembly.Memory): void {
  const entries = new Uint32Array(memory.buffer);
  const put = (table: number, slot: number, pfn: number, flags: number): void => {
    const at = (window.tables + table * 4096 + slot * 8) / 4;
    entries[at] = (pfn << 12 | flags) >>> 0;
    entries[at + 1] = pfn >>> 20;
  };
  put(0, 0, window.tablesPfn + 1, 7);
  put(1, 0, window.tablesPfn + 2, 7);
  for (let page = 0; page < pages; page++) {
    const table = page >>> 9;
    if (page % 512 === 0) put(2, table, window.tablesPfn + 3 + table, 7);
    put(3 + table, page % 512, window.bankPfn + 1 + page, 0x67);
  }
}

function benchLayout(memory: WebAssembly.Memory, runs: number): WasmBenchRow[] {
  putTables(memory);
  const wasm = createLayout(memory);
  const reference = createReferenceLayout(memory);
  const numbers = new Uint32Array(memory.buffer, map, pages + 1);
  const mark = (on: Layout): Job => () => on.mark(window, 0, marks);
  const number = (on: Layout): Job => () => {
    numbers.fill(0xffffffff);
    return on.number(window, 0, marks, map, 0, 0, 0);
  };
  const pack = (on: Layout): Job => () => on.pack(window, 0, target, map);
  // Written first: pages that were never touched would all be one page of the host's.
  new Uint8Array(memory.buffer, zeroPagesAt, 4 * 2 ** 20).fill(1).fill(0);
  const zeroMap = (on: Layout): Job => () => on.zeroMap(zeroPagesAt, 1024, words);
  return [
    measure('mark 16,384 pages', runs, mark(wasm), mark(reference)),
    measure('number 16,384 pages', runs, number(wasm), number(reference)),
    measure('pack 16,384 pages', runs, pack(wasm), pack(reference)),
    measure('zeroMap 1,024 zero pages', runs, zeroMap(wasm), zeroMap(reference)),
  ];
}

/** Preconditions: benchLayout() has packed 35 tables at target.tables. */
function benchMerge(memory: WebAssembly.Memory, runs: number): WasmBenchRow[] {
  const wasm = createMerge(memory);
  const reference = createReferenceMerge(memory);
  const tree = { tables: target.tables, count: 3 + pages / 512, firstIndex: 0 };
  const dst = { tables: mergedAt, firstIndex: 0, capacity: 64 };
  const frames = { bankPfn: 0, bankFrames: 0, basePfn: target.basePfn, baseFrames: pages };
  const mergeTable = (on: Merge): Job => () => {
    for (let index = 3; index < 35; index++) {
      const at = target.tables + index * 4096;
      on.mergeTable(mergedAt, at, at);
    }
    return 0;
  };
  const mergeTree = (on: Merge): Job => () => on.mergeTree(dst, tree, tree, window.tablesPfn);
  const check = (on: Merge): Job => () => on.check(tree, window.tablesPfn, frames)?.code ?? 0;
  return [
    measure('mergeTable, 32 tables', runs, mergeTable(wasm), mergeTable(reference)),
    measure('mergeTree 35 tables over 35', runs, mergeTree(wasm), mergeTree(reference)),
    measure('check 35 tables', runs, check(wasm), check(reference)),
  ];
}

/** Runs everything; takes about a second for 20 runs. */
export function benchWasm(options: { runs: number }): WasmBenchRow[] {
  const { runs } = options;
  if (!Number.isInteger(runs) || runs < 1) throw new RangeError(`runs: ${runs}`);
  // 6 MiB of tables and arrays, 4 MiB of zero pages.
  const memory = new WebAssembly.Memory({ initial: 160 });
  return [...benchRelocate(runs), ...benchLayout(memory, runs), ...benchMerge(memory, runs)];
}
