// Checking whole images: every flipped byte is found, wherever it is.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CfiSectionKind } from '../../../../formats/cfi/header.ts';
import { checkImageFile, requireGoodImage } from '../../../../vmm/boot/image/verify.ts';
import type { Finding } from '../../../../vmm/boot/image/verify.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { makeImage } from '../../../formats/cfi/sample.ts';

const test = suite('vmm/boot/verify');
const directory = mkdtempSync(join(tmpdir(), 'catavmm-verify-'));
const path = join(directory, 'sample.cfi');
const { file, beginning } = makeImage();
test.after(() => rmSync(directory, { recursive: true }));

async function checkBytes(bytes: Uint8Array): Promise<Finding[]> {
  writeFileSync(path, bytes);
  return checkImageFile(path);
}

/** The image with one byte changed. */
function flip(off: number): Uint8Array {
  const copy = file.slice();
  copy[off] = (copy[off] as number) ^ 0x10;
  return copy;
}

test('checkImageFile() finds no damage in the sample, but no records of ours either', async () => {
  const findings = await checkBytes(file);
  assert.ok(findings.length > 0);
  assert.equal([...new Set(findings.map(({ where }) => where))].sort(), ['objects', 'structure']);
});

test('checkImageFile() names the section of a flipped byte', async () => {
  const kinds: CfiSectionKind[] = ['objects', 'relations', 'tables', 'io', 'frames'];
  for (const kind of kinds) {
    const section = beginning.sections.find((candidate) => candidate.kind === kind);
    assert.ok(section);
    for (const off of [section.offset, section.offset + section.bytes - 1]) {
      const findings = await checkBytes(flip(off));
      const damage = findings.filter(({ code }) => code === 'CATAVMM_CFI_DIGEST');
      assert.equal(damage.map(({ where }) => where), [kind]);
    }
  }
});

test('checkImageFile() finds any flipped byte', async () => {
  const random = seededRandom();
  const clean = JSON.stringify(await checkBytes(file));
  for (let round = 0; round < 100; round++) {
    const off = random.int(0, file.length - 1);
    assert.not(JSON.stringify(await checkBytes(flip(off))) === clean, `byte ${off}`);
  }
});

test('checkImageFile() finds bytes between sections', async () => {
  const relations = beginning.sections.find(({ kind }) => kind === 'relations');
  assert.ok(relations);
  const findings = await checkBytes(flip(relations.offset + relations.bytes));
  assert.ok(findings.some(({ where }) => where === 'padding'));
});

test('checkImageFile() finds a header that is damaged or cut', async () => {
  assert.equal((await checkBytes(flip(70))).map(({ where }) => where), ['header']);
  const [cut] = await checkBytes(file.subarray(0, file.length - 4096));
  assert.is(cut?.code, 'CATAVMM_CFI_TRUNCATED');
});

test('checkImageFile() rejects when there is no file', async () => {
  await assert.rejects(checkImageFile(join(directory, 'missing')), /does not exist/);
});

test('requireGoodImage() throws what was found first', async () => {
  writeFileSync(path, flip(file.length - 4096));
  await assert.rejects(requireGoodImage(path), /its frames section does not have its digest/);
});

test('checkImageFile() tells how far it has come', async () => {
  writeFileSync(path, file);
  const told: number[] = [];
  await checkImageFile(path, (done, total) => {
    assert.is(total, file.length);
    told.push(done);
  });
  assert.is(told.at(-1), file.length);
  assert.equal(told, [...told].sort((a, b) => a - b));
});

test.run();
