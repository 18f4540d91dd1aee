// A file in the making: it appears under its name when it is whole, in one step, in place of what
// was there. If this process ends before, nothing of it stays where the file system has O_TMPFILE.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { nameHidden, openHidden } from '../../host/hidden-file.ts';

const MODE = 0o644;

/** Ownership: whoever makes one calls finish() or abandon(). */
export class NewFile {
  readonly fd: number;
  readonly #target: string;
  /** A name of its own, until it gets the target's. */
  readonly #temporary: string;
  readonly #isHidden: boolean;

  /** @throws file system errors */
  constructor(target: string) {
    this.#target = target;
    this.#temporary = temporaryName(target);
    const hidden = openHidden(path.dirname(target), MODE);
    this.#isHidden = hidden !== null;
    this.fd = hidden ?? fs.openSync(this.#temporary, 'wx', MODE);
  }

  /** Gives it its name, and closes it. @throws file system errors, HostError */
  finish(): void {
    fs.fsyncSync(this.fd);
    if (this.#isHidden) nameHidden(this.fd, this.#temporary);
    fs.closeSync(this.fd);
    fs.renameSync(this.#temporary, this.#target);
  }

  /** Nothing of it stays. */
  abandon(): void {
    try {
      fs.closeSync(this.fd);
    } catch {
      // It was closed already: the rename failed.
    }
    fs.rmSync(this.#temporary, { force: true });
  }
}

/**
 * A file for this process alone, beside `target`, which is gone with its descriptor.
 * @throws file system errors
 */
export function openUnnamed(target: string): number {
  const hidden = openHidden(path.dirname(target), MODE);
  if (hidden !== null) return hidden;
  const temporary = temporaryName(target);
  const fd = fs.openSync(temporary, 'wx+', MODE);
  fs.unlinkSync(temporary);
  return fd;
}

function temporaryName(file: string): string {
  const unique = `${process.pid}-${Math.random().toString(36).slice(2, 10)}`;
  return path.join(path.dirname(file), `.${path.basename(file)}.${unique}.tmp`);
}
