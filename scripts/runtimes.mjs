// Finds working Node, Bun and Deno binaries after `npm ci`.
//
// The npm packages bun and deno put their binary in place by an install script. Where scripts are
// blocked, the binary is still in the platform package (@oven/…, @deno/…), so we look there too;
// what counts is that it answers --version. As a program, prints the result as JSON:
//   { "node": { "path": …, "version": … }, "bun": …, "deno": … }

import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { root } from './install.mjs';

const modules = join(root, 'node_modules');
const binDirectory = join(modules, '.bin');

/** Paths below node_modules/<scope>/<package>/ for every installed platform package. */
function inPlatformPackages(scope, prefix, file) {
  const directory = join(modules, scope);
  if (!existsSync(directory)) return [];
  const names = readdirSync(directory).filter((name) => name.startsWith(prefix)).sort();
  return names.map((name) => join(directory, name, file));
}

function readVersion(path) {
  const result = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 30_000 });
  return result.status === 0 ? /\d+\.\d+\.\d+\S*/.exec(result.stdout)?.[0] : undefined;
}

function firstWorking(name, candidates) {
  for (const path of candidates) {
    if (!existsSync(path)) continue;
    const version = readVersion(path);
    if (version !== undefined) return { path, version };
  }
  throw new Error(`no working ${name} binary in node_modules; tried ${candidates.join(', ')}`);
}

/** The three runtimes: `{ node: { path, version }, bun, deno }`. Throws when one is missing. */
export function findRuntimes() {
  const node = process.versions.bun || process.versions.deno
    ? firstWorking('node', (process.env.PATH ?? '').split(delimiter).map((d) => join(d, 'node')))
    : { path: process.execPath, version: process.versions.node };
  const bun = firstWorking('bun', [
    join(modules, 'bun/bin/bun.exe'),
    ...inPlatformPackages('@oven', 'bun-linux', 'bin/bun'),
  ]);
  const deno = firstWorking('deno', [
    join(modules, 'deno/deno'),
    ...inPlatformPackages('@deno', 'linux', 'deno'),
  ]);
  return { node, bun, deno };
}

/** True when this Node runs TypeScript source as it is (22.18 and later). */
export function runsSource(nodeVersion) {
  const [major, minor] = nodeVersion.split('.').map(Number);
  return major > 22 || (major === 22 && minor >= 18);
}

/** Makes `npx bun`, `npx bunx` and `npx deno` work also where install scripts were blocked. */
export function linkBinaries(runtimes) {
  const targets = { bun: runtimes.bun.path, bunx: runtimes.bun.path, deno: runtimes.deno.path };
  for (const [name, target] of Object.entries(targets)) {
    const link = join(binDirectory, name);
    if (readVersion(link) !== undefined) continue;
    rmSync(link, { force: true });
    symlinkSync(target, link);
  }
}

/** PATH on which `node`, `bun`, `bunx` and `deno` are the binaries that were found. */
export function makePath(runtimes) {
  return [binDirectory, dirname(runtimes.node.path), process.env.PATH].join(delimiter);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(JSON.stringify(findRuntimes()));
