// Builds the package: wasm/generated (committed, so usually unchanged), then dist by plain tsc,
// then the command-line entry as one bundle.
//
// Why a bundle: a start that reads 150 small modules costs 15-40 ms, one file costs 3-8, and the
// start-up of `catavmm boot` is what this project is about. Everything else in dist is what tsc
// writes. Packages stay outside of the bundle; lazily imported commands become chunks beside it.
//
//   node scripts/build.mjs [--no-wasm]

import { spawnSync } from 'node:child_process';
import {
  chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, root } from './install.mjs';
import { findRuntimes } from './runtimes.mjs';

const dist = join(root, 'dist');
const entry = join(root, 'cli/main.ts');
const chunkName = /^chunk-\w+\.js$/;

function run(command, args) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8' });
  const output = `${result.stdout ?? ''}${result.stderr ?? ''}`.trim();
  if (result.status !== 0) {
    throw new Error(`${relative(root, args[0] ?? command)} failed\n${output}`);
  }
  return output;
}

/** Files below a directory, as paths relative to it. */
function listFiles(directory, prefix = '') {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((item) => {
    const path = prefix + item.name;
    return item.isDirectory() ? listFiles(join(directory, item.name), `${path}/`) : [path];
  });
}

/** Removes what an earlier build left in dist for sources that are gone. */
function pruneDist() {
  for (const path of listFiles(dist)) {
    const source = join(root, path.replace(/(\.d\.ts|\.js)$/, '.ts'));
    const isChunk = dirname(path) === 'cli' && chunkName.test(path.slice(4));
    if (!isChunk && !existsSync(source)) rmSync(join(dist, path));
  }
}

/** Copies a file so that others see either the old or the new one, whole. */
function replaceFile(source, target, mode) {
  const partial = `${target}.${process.pid}`;
  copyFileSync(source, partial);
  chmodSync(partial, mode);
  renameSync(partial, target);
}

/**
 * Replaces dist/cli/main.js by a bundle; returns its size in bytes. Order: chunks are copied
 * before the entry that names them and old chunks go last, for a command may start meanwhile.
 */
function bundleEntry() {
  const temporary = mkdtempSync(join(tmpdir(), 'catavmm-bundle-'));
  try {
    run(findRuntimes().bun.path, [
      'build', entry, '--target=node', '--splitting', '--packages=external',
      '--outdir', temporary, '--entry-naming', '[name].js', '--chunk-naming', 'chunk-[hash].js',
    ]);
    const made = listFiles(temporary);
    for (const name of made.filter((path) => path !== 'main.js')) {
      if (!chunkName.test(name)) throw new Error(`the bundler wrote an unexpected ${name}`);
      replaceFile(join(temporary, name), join(dist, 'cli', name), 0o644);
    }
    const main = join(temporary, 'main.js');
    if (!readFileSync(main, 'utf8').startsWith('#!')) throw new Error('cli/main.ts needs a #! line');
    replaceFile(main, join(dist, 'cli/main.js'), 0o755);
    for (const name of readdirSync(join(dist, 'cli'))) {
      if (chunkName.test(name) && !made.includes(name)) rmSync(join(dist, 'cli', name));
    }
    return made.reduce((bytes, name) => bytes + statSync(join(temporary, name)).size, 0);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

/** Builds everything. Throws with the compiler's output when something fails. */
export function build({ wasm = true } = {}) {
  const started = Date.now();
  if (wasm) run(process.execPath, [join(root, 'wasm/build.mjs')]);
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root]);
  pruneDist();
  const bytes = existsSync(entry) ? bundleEntry() : 0;
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  console.log(`Built dist in ${seconds} s (command line: ${Math.ceil(bytes / 1024)} KiB).`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    ensureInstalled();
    build({ wasm: !process.argv.includes('--no-wasm') });
  } catch (error) {
    console.error(error.message);
    process.exitCode = 1;
  }
}
