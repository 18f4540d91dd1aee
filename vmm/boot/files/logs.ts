// Log files (--log): what a sandbox may write on the host. They are named by whoever starts it,
// never by an image; each is opened once per sandbox, for appending.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { EFBIG, EIO, ENOSPC, errnoName, EROFS } from '../../abi/errno.ts';
import { CatavmmError } from '../../errors.ts';
import { writeFd } from '../../host/stdio.ts';
import { ignoreFileLimit } from '../../host/file-limit.ts';
import { type Kernel, processOf } from '../../kernel/kernel.ts';
import type { LogPort } from '../../kernel/ports.ts';
import { LOGS_MOST, mountLog } from '../../kernel/vfs/log-file.ts';
import type { LogFile } from '../../options.ts';

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = fs.constants;
const MODE = 0o644;
const encoder = new TextEncoder();

/** The logs of one sandbox, by the number that the guest's node has. */
export class HostLogs implements LogPort {
  readonly #fds: Map<number, number> = new Map();

  /** Opens the host's file, which is made if need be. @throws CatavmmError */
  grant(number: number, source: string): void {
    ignoreFileLimit();
    this.#fds.set(number, openLog(source));
  }

  /** Whether a number means a file already. */
  has(number: number): boolean {
    return this.#fds.has(number);
  }

  append(number: number, data: Uint8Array): number {
    return this.#do(number, (fd) => writeFd(fd, data));
  }

  read(number: number, offset: number, target: Uint8Array): number {
    return this.#do(number, (fd) => fs.readSync(fd, target, 0, target.length, offset));
  }

  bytes(number: number): number {
    return this.#do(number, (fd) => fs.fstatSync(fd).size);
  }

  sync(number: number): number {
    return this.#do(number, (fd) => {
      fs.fdatasyncSync(fd);
      return 0;
    });
  }

  close(): void {
    for (const fd of this.#fds.values()) fs.closeSync(fd);
    this.#fds.clear();
  }

  #do(number: number, act: (fd: number) => number): number {
    const fd = this.#fds.get(number);
    if (fd === undefined) return -EROFS;
    try {
      const result = act(fd);
      // The limit on files is this process's: the guest has no part in it and gets no signal.
      return result === -EFBIG ? -ENOSPC : result;
    } catch (error) {
      // A broken disk, for example: the guest hears of it as any program does.
      const { errno } = error as NodeJS.ErrnoException;
      return errno === undefined || errno >= 0 ? -EIO : errno;
    }
  }
}

function openLog(source: string): number {
  let fd: number;
  try {
    fd = fs.openSync(source, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK, MODE);
  } catch (error) {
    const { code = 'an error' } = error as NodeJS.ErrnoException;
    throw new CatavmmError(
      'CATAVMM_OPTION', `The log file ${source} cannot be opened for writing (${code}).`,
      'Its directory must exist, and the file must be no symbolic link.');
  }
  if (fs.fstatSync(fd).isFile()) return fd;
  fs.closeSync(fd);
  throw new CatavmmError('CATAVMM_OPTION', `The log file ${source} is no regular file.`);
}

/** For boots whose doings are nobody's, such as a build's trial: what they write is lost. */
export const DISCARDED_LOGS: LogPort = {
  append: (_number, data) => data.length,
  read: () => 0,
  bytes: () => 0,
  sync: () => 0,
  close: () => undefined,
};

/** Log files with absolute paths in their plainest form. @throws CatavmmError */
function checkLogs(logs: readonly LogFile[]): LogFile[] {
  if (logs.length > LOGS_MOST) {
    throw new CatavmmError('CATAVMM_OPTION', `At most ${LOGS_MOST} log files can be given.`);
  }
  const taken = new Set<string>();
  return logs.map(({ source, target }) => {
    const place = path.posix.normalize(target);
    if (!place.startsWith('/') || place.endsWith('/')) {
      throw new CatavmmError('CATAVMM_OPTION', `The log's target ${target} is no file below /.`);
    }
    if (taken.has(place)) {
      throw new CatavmmError('CATAVMM_OPTION', `Two log files have the target ${place}.`);
    }
    taken.add(place);
    return { source: path.resolve(source), target: place };
  });
}

/**
 * Lets a sandbox write to log files, which end with it. In one of an image each goes to the node
 * that stands at its target, or gets one. Order: the program's tree is mounted, nothing has run.
 * @throws CatavmmError
 */
export function grantLogs(k: Kernel, wanted: readonly LogFile[] = []): void {
  if (wanted.length === 0) return;
  const logs = new HostLogs();
  k.ports.logs = logs;
  for (const { source, target } of checkLogs(wanted)) {
    const number = mountLog(k, processOf(k), encoder.encode(target));
    if (logs.has(number)) {
      throw new CatavmmError('CATAVMM_OPTION', `${target} is the place of another log, too.`);
    }
    if (number < 0) {
      throw new CatavmmError(
        'CATAVMM_OPTION', `No log file can be shown as ${target} (${errnoName(-number)}).`);
    }
    logs.grant(number, source);
  }
}
