// Native memory for guests: anonymous banks that the VMM reads and writes through a view, and
// windows over which image files are mapped, which the VMM never touches (a truncated file would
// kill it).
import * as libc from './libc.ts';
import { HostError } from './errors.ts';

const PROT_NONE = 0;
const PROT_READ = 1;
const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const MAP_NORESERVE = 0x4000;
const MADV_DONTNEED = 4;
const MADV_HUGEPAGE = 14;
const MADV_POPULATE_WRITE = 23;

/** A range of this process's address space. */
export interface NativeRange {
  readonly address: number;
  readonly bytes: number;
}

function failed(call: string, bytes: number): HostError {
  const message = `the host refused ${bytes} bytes of address space`;
  return new HostError('CATAVMM_OUT_OF_MEMORY', message, {
    errno: libc.lastErrno(),
    call,
    hint: 'Lower --memory, ' +
      'or raise the limits on address space and on mappings (vm.max_map_count).',
  });
}

/** Reserves private zero-filled memory; pages take memory only when they are touched. */
export function mapAnonymous(bytes: number): NativeRange {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  // SAFETY: a new mapping at an address the kernel chooses.
  const address = libc.mmap(0, bytes, PROT_READ_WRITE, flags, -1, 0);
  if (address === libc.MAP_FAILED) throw failed('mmap', bytes);
  return { address, bytes };
}

/** Reserves address space that nothing is behind, until mapReserved(). @throws HostError */
export function reserve(bytes: number): NativeRange {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  // SAFETY: a new mapping at an address the kernel chooses.
  const address = libc.mmap(0, bytes, PROT_NONE, flags, -1, 0);
  if (address === libc.MAP_FAILED) throw failed('mmap', bytes);
  return { address, bytes };
}

/** Puts private zero-filled memory behind a reserved range. @throws HostError */
export function mapReserved(range: NativeRange): void {
  replace(range, PROT_READ_WRITE);
}

/** Takes the memory behind a reserved range away: reaching for it faults. @throws HostError */
export function withdraw(range: NativeRange): void {
  replace(range, PROT_NONE);
}

function replace({ address, bytes }: NativeRange, access: number): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  // SAFETY: replaces a range that the caller has reserved; no machine uses it.
  if (libc.mmap(address, bytes, access, flags, -1, 0) !== address) throw failed('mmap', bytes);
}

/** Reserves a window of address space in which nothing can be read yet. */
export function mapWindow(bytes: number): NativeRange {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  // SAFETY: as above; PROT_READ so that KVM may fault zero pages in, never written.
  const address = libc.mmap(0, bytes, PROT_READ, flags, -1, 0);
  if (address === libc.MAP_FAILED) throw failed('mmap', bytes);
  return { address, bytes };
}

/** Maps a file read-only and shared over the start of a window. */
export function mapFileOver(
  window: NativeRange,
  fd: number,
  fileOffset: number,
  bytes: number,
): void {
  if (bytes > window.bytes) throw new RangeError(`${bytes} bytes in a window of ${window.bytes}`);
  // SAFETY: the window is ours, inside [address, address + bytes), and no view of it exists.
  const got = libc.mmap(window.address, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, fd, fileOffset);
  if (got !== window.address) throw failed('mmap', bytes);
}

/** Takes a file mapping out of a window again. */
export function clearWindow(window: NativeRange): void {
  const flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
  // SAFETY: replaces our own window by fresh anonymous memory.
  const got = libc.mmap(window.address, window.bytes, PROT_READ, flags, -1, 0);
  if (got !== window.address) throw failed('mmap', window.bytes);
}

/** Unmaps a range. Order: every view of it has been dropped. */
export function unmap(range: NativeRange): void {
  // SAFETY: the range is ours and is not used again.
  libc.munmap(range.address, range.bytes);
}

/** Gives the pages of a private range back; they read as zero afterwards. */
export function discard(address: number, bytes: number): void {
  // SAFETY: a range of a private anonymous mapping of ours; losing its content is the purpose.
  libc.madvise(address, bytes, MADV_DONTNEED);
}

/** Asks for large pages behind a range: one fault brings 2 MiB instead of 4 KiB. Best effort. */
export function wantHugePages(address: number, bytes: number): void {
  // SAFETY: a range of a private anonymous mapping of ours; its content does not change.
  libc.madvise(address, bytes, MADV_HUGEPAGE);
}

/** Brings the pages of a range in, so that later writes do not fault. Best effort. */
export function populate(address: number, bytes: number): void {
  // SAFETY: a range of a private anonymous mapping of ours; its content does not change.
  libc.madvise(address, bytes, MADV_POPULATE_WRITE);
}

/**
 * Makes KVM forget every translation to [address, address + bytes): taking and giving back access
 * goes through the MMU notifier, which works on every kind of host (about 6 µs, any length).
 */
export function dropTranslations(address: number, bytes: number, writable: boolean): void {
  const back = writable ? PROT_READ_WRITE : PROT_READ;
  const without = writable ? PROT_READ : PROT_NONE;
  // SAFETY: our own mapping; no vCPU runs and no JavaScript writes it between the two calls.
  libc.mprotect(address, bytes, without);
  // SAFETY: as above.
  libc.mprotect(address, bytes, back);
}
