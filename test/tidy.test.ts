// Rules about the source text itself, so that nobody has to remember them in a review.
//
// Each test collects every violation as `path:line what` and wants the list to be empty.
// The numbers: a file is read in one sitting, a function is seen whole on a screen.

import { spawnSync } from 'node:child_process';
import { dirname, join, normalize } from 'node:path/posix';
import { assert, suite } from './harness.ts';
import { layerOf, mayImport, packageImporters } from './helpers/layers.ts';
import { listFiles, readText, root } from './helpers/repository.ts';
import { readSourceFacts } from './helpers/source-facts.ts';
import type { ImportFact, SourceFacts } from './helpers/source-facts.ts';

const fileLinesMax = 600;
const medianLinesMax = 150;
const functionLinesMax = 70;
const columnsMax = 100;

const test = suite('test/tidy');
const facts = readSourceFacts();
const isGenerated = (path: string): boolean => path.includes('/generated/');
const sources = listFiles().filter((path) => /\.(ts|mjs)$/.test(path) && !isGenerated(path));

/** Fails with the list when it is not empty. */
function assertNone(violations: string[], rule: string): void {
  if (violations.length === 0) return;
  const list = violations.map((text) => `\n      ${text}`).join('');
  assert.unreachable(`${rule}; ${violations.length} violations:${list}`);
}

