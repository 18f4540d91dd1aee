// `npm run compat`: installs and builds what is missing, then test/compat/main.ts with the same
// words.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from './build.mjs';
import { ensureInstalled, root } from './install.mjs';
import { findRuntimes, makePath } from './runtimes.mjs';

try {
  // stdout is the report's: compat --json > file.
  console.log = console.error;
  ensureInstalled();
  build();
  const words = [join(root, 'dist/test/compat/main.js'), ...process.argv.slice(2)];
  const env = { ...process.env, PATH: makePath(findRuntimes()) };
  const { status } = spawnSync(process.execPath, words, { stdio: 'inherit', env });
  process.exitCode = status ?? 1;
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}
