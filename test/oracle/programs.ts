// Where the programs of a distribution are.

import { accessSync, constants } from 'node:fs';

/** The path of a program, or undefined. */
export function findProgram(name: string): string | undefined {
  for (const folder of ['/usr/bin', '/bin', '/usr/sbin', '/sbin']) {
    try {
      accessSync(`${folder}/${name}`, constants.X_OK);
      return `${folder}/${name}`;
    } catch {
      continue;
    }
  }
  return undefined;
}

/** Why tests of a program are skipped, or undefined when it is there. */
export function programMissing(name: string): string | undefined {
  return findProgram(name) === undefined ? `needs ${name} (apt-get install ${name})` : undefined;
}
