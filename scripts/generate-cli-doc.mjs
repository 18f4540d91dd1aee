// Writes docs/cli.md from the table of commands and flags (cli/spec.ts).
//
//   bun scripts/generate-cli-doc.mjs      also deno run -A, node from 22.18 on;
//   node 20 needs a build first and reads dist

import { existsSync, writeFileSync } from 'node:fs';
import process from 'node:process';

const root = new URL('../', import.meta.url);

/** The source where the runtime reads TypeScript, else what was built. */
function findRenderer() {
  const typescript = process.features.typescript;
  const readsSource = process.versions.bun !== undefined || 'Deno' in globalThis ||
    (typescript !== undefined && typescript !== false);
  const path = readsSource ? 'cli/cli-page.ts' : 'dist/cli/cli-page.js';
  const module = new URL(path, root);
  if (!existsSync(module)) throw new Error('run scripts/build.mjs first: this node reads no .ts');
  return module;
}

const { formatCliPage } = await import(findRenderer().href);
writeFileSync(new URL('docs/cli.md', root), formatCliPage());
