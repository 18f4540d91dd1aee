// What this process holds of the host: open descriptors, mappings, memory. Linux only.

import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { setLimit } from './process-limits.ts';

/** Open descriptors, the one that lists them included. */
export function countDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}

/** Lines of /proc/self/maps. */
export function countMappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').length;
}

const LARGE_BYTES = 32 * 1024 * 1024;

/** Mappings that are large or a vCPU's: those of guests, but none of a JavaScript heap's many. */
export function countGuestMappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('\n').filter((line) => {
    const [start = '0', end = '0'] = (line.split(' ')[0] ?? '').split('-');
    return line.includes('kvm') || parseInt(end, 16) - parseInt(start, 16) >= LARGE_BYTES;
  }).length;
}

function isOpen(fd: number): boolean {
  return lstatSync(`/proc/self/fd/${fd}`, { throwIfNoEntry: false }) !== undefined;
}

/** The lowest descriptor numbers that are free, `count` of them, ascending. */
export function listFreeDescriptors(count: number): number[] {
  const free: number[] = [];
  for (let fd = 0; free.length < count; fd++) if (!isOpen(fd)) free.push(fd);
  return free;
}

/** Memory of this process that is in use, in bytes. */
export function residentBytes(): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'));
  if (line === null) throw new Error('/proc/self/status has no VmRSS');
  return Number(line[1]) * 1024;
}

const RLIMIT_NOFILE = 7;

/** Runs `body` while no descriptor from number `end` on can be opened in this process. */
export function withDescriptorLimit(end: number, body: () => void): void {
  const restore = setLimit(RLIMIT_NOFILE, end);
  try {
    body();
  } finally {
    restore();
  }
}
