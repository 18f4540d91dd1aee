// inspect and verify, on an image that is well formed but holds no real program.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { countByKind, inspectImage, inspectionToJson } from '../../cli/inspect.ts';
import { CfiError } from '../../formats/cfi/error.ts';
import { ImageFile } from '../../vmm/boot/image/image-file.ts';
import { KIND } from '../../vmm/kernel/state/kinds.ts';
import { assert, suite } from '../harness.ts';
import { makeImage } from '../formats/cfi/sample.ts';

const test = suite('cli/inspect');
const directory = mkdtempSync(join(tmpdir(), 'catavmm-inspect-'));
const path = join(directory, 'sample.cfi');
const { file } = makeImage();
writeFileSync(path, file);
test.after(() => rmSync(directory, { recursive: true }));

/** Records one after the other: u16 kind, u16 0, u32 bytes, zeros. */
function makeRecords(records: [kind: number, bytes: number][]): Uint8Array {
  const objects = new Uint8Array(records.reduce((sum, [, bytes]) => sum + bytes, 0));
  const view = new DataView(objects.buffer);
  let at = 0;
  for (const [kind, bytes] of records) {
    view.setUint16(at, kind, true);
    view.setUint32(at + 4, bytes, true);
    at += bytes;
  }
  return objects;
}

test('countByKind() counts records and bytes by name', () => {
  const objects = makeRecords([[KIND.sandbox, 64], [KIND.inode, 32], [KIND.inode, 40], [999, 8]]);
  assert.equal(countByKind(objects), [
    { kind: 'inode', count: 2, bytes: 72 },
    { kind: 'sandbox', count: 1, bytes: 64 },
    { kind: 'kind 999', count: 1, bytes: 8 },
  ]);
});

test('countByKind() stops where records make no sense', () => {
  for (const bytes of [0, 7, 12, 16, 0xffff_fff8]) {
    const objects = makeRecords([[KIND.inode, 8]]);
    new DataView(objects.buffer).setUint32(4, bytes, true);
    assert.equal(countByKind(objects), [], String(bytes));
  }
});

test('inspectImage() reads everything but frames', () => {
  const image = new ImageFile(path);
  const inspection = inspectImage(image);
  image.close();
  assert.is(inspection.bytes, file.length);
  assert.is(inspection.relations, 10);
  assert.equal(inspection.sections.map(({ kind }) => kind),
    ['objects', 'relations', 'tables', 'io', 'frames']);
  const json = JSON.parse(JSON.stringify(inspectionToJson(inspection), (_key, value: unknown) => {
    return typeof value === 'bigint' ? String(value) : value;
  })) as { header: { program: { argv: string[] }; entry: object } };
  assert.equal(json.header.program.argv, ['python3', '-c', '']);
  assert.equal(json.header.entry, { kind: 'line', line: 'ready' });
});

test('ImageFile refuses what is not a whole image', () => {
  const bad = join(directory, 'bad.cfi');
  for (const bytes of [0, 1, 63, 64, 500, file.length - 1]) {
    writeFileSync(bad, file.subarray(0, bytes));
    assert.throws(() => new ImageFile(bad), CfiError, `${bytes} bytes`);
  }
  assert.throws(() => new ImageFile(directory), /not a regular file/);
  assert.throws(() => new ImageFile('/dev/zero'), /not a regular file/);
  assert.throws(() => new ImageFile(join(directory, 'missing')), /does not exist/);
});

test.run();
