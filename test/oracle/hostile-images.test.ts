// Images that are cut, damaged or made to deceive. A boot refuses them with one sentence and exit
// code 125, or runs what they say inside the sandbox; the VMM neither crashes nor hangs.

import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, seededRandom, suite } from '../harness.ts';
import type { CborValue } from '../../formats/cbor.ts';
import { listCounts } from '../helpers/counts.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { forgeHeader, forgeSection, readHeader, spoil, viewSection } from './forge.ts';
import { bootImage, buildImage, withScratch, withScratchAsync } from './images.ts';
import { startCatavmm } from './interactive.ts';
import { runCatavmm, textOf } from './process.ts';
import type { Outcome } from './process.ts';

const test = suite('test/oracle/hostile-images');
const testKvm = needs(test, kvmMissing());
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

const EXIT_FAILED = 125;
const timeoutMs = 20_000;
const sentenceCharsMax = 300;

/** Fails unless the command refused its image politely. */
function assertRefused(outcome: Outcome, what: string): void {
  const text = textOf(outcome.stderr);
  assert.ok(!outcome.hung, `${what}: hangs`);
  assert.is(outcome.code, EXIT_FAILED, `${what}: ${text}`);
  assert.is(textOf(outcome.stdout), '', what);
  assertSentence(text, what);
}

/** One line of JSON with a code of ours and one sentence. */
function assertSentence(text: string, what: string): void {
  let error: { code?: unknown; message?: unknown };
  try {
    error = JSON.parse(text.trim()) as typeof error;
  } catch {
    throw new Error(`${what}: not one error as JSON: ${text}`);
  }
  assert.match(String(error.code), /^CATAVMM_/, `${what}: ${text}`);
  assert.ok(error.code !== 'CATAVMM_INTERNAL', `${what}: ${text}`);
  const message = String(error.message);
  assert.match(message, /^\S.*\.$/, `${what}: not a sentence: ${message}`);
  assert.atMost(message.length, sentenceCharsMax, what);
}

/** Boots bytes as an image. */
function bootBytes(folder: string, bytes: Uint8Array): Outcome {
  const path = join(folder, 'forged.cfi');
  writeFileSync(path, bytes);
  return runCatavmm(['boot', '--json', '--timeout', '3s', path], { stdin: '5\n', timeoutMs });
}

function buildHello(folder: string): Uint8Array {
  const path = buildImage(folder, 'hello.cfi', { argv: [fixturePath('hello/hello')] });
  return new Uint8Array(readFileSync(path));
}

testKvm('boot refuses an image that is cut anywhere', () => {
  withScratch((folder) => {
    const image = buildHello(folder);
    const ends = readHeader(image).sections.map(({ offset, bytes }) => offset + bytes);
    const lengths = [0, 1, 7, 8, 63, 64, 65, 200, 4095, 4096, ...ends.map((end) => end - 1),
      image.length - 4096, image.length - 1];
    for (const length of new Set(lengths.filter((count) => count < image.length))) {
      assertRefused(bootBytes(folder, image.subarray(0, length)), `${length} bytes`);
    }
    const long = new Uint8Array(image.length + 1);
    long.set(image);
    assertRefused(bootBytes(folder, long), 'one byte more');
  });
}, { timeoutMs: 120_000 });

testKvm('boot refuses an image with a flipped byte in front of the frames', () => {
  withScratch((folder) => {
    const image = buildHello(folder);
    const random = seededRandom();
    const header = readHeader(image);
    const places = [0, 3, 8, 9, 12, 16, 20, 32, 63, 64, 70, 100, 300];
    for (const { kind, offset, bytes } of header.sections) {
      if (kind === 'frames' || bytes === 0) continue;
      places.push(offset, offset + bytes - 1, offset + random.int(0, bytes - 1));
    }
    for (const off of places) {
      const damaged = image.slice();
      damaged[off] = (damaged[off] as number) ^ 1 << random.int(0, 7);
      assertRefused(bootBytes(folder, damaged), `byte ${off}`);
    }
  });
}, { timeoutMs: 120_000 });

