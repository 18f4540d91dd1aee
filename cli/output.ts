// Writing to stdout and stderr: synchronous, so that nothing is lost when the process ends, and
// in order with what a guest writes to the same descriptors.

import { fstatSync, writeSync } from 'node:fs';
import process from 'node:process';
import type { Environment } from './args.ts';
import { CommandError } from './errors.ts';
import { EXIT_PIPE } from './exit-codes.ts';

export type Colour = 'red' | 'green' | 'yellow' | 'cyan' | 'bold' | 'dim';

const sgr: Readonly<Record<Colour, number>> = {
  bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36,
};
const retryMs = 2;

/** Waits without giving the event loop a turn. */
function sleep(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}

/** Writes all of a text. */
function writeText(fd: number, text: string): void {
  writeAll(fd, new TextEncoder().encode(text));
}

/**
 * Writes all of some bytes. Nobody reading any more ends the process, as SIGPIPE would.
 * @throws CommandError for stdout only: there is nowhere to say that stderr is full
 */
function writeAll(fd: number, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      const { code } = error as { code?: string };
      if (code === 'EPIPE') process.exit(EXIT_PIPE);
      if (code === 'EAGAIN') {
        sleep(retryMs);
        continue;
      }
      if (fd === 2) return;
      const reason = code ?? String(error);
      throw new CommandError('CATAVMM_OUTPUT', `The output cannot be written (${reason}).`);
    }
  }
}

export interface OutputOptions {
  json: boolean;
  quiet: boolean;
  noColor: boolean;
  env: Environment;
}

/** What commands write through. */
export class Output {
  readonly json: boolean;
  readonly quiet: boolean;
  readonly #noColor: boolean;
  readonly #env: Environment;

  constructor(options: OutputOptions) {
    this.json = options.json;
    this.quiet = options.quiet;
    this.#noColor = options.noColor;
    this.#env = options.env;
  }

  /** A result: to stdout. */
  print(text: string): void {
    writeText(1, `${text}\n`);
  }

  /** A result in JSON: to stdout. */
  printJson(value: unknown): void {
    this.print(JSON.stringify(value, replaceForJson, 2));
  }

  /** An error or what was asked for on stderr. */
  complain(text: string): void {
    writeText(2, `${text}\n`);
  }

  /** Something good to know, unless --quiet. */
  note(text: string): void {
    if (!this.quiet && !this.json) writeText(2, `${text}\n`);
  }

  /** A piece of a line on stderr, for progress. */
  writeRaw(text: string): void {
    writeText(2, text);
  }

  /** What a guest printed, as it is. */
  writeBytes(stream: 1 | 2, bytes: Uint8Array): void {
    writeAll(stream, bytes);
  }

  isTerminal(stream: 1 | 2): boolean {
    // Loading node:tty costs milliseconds: only where there can be a terminal.
    return fstatSync(stream).isCharacterDevice() &&
      process.getBuiltinModule('node:tty').isatty(stream);
  }

  /** The text in a colour, where `stream` shows colours. */
  paint(colour: Colour, text: string, stream: 1 | 2 = 1): string {
    if (!this.#showsColours(stream)) return text;
    return `\x1b[${sgr[colour]}m${text}\x1b[0m`;
  }

  #showsColours(stream: 1 | 2): boolean {
    if (this.#noColor || (this.#env['NO_COLOR'] ?? '') !== '') return false;
    const force = this.#env['FORCE_COLOR'];
    if (force !== undefined) return force !== '0' && force !== 'false';
    return this.isTerminal(stream) && this.#env['TERM'] !== 'dumb';
  }
}

/** JSON has no 64-bit integers and no bytes: both become texts. */
function replaceForJson(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return value;
}

const unprintable = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** A text of unknown origin without anything that a terminal would obey. */
export function printable(text: string): string {
  return text.replaceAll(unprintable, (character) => {
    const code = character.codePointAt(0) as number;
    const hex = code.toString(16);
    return code < 0x100 ? `\\x${hex.padStart(2, '0')}` : `\\u{${hex}}`;
  });
}

/** Bytes such as a path as a printable text; what is no UTF-8 shows as �. */
export function printableBytes(bytes: Uint8Array): string {
  return printable(new TextDecoder().decode(bytes));
}

/** Columns as wide as their widest cell; `right` names the ones that are aligned to the right. */
export function formatTable(
  rows: readonly (readonly string[])[], right: readonly number[] = [],
): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, index) => { widths[index] = Math.max(widths[index] ?? 0, cell.length); });
  }
  const lines = rows.map((row) => row.map((cell, index) => {
    const width = widths[index] as number;
    return right.includes(index) ? cell.padStart(width) : cell.padEnd(width);
  }).join('  ').trimEnd());
  return lines.join('\n');
}
