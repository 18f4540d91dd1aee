// Bad input: programs that are none, commands that are not understood, guests that want everything.
// Each ends with the documented exit code and one clear sentence; nothing hangs.

import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, kvmMissing, needs, seededRandom, suite } from '../harness.ts';
import { compileFixture, compilerMissing, fixturePath } from './compile.ts';
import { withScratch } from './images.ts';
import { describeFolder } from './oracle.ts';
import { runCatavmm, textOf } from './process.ts';
import type { Outcome } from './process.ts';

const test = suite('test/oracle/hostile');
const testKvm = needs(test, kvmMissing());
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

const timeoutMs = 60_000;

/** `catavmm: Sentence.` and perhaps a hint; nothing else, and no stack trace. */
function assertComplaint(outcome: Outcome, code: number, what: string): void {
  const text = textOf(outcome.stderr);
  assert.ok(!outcome.hung, `${what}: hangs`);
  assert.is(outcome.code, code, `${what}: ${text}`);
  assert.match(text, /^catavmm: [^\n]{1,400}[.?]\n(  hint: [^\n]{1,400}\n)?$/, `${what}: ${text}`);
  assert.is(textOf(outcome.stdout), '', what);
}

/** Edits the shipped ELF. */
function patchHello(...edits: readonly (readonly [off: number, ...bytes: number[]])[]): Uint8Array {
  const elf = new Uint8Array(readFileSync(fixturePath('hello/hello')));
  for (const [off, ...bytes] of edits) elf.set(bytes, off);
  return elf;
}

const hello = patchHello();
const ones = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f] as const;
const programHeader = 64;

interface BadProgram {
  what: string;
  code: number;
  content: Uint8Array | string;
  mode?: number;
}

const badPrograms: readonly BadProgram[] = [
  { what: 'text', code: 126, content: 'hello\n' },
  { what: 'nothing', code: 126, content: '' },
  { what: 'a file that may not be executed', code: 126, content: hello, mode: 0o644 },
  { what: 'an ELF for another machine', code: 126, content: patchHello([18, 0xb7, 0]) },
  { what: 'a big-endian ELF', code: 126, content: patchHello([5, 2], [18, 0, 62]) },
  { what: 'an object file', code: 126, content: patchHello([16, 1]) },
  { what: 'a core file', code: 126, content: patchHello([16, 4]) },
  { what: 'an ELF without program headers', code: 126, content: patchHello([56, 0, 0]) },
  { what: 'program headers of a wrong size', code: 126, content: patchHello([54, 0, 1]) },
  { what: 'program headers outside of the file', code: 126, content: patchHello([32, ...ones]) },
  { what: 'the first 40 bytes of an ELF', code: 126, content: hello.slice(0, 40) },
  { what: 'the first 64 bytes of an ELF', code: 126, content: hello.slice(0, 64) },
  { what: 'a script without a line', code: 126, content: '#!\n' },
  { what: 'a script of spaces', code: 126, content: '#!   \n' },
  { what: 'a script whose interpreter is missing', code: 127, content: '#!/no/such/sh\n' },
];

for (const { what, code, content, mode = 0o755 } of badPrograms) {
  testKvm(`run refuses ${what} with ${code}`, () => {
    withScratch((folder) => {
      const path = join(folder, 'program');
      writeFileSync(path, content);
      chmodSync(path, mode);
      assertComplaint(runCatavmm(['run', '--', path], { timeoutMs }), code, what);
      const image = join(folder, 'image.cfi');
      const built = runCatavmm(['build', '-o', image, '--', path], { timeoutMs });
      assertComplaint(built, code, `build of ${what}`);
      assert.match(describeFolder(folder), /^program [^\n]*/, 'no image is left');
      assert.not(describeFolder(folder).includes('.cfi'), 'no image is left');
    });
  });
}

