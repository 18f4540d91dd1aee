// The frame allocator: zeroed frames, runs, limits.
import { assert, suite } from '../../../harness.ts';
import { makeTestKernel } from '../../../helpers/kernel.ts';
import { allocFrame, allocRun, freeFrame } from '../../../../vmm/kernel/mm/frames.ts';
import { BASE_FRAME } from '../../../../vmm/kernel/ports.ts';

const test = suite('kernel/mm/frames');

test('allocFrame() gives distinct zeroed frames and never frame 0', () => {
  const t = makeTestKernel({ bankFrames: 64 });
  const seen = new Set<number>();
  for (let count = 0; count < 63; count++) seen.add(allocFrame(t.k));
  assert.is(seen.size, 63);
  assert.not(seen.has(0));
  assert.is(allocFrame(t.k), 0, 'the bank is used up');
  t.close();
});

test('allocFrame() clears a frame that was used before, also the last one handed out', () => {
  const t = makeTestKernel({ bankFrames: 64 });
  const id = allocFrame(t.k);
  t.k.frames.page(id).fill(7);
  freeFrame(t.k, id);
  const again = allocFrame(t.k);
  assert.is(again, id);
  assert.ok(t.k.frames.page(again).every((byte) => byte === 0));
  t.close();
});

test('allocRun() gives contiguous frames, or none when the untouched part is too small', () => {
  const t = makeTestKernel({ bankFrames: 64 });
  const first = allocRun(t.k, 40);
  assert.is(first, 1);
  for (let id = first; id < first + 40; id++) freeFrame(t.k, id);
  assert.is(allocRun(t.k, 40), 0, 'freed frames are not contiguous');
  assert.ok(allocFrame(t.k) > 0);
  t.close();
});

test('allocFrame() stops at the memory limit', () => {
  const t = makeTestKernel({ bankFrames: 64, limits: { memoryBytes: 10 * 4096 } });
  for (let count = 0; count < 10; count++) assert.ok(allocFrame(t.k) > 0);
  assert.is(allocFrame(t.k), 0);
  assert.is(allocRun(t.k, 1), 0);
  t.close();
});

test('allocFrame() has the bank backed before it hands a frame out', () => {
  const t = makeTestKernel({ bankFrames: 2048 });
  assert.is(t.backedFrames(), 0);
  for (let count = 0; count < 1000; count++) assert.ok(allocFrame(t.k) < t.backedFrames());
  allocRun(t.k, 1000);
  assert.is(t.backedFrames(), 2048);
  t.close();
});

test('freeFrame() refuses a frame that is free, and ignores base frames', () => {
  const t = makeTestKernel({ bankFrames: 64 });
  const id = allocFrame(t.k);
  freeFrame(t.k, id);
  assert.throws(() => freeFrame(t.k, id), 'freed twice');
  freeFrame(t.k, BASE_FRAME);
  freeFrame(t.k, 0);
  assert.is(t.k.frames.used, 0);
  t.close();
});

test.run();
