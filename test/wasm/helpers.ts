// What the tests of wasm/ share: release and debug builds, and trees of page tables.
//
// mapPage() and readTree() use BigInt entries and know nothing of wasm/, so that they can serve
// as an oracle for both the modules and their references.

import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert } from '../harness.ts';

/** wasm/build.mjs, as far as tests use it. */
export interface Build {
  moduleNames: string[];
  compileModule(name: string, options?: { debug?: boolean }): Promise<{ binary: Uint8Array }>;
  renderModule(name: string): Promise<string>;
}

/** The project's root, also from within dist. */
export function findRoot(): URL {
  let directory = new URL('./', import.meta.url);
  while (!existsSync(new URL('wasm/build.mjs', directory))) {
    const parent = new URL('../', directory);
    if (parent.href === directory.href) throw new Error('wasm/build.mjs is not above this file');
    directory = parent;
  }
  return directory;
}

export async function loadBuild(): Promise<Build> {
  return await import(new URL('wasm/build.mjs', findRoot()).href) as Build;
}

export const buildPath: string = fileURLToPath(new URL('wasm/build.mjs', findRoot()));

/** The module with its asserts. */
export async function compileDebug(name: string): Promise<WebAssembly.Module> {
  const { binary } = await (await loadBuild()).compileModule(name, { debug: true });
  return new WebAssembly.Module(binary as Uint8Array<ArrayBuffer>);
}

/** Like assert.bytes, but fast when the two are equal. */
export function assertSame(actual: Uint8Array, expected: Uint8Array, message: string): void {
  if (Buffer.compare(actual, expected) !== 0) assert.bytes(actual, expected, message);
}

export function makeMemory(bytes: number): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: Math.ceil(bytes / 65536) });
}

/** A second memory with the same content. */
export function copyMemory(memory: WebAssembly.Memory): WebAssembly.Memory {
  const copy = makeMemory(memory.buffer.byteLength);
  new Uint8Array(copy.buffer).set(new Uint8Array(memory.buffer));
  return copy;
}

export const P = 0x1n;
export const RW = 0x2n;
export const US = 0x4n;
export const A = 0x20n;
export const D = 0x40n;
export const PS = 0x80n;
export const SHARED = 0x200n;
export const NX: bigint = 1n << 63n;
const addressMask = 0x000f_ffff_ffff_f000n;

/** Where a tree is: table i at address tables + i*4096, gpa page pfn + i. */
export interface TreePlace {
  tables: number;
  /** Page number of the table at `tables`. */
  pfn: number;
}

/** A tree that grows: `count` tables are in use, the root is the first. */
export interface GrowingTree extends TreePlace {
  memory: WebAssembly.Memory;
  count: number;
}

export function entryAt(memory: WebAssembly.Memory, address: number): bigint {
  return new DataView(memory.buffer).getBigUint64(address, true);
}

export function putEntry(memory: WebAssembly.Memory, address: number, entry: bigint): void {
  new DataView(memory.buffer).setBigUint64(address, entry, true);
}

export const leafEntry = (pfn: number, flags: bigint): bigint => (BigInt(pfn) << 12n) | flags;

/** Enters a leaf, making the tables on its path. */
export function mapPage(tree: GrowingTree, vpn: number, entry: bigint): void {
  let index = 0;
  for (let level = 4; level > 1; level--) {
    const at = tree.tables + index * 4096 + slotOf(vpn, level) * 8;
    let pointer = entryAt(tree.memory, at);
    if (!(pointer & P)) {
      pointer = leafEntry(tree.pfn + tree.count, P | RW | US);
      tree.count++;
      putEntry(tree.memory, at, pointer);
    }
    index = Number((pointer & addressMask) >> 12n) - tree.pfn;
  }
  putEntry(tree.memory, tree.tables + index * 4096 + slotOf(vpn, 1) * 8, entry);
}

const slotOf = (vpn: number, level: number): number =>
  Math.floor(vpn / 512 ** (level - 1)) % 512;

/** The present leaves below a root's user half, in virtual-address order. */
export function readTree(
  memory: WebAssembly.Memory, place: TreePlace, root: number = 0,
): Map<number, bigint> {
  const leaves = new Map<number, bigint>();
  const descend = (level: number, index: number, vpn: number): void => {
    const end = level === 4 ? 256 : 512;
    for (let slot = 0; slot < end; slot++) {
      const entry = entryAt(memory, place.tables + index * 4096 + slot * 8);
      if (!(entry & P)) continue;
      const own = vpn + slot * 512 ** (level - 1);
      if (level === 1) leaves.set(own, entry);
      else descend(level - 1, Number((entry & addressMask) >> 12n) - place.pfn, own);
    }
  };
  descend(4, root, 0);
  return leaves;
}

export const entryFrame = (entry: bigint): number => Number((entry & addressMask) >> 12n);
