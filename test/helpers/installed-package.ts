// Packs this repository and installs the tarball where nothing else is, as a user would.
//
// npm takes the three dependencies from its cache when it can. Without a network and with an
// empty cache it cannot; then the tarball is unpacked by tar and the dependencies are linked.

import { spawnSync } from 'node:child_process';
import {
  existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { root } from './repository.ts';
import { getRuntime } from './runtimes.ts';

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** What `npm pack` says about a file of the tarball. */
export interface PackedFile {
  path: string;
  mode: number;
  size: number;
}

export interface InstalledPackage {
  /** A directory with node_modules/catavmm in it; to be removed by the caller. */
  directory: string;
  files: PackedFile[];
  tarball: string;
  /** How it came there. */
  by: 'npm' | 'tar';
}

const timeoutMs = 120_000;

/** PATH with this Node first, for scripts that begin with `#!/usr/bin/env node`. */
function environment(): Record<string, string | undefined> {
  const path = `${dirname(getRuntime('node').path)}${delimiter}${process.env['PATH']}`;
  return { ...process.env, PATH: path, NO_COLOR: '1', npm_config_update_notifier: 'false' };
}

/** Runs a program in a directory, without a shell; stdin is `input`. */
export function run(command: readonly string[], directory: string, input: string = ''): Outcome {
  const [program = '', ...args] = command;
  const result = spawnSync(program, args, {
    cwd: directory,
    input,
    encoding: 'utf8',
    env: environment(),
    timeout: timeoutMs,
    maxBuffer: 2 ** 26,
  });
  const stderr = result.error === undefined ? result.stderr : `${result.stderr}${result.error}`;
  return { code: result.status, stdout: result.stdout, stderr };
}

function mustRun(command: readonly string[], directory: string): string {
  const { code, stdout, stderr } = run(command, directory);
  if (code !== 0) throw new Error(`${command.join(' ')} exited with ${code}: ${stderr}`);
  return stdout;
}

/** Makes the tarball from what is in dist; the build is not repeated. */
function pack(directory: string): { tarball: string; files: PackedFile[] } {
  if (!existsSync(join(root, 'dist/mod.js'))) throw new Error('dist is missing: npm run build');
  const output = mustRun(
    ['npm', 'pack', '--json', '--ignore-scripts', '--pack-destination', directory],
    root,
  );
  const parsed = JSON.parse(output) as unknown;
  // npm 12 gives an object by package name, earlier ones an array.
  const [entry] = Object.values(parsed as object) as { filename: string; files: PackedFile[] }[];
  if (entry === undefined) throw new Error(`npm pack said ${output}`);
  return { tarball: join(directory, entry.filename), files: entry.files };
}

/** Unpacks the tarball as <directory>/node_modules/catavmm, with links to some dependencies. */
export function unpackPackage(tarball: string, directory: string, dependencies: string[]): void {
  const target = join(directory, 'node_modules/catavmm');
  // Deno resolves a bare name only when package.json lists it.
  const manifest = { name: 'app', type: 'module', dependencies: { catavmm: '*' } };
  writeFileSync(join(directory, 'package.json'), JSON.stringify(manifest));
  mkdirSync(target, { recursive: true });
  mustRun(['tar', '-xzf', tarball, '--strip-components=1', '-C', target], directory);
  for (const name of dependencies) {
    symlinkSync(join(root, 'node_modules', name), join(directory, 'node_modules', name));
  }
}

/** Packs and installs. */
export function installPackage(): InstalledPackage {
  const base = mkdtempSync(join(tmpdir(), 'catavmm-package-'));
  const { tarball, files } = pack(base);
  const directory = join(base, 'app');
  mkdirSync(directory);
  writeFileSync(join(directory, 'package.json'), '{ "name": "app", "type": "module" }\n');
  const flags = ['--prefer-offline', '--no-audit', '--no-fund', '--fetch-retries=0'];
  const { code, stderr } = run(['npm', 'install', ...flags, tarball], directory);
  if (code === 0) return { directory, files, tarball, by: 'npm' };
  console.log(`npm install failed (${stderr.trim().split('\n')[0]}); unpacking with tar instead`);
  unpackPackage(tarball, directory, readdirSync(join(root, 'node_modules')).filter(isDependency));
  const bin = join(directory, 'node_modules/.bin');
  mkdirSync(bin, { recursive: true });
  symlinkSync('../catavmm/dist/cli/main.cjs', join(bin, 'catavmm'));
  return { directory, files, tarball, by: 'tar' };
}

function isDependency(name: string): boolean {
  return ['cac', 'cbor-x', 'koffi'].includes(name);
}
