// `--version`: catavmm, runtime, koffi and kernel, without loading koffi.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { release } from 'node:os';
import { dirname, join } from 'node:path';
import { getRuntime } from '../vmm/host/runtime.ts';
import type { Output } from './output.ts';
import { VERSION } from '../vmm/version.ts';

export interface Versions {
  catavmm: string;
  runtime: string;
  /** Null when the package cannot be found. */
  koffi: string | null;
  kernel: string;
}

/** The version in the package.json above an installed package's entry. */
function findPackageVersion(name: string): string | null {
  try {
    const entry = createRequire(import.meta.url).resolve(name);
    for (let directory = dirname(entry); directory !== '/'; directory = dirname(directory)) {
      try {
        const text = readFileSync(join(directory, 'package.json'), 'utf8');
        const found = JSON.parse(text) as { name?: unknown; version?: unknown };
        if (found.name === name && typeof found.version === 'string') return found.version;
      } catch {
        // This directory has no package.json; the one above may.
      }
    }
  } catch {
    // Not installed.
  }
  return null;
}

export function readVersions(): Versions {
  const { name, version } = getRuntime();
  return {
    catavmm: VERSION,
    runtime: `${name} ${version}`,
    koffi: findPackageVersion('koffi'),
    kernel: `Linux ${release()}`,
  };
}

export function showVersion(output: Output): number {
  const versions = readVersions();
  if (output.json) {
    output.printJson(versions);
    return 0;
  }
  output.print(`catavmm ${versions.catavmm}`);
  const { runtime, koffi, kernel } = versions;
  output.print(`${runtime}, koffi ${koffi ?? 'not found'}, ${kernel}`);
  return 0;
}
