// Writes docs/syscalls.md from the table of system calls.
//
//   bun scripts/generate-syscalls-doc.mjs [--check]     also deno run -A, node from 22.18 on;
//   node 20 needs a build first and reads dist

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const root = new URL('../', import.meta.url);
const target = fileURLToPath(new URL('docs/syscalls.md', root));

/** The renderer's module: the source where the runtime reads TypeScript, else what was built. */
function findRenderer() {
  const path = 'vmm/kernel/syscalls/document';
  const readsTypeScript = process.versions.bun !== undefined || 'Deno' in globalThis ||
    process.features.typescript !== undefined && process.features.typescript !== false;
  if (readsTypeScript) return new URL(`${path}.ts`, root);
  const built = new URL(`dist/${path}.js`, root);
  if (!existsSync(built)) throw new Error('run scripts/build.mjs first: this node reads no .ts');
  return built;
}

const { renderSyscalls } = await import(findRenderer().href);
const text = renderSyscalls();
if (process.argv.includes('--check')) {
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) {
    console.error('docs/syscalls.md is stale: run scripts/generate-syscalls-doc.mjs');
    process.exit(1);
  }
} else {
  mkdirSync(new URL('docs/', root), { recursive: true });
  writeFileSync(target, text);
}
