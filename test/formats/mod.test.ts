// What `catavmm/formats` promises as a whole: it runs anywhere, and reading loads little.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import * as formats from '../../formats/mod.ts';
import { assert, suite } from '../harness.ts';

const test = suite('formats/mod');

/** The package's folder, from the source or from `dist`. */
function findRoot(): URL {
  let folder = new URL('./', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) folder = new URL('../', folder);
  return folder;
}

const folder = new URL('formats/', findRoot());

/** What a source file imports or re-exports while the program runs. */
function listImports(path: string): string[] {
  const text = readFileSync(new URL(path, folder), 'utf8');
  const statements = text.matchAll(/^(?:import|export) (?!type )[^;]*? from '([^']+)';$/gm);
  return Array.from(statements, ([, specifier]) => specifier as string);
}

function listSources(): string[] {
  return readdirSync(folder, { recursive: true })
    .map((path) => String(path).replaceAll('\\', '/'))
    .filter((path) => path.endsWith('.ts'));
}

/** `path` and all it imports from this folder, and the packages they import. */
function collectClosure(path: string, seen: Set<string> = new Set()): Set<string> {
  if (seen.has(path)) return seen;
  seen.add(path);
  for (const specifier of listImports(path)) {
    const target = new URL(specifier, new URL(path, folder)).href;
    if (!specifier.startsWith('.')) seen.add(specifier);
    else collectClosure(target.slice(folder.href.length), seen);
  }
  return seen;
}

const packagesOf: Readonly<Record<string, readonly string[]>> = {
  'cbor.ts': ['cbor-x/encode'],
  // Of the baseline that is measured only.
  'cbor-sequence.ts': ['cbor-x/encode', 'cbor-x/decode'],
};

test('formats/ imports nothing but itself, and cbor-x in two files', () => {
  const sources = listSources();
  assert.ok(sources.includes('cfi/read.ts'));
  for (const path of sources) {
    for (const specifier of listImports(path)) {
      if (packagesOf[path]?.includes(specifier) === true) continue;
      const target = new URL(specifier, new URL(path, folder)).href;
      const inside = specifier.startsWith('.') && target.startsWith(folder.href);
      assert.ok(inside, `${path} imports ${specifier}`);
    }
  }
});

test('cfi/read.ts, which every boot imports, loads no package', () => {
  const closure = collectClosure('cfi/read.ts');
  assert.ok(closure.has('cbor-decode.ts'));
  assert.equal([...closure].filter((path) => !path.endsWith('.ts')), []);
  assert.ok(collectClosure('cfi/write.ts').has('cbor-x/encode'));
});

test('formats/mod has the documented functions', () => {
  for (const name of [
    'encodeCbor', 'decodeCbor', 'parseElf', 'parseCfi', 'encodeCfi', 'planCfi', 'cfiHeaderBytes',
    'verifySection', 'encodeIoTable', 'decodeIoTable', 'diffFrames', 'listPadding',
  ] as const) {
    assert.is(typeof formats[name], 'function', name);
  }
});

test.run();
