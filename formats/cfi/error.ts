// What is wrong with a func-image, as one error class.

/** The part of a file that was refused. */
export type CfiFault =
  | 'magic'
  | 'version'
  | 'truncated'
  | 'too-long'
  | 'too-large'
  | 'reserved'
  | 'digest'
  | 'cbor'
  | 'schema'
  | 'layout'
  | 'padding'
  | 'tables';

/** A func-image that is refused. The message is one sentence for the user, without a path. */
export class CfiError extends Error {
  override readonly name: string = 'CfiError';
  /** `CATAVMM_CFI_` and `what`, for example `CATAVMM_CFI_TOO_LONG`. */
  readonly code: string;
  readonly what: CfiFault;

  constructor(what: CfiFault, sentence: string) {
    super(sentence);
    this.what = what;
    this.code = `CATAVMM_CFI_${what.toUpperCase().replace('-', '_')}`;
  }
}
