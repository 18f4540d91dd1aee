// The package's `catavmm/wasm`: relocate, layout and merge, for tools that handle func-images.
//
// Needs WebAssembly with SIMD and nothing else: no FFI, no KVM, no file. Also loads in a browser.

export { createRelocate, describeObjectFault, objectFaults } from './relocate.ts';
export type { Relocate } from './relocate.ts';
export { createLayout } from './layout.ts';
export type { FrameCounts, Layout, PackTarget } from './layout.ts';
export { createMerge } from './merge.ts';
export type { Merge, MergeTarget, TableTree } from './merge.ts';
export {
  describeTableFault, frameDropped, markAccessed, markDirty, markReferenced, markShared,
  notNumbered, tableFaults,
} from './tables.ts';
export type { FrameWindows, TableWindow } from './tables.ts';
export type { Fault } from './instance.ts';

// The same in plain TypeScript: several times slower, easy to read and to step through.
export { createReferenceRelocate } from './reference/relocate.ts';
export { createReferenceLayout } from './reference/layout.ts';
export { createReferenceMerge } from './reference/merge.ts';
