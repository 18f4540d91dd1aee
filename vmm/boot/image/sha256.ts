// SHA-256 of node:crypto, loaded when it is first needed: loading it costs a boot milliseconds, and
// a boot of an image that is known to be good (checked-images.ts) needs no digest at all.
import type * as crypto from 'node:crypto';

let module: typeof crypto | null = null;

/** A running SHA-256. */
export function beginSha256(): crypto.Hash {
  module ??= process.getBuiltinModule('node:crypto');
  return module.createHash('sha256');
}

/** SHA-256 of the parts, one after the other: 32 bytes. */
export function sha256(parts: Uint8Array[]): Uint8Array {
  const hash = beginSha256();
  for (const part of parts) hash.update(part);
  return hash.digest();
}
