// RLIMIT_* of a process: pairs (soft, hard) of doubles in Process.limits; Infinity is
// RLIM_INFINITY.
import {
  RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE, RLIMIT_NICE, RLIMIT_NOFILE, RLIMIT_NPROC,
  RLIMIT_RTPRIO, RLIMIT_SIGPENDING, RLIMIT_STACK,
} from '../../abi/resource.ts';
import type { Kernel } from '../kernel.ts';
import { Process, RLIMIT_COUNT } from '../records/task.ts';
import { f64 } from '../state/memory.ts';

const LIMITS = Process.offset('limits');
const MIB = 1024 * 1024;

/** The soft limit, which is the one in force. */
export function softLimit(process: Process, resource: number): number {
  return f64[slot(process, resource)] as number;
}

export function hardLimit(process: Process, resource: number): number {
  return f64[slot(process, resource) + 1] as number;
}

export function setLimit(process: Process, resource: number, soft: number, hard: number): void {
  const at = slot(process, resource);
  f64[at] = soft;
  f64[at + 1] = hard;
}

/** What a container runtime starts programs with; all else is unlimited. */
export function setDefaultLimits(k: Kernel, process: Process): void {
  for (let resource = 0; resource < RLIMIT_COUNT; resource++) {
    setLimit(process, resource, Infinity, Infinity);
  }
  setLimit(process, RLIMIT_STACK, 8 * MIB, Infinity);
  setLimit(process, RLIMIT_CORE, 0, Infinity);
  setLimit(process, RLIMIT_NPROC, k.limits.threads, k.limits.threads);
  setLimit(process, RLIMIT_NOFILE, Math.min(1024, k.limits.descriptors), k.limits.descriptors);
  setLimit(process, RLIMIT_MEMLOCK, 8 * MIB, 8 * MIB);
  setLimit(process, RLIMIT_SIGPENDING, 4096, 4096);
  setLimit(process, RLIMIT_MSGQUEUE, 819_200, 819_200);
  setLimit(process, RLIMIT_NICE, 0, 0);
  setLimit(process, RLIMIT_RTPRIO, 0, 0);
}

function slot(process: Process, resource: number): number {
  return (process.address + LIMITS + resource * 16) >> 3;
}
