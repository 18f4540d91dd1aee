// The yardstick for the command: a program that imports the three packages catavmm is made with,
// and ends. What `catavmm boot` takes beyond it is catavmm's and the guest's own time.
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageFolder } from './places.ts';

const PACKAGES: readonly string[] = ['koffi', 'cbor-x', 'cac'];

/** Writes the program and links its packages, in `directory`; the reason when one is missing. */
export function writeEmptyProgram(directory: string): { file: string } | string {
  const folder = join(directory, 'empty');
  const modules = join(folder, 'node_modules');
  mkdirSync(modules, { recursive: true });
  for (const name of PACKAGES) {
    const target = packageFolder(name);
    if (target === undefined) return `${name} is not installed: npm install ${name}`;
    symlinkSync(target, join(modules, name));
  }
  const dependencies = Object.fromEntries(PACKAGES.map((name) => [name, '*']));
  const manifest = { type: 'module', private: true, dependencies };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  const file = join(folder, 'empty.mjs');
  writeFileSync(file, PACKAGES.map((name) => `import '${name}';\n`).join(''));
  return { file };
}
