// What a pool and its worker processes say to each other, over the worker's stdin and stdout.
//
//   0        4      5           9
//   +--------+------+-----------+------------- … -+
//   | length | kind | request   | payload         |     little-endian; length counts what follows
//   +--------+------+-----------+------------- … -+     it, so 5 + bytes of the payload
//
// Invariant: neither side keeps more than one frame of what it has not understood. A frame that is
// too long, of an unknown kind or with a payload that is none ends the worker.
import type { LogFile } from './options.ts';

/** What the pool says. */
export const OPEN = 1;
export const FORK = 2;
export const STDIN = 3;
export const STDIN_END = 4;
export const KILL = 5;
/** What the worker says. */
export const READY = 16;
export const STARTED = 17;
export const STDIN_PULL = 18;
export const STDOUT = 19;
export const STDERR = 20;
export const DONE = 21;
export const FAILED = 22;

/** Most bytes of a piece of stdin or of output. */
export const PIECE_BYTES: number = 256 * 1024;
/** A short stdin travels with its request. */
export const INLINE_BYTES: number = 64 * 1024;
const FRAME_BYTES_MAX = 1024 * 1024;
const LENGTH_BYTES = 4;
const HEAD_BYTES = 9;

export interface Frame {
  kind: number;
  /** Which request it belongs to; 0 for the worker itself. */
  request: number;
  payload: Uint8Array;
}

/** Payload of OPEN. */
export interface OpenRequest {
  image: string;
  /** How many machines shall be ready. */
  pool: { low: number; high: number };
}

/** First part of the payload of FORK; bytes for stdin follow. */
export interface ForkRequest {
  /** More stdin comes when it is asked for. */
  streams: boolean;
  /** Say STARTED. */
  wantsStart: boolean;
  memory?: number | string;
  rootfs?: string;
  logs?: readonly LogFile[];
  timeoutMs?: number;
}

/** Payload of FAILED. */
export interface Failure {
  code: string;
  message: string;
  hint: string;
}

/** The other side does not speak this protocol. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
}

const nothing = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A frame as bytes. */
export function encodeFrame(
  kind: number, request: number, payload: Uint8Array = nothing,
): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, HEAD_BYTES - LENGTH_BYTES + payload.length, true);
  bytes[LENGTH_BYTES] = kind;
  view.setUint32(LENGTH_BYTES + 1, request, true);
  bytes.set(payload, HEAD_BYTES);
  return bytes;
}

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

/** @throws ProtocolError */
export function decodeJson(payload: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(payload)) as unknown;
  } catch {
    throw new ProtocolError('a payload is no JSON');
  }
}

/** JSON, its length in front, and bytes behind it. */
export function encodeJsonAndBytes(value: unknown, bytes: Uint8Array): Uint8Array {
  const json = encodeJson(value);
  const payload = new Uint8Array(LENGTH_BYTES + json.length + bytes.length);
  new DataView(payload.buffer).setUint32(0, json.length, true);
  payload.set(json, LENGTH_BYTES);
  payload.set(bytes, LENGTH_BYTES + json.length);
  return payload;
}

/** @throws ProtocolError */
export function decodeJsonAndBytes(payload: Uint8Array): [value: unknown, bytes: Uint8Array] {
  if (payload.length < LENGTH_BYTES) throw new ProtocolError('a payload is too short');
  const count = new DataView(payload.buffer, payload.byteOffset).getUint32(0, true);
  if (count > payload.length - LENGTH_BYTES) throw new ProtocolError('a payload is too short');
  const end = LENGTH_BYTES + count;
  return [decodeJson(payload.subarray(LENGTH_BYTES, end)), payload.slice(end)];
}

/** Finds frames in what arrives. */
export class FrameReader {
  #rest: Uint8Array = nothing;

  /** The frames that are complete now. @throws ProtocolError */
  push(bytes: Uint8Array): Frame[] {
    const whole = this.#rest.length === 0 ? bytes : join(this.#rest, bytes);
    const view = new DataView(whole.buffer, whole.byteOffset, whole.length);
    const frames: Frame[] = [];
    let at = 0;
    while (at + LENGTH_BYTES <= whole.length) {
      const length = view.getUint32(at, true);
      if (length < HEAD_BYTES - LENGTH_BYTES || length > FRAME_BYTES_MAX) {
        throw new ProtocolError(`a frame of ${length} bytes`);
      }
      const end = at + LENGTH_BYTES + length;
      if (end > whole.length) break;
      const kind = whole[at + LENGTH_BYTES] as number;
      const request = view.getUint32(at + LENGTH_BYTES + 1, true);
      frames.push({ kind, request, payload: whole.slice(at + HEAD_BYTES, end) });
      at = end;
    }
    this.#rest = whole.slice(at);
    return frames;
  }
}

function join(a: Uint8Array, b: Uint8Array): Uint8Array {
  const whole = new Uint8Array(a.length + b.length);
  whole.set(a);
  whole.set(b, a.length);
  return whole;
}
