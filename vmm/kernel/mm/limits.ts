// What bounds an address space: RLIMIT_*, the sandbox's memory, and which address space is meant.
import { RLIMIT_AS, RLIMIT_DATA } from '../../abi/resource.ts';
import { MAP_GROWSDOWN, MAP_NORESERVE, MAP_SHARED, PROT_WRITE } from '../../abi/mman.ts';
import type { Kernel } from '../kernel.ts';
import { Mm, VMA_STACK } from '../records/mm.ts';
import { Process, Task } from '../records/task.ts';
import { Sandbox } from '../records/sandbox.ts';
import { f64, u32 } from '../state/memory.ts';
import { vmaAt } from './vma.ts';

const ROOT_PROCESS: number = Sandbox.offset('process') >> 2;
const TASK_PROCESS: number = Task.offset('process') >> 2;
const PROCESS_MM: number = Process.offset('mm') >> 2;
const LIMITS: number = Process.offset('limits') >> 3;

/** Address of the process whose thread is on the vCPU, else of the first one; 0 without any. */
function currentProcess({ current, root }: Kernel): number {
  return current === null
    ? u32[(root.address >> 2) + ROOT_PROCESS] as number
    : u32[(current.address >> 2) + TASK_PROCESS] as number;
}

/** The address space of the current process, or null. */
export function currentMm(k: Kernel): Mm | null {
  const process = currentProcess(k);
  if (process === 0) return null;
  const address = u32[(process >> 2) + PROCESS_MM] as number;
  return address === 0 ? null : k.arena.at(Mm, address);
}

/** The same for calls, which a process makes. */
export function mustMm(k: Kernel): Mm {
  const mm = currentMm(k);
  if (mm === null) throw new Error('the sandbox has no address space');
  return mm;
}

/** Soft limit of RLIMIT_* `resource`; Infinity while there is no process. */
export function softLimit(k: Kernel, resource: number): number {
  const process = currentProcess(k);
  if (process === 0) return Infinity;
  return f64[(process >> 3) + LIMITS + resource * 2] as number;
}

/** Linux: is_data_mapping: private, writable, not a stack. */
export function isData(prot: number, flags: number, role: number): boolean {
  return (prot & PROT_WRITE) !== 0 && (flags & (MAP_SHARED | MAP_GROWSDOWN)) === 0 &&
    role !== VMA_STACK;
}

function dataBytes(mm: Mm): number {
  let bytes = 0;
  for (let index = 0; index < mm.vmas.length; index++) {
    const { prot, flags, role, start, end } = vmaAt(mm, index);
    if (isData(prot, flags, role)) bytes += end - start;
  }
  return bytes;
}

/**
 * Linux: may_expand_vm: whether `bytes` more mapped, of which `data` are data, stay within
 * RLIMIT_AS and RLIMIT_DATA.
 */
export function mayExpand(k: Kernel, mm: Mm, bytes: number, data: number): boolean {
  if (bytes > 0 && mm.mappedBytes + bytes > softLimit(k, RLIMIT_AS)) return false;
  const limit = softLimit(k, RLIMIT_DATA);
  return data === 0 || limit === Infinity || dataBytes(mm) + data <= limit;
}

/**
 * Linux: overcommit mode 0, which refuses only what could never be used: a single request for more
 * writable memory than there is.
 */
export function mayCommit(k: Kernel, bytes: number, prot: number, flags: number): boolean {
  if ((prot & PROT_WRITE) === 0 || (flags & MAP_NORESERVE) !== 0) return true;
  return bytes <= k.limits.memoryBytes;
}
