// The packed tarball, installed into an empty directory, as users of npm, Bun and Deno get it.
//
// One Node process starts all three runtimes here; scripts/test.mjs runs this file once.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert, suite } from './harness.ts';
import * as formats from '../formats/mod.ts';
import * as main from '../mod.ts';
import * as wasm from '../wasm/mod.ts';
import { installPackage, run, unpackPackage } from './helpers/installed-package.ts';
import type { InstalledPackage } from './helpers/installed-package.ts';
import { readJson, root } from './helpers/repository.ts';
import { allRuntimes, commandFor, getRuntime } from './helpers/runtimes.ts';

const test = suite('test/package');
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
    'dist/cli/main.js',
  ]) {
    assert.ok(paths.includes(path), `${path} is not in the tarball`);
  }
  const unwanted = paths.filter((path) => /(^|\/)(test|scripts|\.ci)\/|\.test\./.test(path));
  assert.equal(unwanted, []);
  const command = installed.files.find(({ path }) => path === 'dist/cli/main.js');
  assert.is((command?.mode ?? 0) & 0o111, 0o111, 'dist/cli/main.js must be executable');
});

/** Runs `… --version` and expects our version and the name of the runtime that answered. */
function checkVersion(command: string[], runtime: string): void {
  const { code, stdout, stderr } = run(command, installed.directory);
  assert.is(code, 0, `${command.join(' ')}: ${stderr}`);
  assert.ok(stdout.includes(version), stdout);
  assert.match(stdout, new RegExp(`\\b${runtime}\\b`, 'i'));
}

test('npx catavmm runs on Node', () => {
  checkVersion(['npx', '--no-install', 'catavmm', '--version'], 'node');
}, slow);

test('bunx catavmm runs on Node, by its #! line', () => {
  checkVersion([getRuntime('bun').path, 'x', 'catavmm', '--version'], 'node');
}, slow);

test('bunx --bun catavmm runs on Bun', () => {
  checkVersion([getRuntime('bun').path, 'x', '--bun', 'catavmm', '--version'], 'bun');
}, slow);

test('deno run -A runs the command on Deno', () => {
  const file = 'node_modules/catavmm/dist/cli/main.js';
  checkVersion(commandFor(getRuntime('deno'), file, '--version'), 'deno');
}, slow);

for (const runtime of allRuntimes()) {
  test(`catavmm, catavmm/formats and catavmm/wasm can be imported on ${runtime.name}`, () => {
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
