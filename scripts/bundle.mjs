// Bundles the command line into dist/cli, because start-up is what this project is about: loading
// 300 small modules costs 40 ms and more, a bundle whose code is already compiled costs 5 to 10.
//
//   dist/cli/main.cjs                 the command (scripts/cli-main.cjs)
//   dist/cli/main.js                  the same for those who want an ES module
//   dist/cli/bundle-<digest>/
//     catavmm.cjs, boot.cjs           for Bun and Node, one file each; boot.cjs can only boot
//     *.cjs.jsc                       Bun's bytecode of them (this Bun only; others compile)
//     *.cjs.<V8>.cache                V8's code cache of them (this Node only; others compile)
//     catavmm.mjs, chunk-*.mjs        for Deno, which caches ES modules itself
//     LICENSES.txt                    of the packages that are inside
//
// Order: a new directory is complete before main.cjs names it, and old ones go last, because a
// command may start meanwhile.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync,
  statSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './install.mjs';

const cliDirectory = join(root, 'dist/cli');
const inlined = ['cac', 'cbor-x'];

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  if (result.status === 0) return;
  throw new Error(`${args.slice(0, 2).join(' ')} failed\n${result.stdout}${result.stderr}`);
}

/** Bundles the command line for CommonJS with bytecode, and for ES modules with lazy chunks. */
function runBundler(bun, directory) {
  const common = ['--outdir', directory, '--external', 'koffi', '--minify-whitespace',
    '--minify-syntax'];
  // Without the definition, import.meta.url would be the path of the source on this machine.
  const cjs = ['--target=bun', '--format=cjs', '--bytecode',
    '--define', 'import.meta.url=module.filename'];
  run(bun, ['build', 'cli/cli.ts', ...common, ...cjs, '--entry-naming', 'catavmm.cjs']);
  run(bun, ['scripts/bundle-boot.mjs', directory]);
  run(bun, ['build', 'cli/cli.ts', ...common, '--target=node', '--format=esm', '--splitting',
    '--entry-naming', 'catavmm.mjs', '--chunk-naming', 'chunk-[hash].mjs']);
}

function writeLicenses(directory) {
  const texts = inlined.map((name) => {
    const text = readFileSync(join(root, 'node_modules', name, 'LICENSE'), 'utf8').trim();
    return `${name}\n\n${text}\n`;
  });
  writeFileSync(join(directory, 'LICENSES.txt'), texts.join(`\n${'-'.repeat(72)}\n\n`));
}

/** An image of the demo program for a realistic warm-up; undefined where it cannot be made. */
function buildSample(directory) {
  const image = join(directory, 'sample.cfi');
  const program = join(root, 'fixtures/hello/hello');
  const args = [join(cliDirectory, 'main.cjs'), 'build', '-o', image, '--', program];
  const result = spawnSync(process.execPath, args, { cwd: directory, timeout: 60_000 });
  return result.status === 0 ? image : undefined;
}

/** Writes code caches for this Node: what a boot compiles, or what finding no image does. */
function writeCodeCaches(bundleDirectory) {
  const directory = mkdtempSync(join(tmpdir(), 'catavmm-warm-'));
  try {
    const script = join(root, 'scripts/make-code-cache.cjs');
    const image = buildSample(directory) ?? join(directory, 'no-image.cfi');
    for (const name of ['catavmm.cjs', 'boot.cjs']) {
      const bundle = join(bundleDirectory, name);
      const cache = `${bundle}.${process.versions.v8}.cache`;
      const args = [script, bundle, cache, 'boot', image];
      spawnSync(process.execPath, args, { cwd: directory, input: 'Ada\n', timeout: 60_000 });
      if (!existsSync(cache)) console.log('No code cache: starts on Node take 10 ms longer.');
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function replaceFile(path, text) {
  const partial = `${path}.${process.pid}`;
  writeFileSync(partial, text);
  chmodSync(partial, 0o755);
  renameSync(partial, path);
}

/** Makes the bundle; returns its size in bytes. */
export function bundleCommand(bun) {
  const temporary = mkdtempSync(join(root, 'dist/bundle-'));
  try {
    runBundler(bun, temporary);
    writeLicenses(temporary);
    const code = readFileSync(join(temporary, 'catavmm.cjs'), 'utf8');
    const boot = readFileSync(join(temporary, 'boot.cjs'), 'utf8');
    const esm = readFileSync(join(temporary, 'catavmm.mjs'));
    if ((code + boot).includes(root)) throw new Error('the bundle contains a path of this machine');
    const hash = createHash('sha256').update(code).update(boot).update(esm);
    const digest = hash.digest('hex').slice(0, 12);
    const name = `bundle-${digest}`;
    const directory = join(cliDirectory, name);
    const isNew = !existsSync(directory);
    if (isNew) {
      cpSync(temporary, `${directory}.${process.pid}`, { recursive: true });
      chmodSync(`${directory}.${process.pid}`, 0o755);
      renameSync(`${directory}.${process.pid}`, directory);
    }
    const loader = readFileSync(join(root, 'scripts/cli-main.cjs'), 'utf8');
    replaceFile(join(cliDirectory, 'main.cjs'), loader.replace('BUNDLE_DIRECTORY', name));
    replaceFile(join(cliDirectory, 'main.js'), readFileSync(join(root, 'scripts/cli-main.js')));
    if (isNew || !existsSync(join(directory, `boot.cjs.${process.versions.v8}.cache`))) {
      writeCodeCaches(directory);
    }
    for (const other of readdirSync(cliDirectory)) {
      if (!other.startsWith('bundle-') || other === name) continue;
      rmSync(join(cliDirectory, other), { recursive: true });
    }
    return statSync(join(directory, 'catavmm.cjs')).size;
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
