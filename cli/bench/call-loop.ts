// A program that does nothing but make one system call again and again, and how long that takes.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Sandbox } from '../../vmm/sandbox.ts';
import { ENVIRONMENT } from './programs.ts';

const HEADER_BYTES = 64;
const SEGMENT_BYTES = 56;
const LOAD_GVA = 0x40_0000;

/** What a loop calls; its arguments are zero. */
export type LoopCall = 'getpid' | 'umask';
const NUMBERS: Readonly<Record<LoopCall, number>> = { getpid: 39, umask: 95 };

/**
 * Writes a static ELF that makes a call `count` times and exits with code 0.
 * @returns its path
 */
export function writeCallLoop(directory: string, call: LoopCall, count: number): string {
  const code = Uint8Array.of(
    0x31, 0xff, // xor edi, edi
    0xbb, count & 0xff, (count >> 8) & 0xff, (count >> 16) & 0xff, (count >> 24) & 0xff, // mov ebx
    0xb8, NUMBERS[call], 0, 0, 0, // mov eax, number
    0x0f, 0x05, // syscall
    0xff, 0xcb, // dec ebx
    0x75, 0xf5, // jnz back to mov eax
    0xb8, 60, 0, 0, 0, // mov eax, 60 (exit)
    0x31, 0xff, // xor edi, edi
    0x0f, 0x05, // syscall
  );
  const bytes = new Uint8Array(HEADER_BYTES + SEGMENT_BYTES + code.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(LOAD_GVA + HEADER_BYTES + SEGMENT_BYTES), true);
  view.setBigUint64(32, BigInt(HEADER_BYTES), true);
  view.setUint16(52, HEADER_BYTES, true);
  view.setUint16(54, SEGMENT_BYTES, true);
  view.setUint16(56, 1, true);
  view.setUint32(HEADER_BYTES, 1, true); // PT_LOAD
  view.setUint32(HEADER_BYTES + 4, 5, true); // readable, executable
  view.setBigUint64(HEADER_BYTES + 16, BigInt(LOAD_GVA), true);
  view.setBigUint64(HEADER_BYTES + 24, BigInt(LOAD_GVA), true);
  view.setBigUint64(HEADER_BYTES + 32, BigInt(bytes.length), true);
  view.setBigUint64(HEADER_BYTES + 40, BigInt(bytes.length), true);
  view.setBigUint64(HEADER_BYTES + 48, 4096n, true);
  bytes.set(code, HEADER_BYTES + SEGMENT_BYTES);
  const file = join(directory, `${call}-loop-${count}`);
  writeFileSync(file, bytes, { mode: 0o755 });
  return file;
}

/** How a loop went in a sandbox. */
export interface LoopTimes {
  /** Microseconds from the first exit to the end. */
  us: number;
  /** Exits behind the first one. */
  exits: number;
}

/** Runs a loop in a sandbox. @throws Error when it fails */
export async function runLoop(file: string): Promise<LoopTimes> {
  const sandbox = await Sandbox.run({
    command: [file], env: ENVIRONMENT, stdin: 'null', stdout: 'null', stderr: 'null',
  });
  const status = await sandbox.status;
  const [boot] = sandbox.report().boots;
  if (!status.success || boot === undefined) throw new Error(status.message ?? 'the guest failed');
  return { us: boot.endUs - boot.firstInstructionUs, exits: boot.exits - 1 };
}

/** Microseconds that a loop takes on the host's kernel, start and end included. */
export function runLoopNatively(file: string): number {
  const startMs = performance.now();
  const { status } = spawnSync(file, [], { env: { ...ENVIRONMENT }, timeout: 60_000 });
  if (status !== 0) throw new Error(`${file} fails on this host`);
  return (performance.now() - startMs) * 1000;
}
