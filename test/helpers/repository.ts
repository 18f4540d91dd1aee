// Where the repository is, and its text files: the same from source and from dist.

import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function findRoot(): string {
  let directory = dirname(fileURLToPath(import.meta.url));
  // dist has no package.json, so this ends at the repository's own.
  while (!existsSync(join(directory, 'package.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error('no package.json above the tests');
    directory = parent;
  }
  return directory;
}

/** The repository's directory. */
export const root: string = findRoot();

const skipped: ReadonlySet<string> = new Set(['node_modules', 'dist', '.git', '.cache', 'build']);

/** Files below a folder of the repository, relative to the repository, sorted. */
export function listFiles(folder: string = ''): string[] {
  const found: string[] = [];
  for (const item of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = folder === '' ? item.name : `${folder}/${item.name}`;
    if (skipped.has(item.name)) continue;
    if (item.isDirectory()) found.push(...listFiles(path));
    else if (item.isFile()) found.push(path);
  }
  return found.sort();
}

/** The text of a file of the repository. */
export function readText(path: string): string {
  return readFileSync(join(root, path), 'utf8');
}

/** A JSON file of the repository. */
export function readJson<T>(path: string): T {
  return JSON.parse(readText(path)) as T;
}
