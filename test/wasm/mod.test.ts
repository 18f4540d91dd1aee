// Tests wasm/mod: what it exports works together, and it needs nothing but web standards.

import { readdirSync, readFileSync } from 'node:fs';
import * as wasm from '../../wasm/mod.ts';
import { assert, suite } from '../harness.ts';
import { findRoot, makeMemory } from './helpers.ts';

const test = suite('wasm/mod');

test('validate() and relocate() bring a section into shape', () => {
  const memory = makeMemory(2 ** 16);
  const words = new Uint32Array(memory.buffer);
  // Schema: kind 1 has 16 bytes and a required reference to kind 1 at 8.
  words.set([2, 0, 0, 0, 0, 0, 16, 0, 0, 1, 0, 8, 0x80000001], 0x100 / 4);
  words.set([1, 16, 0, 0, 1, 16, 0, 0], 0x1000 / 4);
  words.set([8, 16, 24, 0], 0x2000 / 4);
  for (const create of [wasm.createRelocate, wasm.createReferenceRelocate]) {
    const relocate = create(memory);
    assert.is(relocate.validate(0x1000, 32, 0x2000, 2, 0x100, 0x3000), null);
    assert.is(relocate.relocate(0x1000, 32, 0x2000, 2, 0x1000), 2);
    assert.equal([words[0x1008 / 4], words[0x1018 / 4]], [0x1010, 0x1000]);
    assert.is(relocate.validate(0x1000, 32, 0x2000, 2, 0x100, 0x3000)?.sentence,
      'a reference field is not 0 in the saved form at offset 8');
    assert.is(relocate.unrelocate(0x1000, 32, 0x2000, 2), 2);
  }
});

test('sources import only files of wasm/', () => {
  const root = findRoot();
  let seen = 0;
  for (const folder of ['wasm/', 'wasm/reference/', 'wasm/generated/']) {
    for (const name of readdirSync(new URL(folder, root))) {
      if (!name.endsWith('.ts')) continue;
      const text = readFileSync(new URL(folder + name, root), 'utf8');
      for (const [, specifier] of text.matchAll(/^(?:import|export|\}) .*from '(.*)';$/gm)) {
        const target = new URL(specifier as string, new URL(folder, root)).href;
        assert.ok(target.startsWith(new URL('wasm/', root).href), `${name}: ${specifier}`);
        seen++;
      }
      assert.not(/\b(Buffer|process|require)\b/.test(text), name);
    }
  }
  assert.ok(seen > 20);
});

test.run();