testKvm('run refuses programs that are not there, directories, and ends of loops', () => {
  withScratch((folder) => {
    mkdirSync(join(folder, 'directory'));
    writeFileSync(join(folder, 'self'), `#!${join(folder, 'self')}\n`);
    chmodSync(join(folder, 'self'), 0o755);
    assertComplaint(runCatavmm(['run', '--', 'no-such-program']), 127, 'not in PATH');
    assertComplaint(runCatavmm(['run', '--', '/no/such/program']), 127, 'no such path');
    assertComplaint(runCatavmm(['run', '--', join(folder, 'directory')]), 126, 'a directory');
    assertComplaint(runCatavmm(['run', '--', join(folder, 'self')]), 126, 'its own interpreter');
    assertComplaint(runCatavmm(['run', '--', 'x'.repeat(300)]), 126, 'a long name');
  });
});

testBoth('run refuses a program whose interpreter is missing', () => {
  withScratch((folder) => {
    const path = join(folder, 'program');
    copyFileSync(compileFixture('stdin-echo'), path);
    const elf = readFileSync(path);
    elf[elf.indexOf('/lib64/ld-linux') + 5] = 'X'.charCodeAt(0);
    writeFileSync(path, elf);
    chmodSync(path, 0o755);
    assertComplaint(runCatavmm(['run', '--', path]), 127, 'no interpreter');
  });
});

testKvm('run survives an ELF whose header and program headers are spoilt', () => {
  withScratch((folder) => {
    const random = seededRandom();
    const path = join(folder, 'program');
    for (let i = 0; i < 40; i++) {
      const elf = hello.slice();
      const view = new DataView(elf.buffer);
      const count = random.int(1, 4);
      for (let j = 0; j < count; j++) {
        const at = random.int(2, (programHeader + 5 * 56 >> 3) - 1) * 8;
        const odd = [0n, 1n, 0xfffn, 0x1000n, 2n ** 31n, 2n ** 32n, 2n ** 47n - 4096n, 2n ** 47n,
          2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 4096n];
        view.setBigUint64(at, random.bool() ? random.pick(odd) : BigInt(random.u32()), true);
      }
      writeFileSync(path, elf);
      chmodSync(path, 0o755);
      const outcome = runCatavmm(['run', '--timeout', '3s', '--', path], { timeoutMs: 20_000 });
      const what = `spoilt ELF ${i} of seed ${random.seed}: ${textOf(outcome.stderr)}`;
      assert.ok(!outcome.hung, what);
      assert.ok(outcome.code !== 125, what);
      if (outcome.code === 126) assertComplaint(outcome, 126, what);
    }
  });
}, { timeoutMs: 120_000 });

const badUsage: readonly (readonly [code: number, ...args: string[]])[] = [
  [2, 'run'], [2, 'boot'], [2, 'boot', 'a', 'b'], [2, 'build', '--', 'true'], [2, 'nonsense'],
  [2, 'run', '--nonsense', '--', 'true'], [2, 'run', '--memory', '5', '--', 'true'],
  [2, 'run', '--memory', 'many', '--', 'true'], [2, 'run', '--timeout', '-1s', '--', 'true'],
  [2, 'run', '-e', '=x', '--', 'true'], [2, 'run', '-v', 'nowhere', '--', 'true'],
  [2, 'run', '-w', 'relative', '--', 'true'], [2, 'run', '--cpu', 'v9', '--', 'true'],
  [2, 'build', '-o', 'x.cfi', '--entry', 'sometime', '--', 'true'],
  [125, 'run', '--rootfs', '/no/such/directory', '--', 'true'],
  [125, 'run', '-w', '/no/such/directory', '--', 'true'],
  [125, 'build', '-o', '/no/such/directory/x.cfi', '--', fixturePath('hello/hello')],
  [125, 'run', '-v', '/no/such/source:/mnt', '--', 'true'],
];

