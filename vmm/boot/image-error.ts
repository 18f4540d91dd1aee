// Why an image is not booted, or does not go on: one plain sentence each.

export type ImageErrorCode =
  | 'missing' | 'not-a-file' | 'kernel' | 'parent' | 'truncated' | 'objects' | 'tables' | 'cpu'
  | 'root' | 'memory' | 'state' | 'volume';

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

/**
 * What an error means that came out of the kernel while it worked on an image's records. The check
 * at open sees to it that they are well-formed; what they say together can still be nonsense, which
 * ends at some exception of the kernel or of the engine.
 */
export function blameImage(error: unknown): Error {
  if (error instanceof Error && isOurs(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const plain = reason.trim().split('\n')[0]?.replace(/\.$/, '') ?? '';
  return new ImageError('state', `The func-image's state contradicts itself (${plain}).`);
}

function isOurs(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && code.startsWith('CATAVMM_');
}
