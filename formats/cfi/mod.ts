// Func-images (`.cfi`): everything for reading and writing them. docs/format-cfi.md explains.

export { CfiError } from './error.ts';
export type { CfiFault } from './error.ts';
export { diffFrames } from './diff.ts';
export type { CfiPages, CfiTableGeometry, PageDifference } from './diff.ts';
export {
  cfiFileBytesEnd, cfiHeaderBytesMax, cfiPageBytes, cfiSectionKinds, cfiSectionLimits,
} from './header.ts';
export type {
  CfiClock, CfiContent, CfiCpu, CfiCpuBaseline, CfiCpuFeature, CfiCreator, CfiEntry, CfiEntryKind,
  CfiHeader, CfiIoEntry, CfiIoIdentity, CfiIoKind, CfiMemory, CfiObjects, CfiProgram, CfiRootfs,
  CfiSection, CfiSectionKind, CfiSectionLimit, CfiVolume, Sha256,
} from './header.ts';
export { listPadding } from './layout.ts';
export type { CfiPadding, CfiPlace } from './layout.ts';
export { cfiPrologueBytes, cfiVersion } from './prologue.ts';
export {
  cfiDigest, cfiHeaderBytes, checkSectionDigest, decodeIoTable, findSection, parseCfi,
  verifyPadding, verifySection,
} from './read.ts';
export { encodeCfi, encodeIoTable, planCfi } from './write.ts';
export type {
  CfiBeginning, CfiLayout, CfiSectionDigest, CfiSectionSize,
} from './write.ts';
