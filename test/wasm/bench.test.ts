// Tests wasm/bench: every row is measured, and wasm and reference agree on its work.

import { benchWasm } from '../../wasm/bench.ts';
import { assert, suite } from '../harness.ts';

const test = suite('wasm/bench');

test('benchWasm() gives two medians per row', () => {
  const rows = benchWasm({ runs: 3 });
  assert.is(rows.length, 10);
  assert.is(rows[0]?.name, 'relocate 100,000 relations');
  for (const { name, unit, wasmMedian, referenceMedian, runs } of rows) {
    assert.is(unit, 'µs');
    assert.is(runs, 3);
    assert.ok(wasmMedian > 0 && referenceMedian > 0, name);
  }
  assert.throws(() => benchWasm({ runs: 0 }), RangeError);
}, { timeoutMs: 60_000 });

test.run();
