// The builds of wasm/relocate that its tests compare: release, debug and reference.

import { createReferenceRelocate } from '../../wasm/reference/relocate.ts';
import { createRelocate } from '../../wasm/relocate.ts';
import type { Relocate } from '../../wasm/relocate.ts';
import { compileDebug } from './helpers.ts';

const debugModule = await compileDebug('relocate');
const debugRecords = await compileDebug('records');

export const variants: Record<string, (memory: WebAssembly.Memory) => Relocate> = {
  release: (memory) => createRelocate(memory),
  debug: (memory) => createRelocate(memory, debugModule, debugRecords),
  reference: createReferenceRelocate,
};
