// The schema of header and I/O table: each field's range, and that the CDDL and the docs agree.

import { existsSync, readFileSync } from 'node:fs';
import { CfiError } from '../../../formats/cfi/error.ts';
import type { CfiHeader, CfiIoEntry } from '../../../formats/cfi/header.ts';
import { parseCfi } from '../../../formats/cfi/read.ts';
import { checkHeader, checkIoTable } from '../../../formats/cfi/schema.ts';
import { assert, suite } from '../../harness.ts';
import { makeImage, makeIoEntries, sha256 } from './sample.ts';

const test = suite('formats/cfi/schema');

function makeHeader(): CfiHeader {
  const { file } = makeImage();
  return parseCfi(file, file.length, sha256);
}

/** A tree in which every place can be replaced. */
type Tree = { [key: string]: Tree };

/** Replaces the value at `place`, e.g. `sections.0.bytes`; undefined removes it. */
function replace(root: unknown, place: string, value: unknown): void {
  const keys = place.split('.');
  const last = keys.pop() as string;
  let node = root as Tree;
  for (const key of keys) node = node[key] as Tree;
  if (value === undefined) delete node[last];
  else node[last] = value as Tree;
}

function outcome(call: () => unknown): string {
  try {
    call();
    return '';
  } catch (error) {
    if (!(error instanceof CfiError)) throw error;
    assert.match(error.message, /^The func-image.*\.$/);
    return error.message;
  }
}

const volume = { source: '/a', target: '/b', readOnly: true };

test('checkHeader() accepts a full header and returns it', () => {
  const header = makeHeader();
  assert.equal(checkHeader(header), header);
});

test('checkHeader() refuses each field that is out of its range', () => {
  const cases: [string, unknown, RegExp][] = [
    ['kernelAbi', -1, /kernelAbi is not an integer/],
    ['kernelSchema', new Uint8Array(31), /kernelSchema is not a byte string of 32/],
    ['sections', [], /sections is not an array of 5/],
    ['sections.0.kind', 'frames', /sections are not objects, relations, tables, io, frames/],
    ['sections.1.kind', 'code', /sections\[1\]\.kind is not one of/],
    ['sections.0.offset', 2 ** 40, /sections\[0\]\.offset/],
    ['sections.2.sha256', 'abc', /sections\[2\]\.sha256/],
    ['sections.0.bytes', 4105, /size of the objects section is not a multiple of 8/],
    ['sections.0.bytes', 2 ** 30, /objects section is too large/],
    ['sections.1.bytes', 12, /size of the relations section is not a multiple of 8/],
    ['sections.2.bytes', 4097, /size of the tables section is not a multiple of 4096/],
    ['sections.3.bytes', 0, /the io section is not a table/],
    ['sections.3.bytes', 2 ** 24, /io section is too large/],
    ['sections.4.bytes', 12289, /size of the frames section/],
    ['objects.root', 12, /objects\.root is not a place/],
    ['objects.root', 4104, /objects\.root is not a place/],
    ['objects.count', 0, /objects\.count/],
    ['objects.count', 514, /objects\.count is not possible/],
    ['objects.preferredBase', 4, /preferredBase is not a possible address/],
    ['objects.preferredBase', 2 ** 32 - 4096, /preferredBase is not a possible address/],
    ['memory.limitBytes', -1, /memory\.limitBytes/],
    ['memory.limitBytes', 1n << 60n, /memory\.limitBytes/],
    ['memory.frames', 4, /memory\.frames is not the number/],
    ['memory.hotFrames', 4, /memory\.hotFrames/],
    ['memory.writeFrames', 3, /memory\.writeFrames/],
    ['memory.tables', 5, /memory\.tables is not the number/],
    ['cpu.baseline', 'v5', /cpu\.baseline is not one of v2, v3, v4, host/],
    ['cpu.xcr0', -1, /cpu\.xcr0/],
    ['cpu.xsaveBytes', 65537, /cpu\.xsaveBytes/],
    ['cpu.features.0.eax', 2 ** 32, /cpu\.features\[0\]\.eax/],
    ['cpu.features.1', { leaf: 7, subleaf: 0, eax: 0, ebx: 0, ecx: 0, edx: 0 },
      /cpu\.features\[1\] is not after/],
    ['rootfs.path', '', /rootfs\.path/],
    ['rootfs.path', 'a\0b', /rootfs\.path/],
    ['rootfs.selfContained', 1, /rootfs\.selfContained/],
    ['rootfs.volumes', [], /rootfs\.volumes/],
    ['rootfs.volumes', [{ source: '/a', target: '/b' }], /volumes\[0\]\.readOnly is not there/],
    ['rootfs.volumes', [{ source: '', target: '/b', readOnly: true }], /volumes\[0\]\.source/],
    ['rootfs.volumes', Array.from({ length: 64 }, () => volume), /volumes is not an array of 1 to/],
    ['program.argv', [], /program\.argv/],
    ['program.argv.0', Uint8Array.of(0), /program\.argv\[0\]/],
    ['program.env.0', 'A=b', /program\.env\[0\]/],
    ['program.cwd', Uint8Array.of(0x61), /program\.cwd is not an absolute path/],
    ['program.cwd', new Uint8Array(0), /program\.cwd is not an absolute path/],
    ['entry.kind', 'later', /entry\.kind/],
    ['entry.kind', 'stdin', /entry\.line is not for kind stdin/],
    ['entry.line', undefined, /entry\.line is not there/],
    ['entry.line', new Uint8Array(0), /entry\.line/],
    ['clock.deterministic', null, /clock\.deterministic/],
    ['clock.realtimeNs', 1n << 64n, /clock\.realtimeNs/],
    ['clock.monotonicNs', -1, /clock\.monotonicNs/],
    ['parent', new Uint8Array(0), /parent/],
    ['createdBy.catavmm', 5, /createdBy\.catavmm/],
    ['createdBy.host', 'x', /createdBy\.host is not a known field/],
    ['extra', 1, /: extra is not a known field/],
  ];
  for (const [place, value, message] of cases) {
    const header = makeHeader();
    replace(header, place, value);
    assert.match(outcome(() => checkHeader(header)), message, place);
  }
});

