// The state memory: one WebAssembly.Memory per VMM thread, made at its full size (size.ts) so that
// no view is ever detached. It holds every sandbox's records (arena regions) and page tables (table
// windows), so that the WASM modules work on both in place. Untouched pages cost nothing.
//
//   0           REGION_UNIT                                            STATE_BYTES
//   +-----------+-----------+-----------+-----------+------ … ------+
//   | never used| region: sandbox A     | region B  |   free        |
//   +-----------+-----------+-----------+-----------+------ … ------+
//
// Invariant: address 0 is never handed out, so 0 can mean "null"; free runs are all zero.

import { stateBytes } from './size.ts';

export const STATE_BYTES: number = stateBytes();
export const REGION_UNIT = 0x1_0000;
const WASM_PAGE = 0x1_0000;

export const memory: WebAssembly.Memory = new WebAssembly.Memory({
  initial: STATE_BYTES / WASM_PAGE,
  maximum: STATE_BYTES / WASM_PAGE,
});

export const view: DataView = new DataView(memory.buffer);
export const u8: Uint8Array = new Uint8Array(memory.buffer);
export const u16: Uint16Array = new Uint16Array(memory.buffer);
export const u32: Uint32Array = new Uint32Array(memory.buffer);
export const i32: Int32Array = new Int32Array(memory.buffer);
export const f64: Float64Array = new Float64Array(memory.buffer);
export const u64: BigUint64Array = new BigUint64Array(memory.buffer);

/** A run of state memory owned by one sandbox. `bytes` is a multiple of REGION_UNIT. */
export interface Region {
  readonly address: number;
  readonly bytes: number;
}

interface FreeRun {
  address: number;
  bytes: number;
  /** True while nothing was ever written there, so that it need not be cleared. */
}

const freeRuns: FreeRun[] = [{ address: REGION_UNIT, bytes: STATE_BYTES - REGION_UNIT }];

/**
 * Takes a zeroed region, first fit.
 * @throws RangeError when the state memory has no run of `bytes` left
 */
export function takeRegion(bytes: number): Region {
  const wanted = Math.ceil(bytes / REGION_UNIT) * REGION_UNIT;
  const index = freeRuns.findIndex((run) => run.bytes >= wanted);
  const run = freeRuns[index];
  if (run === undefined) throw new RangeError(`state memory has no ${wanted} bytes left`);
  const address = run.address;
  run.address += wanted;
  run.bytes -= wanted;
  if (run.bytes === 0) freeRuns.splice(index, 1);
  return { address, bytes: wanted };
}

/** Bytes that nobody has taken. */
export function freeStateBytes(): number {
  return freeRuns.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Gives a region back. `usedBytes` bounds what was written; all of it is cleared at once. */
export function giveRegion(region: Region, usedBytes: number = region.bytes): void {
  u8.fill(0, region.address, region.address + Math.min(usedBytes, region.bytes));
  const index = freeRuns.findIndex((run) => run.address > region.address);
  const at = index < 0 ? freeRuns.length : index;
  freeRuns.splice(at, 0, { address: region.address, bytes: region.bytes });
  mergeNeighbours(at + 1);
  mergeNeighbours(at);
}

function mergeNeighbours(index: number): void {
  const left = freeRuns[index - 1];
  const right = freeRuns[index];
  if (left === undefined || right === undefined) return;
  if (left.address + left.bytes !== right.address) return;
  left.bytes += right.bytes;
  freeRuns.splice(index, 1);
}
