// Which CPUs this thread runs on. A program can ask for the number of its CPU (CPUID's APIC id,
// which PVM does not hide, and glibc keeps it): what is to be the same every time runs on one CPU.
import * as libc from './libc.ts';
import { takeScratch, type Scratch } from './scratch.ts';

const SYS_SCHED_SETAFFINITY = 203;
const SYS_SCHED_GETAFFINITY = 204;
/** Masks for 8192 CPUs: Linux's most. */
const MASK_BYTES = 1024;

let scratch: Scratch | null = null;

function setMask(mask: Uint8Array): void {
  const { address, bytes } = scratch as Scratch;
  bytes.set(mask);
  // SAFETY: a mask of MASK_BYTES in this module's scratch memory; 0 is this thread.
  libc.syscall(SYS_SCHED_SETAFFINITY, 0, MASK_BYTES, address);
}

/** Keeps this thread on the first CPU it may use; the result takes that back. Best effort. */
export function pinToFirstCpu(): () => void {
  scratch ??= takeScratch(MASK_BYTES);
  const { address, bytes } = scratch;
  bytes.fill(0);
  // SAFETY: a mask of MASK_BYTES in this module's scratch memory; 0 is this thread.
  const known = libc.syscall(SYS_SCHED_GETAFFINITY, 0, MASK_BYTES, address);
  const before = bytes.slice(0, MASK_BYTES);
  const index = before.findIndex((byte) => byte !== 0);
  if (known < 0 || index < 0) return () => undefined;
  const first = new Uint8Array(MASK_BYTES);
  first[index] = (before[index] as number) & -(before[index] as number);
  setMask(first);
  return () => setMask(before);
}