testKvm('verify finds a flipped byte in the frames, and boot survives it', () => {
  withScratch((folder) => {
    const image = buildHello(folder);
    const random = seededRandom();
    const frames = readHeader(image).sections.find(({ kind }) => kind === 'frames');
    assert.ok(frames);
    for (let i = 0; i < 6; i++) {
      const damaged = image.slice();
      const off = frames.offset + random.int(0, frames.bytes - 1);
      damaged[off] = (damaged[off] as number) ^ 0xff;
      const outcome = bootBytes(folder, damaged);
      assert.ok(!outcome.hung, `byte ${off}: hangs`);
      const path = join(folder, 'forged.cfi');
      assert.is(runCatavmm(['verify', path]).code, 1, `byte ${off}`);
      assertRefused(runCatavmm(['boot', '--json', '--verify', path]), `boot --verify, byte ${off}`);
    }
  });
}, { timeoutMs: 120_000 });

/** Changes of a header that are no longer what the file is. */
const lies: readonly (readonly [what: string, change: (h: Record<string, CborValue>) => void])[] = [
  ['another kernel ABI', (h) => { h['kernelAbi'] = 9999; }],
  ['other record kinds', (h) => { h['kernelSchema'] = new Uint8Array(32); }],
  ['a root outside', (h) => { object(h, 'objects')['root'] = 0xffff_fff8; }],
  ['a root that is no record', (h) => { object(h, 'objects')['root'] = 24; }],
  ['too many records', (h) => { object(h, 'objects')['count'] = 0x7fff_ffff; }],
  ['no records', (h) => { object(h, 'objects')['count'] = 0; }],
  ['too many frames', (h) => { object(h, 'memory')['frames'] = 0x7fff_ffff; }],
  ['too few frames', (h) => { object(h, 'memory')['frames'] = 1; }],
  ['more hot frames than frames', (h) => { object(h, 'memory')['hotFrames'] = 0x7fff_ffff; }],
  ['too many tables', (h) => { object(h, 'memory')['tables'] = 0x7fff_ffff; }],
  ['no tables', (h) => { object(h, 'memory')['tables'] = 0; }],
  ['all memory there is', (h) => { object(h, 'memory')['limitBytes'] = 2 ** 46; }],
  ['no memory', (h) => { object(h, 'memory')['limitBytes'] = 0; }],
  ['another XCR0', (h) => { object(h, 'cpu')['xcr0'] = 2 ** 40; }],
  ['a missing key', (h) => { delete h['clock']; }],
  ['an unknown key', (h) => { h['more'] = 1; }],
  ['text for a number', (h) => { h['kernelAbi'] = 'one'; }],
  ['a rootfs that is not there', (h) => { object(h, 'rootfs')['path'] = '/no\n\u001b'; }],
  ['a parent that is not there', (h) => { h['parent'] = new Uint8Array(32); }],
  ['overlapping sections', (h) => { section(h, 1)['offset'] = section(h, 0)['offset'] ?? 0; }],
  ['a section outside', (h) => { section(h, 4)['offset'] = 2 ** 40; }],
  ['a section that is too long', (h) => { section(h, 4)['bytes'] = 2 ** 39; }],
  ['an empty section of records', (h) => { section(h, 0)['bytes'] = 0; }],
  ['an unaligned section', (h) => { section(h, 2)['offset'] = 8; }],
];

function object(header: Record<string, CborValue>, key: string): Record<string, CborValue> {
  return header[key] as unknown as Record<string, CborValue>;
}

function section(header: Record<string, CborValue>, index: number): Record<string, CborValue> {
  return (header['sections'] as unknown as Record<string, CborValue>[])[index] ?? {};
}

testKvm('boot refuses headers that lie, with the right digest', () => {
  withScratch((folder) => {
    const image = buildHello(folder);
    for (const [what, change] of lies) {
      assertRefused(bootBytes(folder, forgeHeader(image, change)), what);
    }
  });
}, { timeoutMs: 120_000 });

testKvm('boot refuses a CPU feature that the host lacks', () => {
  withScratch((folder) => {
    const image = buildHello(folder);
    const forged = forgeHeader(image, (header) => {
      const features = object(header, 'cpu')['features'] as unknown as Record<string, number>[];
      for (const feature of features) if (feature['leaf'] === 7) feature['ebx'] = 0xffff_ffff;
      for (const feature of features) if (feature['leaf'] === 1) feature['ecx'] = 0xffff_ffff;
    });
    const outcome = bootBytes(folder, forged);
    assertRefused(outcome, 'CPU features');
    assert.match(textOf(outcome.stderr), 'CPU');
  });
});

