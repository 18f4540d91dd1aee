// `catavmm/formats`: files in and out, as pure functions over bytes. No FFI, no file system; it
// runs in a browser. A boot imports cfi/read.ts alone, which loads no dependency.

export * from './cbor.ts';
export * from './cfi/mod.ts';
export * from './elf.ts';
