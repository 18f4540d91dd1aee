// The FFI seam: the only file that imports koffi. It binds C library functions once, when it loads,
// and gives them as plain functions of numbers. Addresses are numbers (user space is below 2^47).
//
// Each wrapper says what makes its call safe; callers in host/ and machine/ say why theirs is.
import koffi from 'koffi';

type Native = (...args: unknown[]) => number | bigint;

const lib = koffi.load('libc.so.6');

function bind(prototype: string): Native {
  return lib.func(prototype) as unknown as Native;
}

const openFn = bind('int open(const char *path, int flags, int mode)');
const closeFn = bind('int close(int fd)');
const ioctlFn = bind('int ioctl(int fd, unsigned long request, uintptr_t argument)');
const mmapFn = bind(
  'uintptr_t mmap(uintptr_t a, size_t n, int prot, int flags, int fd, int64_t off)',
);
const munmapFn = bind('int munmap(uintptr_t address, size_t bytes)');
const mprotectFn = bind('int mprotect(uintptr_t address, size_t bytes, int prot)');
const madviseFn = bind('int madvise(uintptr_t address, size_t bytes, int advice)');
const preadFn = bind('int64_t pread(int fd, uintptr_t to, size_t bytes, int64_t offset)');
const preadArrayFn = bind('int64_t pread(int fd, void *to, size_t bytes, int64_t offset)');
const readArrayFn = bind('int64_t read(int fd, void *to, size_t bytes)');
const readFn = bind('int64_t read(int fd, uintptr_t to, size_t bytes)');
const writeFn = bind('int64_t write(int fd, void *from, size_t bytes)');
const pollFn = bind('int poll(uintptr_t fds, unsigned long count, int timeout)');
const syscallFn = bind(
  'long syscall(long n, uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e)',
);
const sigmaskFn = bind('int pthread_sigmask(int how, uintptr_t set, uintptr_t old)');
const signalFn = bind('uintptr_t signal(int signal, uintptr_t handler)');
const timerCreateFn = bind('int timer_create(int clock, uintptr_t event, uintptr_t id)');
const timerSetFn = bind(
  'int timer_settime(uintptr_t id, int flags, uintptr_t value, uintptr_t old)',
);
const timerDeleteFn = bind('int timer_delete(uintptr_t id)');
const sigtimedwaitFn = bind('int sigtimedwait(uintptr_t set, uintptr_t info, uintptr_t timeout)');
const clockFn = bind('int clock_gettime(int clock, uintptr_t to)');
const fcntlFn = bind('int fcntl(int fd, int command, long argument)');

/** errno of the last failed call on this thread. Order: read it right after a -1 result. */
export function lastErrno(): number {
  return koffi.errno();
}

/** open(2). SAFETY: the path is copied to a NUL-terminated C string that lives during the call. */
export function open(path: string, flags: number, mode: number = 0): number {
  return Number(openFn(path, flags, mode));
}

/** close(2). SAFETY: takes no pointer; the caller owns the descriptor and drops it. */
export function close(fd: number): number {
  return Number(closeFn(fd));
}

/** ioctl(2). SAFETY: `argument` is a value, or the address of a struct the caller keeps alive. */
export function ioctl(fd: number, request: number, argument: number): number {
  return Number(ioctlFn(fd, request, argument));
}

/** Result of a failed mmap (MAP_FAILED) as `mmap` here returns it. */
export const MAP_FAILED = -1;

/** mmap(2). SAFETY: with MAP_FIXED the caller owns the whole range, and no view of it is used. */
export function mmap(
  address: number,
  bytes: number,
  prot: number,
  flags: number,
  fd: number,
  offset: number,
): number {
  const result = mmapFn(address, bytes, prot, flags, fd, offset);
  const where = Number(result);
  return where > 0xffff_ffff_ffff_0000 ? MAP_FAILED : where;
}

/** munmap(2). SAFETY: the caller owns the range and no view of it is used again. */
export function munmap(address: number, bytes: number): number {
  return Number(munmapFn(address, bytes));
}

/** mprotect(2). SAFETY: the caller owns the range; no JavaScript touches it while unreadable. */
export function mprotect(address: number, bytes: number, prot: number): number {
  return Number(mprotectFn(address, bytes, prot));
}

