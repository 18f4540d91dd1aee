// Where things are: the project's folder, the command as it was built, the runtimes.
import { spawnSync } from 'node:child_process';
import {
  closeSync, existsSync, openSync, readdirSync, readFileSync, readSync, realpathSync,
} from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { getRuntime, type RuntimeName } from '../../vmm/host/runtime.ts';

/** True when this runs from TypeScript source. */
export const isSource: boolean = import.meta.url.endsWith('.ts');

/** In the bundled command it is a path, elsewhere a URL. */
const here = import.meta.url.startsWith('file:')
  ? fileURLToPath(import.meta.url) : import.meta.url;

let root: string | undefined;

/** The folder with the project's package.json, in a clone or below node_modules. */
export function projectRoot(): string {
  for (let at = dirname(here); root === undefined; at = dirname(at)) {
    const manifest = join(at, 'package.json');
    if (existsSync(manifest) && /"name": "catavmm"/.test(readFileSync(manifest, 'utf8'))) root = at;
    else if (at === dirname(at)) throw new Error(`no package.json above ${here}`);
  }
  return root;
}

/** A file of the project; undefined when it is not there (the npm package has no sources). */
export function projectFile(path: string): string | undefined {
  const file = join(projectRoot(), path);
  return existsSync(file) ? file : undefined;
}

/** Absolute path of an installed package's folder, also when it is installed beside ours. */
export function packageFolder(name: string): string | undefined {
  for (let at = projectRoot(); ; at = dirname(at)) {
    const folder = join(at, 'node_modules', name);
    if (existsSync(folder)) return realpathSync(folder);
    if (at === dirname(at)) return undefined;
  }
}

export interface Runtime {
  name: RuntimeName;
  path: string;
  version: string;
}

/** A script that starts the runtime would be timed too: only binaries count. */
function isElf(path: string): boolean {
  const fd = openSync(path, 'r');
  try {
    const head = new Uint8Array(4);
    return readSync(fd, head, 0, 4, 0) === 4 && head[0] === 0x7f && head[1] === 0x45;
  } finally {
    closeSync(fd);
  }
}

/** Binaries that npm has put below node_modules, then those on PATH. */
function candidatesFor(name: RuntimeName): string[] {
  const modules = join(projectRoot(), 'node_modules');
  const scopes = ['@oven', '@deno'].map((scope) => join(modules, scope)).filter(existsSync);
  const platform = scopes.flatMap((scope) => readdirSync(scope).sort().flatMap((folder) => {
    return [join(scope, folder, name), join(scope, folder, 'bin', name)];
  }));
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name));
  return [join(modules, name, name), join(modules, '.bin', name), ...platform, ...onPath];
}

/** A runtime by name: this one if it is meant, else the first that works; undefined without. */
export function findRuntime(name: RuntimeName): Runtime | undefined {
  const current = getRuntime();
  if (current.name === name) return { name, path: process.execPath, version: current.version };
  for (const candidate of candidatesFor(name)) {
    if (!existsSync(candidate)) continue;
    const path = realpathSync(candidate);
    if (!isElf(path)) continue;
    const options = { encoding: 'utf8', timeout: 10_000 } as const;
    const { status, stdout } = spawnSync(path, ['--version'], options);
    const version = status === 0 ? /\d+\.\d+\.\d+\S*/.exec(stdout)?.[0] : undefined;
    if (version !== undefined) return { name, path, version };
  }
  return undefined;
}

/** `[binary, …flags, file]`: a JavaScript or TypeScript file on a runtime. */
export function commandOn(runtime: Runtime, file: string): string[] {
  const flags = runtime.name === 'deno' ? ['run', '-A', '--quiet'] : [];
  return [runtime.path, ...flags, file];
}

/** The command as users get it, and as it is run from source (Bun and Deno). */
export function findCommandFile(form: 'built' | 'source'): string | undefined {
  if (form === 'source') return projectFile('cli/main.ts');
  return projectFile('dist/cli/main.cjs') ?? projectFile('dist/cli/main.js');
}

/** How to start `catavmm` on the runtime that runs this, in the form that runs this. */
export function ownCommand(): string[] | undefined {
  const { name, version } = getRuntime();
  const file = findCommandFile(isSource ? 'source' : 'built');
  return file === undefined
    ? undefined : commandOn({ name, version, path: process.execPath }, file);
}
