// Asks gcc what the headers of this machine say. Used by the tests of vmm/abi; they skip without
// it.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

/** Why gcc's answers cannot be had here, or undefined when they can. */
export function gccMissing(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'not x86-64 Linux';
  return spawnSync('gcc', ['--version']).status === 0 ? undefined : 'no gcc here';
}

/**
 * Compiles and runs `statements` (each prints `key number` lines) after `prologue`.
 * @throws with gcc's messages when it does not compile
 */
export function askCompiler(prologue: string, statements: readonly string[]): Map<string, number> {
  const folder = mkdtempSync(join(tmpdir(), 'catavmm-abi-'));
  try {
    const source = join(folder, 'ask.c');
    const program = join(folder, 'ask');
    const body = statements.join('\n');
    writeFileSync(source, `${prologue}\nint main(void) {\n${body}\nreturn 0;\n}\n`);
    const built = spawnSync('gcc', ['-w', '-o', program, source], { encoding: 'utf8' });
    if (built.status !== 0) throw new Error(`gcc: ${built.stderr}`);
    const ran = spawnSync(program, [], { encoding: 'utf8' });
    return new Map(ran.stdout.trim().split('\n').map((line) => {
      const [key, value] = line.split(' ');
      return [key as string, Number(value)];
    }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
