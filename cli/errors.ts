// Errors as the user sees them: one sentence, one hint, a stable code, and the exit code.
//
//   catavmm: /dev/kvm cannot be opened (errno 13)
//     hint: Add your user to the group that owns /dev/kvm: …
//
// Errors of the layers below are recognised by their shape (`code`, `hint`), so that a start
// which fails early has loaded nothing of them.

import {
  EXIT_FAILED, EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_USAGE,
} from './exit-codes.ts';

/** The command line was not understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly code = 'CATAVMM_USAGE';
  readonly hint: string;

  constructor(message: string, hint: string = '') {
    super(message);
    this.hint = hint;
  }
}

/** Something else failed that a user can understand. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly code: string;
  readonly hint: string;

  constructor(code: string, message: string, hint: string = '') {
    super(message);
    this.code = code;
    this.hint = hint;
  }
}

export interface ErrorDescription {
  code: string;
  message: string;
  hint: string;
}

/** Codes of programs that could not be started. */
const exitCodes: Readonly<Record<string, number>> = {
  CATAVMM_USAGE: EXIT_USAGE,
  CATAVMM_NOT_FOUND: EXIT_NOT_FOUND,
  CATAVMM_NOT_EXECUTABLE: EXIT_NOT_EXECUTABLE,
};

/** What Node calls failed file operations, in words. */
const fileErrors: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'not permitted',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of the path is not a directory',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  EMFILE: 'too many open files',
  ELOOP: 'too many symbolic links',
  ENAMETOOLONG: 'the name is too long',
};

interface FileError extends Error {
  code: string;
  path?: string;
  syscall?: string;
}

function isFileError(error: Error): error is FileError {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && Object.hasOwn(fileErrors, code);
}

/** Upper-case, dashes to underscores: internal surprises keep a code too. */
export function describeError(error: unknown): ErrorDescription {
  if (!(error instanceof Error)) {
    return { code: 'CATAVMM_INTERNAL', message: String(error), hint: '' };
  }
  if (isFileError(error)) {
    const subject = error.path ?? error.syscall ?? 'a file';
    const message = `${subject}: ${fileErrors[error.code] ?? error.code}`;
    return { code: `CATAVMM_FILE_${error.code}`, message, hint: '' };
  }
  const { code, hint } = error as { code?: unknown; hint?: unknown };
  const ours = typeof code === 'string' && code.startsWith('CATAVMM_');
  return {
    code: ours ? code : 'CATAVMM_INTERNAL',
    message: error.message || error.name,
    hint: typeof hint === 'string' ? hint : '',
  };
}

/** The exit code for an error that ends the command. */
export function exitCodeOf(description: ErrorDescription): number {
  return exitCodes[description.code] ?? EXIT_FAILED;
}

/** How many letters have to be changed, added, left out or swapped with their neighbour. */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let row: number[] = Array.from({ length: to.length + 1 }, (_unused, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1;
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1];
      next[j] = Math.min(
        (row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + same,
        swapped ? (before[j - 2] as number) + 1 : Infinity,
      );
    }
    before = row;
    row = next;
  }
  return row[to.length] as number;
}

/** The known word that was probably meant, if there is one. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const scored = known.map((candidate) => ({ candidate, edits: editDistance(word, candidate) }));
  scored.sort((a, b) => a.edits - b.edits);
  const [best] = scored;
  const most = Math.min(2, Math.floor(word.length / 2));
  return best !== undefined && best.edits <= most ? best.candidate : undefined;
}