/** Boots an image with lies in one section after the other. */
function bootLies(folder: string, image: Uint8Array, times: number): void {
  const random = seededRandom();
  const kinds = ['objects', 'relations', 'tables', 'io'] as const;
  for (let i = 0; i < times; i++) {
    const kind = kinds[i % kinds.length] ?? 'objects';
    const forged = forgeSection(image, kind, (bytes) => spoil(bytes, random));
    const what = `forged ${kind} ${i} of seed ${random.seed}`;
    const outcome = bootBytes(folder, forged);
    assert.ok(!outcome.hung, `${what}: hangs`);
    assert.ok(outcome.code < 256 && outcome.code >= 0, `${what}: exit code ${outcome.code}`);
    if (outcome.code === EXIT_FAILED) assertSentence(lastLine(outcome), what);
    assert.ok(!/^\s+at .*[:(]\d+/m.test(textOf(outcome.stderr)), `${what}: a stack trace`);
  }
}

testKvm('boot survives records, relations, tables and descriptors that lie', () => {
  withScratch((folder) => bootLies(folder, buildHello(folder), 60));
}, { timeoutMs: 150_000 });

testBoth('boot survives the lies of an image of many processes', () => {
  withScratch((folder) => {
    const path = buildImage(folder, 'family.cfi', { argv: [compileFixture('entry-family')] });
    bootLies(folder, new Uint8Array(readFileSync(path)), 40);
  });
}, { timeoutMs: 150_000 });

testKvm('boot refuses records that count fewer users than they have, or too many', () => {
  withScratch((folder) => {
    const image = buildHello(folder);
    const random = seededRandom();
    const counts = listCounts(viewSection(image, 'objects')).filter(({ value }) => value > 0);
    assert.ok(counts.length > 20, `${counts.length} counts`);
    for (let i = 0; i < 8; i++) {
      const { count, value } = random.pick(counts);
      const other = random.pick([0, value - 1, 0xffff_ffff]);
      const forged = forgeSection(image, 'objects', (bytes) => {
        new DataView(bytes.buffer, bytes.byteOffset).setUint32(count, other, true);
      });
      const outcome = bootBytes(folder, forged);
      assertRefused(outcome, `${other} for ${value} at ${count} of seed ${random.seed}`);
      assert.match(textOf(outcome.stderr), /records are malformed/);
    }
  });
}, { timeoutMs: 120_000 });

function lastLine(outcome: Outcome): string {
  return textOf(outcome.stderr).trim().split('\n').at(-1) ?? '';
}

testBoth('a boot whose file is cut while it runs ends with a sentence', async () => {
  await withScratchAsync(async (folder) => {
    const argv = [compileFixture('stdin-echo', 'static')];
    const path = buildImage(folder, 'echo.cfi', { argv, flags: ['--entry', 'stdin'] });
    const guest = startCatavmm(['boot', path]);
    guest.write('1\n');
    await guest.waitFor('1: 1\n');
    truncateSync(path, 4096);
    // Each of these lies on a page of the table that has not been read yet.
    for (let i = 1; i < 200; i++) guest.write(`${i * 1300}\n`);
    guest.end();
    const code = await guest.wait();
    assert.is(code, EXIT_FAILED, `${guest.stdout.slice(-100)} ${guest.stderr}`);
    assert.match(guest.stderr, /^catavmm: .*\.\n(  hint: .*\n)?$/);
  });
});

testKvm('an image that is replaced while it runs goes on from the old file', async () => {
  await withScratchAsync(async (folder) => {
    const image = buildHello(folder);
    const path = join(folder, 'hello.cfi');
    const guest = startCatavmm(['boot', path]);
    // Built into a temporary file that is renamed over this one.
    buildImage(folder, 'hello.cfi', { argv: [fixturePath('hello/hello')] });
    guest.write('7\n');
    guest.end();
    assert.is(await guest.wait(), 0, guest.stderr);
    assert.is(guest.stdout, 'hello: 7 is prime number 4\n');
    assert.ok(image.length > 0);
  });
});

testKvm('boot refuses what is no image at all', () => {
  withScratch((folder) => {
    for (const path of [folder, join(folder, 'missing'), '/dev/null', '/dev/zero',
      fixturePath('hello/hello'), fixturePath('hello/hello.c')]) {
      assertRefused(runCatavmm(['boot', '--json', path], { timeoutMs }), path);
    }
    const magic = bootImage(fixturePath('hello/hello'));
    assert.is(magic.code, EXIT_FAILED);
  });
});

test.run();