/** madvise(2). SAFETY: the caller owns the range. */
export function madvise(address: number, bytes: number, advice: number): number {
  return Number(madviseFn(address, bytes, advice));
}

/** pread(2) to an address. SAFETY: [to, to + bytes) is memory the caller owns and keeps mapped. */
export function pread(fd: number, to: number, bytes: number, offset: number): number {
  return Number(preadFn(fd, to, bytes, offset));
}

/** pread(2) into an array. SAFETY: koffi pins `to` for the duration of the call. */
export function preadInto(fd: number, to: Uint8Array, offset: number): number {
  return Number(preadArrayFn(fd, to, to.length, offset));
}

/** read(2) into an array. SAFETY: koffi pins `to` for the duration of the call. */
export function readInto(fd: number, to: Uint8Array): number {
  return Number(readArrayFn(fd, to, to.length));
}

/** read(2) to an address. SAFETY: as `pread`. */
export function read(fd: number, to: number, bytes: number): number {
  return Number(readFn(fd, to, bytes));
}

/** write(2). SAFETY: koffi pins `from` for the duration of the call; `bytes` ≤ from.length. */
export function write(fd: number, from: Uint8Array, bytes: number): number {
  return Number(writeFn(fd, from, bytes));
}

/** poll(2). SAFETY: `fds` is the address of `count` struct pollfd that the caller keeps alive. */
export function poll(fds: number, count: number, timeoutMs: number): number {
  return Number(pollFn(fds, count, timeoutMs));
}

/** syscall(2), up to five arguments. SAFETY: pointer arguments are the caller's live memory. */
export function syscall(
  number: number,
  a: number = 0,
  b: number = 0,
  c: number = 0,
  d: number = 0,
  e: number = 0,
): number {
  return Number(syscallFn(number, a, b, c, d, e));
}

/** pthread_sigmask(3): 0 or an errno. SAFETY: `set` and `old` are 128-byte buffers, or 0. */
export function sigmask(how: number, set: number, old: number): number {
  return Number(sigmaskFn(how, set, old));
}

/** signal(2) with SIG_DFL (0) or SIG_IGN (1). SAFETY: no handler of ours is ever installed. */
export function signalDisposition(signal: number, handler: 0 | 1): void {
  signalFn(signal, handler);
}

/** timer_create(2). SAFETY: `event` is a struct sigevent, `id` 8 writable bytes. */
export function timerCreate(clock: number, event: number, id: number): number {
  return Number(timerCreateFn(clock, event, id));
}

/** timer_settime(2). SAFETY: `value` is a struct itimerspec; no old value is asked for. */
export function timerSettime(id: number, flags: number, value: number): number {
  return Number(timerSetFn(id, flags, value, 0));
}

/** timer_delete(2). SAFETY: takes no pointer. */
export function timerDelete(id: number): number {
  return Number(timerDeleteFn(id));
}

/** sigtimedwait(2). SAFETY: `set` is a sigset, `timeout` a struct timespec; siginfo is null. */
export function sigtimedwait(set: number, timeout: number): number {
  return Number(sigtimedwaitFn(set, 0, timeout));
}

/** clock_gettime(2). SAFETY: `to` is a writable struct timespec. */
export function clockGettime(clock: number, to: number): number {
  return Number(clockFn(clock, to));
}

/** fcntl(2) with an integer argument. SAFETY: takes no pointer. */
export function fcntl(fd: number, command: number, argument: number): number {
  return Number(fcntlFn(fd, command, argument));
}

/**
 * An ArrayBuffer over native memory.
 * SAFETY: it does not keep the mapping alive and outlives munmap: owners drop every view first.
 * @param bytes at most 4 GiB - 1 page: more aborts some runtimes
 */
export function viewNative(address: number, bytes: number): ArrayBuffer {
  if (!(bytes > 0 && bytes < 0x1_0000_0000)) throw new RangeError(`native view of ${bytes} bytes`);
  return koffi.view(BigInt(address), bytes) as ArrayBuffer;
}

/** Address of a typed array's first byte. SAFETY: valid only while `array`'s buffer is alive. */
export function addressOf(array: Uint8Array): number {
  return Number(koffi.address(array));
}
