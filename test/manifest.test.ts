// package.json, deno.json, mod.ts and CHANGELOG.md say the same: versions, exports, ranges.

import { assert, suite } from './harness.ts';
import { readJson, readText } from './helpers/repository.ts';
import { version } from '../mod.ts';

interface PackageJson {
  name: string;
  version: string;
  license: string;
  type: string;
  engines: Record<string, string>;
  bin: Record<string, string>;
  exports: Record<string, string | { types: string; default: string }>;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
}

interface DenoJson {
  version: string;
  license: string;
  exports: Record<string, string>;
  imports: Record<string, string>;
}

const test = suite('test/manifest');
const npm = readJson<PackageJson>('package.json');
const deno = readJson<DenoJson>('deno.json');

test('package.json has exactly the dependencies that were agreed on', () => {
  assert.equal(Object.keys(npm.dependencies).sort(), ['cac', 'cbor-x', 'koffi']);
  assert.equal(Object.keys(npm.devDependencies).sort(), [
    '@types/node', 'assemblyscript', 'bun', 'cborg', 'deno', 'typescript', 'uvu',
  ]);
});

test('development packages are pinned to exact versions', () => {
  for (const [name, range] of Object.entries(npm.devDependencies)) {
    assert.match(range, /^\d+\.\d+\.\d+$/, `${name} ${range}`);
  }
});

test('versions and licences agree', () => {
  assert.is(deno.version, npm.version);
  assert.is(version, npm.version);
  assert.is(deno.license, npm.license);
  assert.is(readJson<{ version: string }>('package-lock.json').version, npm.version);
});

test('deno.json imports the same ranges as package.json', () => {
  const expected = Object.fromEntries(
    Object.entries(npm.dependencies).map(([name, range]) => [name, `npm:${name}@${range}`]),
  );
  assert.equal(deno.imports, expected);
});

test('deno.json exports the sources of what package.json exports, and the command', () => {
  const expected: Record<string, string> = { './cli': './cli/main.ts' };
  for (const [name, target] of Object.entries(npm.exports)) {
    if (typeof target === 'string') continue;
    const source = target.default.replace('./dist/', './').replace(/\.js$/, '.ts');
    assert.is(target.types, target.default.replace(/\.js$/, '.d.ts'));
    expected[name] = source;
    assert.ok(readText(source).length > 0);
  }
  assert.equal(
    Object.entries(deno.exports).sort(),
    Object.entries(expected).sort(),
  );
  assert.is(npm.bin['catavmm'], 'dist/cli/main.cjs');
});

test('CHANGELOG.md has an entry for this version', () => {
  assert.ok(readText('CHANGELOG.md').includes(`\n## [${npm.version}]`));
});

test('package-lock.json records no download hosts and every optional package', () => {
  const lock = readText('package-lock.json');
  assert.not(lock.includes('"resolved"'));
  const { packages } = JSON.parse(lock) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>;
  };
  // npm ci refuses a lock file that leaves out a platform's package.
  for (const [path, entry] of Object.entries(packages)) {
    for (const name of Object.keys(entry.optionalDependencies ?? {})) {
      assert.ok(packages[`node_modules/${name}`] !== undefined, `${path} wants ${name}`);
    }
  }
});

test.run();
