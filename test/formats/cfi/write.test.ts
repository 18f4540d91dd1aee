// Writing images: read back by our reader and by another decoder, the same bytes each time.

import { createHash } from 'node:crypto';
import { decode as cborgDecode } from 'cborg';
import { CfiError } from '../../../formats/cfi/error.ts';
import { cfiHeaderBytes, decodeIoTable, parseCfi } from '../../../formats/cfi/read.ts';
import { encodeCfi, encodeIoTable, planCfi } from '../../../formats/cfi/write.ts';
import { assert, seededRandom, suite } from '../../harness.ts';
import {
  digestSections, makeContent, makeImage, makeIoEntries, makeSections, sha256,
} from './sample.ts';

const test = suite('formats/cfi/write');

test('encodeCfi() gives a file that parseCfi() reads back', () => {
  const { file, beginning } = makeImage();
  const header = parseCfi(file, file.length, sha256);
  const content = makeContent();
  content.cpu.features.sort((left, right) =>
    left.leaf - right.leaf || left.subleaf - right.subleaf);
  const { sections, ...rest } = header;
  assert.equal(rest, content);
  assert.equal(
    sections.map(({ kind, offset, bytes }) => ({ kind, offset, bytes })),
    beginning.sections,
  );
  assert.is(beginning.prologueAndHeader.length, beginning.sections[0]?.offset);
});

test('encodeCfi() gives the same bytes each time, also for keys in another order', () => {
  const first = makeImage().file;
  const content = Object.fromEntries(Object.entries(makeContent()).reverse());
  content['cpu'] = Object.fromEntries(Object.entries(makeContent().cpu).reverse());
  const input = {
    header: content as unknown as ReturnType<typeof makeContent>,
    sections: digestSections(makeSections()).reverse(),
  };
  const again = encodeCfi(input, sha256);
  assert.bytes(again.prologueAndHeader, first.subarray(0, again.prologueAndHeader.length));
});

test('encodeCfi() gives these bytes on every runtime', () => {
  // Refresh when the format changes on purpose, together with docs/format-cfi.md.
  const digest = createHash('sha256').update(makeImage().file).digest('hex');
  assert.is(digest, '25a706c8e6a2a3d9cbd942c10887e78ff56ec0d41f0b621031ce6bf6c97b97d0');
});

test('encodeCfi() writes a header that another CBOR decoder reads', () => {
  const { file } = makeImage();
  const header = cborgDecode(file.subarray(64, cfiHeaderBytes(file))) as {
    memory: unknown;
    sections: unknown[];
  };
  assert.equal(header.memory, {
    limitBytes: 2 ** 33, frames: 3, hotFrames: 2, writeFrames: 1, tables: 4,
  });
  assert.is(header.sections.length, 5);
});

test('planCfi() says where encodeCfi() puts things, for headers of every size', () => {
  const random = seededRandom(64);
  const sections = digestSections(makeSections());
  for (let round = 0; round < 300; round++) {
    const content = makeContent();
    // Around the page where a longer header moves all sections.
    const envBytes = random.int(0, 4) * 4096 + random.int(2400, 3100);
    content.program.env = [new Uint8Array(envBytes).fill(0x61)];
    const plan = planCfi(content, sections.map(({ kind, bytes }) => ({ kind, bytes })));
    const beginning = encodeCfi({ header: content, sections }, sha256);
    assert.equal(plan.sections, beginning.sections);
    assert.is(plan.fileBytes, beginning.fileBytes);
    assert.is(plan.sections[0]?.offset, beginning.prologueAndHeader.length);
  }
});

test('encodeCfi() takes sections without bytes where they may be empty', () => {
  const content = makeContent();
  content.memory = { ...content.memory, frames: 0, hotFrames: 0, writeFrames: 0 };
  const sections = makeSections();
  sections.frames = new Uint8Array(0);
  sections.relations = new Uint8Array(0);
  const input = { header: content, sections: digestSections(sections) };
  const { fileBytes, prologueAndHeader } = encodeCfi(input, sha256);
  assert.is(parseCfi(prologueAndHeader, fileBytes, sha256).memory.frames, 0);
});

test('encodeCfi() places a terabyte of frames without reading it', () => {
  const content = makeContent();
  const bytes = 2 ** 40 - 2 ** 20;
  content.memory = { ...content.memory, frames: bytes / 4096 };
  const sections = digestSections(makeSections());
  Object.assign(sections[4] as object, { bytes });
  const { fileBytes } = encodeCfi({ header: content, sections }, sha256);
  assert.ok(fileBytes > bytes && fileBytes < 2 ** 40);
});

test('encodeCfi() and planCfi() refuse what no reader would take', () => {
  const sections = digestSections(makeSections());
  const content = makeContent();
  const isCfiError = (error: unknown): boolean => error instanceof CfiError;
  const wrong = { ...content, memory: { ...content.memory, frames: 4 } };
  assert.throws(() => encodeCfi({ header: wrong, sections }, sha256), isCfiError);
  const large = { ...content, program: { ...content.program, env: [] as Uint8Array[] } };
  large.program.env = Array.from({ length: 9 }, () => new Uint8Array(128 * 1024 - 1).fill(0x61));
  assert.throws(() => encodeCfi({ header: large, sections }, sha256), /not 1 to 1048576/);
  assert.throws(() => planCfi(content, sections.slice(1)), isCfiError);
  const twice = [...sections.slice(1), ...sections.slice(1, 2)];
  assert.throws(() => planCfi(content, twice), /needs objects/);
});

test('encodeIoTable() sorts by fd and decodeIoTable() gives it back', () => {
  const entries = makeIoEntries();
  assert.equal(decodeIoTable(encodeIoTable(entries.toReversed())), entries);
  assert.equal(decodeIoTable(encodeIoTable([])), []);
  const twice = [...entries, ...entries];
  assert.throws(() => encodeIoTable(twice), /io\[1\]\.fd is not above the one before/);
});

test.run();