for (const [code, ...args] of badUsage) {
  testKvm(`catavmm ${args.join(' ').replace(fixturePath(''), '')} ends with ${code}`, () => {
    const outcome = runCatavmm(args, { timeoutMs });
    const lines = textOf(outcome.stderr).split('\n').filter((line) => !line.startsWith('hello: '));
    const stderr = new TextEncoder().encode(lines.join('\n'));
    assertComplaint({ ...outcome, stderr }, code, args.join(' '));
  });
}

testKvm('a guest that runs without end is killed after --timeout, with 124', () => {
  const outcome = runCatavmm(['run', '--timeout', '300ms', '--', 'sleep', '100'], { timeoutMs });
  assert.is(outcome.code, 124);
  assert.match(textOf(outcome.stderr), 'killed after 300ms');
  assert.atMost(outcome.ms, 15_000);
});

/** Without end: what it prints, and the exit codes that are right. */
const endless: readonly (readonly [what: string, expected: RegExp, ...codes: number[]])[] = [
  ['threads', /no more threads\nmore than 50: yes\n/, 0],
  ['memory', /^without end: memory\n(mmap = -ENOMEM\n)?$/, 0, 137],
  ['files', /write = -(ENOSPC|ENOMEM|EFBIG)/, 0],
  ['deep', /depth \d+\n/, 0],
  ['descriptors', /descriptors = -(EMFILE|ENOMEM)/, 0],
  ['flight', /in flight: done\n/, 0],
  ['signals', /limited: yes\n/, 0],
  ['maps', /without end: maps\n(mmap = -ENOMEM\n)?/, 0, 124, 137],
  ['names', /without end: names\n(open = -(ENOSPC|ENOMEM)\n)?/, 0, 124, 137],
  ['loop', /without end: loop\n/, 124],
];

for (const [what, expected, ...codes] of endless) {
  testBoth(`a guest that takes ${what} without end harms only itself`, () => {
    // Only what may be ended from outside is ended soon.
    const limit = codes.includes(124) ? '8s' : '50s';
    withScratch((folder) => {
      const outcome = runCatavmm(
        ['run', '-m', '64m', '--timeout', limit, '--', compileFixture('limits', 'static'), what],
        { cwd: folder, timeoutMs },
      );
      assert.ok(!outcome.hung, 'hangs');
      assert.match(textOf(outcome.stdout), expected, textOf(outcome.stderr));
      assert.ok(codes.includes(outcome.code), `${outcome.code}: ${textOf(outcome.stderr)}`);
      assert.is(describeFolder(folder), '', 'nothing is written outside');
    });
  }, { timeoutMs: 90_000 });
}

testBoth('random system calls with random arguments do not harm the VMM', () => {
  withScratch((folder) => {
    const random = seededRandom();
    for (let i = 0; i < 5; i++) {
      const seed = `${random.u32()}`;
      const outcome = runCatavmm(
        ['run', '-m', '64m', '--timeout', '20s', '--', compileFixture('fuzz-calls', 'static'),
          seed, '3000'],
        { cwd: folder, timeoutMs },
      );
      const what = `fuzz-calls ${seed} 3000: ${textOf(outcome.stderr).slice(-300)}`;
      assert.is(outcome.code, 0, what);
      assert.match(textOf(outcome.stdout), 'made 3000 calls\n', what);
    }
    for (let i = 0; i < 5; i++) {
      const seed = `${random.u32()}`;
      const outcome = runCatavmm(
        ['run', '-m', '64m', '--timeout', '1s', '--', compileFixture('fuzz-calls', 'static'),
          seed, '2000', 'all'],
        { cwd: folder, timeoutMs },
      );
      const what = `fuzz-calls ${seed} 2000 all: ${textOf(outcome.stderr).slice(-300)}`;
      assert.ok(!outcome.hung, what);
      // Without a limit on the calls it may end in any way, but not by a fault of the VMM.
      assert.ok(!/^\s+at |catavmm: (?!killed|out-of|missing)/m.test(textOf(outcome.stderr)), what);
    }
    assert.is(describeFolder(folder), '', 'nothing is written outside');
  });
}, { timeoutMs: 170_000 });

test.run();