function splitLines(text: string): string[] {
  const lines = text.split('\n');
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function resolveImport(from: string, specifier: string): string {
  return normalize(join(dirname(from), specifier));
}

function isOurs({ specifier }: ImportFact): boolean {
  return specifier.startsWith('.');
}

/** `cbor-x` of `cbor-x/encode`, `@a/b` of `@a/b/c`. */
function packageOf(specifier: string): string {
  return specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/');
}

/** Every import of every file, with its file. */
function allImports(): { file: SourceFacts; item: ImportFact }[] {
  return facts.flatMap((file) => file.imports.map((item) => ({ file, item })));
}

test('facts cover every TypeScript file of the plan', () => {
  const known = new Set(facts.map(({ path }) => path));
  const missing = sources
    .filter((path) => path.endsWith('.ts') && !path.startsWith('wasm/assembly/'))
    .filter((path) => !known.has(path));
  assertNone(missing, 'every .ts file is compiled by tsconfig.json');
  assertNone(facts.map(({ path }) => path).filter((path) => layerOf(path) === undefined),
    'every file belongs to a layer');
});

test('imports between folders point one way', () => {
  const violations = allImports()
    .filter(({ item }) => isOurs(item))
    .map(({ file, item }) => ({ file, item, to: resolveImport(file.path, item.specifier) }))
    .filter(({ file, to }) => !mayImport(file.path, to))
    .map(({ file, item, to }) => `${file.path}:${item.line} imports ${to}`);
  assertNone(violations, 'see test/helpers/layers.ts for the arrows');
});

test('packages are imported only where they are wrapped', () => {
  const violations = allImports()
    .filter(({ item }) => !isOurs(item) && !item.specifier.startsWith('node:'))
    .filter(({ file, item }) => {
      const importers = packageImporters[packageOf(item.specifier)] ?? [];
      return !importers.some((prefix) => file.path.startsWith(prefix));
    })
    .map(({ file, item }) => `${file.path}:${item.line} imports ${item.specifier}`);
  assertNone(violations, 'see test/helpers/layers.ts for who may import what');
});

test('formats and wasm import no builtin of a runtime that a browser lacks', () => {
  const violations = allImports()
    .filter(({ file, item }) => /^(formats|wasm)\//.test(file.path) && !item.typeOnly &&
      item.specifier.startsWith('node:'))
    .map(({ file, item }) => `${file.path}:${item.line} imports ${item.specifier}`);
  assertNone(violations, 'formats/ and wasm/ run in a browser');
});

/** One cycle of imports that are evaluated at load time, as a list of files; or undefined. */
function findCycle(graph: Map<string, string[]>): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  function walk(file: string): string[] | undefined {
    if (done.has(file)) return undefined;
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    path.push(file);
    for (const next of graph.get(file) ?? []) {
      const cycle = walk(next);
      if (cycle !== undefined) return cycle;
    }
    path.pop();
    done.add(file);
    return undefined;
  }
  for (const file of graph.keys()) {
    const cycle = walk(file);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

test('files outside of the kernel do not import each other in a circle', () => {
  // Kernel files call each other's functions as C files do; nothing there runs at load time.
  const isKernel = (path: string): boolean => path.startsWith('vmm/kernel/');
  const graph = new Map(facts.map((file) => [
    file.path,
    file.imports
      .filter((item) => isOurs(item) && !item.typeOnly && !item.lazy)
      .map((item) => resolveImport(file.path, item.specifier))
      .filter((to) => !isKernel(file.path) || !isKernel(to)),
  ]));
  assertNone(findCycle(graph) ?? [], 'imports that are evaluated form no circle');
});

test('files are short', () => {
  const sizes = sources.map((path) => ({ path, lines: splitLines(readText(path)).length }));
  const long = sizes.filter(({ lines }) => lines > fileLinesMax);
  assertNone(long.map(({ path, lines }) => `${path} has ${lines} lines`),
    `a file has at most ${fileLinesMax} lines`);
  const product = sizes.filter(({ path }) => !path.startsWith('test/')).map(({ lines }) => lines);
  product.sort((a, b) => a - b);
  assert.atMost(product[product.length >> 1] ?? 0, medianLinesMax, 'median lines per file');
});

test('functions are short', () => {
  const violations = facts.flatMap(({ path, functions }) => functions
    .filter(({ lines }) => lines > functionLinesMax)
    .map(({ name, line, lines }) => `${path}:${line} ${name} has ${lines} lines`));
  assertNone(violations, `a function has at most ${functionLinesMax} lines`);
});

test('lines are short', () => {
  const violations = sources.flatMap((path) => splitLines(readText(path))
    .map((text, index) => ({ columns: [...text].length, line: index + 1 }))
    .filter(({ columns }) => columns > columnsMax)
    .map(({ columns, line }) => `${path}:${line} has ${columns} columns`));
  assertNone(violations, `a line has at most ${columnsMax} columns`);
});

test('files begin with a comment that says what they are', () => {
  const violations = sources.filter((path) => {
    const lines = splitLines(readText(path));
    const first = lines[0]?.startsWith('#!') ? lines[1] : lines[0];
    return !/^\/[/*]+ ?\S/.test(first ?? '');
  });
  assertNone(violations, 'the first line (after #!) is a comment');
});

test('calls of C functions say why they are safe', () => {
  const violations = facts
    .filter(({ path }) => !path.startsWith('test/'))
    .flatMap(({ path, unsafeCalls }) => unsafeCalls
      .map(({ callee, line }) => `${path}:${line} calls ${callee}`));
  assertNone(violations, 'SAFETY: stands above the call or on its function');
});

test('FFI is bound in one file', () => {
  const violations = sources
    .filter((path) => path !== 'vmm/host/libc.ts' && !path.startsWith('test/'))
    .filter((path) => /\bkoffi\.\w+\(|\bdlopen\(|bun:ffi|node:ffi/.test(readText(path)));
  assertNone(violations, 'only vmm/host/libc.ts speaks to native code');
});

test('nothing names the place where it was written', () => {
  // Put together here, so that this file does not contain them.
  const words = [
    ['/work', 'main'].join('/'), ['/work', 'shared'].join('/'), ['/tmp', 'brief'].join('/'),
    ['registry', 'npmjs', 'org'].join('.'), ['registry', 'yarnpkg'].join('.'),
    ['files', 'pythonhosted'].join('.'), ['"resolved"', ' "'].join(':'),
  ];
  if (root.length > 4) words.push(`${root}/`);
  const violations = listFiles()
    .filter((path) => /(\.(ts|mjs|json|md|cddl|c|h|py|sh|txt)|\/run|\.npmrc)$/.test(path))
    .flatMap((path) => {
      const text = readText(path);
      return words.filter((word) => text.includes(word)).map((word) => `${path}: ${word}`);
    });
  assertNone(violations, 'no host of a registry, no path of a workplace');
});

test('there are no notes to self', () => {
  const pattern = new RegExp(`\\b(${['TO' + 'DO', 'FIX' + 'ME', 'HA' + 'CK'].join('|')})\\b`);
  assertNone(sources.filter((path) => pattern.test(readText(path))), 'open ends go to an issue');
});

test('every suite is run, in a file named after what it tests', () => {
  const violations = listFiles('test').filter((path) => path.endsWith('.test.ts'))
    .filter((path) => {
      const code = readText(path).split('\n').filter((line) => !/^\s/.test(line)).join('\n');
      const made = code.match(/^const \w+ = suite\(/gm)?.length ?? 0;
      const run = code.match(/^\w+\.run\(\);$/gm)?.length ?? 0;
      return made === 0 || made !== run;
    });
  assertNone(violations, 'const test = suite(…) … test.run(), at the top level');
});

test('git ignores what the build writes', () => {
  const result = spawnSync('git', ['check-ignore', 'dist/x', 'node_modules/x', 'x.tgz'], {
    cwd: root,
    encoding: 'utf8',
  });
  // 128: not a git checkout (an unpacked source archive); then there is nothing to check.
  if (result.status === 128) return;
  assert.is(result.stdout.trim().split('\n').length, 3, result.stdout);
});

test.run();
