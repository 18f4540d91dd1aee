// CBOR sequences (RFC 8742) over cbor-x: many small items one after the other. For the baseline
// that `boot --without separated` measures; images are read with the strict cbor-decode.ts.
import { Decoder } from 'cbor-x/decode';
import { Encoder } from 'cbor-x/encode';
import { joinBytes } from './join-bytes.ts';

const options = { useRecords: false, tagUint8Array: false, mapsAsObjects: true };

/** The items' encodings, one after the other. */
export function encodeSequence(items: Iterable<unknown>): Uint8Array {
  const encoder = new Encoder(options);
  return joinBytes([...items].map((item) => Uint8Array.from(encoder.encode(item))));
}

/** Decodes one item after the other. @throws Error where the bytes are no CBOR */
export function decodeSequence(bytes: Uint8Array, take: (item: unknown) => void): void {
  if (bytes.length > 0) new Decoder(options).decodeMultiple(bytes, take);
}
