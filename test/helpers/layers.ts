// The folders as layers, and which layer may import which. Arrows never reverse:
//
//   abi <- kernel <- boot <- sandbox <- cli        formats, wasm, terms: leaves
//   abi <- host <- machine <- boot, doctor         mod.ts: gathers the public names

/** A layer and the path prefixes that belong to it; the first that matches counts. */
const layerPrefixes: readonly (readonly [string, string])[] = [
  ['vmm/abi/', 'abi'],
  ['vmm/host/', 'host'],
  ['vmm/machine/', 'machine'],
  ['vmm/kernel/', 'kernel'],
  ['vmm/boot/', 'boot'],
  ['vmm/doctor/', 'doctor'],
  // The public objects.
  ['vmm/sandbox', 'sandbox'],
  ['vmm/func-image', 'sandbox'],
  ['vmm/template', 'sandbox'],
  ['vmm/live-sandboxes', 'sandbox'],
  ['vmm/worker', 'sandbox'],
  // What else lies in vmm/ itself: the public options, errors and version, without behaviour.
  ['vmm/', 'terms'],
  ['formats/', 'formats'],
  ['wasm/', 'wasm'],
  ['cli/', 'cli'],
  ['mod.ts', 'mod'],
  ['test/', 'test'],
  ['fixtures/', 'fixtures'],
];

const below: readonly string[] = ['abi', 'host', 'machine', 'kernel', 'formats', 'wasm', 'terms'];

/** What a layer may import besides itself; `test` may import everything. */
export const allowedImports: Readonly<Record<string, readonly string[]>> = {
  abi: [],
  formats: [],
  wasm: [],
  fixtures: [],
  terms: [],
  host: ['abi'],
  machine: ['abi', 'host'],
  kernel: ['abi', 'formats', 'wasm'],
  boot: below,
  doctor: below,
  sandbox: ['boot', ...below],
  cli: ['sandbox', 'boot', 'doctor', 'mod', 'abi', 'host', 'kernel', 'formats', 'wasm', 'terms'],
  mod: ['sandbox', 'boot', 'doctor', ...below],
};

/** The layer a file belongs to; undefined for a file that is in no folder of the plan. */
export function layerOf(path: string): string | undefined {
  return layerPrefixes.find(([prefix]) => path.startsWith(prefix))?.[1];
}

/** True when a file may import another one of ours. */
export function mayImport(from: string, to: string): boolean {
  const source = layerOf(from);
  const target = layerOf(to);
  if (source === undefined || target === undefined) return false;
  if (source === 'test' || source === target) return true;
  return allowedImports[source]?.includes(target) ?? false;
}

/** Packages and the only files (prefixes) that may import them. */
export const packageImporters: Readonly<Record<string, readonly string[]>> = {
  koffi: ['vmm/host/libc.ts'],
  'cbor-x': ['formats/cbor.ts', 'formats/cbor-sequence.ts'],
  cac: ['cli/'],
  uvu: ['test/harness.ts', 'test/helpers/assert.ts'],
  cborg: ['test/'],
  assemblyscript: ['test/'],
};
