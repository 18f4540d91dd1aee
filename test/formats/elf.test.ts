// The ELF parser against what Linux 6.18 answered when each of these files was executed.

import { ElfError, PF_R, PF_W, PF_X, PT_GNU_STACK, PT_INTERP, PT_LOAD, parseElf }
  from '../../formats/elf.ts';
import type { ElfErrno, ElfOptions } from '../../formats/elf.ts';
import { assert, seededRandom, suite } from '../harness.ts';

const test = suite('formats/elf');

interface Segment {
  type?: number;
  flags?: number;
  off?: bigint | number;
  vaddr?: bigint | number;
  paddr?: bigint | number;
  fileBytes?: bigint | number;
  memBytes?: bigint | number;
  align?: bigint | number;
}

interface Recipe {
  ident?: number[];
  type?: number;
  machine?: number;
  entry?: bigint | number;
  phoff?: bigint | number;
  phentBytes?: number;
  phnum?: number;
  segments?: Segment[];
  /** The bytes from offset 0x1000 on. */
  tail?: string;
  fileBytes?: number;
}

const load: Segment = {
  type: PT_LOAD, flags: PF_R | PF_X, vaddr: 0x400000, fileBytes: 0x1000, memBytes: 0x2000,
  align: 0x1000,
};

/** A file with its program headers at 64. */
function makeElf(recipe: Recipe = {}): Uint8Array {
  const segments = recipe.segments ?? [load];
  const tail = new TextEncoder().encode(recipe.tail ?? '');
  const bytes = new Uint8Array(0x1000 + tail.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  bytes.set(recipe.ident ?? []);
  view.setUint16(16, recipe.type ?? 2, true);
  view.setUint16(18, recipe.machine ?? 62, true);
  view.setBigUint64(24, BigInt(recipe.entry ?? 0x401000), true);
  view.setBigUint64(32, BigInt(recipe.phoff ?? 64), true);
  view.setUint16(54, recipe.phentBytes ?? 56, true);
  view.setUint16(56, recipe.phnum ?? segments.length, true);
  segments.forEach((segment, index) => {
    const off = 64 + index * 56;
    view.setUint32(off, segment.type ?? PT_LOAD, true);
    view.setUint32(off + 4, segment.flags ?? 0, true);
    const { off: fileOff, vaddr, paddr, fileBytes, memBytes, align } = segment;
    [fileOff, vaddr, paddr, fileBytes, memBytes, align].forEach((value, field) => {
      view.setBigUint64(off + 8 + field * 8, BigInt(value ?? 0), true);
    });
  });
  bytes.set(tail, 0x1000);
  return bytes.slice(0, recipe.fileBytes ?? bytes.length);
}

/** A file whose interpreter's path is `path`, unless `change` says otherwise. */
function withInterp(path: string, change: Segment = {}): Recipe {
  const interp = { type: PT_INTERP, off: 0x1000, fileBytes: path.length, ...change };
  return { segments: [load, interp], tail: path };
}

/** The error parseElf() throws: `ENOEXEC`, or `EINVAL fatal`; empty if it throws none. */
function outcome(bytes: Uint8Array, options?: ElfOptions): string {
  try {
    parseElf(bytes, options);
    return '';
  } catch (error) {
    if (!(error instanceof ElfError)) throw error;
    assert.match(error.message, /^The |^A /);
    assert.match(error.message, /\.$/);
    return error.errno + (error.fatal ? ' fatal' : '');
  }
}

/** A tail that makes space for more program headers than a page holds. */
const room: string = 'x'.repeat(65536 * 56);
const enoexec: ElfErrno = 'ENOEXEC';

test('parseElf() gives header and segments of a good file', () => {
  const bytes = makeElf({
    type: 3,
    entry: 0x1234,
    segments: [
      { ...load, vaddr: 0, paddr: 0x5000 },
      { ...load, off: 0x10123, vaddr: 0x20123, flags: PF_R | PF_W },
      { type: PT_INTERP, off: 0x1000, fileBytes: 10, align: 1 },
      { type: PT_GNU_STACK, flags: PF_R | PF_W | PF_X },
    ],
    tail: '/ld.so\0xx\0',
  });
  const image = parseElf(bytes);
  assert.is(image.type, 'dyn');
  assert.is(image.entry, 0x1234);
  assert.is(image.phoff, 64);
  assert.is(image.phentBytes, 56);
  assert.is(image.phdrs.length, 4);
  assert.equal(image.phdrs[0], {
    type: PT_LOAD, flags: 5, off: 0, vaddr: 0, paddr: 0x5000, fileBytes: 0x1000, memBytes: 0x2000,
    align: 0x1000,
  });
  assert.is(image.phdrs[1]?.off, 0x10123);
  assert.equal(image.interp, {
    off: 0x1000, bytes: 10, path: new TextEncoder().encode('/ld.so'),
  });
  assert.is(image.stackFlags, 7);
});

test('parseElf() says rw stack and no interpreter when neither header is there', () => {
  const image = parseElf(makeElf());
  assert.is(image.type, 'exec');
  assert.is(image.stackFlags, PF_R | PF_W);
  assert.not('interp' in image);
});

test('parseElf() takes the first interpreter and the last stack flags', () => {
  const interp = { type: PT_INTERP, off: 0x1000, fileBytes: 3 };
  const stack = { type: PT_GNU_STACK, flags: PF_R | PF_X };
  const second = { type: PT_INTERP, off: 0, fileBytes: 1 };
  const segments = [load, interp, stack, second, { ...stack, flags: PF_R | PF_W }];
  const image = parseElf(makeElf({ segments, tail: '/x\0' }));
  assert.is(image.interp?.off, 0x1000);
  assert.is(image.stackFlags, PF_R | PF_W);
});

test('parseElf() refuses what Linux refuses, with its errno', () => {
  const cases: [string, Recipe, string][] = [
    ['empty', { fileBytes: 0 }, enoexec],
    ['magic only', { fileBytes: 4 }, enoexec],
    ['63 bytes', { fileBytes: 63 }, enoexec],
    ['no program header', { fileBytes: 64 }, enoexec],
    ['half a program header', { fileBytes: 100 }, enoexec],
    ['wrong magic', { ident: [0x7e] }, enoexec],
    ['type 0', { type: 0 }, enoexec],
    ['relocatable', { type: 1 }, enoexec],
    ['core', { type: 4 }, enoexec],
    ['i386', { machine: 3 }, enoexec],
    ['aarch64', { machine: 183 }, enoexec],
    ['phentsize 57', { phentBytes: 57 }, enoexec],
    ['32-bit', { ident: [0x7f, 0x45, 0x4c, 0x46, 1], phentBytes: 32 }, enoexec],
    ['phnum 0', { phnum: 0 }, enoexec],
    ['phnum 74', { phnum: 74, tail: room }, enoexec],
    ['phnum 65535', { phnum: 65535, tail: room }, enoexec],
    ['phoff 2^40', { phoff: 2 ** 40 }, enoexec],
    ['phoff 2^63', { phoff: 1n << 63n }, enoexec],
    ['phoff one too far', { phoff: 0x1000 - 55 }, enoexec],
    ['no load', { segments: [{ type: 4 }] }, 'EINVAL fatal'],
    ['fileBytes > memBytes', { segments: [{ ...load, memBytes: 10 }] }, 'EINVAL fatal'],
    ['memBytes > task', { segments: [{ ...load, memBytes: 1n << 48n }] }, 'EINVAL fatal'],
    ['memBytes 2^63', { segments: [{ ...load, memBytes: 1n << 63n }] }, 'EINVAL fatal'],
    ['past the top', {
      segments: [load, { vaddr: 0x7fffffffe000, memBytes: 0x10000 }],
    }, 'EINVAL fatal'],
    ['vaddr 2^60', { segments: [load, { vaddr: 1n << 60n, memBytes: 1 }] }, 'EINVAL fatal'],
    ['misaligned', { segments: [{ ...load, off: 1 }] }, 'EINVAL fatal'],
    ['off 2^63', {
      segments: [load, { off: 1n << 63n, vaddr: 0x600000, fileBytes: 16, memBytes: 16 }],
    }, 'EINVAL fatal'],
    ['entry 2^60', { entry: 1n << 60n }, 'EINVAL fatal'],
    ['interp unterminated', withInterp('/nonexistent'), enoexec],
    ['interp of 1 byte', withInterp('\0'), enoexec],
    ['interp of 4097 bytes', withInterp(`${'/'.repeat(4096)}\0`), enoexec],
    ['interp beyond the file', withInterp('/x\0', { off: 0x100000 }), 'EIO'],
    ['interp partly in the file', withInterp('/x\0', { fileBytes: 20 }), 'EIO'],
    ['interp at 2^62', withInterp('/x\0', { off: 1n << 62n }), 'EIO'],
    ['interp at 2^63', withInterp('/x\0', { off: 1n << 63n }), 'EINVAL'],
  ];
  for (const [name, recipe, expected] of cases) {
    assert.is(outcome(makeElf(recipe)), expected, name);
  }
});

test('parseElf() accepts what Linux runs although it looks wrong', () => {
  const cases: [string, Recipe][] = [
    ['class 0', { ident: [0x7f, 0x45, 0x4c, 0x46, 0] }],
    ['class 1', { ident: [0x7f, 0x45, 0x4c, 0x46, 1] }],
    ['big-endian mark', { ident: [0x7f, 0x45, 0x4c, 0x46, 2, 2] }],
    ['version 0', { ident: [0x7f, 0x45, 0x4c, 0x46, 2, 1, 0] }],
    ['73 headers', { segments: [load, ...new Array<Segment>(72).fill({ type: 4 })], tail: room }],
    ['off beyond the file', { segments: [load, { ...load, off: 0x100000, vaddr: 0x600000 }] }],
    ['empty load', { segments: [load, { vaddr: 0x600000 }] }],
    ['alignment of 3', { segments: [{ ...load, align: 3 }] }],
    ['alignment of 2^62', { type: 3, segments: [{ ...load, vaddr: 0, align: 1n << 62n }] }],
    ['huge paddr', { segments: [{ ...load, paddr: 1n << 63n }] }],
    ['huge note', { segments: [load, { type: 4, off: 1n << 63n, memBytes: 1n << 63n }] }],
    ['last byte', { segments: [load, { vaddr: 0x7fffffffefff, memBytes: 1 }] }],
    ['interp of 4096 bytes', withInterp(`${'/'.repeat(4095)}\0`)],
    ['empty interp', withInterp('\0\0')],
  ];
  for (const [name, recipe] of cases) assert.is(outcome(makeElf(recipe)), '', name);
});

test('parseElf() in the role of an interpreter fails with ELIBBAD', () => {
  const cases: [string, Recipe, string][] = [
    ['short', { fileBytes: 40 }, 'EIO'],
    ['not ELF', { ident: [0] }, 'ELIBBAD'],
    ['machine', { machine: 3 }, 'ELIBBAD'],
    ['phentsize', { phentBytes: 1 }, 'ELIBBAD'],
    ['phnum 0', { phnum: 0 }, 'ELIBBAD'],
    ['phoff', { phoff: 2 ** 40 }, 'ELIBBAD'],
    ['relocatable', { type: 1 }, 'ELIBBAD fatal'],
    ['no load', { segments: [{ type: 4 }] }, 'EINVAL fatal'],
    ['its own bad interp', withInterp('x'), ''],
    ['good', {}, ''],
  ];
  for (const [name, recipe, expected] of cases) {
    assert.is(outcome(makeElf(recipe), { role: 'interpreter' }), expected, name);
  }
  const image = parseElf(makeElf(withInterp('/x\0')), { role: 'interpreter' });
  assert.not('interp' in image);
});

test('parseElf() names the machine in its sentence', () => {
  assert.throws(() => parseElf(makeElf({ machine: 3 })), /32-bit x86/);
  assert.throws(() => parseElf(makeElf({ machine: 183 })), /machine 183/);
  const bigEndian = { ident: [0x7f, 0x45, 0x4c, 0x46, 1, 2], machine: 0x800 };
  assert.throws(() => parseElf(makeElf(bigEndian)), /big-endian/);
});

test('parseElf() reads what it lacks through readAt', () => {
  const whole = makeElf({ ...withInterp('/ld.so\0'), phoff: 64 });
  const reads: [number, number][] = [];
  const readAt = (off: number, count: number): Uint8Array => {
    reads.push([off, count]);
    return whole.subarray(off, off + count);
  };
  const image = parseElf(whole.subarray(0, 64), { readAt });
  assert.equal(reads, [[64, 112], [0x1000, 7]]);
  assert.equal(image, parseElf(whole));
  assert.is(outcome(whole.subarray(0, 64), { readAt: () => new Uint8Array(3) }), enoexec);
});

test('parseElf() throws nothing but ElfError, however the file is damaged', () => {
  const random = seededRandom(1995);
  const good = makeElf({
    segments: [load, { type: PT_GNU_STACK }, { type: PT_INTERP, off: 0x1000, fileBytes: 7 }],
    tail: '/ld.so\0',
  });
  let accepted = 0;
  for (let round = 0; round < 30_000; round++) {
    const bytes = good.slice(0, random.bool(0.1) ? random.int(0, 300) : good.length);
    for (let flip = random.int(1, 4); flip > 0; flip--) {
      const off = random.int(0, 64 + 3 * 56 - 1);
      if (off < bytes.length) bytes[off] = random.bool() ? random.u32() & 0xff : 0xff;
    }
    const role = random.pick(['program', 'interpreter'] as const);
    if (outcome(bytes, { role }) !== '') continue;
    accepted++;
    for (const phdr of parseElf(bytes, { role }).phdrs) {
      if (phdr.type !== PT_LOAD) continue;
      assert.ok(phdr.vaddr + phdr.memBytes <= 0x7ffffffff000 && phdr.fileBytes <= phdr.memBytes);
    }
  }
  assert.ok(accepted > 500, 'the damage must leave enough that is still accepted');
});

test.run();
