// `npm run bench`: installs and builds what is missing, then `catavmm bench` with the same words.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { ensureInstalled, root } from './install.mjs';
import { findRuntimes, makePath } from './runtimes.mjs';

try {
  // stdout is the report's: bench --json > file.
  console.log = console.error;
  ensureInstalled();
  build();
  const words = [join(root, 'dist/cli/main.cjs'), 'bench', ...process.argv.slice(2)];
  const env = { ...process.env, PATH: makePath(findRuntimes()) };
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit', env });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
