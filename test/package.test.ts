// The packed tarball, installed into an empty directory, as users of npm, Bun and Deno get it.
//
// One Node process starts all three runtimes here; scripts/test.mjs runs this file once.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert, needsKvm, suite } from './harness.ts';
import * as formats from '../formats/mod.ts';
import * as wasm from '../wasm/mod.ts';
import { installPackage, run, unpackPackage } from './helpers/installed-package.ts';
import type { InstalledPackage } from './helpers/installed-package.ts';
import { readJson, root } from './helpers/repository.ts';
import { allRuntimes, commandFor, getRuntime } from './helpers/runtimes.ts';

const test = suite('test/package');
const testKvm = needsKvm(test);
const { version } = readJson<{ version: string }>('package.json');
const slow = { timeoutMs: 180_000 };
let installed: InstalledPackage;

test.before(() => {
  installed = installPackage();
});
test.after(() => rmSync(dirname(installed.directory), { recursive: true }));

/** The names a set of modules exports, as the check program below prints them. */
function listNames(modules: Record<string, object>): string {
  const names = Object.entries(modules).map(([name, exports]) => [name, Object.keys(exports)]);
  return JSON.stringify(Object.fromEntries(names.map(([name, keys]) => [name, [...keys!].sort()])));
}

/** Writes a program that imports specifiers and prints the names they export. */
function writeImporter(directory: string, specifiers: string[]): string {
  const lines = specifiers.map((name) => `  '${name}': await import('${name}'),`);
  const file = join(directory, 'check.mjs');
  writeFileSync(file, `const modules = {\n${lines.join('\n')}\n};
const entries = Object.entries(modules).map(([name, m]) => [name, Object.keys(m).sort()]);
console.log(JSON.stringify(Object.fromEntries(entries)));\n`);
  return file;
}

test('the tarball holds what users need and no tests', () => {
  const paths = installed.files.map(({ path }) => path);
  for (const path of [
    'README.md', 'LICENSE', 'CHANGELOG.md', 'package.json', 'dist/mod.js', 'dist/mod.d.ts',
    'dist/formats/mod.js', 'dist/formats/mod.d.ts', 'dist/wasm/mod.js', 'dist/wasm/mod.d.ts',
    'dist/cli/main.cjs', 'dist/cli/main.js', 'fixtures/hello/hello', 'fixtures/hello/hello.c',
  ]) {
    assert.ok(paths.includes(path), `${path} is not in the tarball`);
  }
  const unwanted = paths.filter((path) => /(^|\/)(test|scripts|\.ci)\/|\.test\./.test(path));
  assert.equal(unwanted, []);
  for (const path of ['dist/cli/main.cjs', 'fixtures/hello/hello']) {
    const file = installed.files.find((item) => item.path === path);
    assert.is((file?.mode ?? 0) & 0o111, 0o111, `${path} must be executable`);
  }
});

/** The ways users start the command, and the runtime that then runs it. */
const starters: readonly { title: string; command: string[]; runtime: string }[] = [
  { title: 'npx', command: ['npx', '--no-install', 'catavmm'], runtime: 'node' },
  // bunx follows the #! line unless it is told otherwise.
  { title: 'bunx', command: [getRuntime('bun').path, 'x', 'catavmm'], runtime: 'node' },
  {
    title: 'bunx --bun',
    command: [getRuntime('bun').path, 'x', '--bun', 'catavmm'],
    runtime: 'bun',
  },
  {
    title: 'deno run -A',
    command: commandFor(getRuntime('deno'), 'node_modules/catavmm/dist/cli/main.js'),
    runtime: 'deno',
  },
];

for (const { title, command, runtime } of starters) {
  test(`${title} catavmm --version runs on ${runtime}`, () => {
    const { code, stdout, stderr } = run([...command, '--version'], installed.directory);
    assert.is(code, 0, stderr);
    assert.ok(stdout.includes(version), stdout);
    assert.match(stdout, new RegExp(`\\b${runtime}\\b`, 'i'));
  }, slow);
}

for (const { title, command } of starters) {
  testKvm(`${title} catavmm builds an image and all the others boot it`, () => {
    const { directory } = installed;
    const image = 'hello.cfi';
    rmSync(join(directory, image), { force: true });
    const program = 'node_modules/catavmm/fixtures/hello/hello';
    const built = run([...command, 'build', '-o', image, '--', program], directory);
    assert.is(built.code, 0, built.stderr);
    for (const other of starters) {
      const booted = run([...other.command, 'boot', image], directory, '104729\n');
      assert.is(booted.code, 0, `${other.title}: ${booted.stderr}`);
      assert.is(booted.stdout, 'hello: 104729 is prime number 10000\n');
    }
  }, slow);
}

for (const runtime of allRuntimes()) {
  test(`catavmm, catavmm/formats and catavmm/wasm can be imported on ${runtime.name}`, async () => {
    const main = await import('../mod.ts');
    const specifiers = ['catavmm', 'catavmm/formats', 'catavmm/wasm'];
    const file = writeImporter(installed.directory, specifiers);
    const { code, stdout, stderr } = run(commandFor(runtime, file), installed.directory);
    assert.is(code, 0, stderr);
    const expected = { catavmm: main, 'catavmm/formats': formats, 'catavmm/wasm': wasm };
    assert.is(stdout.trim(), listNames(expected));
  }, slow);
}

test('catavmm/formats and catavmm/wasm need neither FFI nor the command-line packages', () => {
  const directory = join(dirname(installed.directory), 'bare');
  mkdirSync(directory);
  unpackPackage(installed.tarball, directory, ['cbor-x']);
  const file = writeImporter(directory, ['catavmm/formats', 'catavmm/wasm']);
  for (const runtime of allRuntimes()) {
    const { code, stdout, stderr } = run(commandFor(runtime, file), directory);
    assert.is(code, 0, stderr);
    assert.is(stdout.trim(), listNames({ 'catavmm/formats': formats, 'catavmm/wasm': wasm }));
  }
}, slow);

test('the declarations work for a strict TypeScript program', () => {
  const { directory } = installed;
  writeFileSync(join(directory, 'use.mts'), `import { version } from 'catavmm';
import * as formats from 'catavmm/formats';
import * as wasm from 'catavmm/wasm';
const text: string = version;
// @ts-expect-error: an untyped import would let this pass
const wrong: number = version;
console.log(text, wrong, Object.keys(formats), Object.keys(wasm));\n`);
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const flags = [
    '--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2022',
    '--lib', 'es2023,esnext.disposable,dom', '--types', 'node',
    '--typeRoots', join(root, 'node_modules/@types'),
  ];
  const node = getRuntime('node').path;
  const { code, stdout } = run([node, compiler, ...flags, 'use.mts'], directory);
  assert.is(code, 0, stdout);
}, slow);

test.run();
