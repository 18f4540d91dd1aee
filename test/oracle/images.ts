// Building and booting images in tests.

import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../harness.ts';
import { currentRuntimeName } from '../helpers/runtimes.ts';
import type { RuntimeName } from '../helpers/runtimes.ts';
import { environmentFlags, makeScratch } from './oracle.ts';
import { runCatavmm, textOf } from './process.ts';
import type { Outcome } from './process.ts';

export interface BuildRequest {
  argv: readonly string[];
  /** More flags of `catavmm build`. */
  flags?: readonly string[];
  cwd?: string;
  runtime?: RuntimeName;
}

const timeoutMs = 60_000;

/** A directory for images, removed after `body`. */
export function withScratch(body: (folder: string) => void): void {
  const folder = makeScratch();
  try {
    body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same for a body that waits. */
export async function withScratchAsync(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = makeScratch();
  try {
    await body(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Builds an image; returns its path. @throws when it fails */
export function buildImage(folder: string, name: string, request: BuildRequest): string {
  const path = join(folder, name);
  const outcome = runCatavmm([
    'build', '-o', path, ...environmentFlags(), ...request.flags ?? [], '--', ...request.argv,
  ], { cwd: request.cwd ?? folder, timeoutMs }, request.runtime ?? currentRuntimeName());
  assert.is(outcome.code, 0, `build: ${textOf(outcome.stderr)}`);
  return path;
}

/** Boots an image. */
export function bootImage(
  path: string, stdin: string = '', flags: readonly string[] = [],
  runtime: RuntimeName = currentRuntimeName(),
): Outcome {
  return runCatavmm(['boot', ...flags, path], { stdin, timeoutMs }, runtime);
}

/** Boots an image and compares what it prints. */
export function assertBoot(
  path: string, stdin: string, expected: { stdout: string; code: number },
  flags: readonly string[] = [], runtime: RuntimeName = currentRuntimeName(),
): void {
  const outcome = bootImage(path, stdin, flags, runtime);
  const { stdout, stderr, code } = outcome;
  assert.equal(
    { stdout: textOf(stdout), stderr: textOf(stderr), code },
    { ...expected, stderr: '' },
    outcome.hung ? 'the boot did not end' : undefined,
  );
}
