// Failures of the host: a system call, KVM, a missing file. What the guest does wrong is never one
// of these; it gets an errno or a signal.

/** Stable codes; `hint` says what the user can do. */
export type HostErrorCode =
  | 'CATAVMM_KVM_UNAVAILABLE'
  | 'CATAVMM_KVM_UNSUPPORTED'
  | 'CATAVMM_KVM_FAILED'
  | 'CATAVMM_OUT_OF_MEMORY'
  | 'CATAVMM_HOST_CALL'
  | 'CATAVMM_FFI';

/** What helps when descriptors are used up. */
export const MORE_FILES =
  'Close sandboxes, or raise the limit on open files (ulimit -n).';

const BRAND: symbol = Symbol.for('catavmm.HostError');

export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;
  /** The host's errno, 0 when there is none. */
  readonly errno: number;
  /** The call that failed. */
  readonly call: string;
  /** One sentence: what to do about it. */
  readonly hint: string;
  /** The same symbol in every copy of this package. */
  readonly brand: symbol = BRAND;

  constructor(code: HostErrorCode, message: string, detail: {
    errno?: number;
    call?: string;
    hint?: string;
    cause?: unknown;
  } = {}) {
    super(message, { cause: detail.cause });
    this.code = code;
    this.errno = detail.errno ?? 0;
    this.call = detail.call ?? '';
    this.hint = detail.hint ?? '';
  }

  /** True for a HostError of any copy of this package. */
  static is(value: unknown): value is HostError {
    return value instanceof Error && (value as { brand?: symbol }).brand === BRAND;
  }
}
