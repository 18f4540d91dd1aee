// Errors of images: whatever goes wrong over one becomes one sentence with a code.
import { assert, suite } from '../../../harness.ts';
import { blameImage, ImageError } from '../../../../vmm/boot/image/image-error.ts';
import { HostError } from '../../../../vmm/host/errors.ts';

const test = suite('vmm/boot/image-error');

test('blameImage() makes one sentence of what the engine or KVM throws', () => {
  for (const error of [new TypeError('Not an integer'), new RangeError('a\nb.'), 'text', null,
    new Error('x'.repeat(1000)), new HostError('CATAVMM_KVM_FAILED', 'KVM_RUN failed', {})]) {
    const blamed = blameImage(error);
    assert.ok(blamed instanceof ImageError);
    assert.match(blamed.message, /^The func-image's state [^\n]*\.$/);
    assert.atMost(blamed.message.length, 300);
    assert.is((blamed as ImageError).code, 'CATAVMM_IMAGE_STATE');
  }
});

test('blameImage() leaves errors alone that say enough', () => {
  const error = new ImageError('truncated', 'It was truncated.');
  assert.is(blameImage(error), error);
});

test.run();
