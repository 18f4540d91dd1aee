// Why an image is not booted: one plain sentence each.

export type ImageErrorCode =
  | 'missing' | 'not-a-file' | 'kernel' | 'parent' | 'truncated' | 'objects' | 'tables' | 'cpu'
  | 'root' | 'memory' | 'volume';

export class ImageError extends Error {
  override readonly name = 'ImageError';
  readonly code: string;
  readonly what: ImageErrorCode;

  constructor(what: ImageErrorCode, message: string) {
    super(message);
    this.what = what;
    this.code = `CATAVMM_IMAGE_${what.toUpperCase().replaceAll('-', '_')}`;
  }
}
