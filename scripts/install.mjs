// Makes sure that node_modules is what package-lock.json says; needs nothing but Node and npm.
//
// npm writes node_modules/.package-lock.json last, so its contents tell what was really installed.
// Optional packages (binaries of other platforms) may be missing; everything else must match.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's directory. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');

/** Runs npm the way this process was started by it, or from PATH. */
export function runNpm(args, options = {}) {
  const script = process.env.npm_execpath;
  const [command, first] = script?.endsWith('.js') ? [process.execPath, [script]] : ['npm', []];
  return spawnSync(command, [...first, ...args], { cwd: root, encoding: 'utf8', ...options });
}

function readPackages(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')).packages : undefined;
}

/** Why node_modules must be installed anew; undefined when it is fresh. */
export function findStaleness() {
  const installed = readPackages(join(root, 'node_modules/.package-lock.json'));
  if (installed === undefined) return 'node_modules is missing';
  const wanted = readPackages(join(root, 'package-lock.json'));
  for (const [path, entry] of Object.entries(wanted)) {
    if (path === '') continue;
    const version = installed[path]?.version;
    if (version === undefined && entry.optional) continue;
    if (version !== entry.version || !existsSync(join(root, path))) {
      return `${path} is ${version ?? 'missing'}, the lock file says ${entry.version}`;
    }
  }
  return undefined;
}

/** Installs from the lock file if needed. Throws when npm fails. */
export function ensureInstalled() {
  const reason = findStaleness();
  if (reason === undefined) return;
  console.log(`Installing development packages (${reason}) …`);
  const started = Date.now();
  const result = runNpm(['ci', '--no-audit', '--no-fund', '--loglevel', 'error'], {
    stdio: 'inherit',
  });
  if (result.status !== 0) throw new Error('npm ci failed');
  console.log(`Installed in ${((Date.now() - started) / 1000).toFixed(0)} s.`);
}
