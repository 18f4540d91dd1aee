// Builds the package: wasm/generated (committed, so usually unchanged), dist by plain tsc, and
// the bundled command line (see bundle.mjs). Node 20 and users of the npm package run dist.
//
//   node scripts/build.mjs [--no-wasm]

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundleCommand } from './bundle.mjs';
import { ensureInstalled, root } from './install.mjs';
import { findRuntimes } from './runtimes.mjs';

const dist = join(root, 'dist');

function runNode(script, ...args) {
  const result = spawnSync(process.execPath, [script, ...args], { cwd: root, encoding: 'utf8' });
  if (result.status === 0) return;
  const output = `${result.stdout}${result.stderr}`.trim();
  throw new Error(`${relative(root, script)} failed\n${output}`);
}

/** Removes what an earlier build left in dist for sources that are gone; not the bundle. */
function pruneDist(folder = '') {
  for (const item of readdirSync(join(dist, folder), { withFileTypes: true })) {
    const path = folder === '' ? item.name : `${folder}/${item.name}`;
    if (item.name.startsWith('bundle-') || path === 'cli/main.cjs') continue;
    const source = join(root, path.replace(/(\.d\.ts|\.js)$/, '.ts'));
    if (!existsSync(source)) rmSync(join(dist, path), { recursive: true });
    else if (item.isDirectory()) pruneDist(path);
  }
}

/** Builds everything. A type error is thrown at the end: what the compiler wrote can be run. */
export function build({ wasm = true } = {}) {
  const started = Date.now();
  if (wasm) runNode(join(root, 'wasm/build.mjs'));
  let typeError;
  try {
    runNode(join(root, 'node_modules/typescript/bin/tsc'), '-p', root);
  } catch (error) {
    typeError = error;
  }
  pruneDist();
  const bytes = bundleCommand(findRuntimes().bun.path);
  if (typeError !== undefined) throw typeError;
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
