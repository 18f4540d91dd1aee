// Why an image is not booted, or does not go on: one plain sentence each.

export type ImageErrorCode =
  | 'missing' | 'not-a-file' | 'kernel' | 'parent' | 'truncated' | 'objects' | 'tables' | 'cpu'
  | 'changed' | 'root' | 'memory' | 'state' | 'volume';

/** Code of a HostError: KVM_RUN or what precedes it failed. */
const KVM_FAILED = 'CATAVMM_KVM_FAILED';
const REASON_CHARS = 200;
/** How much of a name out of an image stands in an error. */
const NAME_CHARS = 80;

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

/** A name out of an image, fit for a sentence. */
export function showName(name: string): string {
  const plain = name.replaceAll(/\p{C}/gu, '?');
  return plain.length <= NAME_CHARS ? plain : `${plain.slice(0, NAME_CHARS)}…`;
}

/**
 * What an error means that came out of the kernel while it worked on an image's records. The check
 * at open sees to it that they are well-formed; what they say together can still be nonsense, which
 * ends at some exception of the kernel or of the engine.
 */
export function blameImage(error: unknown): Error {
  const { code } = (error ?? {}) as { code?: unknown };
  const isOurs = typeof code === 'string' && code.startsWith('CATAVMM_');
  if (error instanceof Error && isOurs && code !== KVM_FAILED) return error;
  const reason = error instanceof Error ? error.message : String(error);
  const plain = reason.trim().split('\n')[0]?.replace(/\.$/, '').slice(0, REASON_CHARS) ?? '';
  // Registers of a thread that no CPU can have had.
  const what = code === KVM_FAILED ? 'cannot be run on this host' : 'contradicts itself';
  return new ImageError('state', `The func-image's state ${what} (${plain}).`);
}
