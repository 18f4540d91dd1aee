// Frames between a pool and its workers, whole, in pieces and malformed.

import {
  decodeJsonAndBytes, DONE, encodeFrame, encodeJsonAndBytes, FrameReader, ProtocolError, READY,
  STDOUT,
} from '../../vmm/worker-protocol.ts';
import { assert, suite } from '../harness.ts';

const test = suite('vmm/worker-protocol');

test('FrameReader finds frames however their bytes arrive', () => {
  const payload = new Uint8Array(1000).map((_unused, index) => index);
  const frames = [
    encodeFrame(READY, 0), encodeFrame(STDOUT, 0xffff_fffe, payload), encodeFrame(DONE, 7),
  ];
  const bytes = Buffer.concat(frames);
  for (const size of [1, 3, 9, 500, bytes.length]) {
    const reader = new FrameReader();
    const found = [];
    for (let at = 0; at < bytes.length; at += size) {
      found.push(...reader.push(bytes.subarray(at, at + size)));
    }
    assert.equal(found.map(({ kind }) => kind), [READY, STDOUT, DONE]);
    assert.equal(found.map(({ request }) => request), [0, 0xffff_fffe, 7]);
    assert.ok(Buffer.from(found[1]?.payload as Uint8Array).equals(payload));
  }
});

test('FrameReader refuses lengths that no frame has, before it waits for their bytes', () => {
  for (const length of [0, 4, 1024 * 1024 + 1, 0xffff_ffff]) {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length, true);
    assert.throws(() => new FrameReader().push(bytes), ProtocolError);
  }
});

test('JSON with bytes comes back, and is refused when it is cut', () => {
  const payload = encodeJsonAndBytes({ a: 1 }, Uint8Array.of(1, 2, 3));
  assert.equal(decodeJsonAndBytes(payload), [{ a: 1 }, Uint8Array.of(1, 2, 3)]);
  for (const end of [0, 3, 4, 8]) {
    assert.throws(() => decodeJsonAndBytes(payload.subarray(0, end)), ProtocolError);
  }
  payload[4] = 0x7d;
  assert.throws(() => decodeJsonAndBytes(payload), ProtocolError);
});

test.run();