test('checkHeader() accepts volumes', () => {
  const header = makeHeader();
  replace(header, 'rootfs.volumes', [volume, volume]);
  assert.equal(checkHeader(header).rootfs.volumes, [volume, volume]);
});

test('checkHeader() misses no field', () => {
  const header = makeHeader();
  const places = ['sections.0', 'objects', 'memory', 'cpu', 'cpu.features.0', 'rootfs', 'program',
    'entry', 'clock', 'createdBy'];
  const keys = Object.keys(header);
  for (const place of places) {
    let node = header as unknown as Tree;
    for (const key of place.split('.')) node = node[key] as Tree;
    keys.push(...Object.keys(node).map((key) => `${place}.${key}`));
  }
  assert.is(keys.length, 45);
  for (const key of keys) {
    const copy = makeHeader();
    replace(copy, key, undefined);
    assert.match(outcome(() => checkHeader(copy)), /is not there/, key);
  }
});

test('checkIoTable() accepts what it should and refuses the rest', () => {
  assert.equal(checkIoTable(makeIoEntries()), makeIoEntries());
  assert.equal(checkIoTable([]), []);
  const cases: [string, unknown, RegExp][] = [
    ['0.fd', -1, /io\[0\]\.fd/],
    ['1.fd', 0, /io\[1\]\.fd is not above/],
    ['0.path', '/', /io\[0\]\.path/],
    ['0.path', new Uint8Array(4097).fill(0x61), /io\[0\]\.path/],
    ['0.kind', 'thing', /io\[0\]\.kind/],
    ['0.flags', 2 ** 32, /io\[0\]\.flags/],
    ['0.offset', 1n << 60n, /io\[0\]\.offset/],
    ['0.cached', undefined, /io\[0\]\.cached is not there/],
    ['1.identity', null, /io\[1\]\.identity is not a map/],
    ['1.identity.dev', -1, /io\[1\]\.identity\.dev/],
    ['1.identity.ino', 1n << 64n, /io\[1\]\.identity\.ino/],
    ['1.identity.bytes', -1, /io\[1\]\.identity\.bytes/],
    ['1.identity.mtimeNs', 1n << 63n, /io\[1\]\.identity\.mtimeNs/],
    ['1.identity.mtimeNs', undefined, /mtimeNs is not there/],
    ['1.name', 'x', /io\[1\]\.name is not a known field/],
  ];
  for (const [place, value, message] of cases) {
    const entries: CfiIoEntry[] = makeIoEntries();
    replace(entries, place, value);
    assert.match(outcome(() => checkIoTable(entries)), message, place);
  }
});

/** The package's folder, from the source or from `dist`. */
function findRoot(): URL {
  let folder = new URL('./', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) folder = new URL('../', folder);
  return folder;
}

function collectKeys(value: unknown, keys: Set<string>): Set<string> {
  if (value instanceof Uint8Array || typeof value !== 'object' || value === null) return keys;
  for (const [key, item] of Object.entries(value)) {
    if (!Array.isArray(value)) keys.add(key);
    collectKeys(item, keys);
  }
  return keys;
}

test('cfi.cddl and format-cfi.md have the keys of header and I/O table, the CDDL no others', () => {
  const keys = collectKeys(makeIoEntries(), collectKeys(makeHeader(), new Set()));
  const text = readFileSync(new URL('formats/cfi.cddl', findRoot()), 'utf8');
  const code = text.replaceAll(/;.*/g, '').replaceAll(/"[^"]*"/g, '""');
  const described = new Set(Array.from(code.matchAll(/([A-Za-z0-9]+):/g), ([, key]) => key));
  assert.equal([...described].sort(), [...keys].sort());
  const document = readFileSync(new URL('docs/format-cfi.md', findRoot()), 'utf8');
  for (const key of keys) assert.ok(document.includes(`\`${key}\``), `format-cfi.md: ${key}`);
});

test.run();
