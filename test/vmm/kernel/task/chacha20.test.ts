// The block function against the vectors of its RFC, and what is drawn from it.
import { chachaBlock } from '../../../../vmm/kernel/task/chacha20.ts';
import { fillRandom } from '../../../../vmm/kernel/task/entropy.ts';
import { assert, suite } from '../../../harness.ts';
import { MEMORY, withGuest } from './guest.ts';

const test = suite('vmm/kernel/task/chacha20');

function hex(bytes: Uint8Array): string {
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

test('chachaBlock() gives the blocks of RFC 8439 appendix A.1', () => {
  const rows: [keyIndex: number, keyByte: number, counter: number, block: string][] = [
    [0, 0, 0, '76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7' +
      'da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586'],
    [0, 0, 1, '9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed' +
      '29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f'],
    [31, 1, 1, '3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a' +
      '8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0'],
    [1, 255, 2, '72d54dfbf12ec44b362692df94137f328fea8da73990265ec1bbbea1ae9af0ca' +
      '13b25aa26cb4a648cb9b9d1be65b2c0924a66c54d545ec1b7374f4872e99f096'],
  ];
  for (const [keyIndex, keyByte, counter, block] of rows) {
    const key = new Uint8Array(32);
    key[keyIndex] = keyByte;
    assert.is(hex(chachaBlock(key, counter)), block);
  }
});

test('fillRandom() repeats itself in deterministic mode and nowhere else', withGuest((g) => {
  const draw = (count: number): string => {
    const bytes = new Uint8Array(count);
    fillRandom(g.k, bytes);
    return hex(bytes);
  };
  const live = draw(100);
  assert.ok(draw(100) !== live);
  g.k.root.deterministic = true;
  const [first, second] = [draw(100), draw(100)];
  assert.ok(first !== second);
  g.k.root.randomBlocks = 0;
  assert.is(draw(100), first);
  g.k.root.randomBlocks = 0;
  draw(70);
  assert.is(draw(100), second, 'both took two blocks');
  g.k.root.seed = Uint8Array.of(1);
  g.k.root.randomBlocks = 0;
  assert.ok(draw(100) !== first);
}));

test('getrandom() fills memory, cuts at a bad address and checks its flags', withGuest((g) => {
  assert.is(g.call('getrandom', [MEMORY, 256, 0]), 256);
  assert.ok(new Set(new Uint8Array(g.peek(MEMORY, 256).buffer)).size > 50);
  assert.is(g.call('getrandom', [MEMORY, 0, 0]), 0);
  assert.is(g.call('getrandom', [MEMORY + 0xf_fff0, 64, 0]), 16);
  assert.is(g.call('getrandom', [0x1000, 64, 0]), -14);
  assert.is(g.call('getrandom', [MEMORY, 8, 8]), -22);
  assert.is(g.call('getrandom', [MEMORY, 8, 6]), -22);
  assert.is(g.call('getrandom', [MEMORY, 8, 5]), 8);
}));

test.run();
