// This process's stdin, stdout and stderr as plain descriptors: polled, read and written without
// the runtime's streams, so that a guest's bytes pass unchanged and nothing is buffered twice.
import * as libc from './libc.ts';
import { takeScratch, type Scratch } from './scratch.ts';
import { EAGAIN, EBADF, EINTR } from '../abi/errno.ts';
import { TCGETS2, TCSETSW2 } from '../abi/ioctl.ts';
import { POLLERR, POLLHUP, POLLIN, POLLNVAL, POLLOUT } from '../abi/poll.ts';

const TIOCGWINSZ = 0x5413;
const POLLFD_BYTES = 8;
const TERMIOS_BYTES = 44;
const SCRATCH_BYTES = 64;

let scratch: Scratch | null = null;

function buffer(): Scratch {
  scratch ??= takeScratch(SCRATCH_BYTES);
  return scratch;
}

/** One descriptor to wait for. */
export interface PollRequest {
  fd: number;
  events: number;
}

/** poll(2) for up to four descriptors; true when one is ready (or broken), false at the timeout. */
export function pollFds(requests: readonly PollRequest[], timeoutMs: number): boolean {
  const { view, address } = buffer();
  requests.forEach(({ fd, events }, index) => {
    view.setInt32(index * POLLFD_BYTES, fd, true);
    view.setInt16(index * POLLFD_BYTES + 4, events, true);
    view.setInt16(index * POLLFD_BYTES + 6, 0, true);
  });
  // SAFETY: at most four struct pollfd in this module's scratch memory.
  return libc.poll(address, requests.length, timeoutMs) > 0;
}

/** Whether read() would return at once. */
export function isReadable(fd: number): boolean {
  if (!pollFds([{ fd, events: POLLIN }], 0)) return false;
  return (buffer().view.getInt16(6, true) & (POLLIN | POLLHUP | POLLERR | POLLNVAL)) !== 0;
}

/** Whether write() would take at least some bytes, or fail, at once. */
export function isWritable(fd: number): boolean {
  if (!pollFds([{ fd, events: POLLOUT }], 0)) return false;
  return (buffer().view.getInt16(6, true) & (POLLOUT | POLLHUP | POLLERR | POLLNVAL)) !== 0;
}

/** read(2); -EAGAIN when nothing is there, 0 at the end or when the descriptor is closed. */
export function readFd(fd: number, target: Uint8Array): number {
  if (!isReadable(fd)) return -EAGAIN;
  // SAFETY: `target` is pinned for the call.
  const result = libc.readInto(fd, target);
  if (result >= 0) return result;
  const errno = libc.lastErrno();
  if (errno === EINTR) return -EAGAIN;
  return errno === EBADF ? 0 : -errno;
}

/** write(2); -errno when it fails. */
export function writeFd(fd: number, data: Uint8Array): number {
  // SAFETY: `data` is pinned for the call.
  const result = libc.write(fd, data, data.length);
  if (result >= 0) return result;
  const errno = libc.lastErrno();
  return errno === EINTR ? -EAGAIN : -errno;
}

/** `struct termios2` of the terminal behind `fd` (44 bytes, a copy), or null when it is none. */
export function terminalMode(fd: number): Uint8Array | null {
  const { bytes, address } = buffer();
  // SAFETY: struct termios2 is 44 bytes of this module's scratch memory.
  if (libc.ioctl(fd, TCGETS2, address) !== 0) return null;
  return bytes.slice(0, TERMIOS_BYTES);
}

/** Sets it once what was written is out (TCSADRAIN). False when it cannot be set. */
export function setTerminalMode(fd: number, mode: Uint8Array): boolean {
  const { bytes, address } = buffer();
  bytes.set(mode.subarray(0, TERMIOS_BYTES));
  // SAFETY: as above.
  return libc.ioctl(fd, TCSETSW2, address) === 0;
}

/** Columns and rows of the terminal behind `fd`, or null when it is not one. */
export function terminalSize(fd: number): { columns: number; rows: number } | null {
  const { view, address } = buffer();
  // SAFETY: struct winsize is 8 bytes of this module's scratch memory.
  if (libc.ioctl(fd, TIOCGWINSZ, address) !== 0) return null;
  return { rows: view.getUint16(0, true), columns: view.getUint16(2, true) };
}
