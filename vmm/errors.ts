// Errors that the public verbs throw for what the caller, the program or the image is to blame for.
// Failures of the host are HostError (host/errors.ts), of images ImageError and CfiError.

export type CatavmmErrorCode =
  | 'CATAVMM_NOT_FOUND'
  | 'CATAVMM_NOT_EXECUTABLE'
  | 'CATAVMM_OPTION'
  | 'CATAVMM_ENTRY_NOT_REACHED'
  | 'CATAVMM_CLOSED'
  | 'CATAVMM_TEMPLATE_DENIED'
  | 'CATAVMM_WORKER_LOST'
  | 'CATAVMM_POOL_FULL'
  | 'CATAVMM_OUTPUT_LIMIT'
  | 'CATAVMM_SECRETS'
  | 'CATAVMM_INTERNAL';

const BRAND: symbol = Symbol.for('catavmm.CatavmmError');

/** Has a stable `code` and a `hint`: one sentence on what to do. */
export class CatavmmError extends Error {
  override readonly name: string = 'CatavmmError';
  readonly code: CatavmmErrorCode;
  readonly hint: string;
  /** The same symbol in every copy of this package. */
  readonly brand: symbol = BRAND;

  constructor(code: CatavmmErrorCode, message: string, hint: string = '', cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.hint = hint;
  }

  /** True for a CatavmmError of any copy of this package. */
  static is(value: unknown): value is CatavmmError {
    return value instanceof Error && (value as { brand?: symbol }).brand === BRAND;
  }
}
