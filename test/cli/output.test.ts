// Colours, tables and texts from untrusted files.

import { formatTable, Output, printable, printableBytes } from '../../cli/output.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/output');

function painted(env: Record<string, string>, noColor: boolean = false): boolean {
  const output = new Output({ json: false, quiet: false, noColor, env });
  return output.paint('red', 'x', 2) !== 'x';
}

test('paint() obeys NO_COLOR, FORCE_COLOR and --no-color', () => {
  // Tests have no terminal, so without force there are no colours.
  assert.not(painted({}));
  assert.ok(painted({ FORCE_COLOR: '1' }));
  assert.ok(painted({ FORCE_COLOR: '' }));
  assert.not(painted({ FORCE_COLOR: '0' }));
  assert.not(painted({ FORCE_COLOR: '1', NO_COLOR: '1' }));
  assert.ok(painted({ FORCE_COLOR: '1', NO_COLOR: '' }));
  assert.not(painted({ FORCE_COLOR: '1' }, true));
});

test('printable() leaves nothing that a terminal would obey', () => {
  const hostile = 'a\x1b[31mb\r\n\u202ec\u{e0001}';
  assert.is(printable(hostile), 'a\\x1b[31mb\\x0d\\x0a\\u{202e}c\\u{e0001}');
  assert.is(printable('Grüße, 世界 👋'), 'Grüße, 世界 👋');
  assert.is(printableBytes(Uint8Array.of(0x61, 0xff, 0x07)), 'a\ufffd\\x07');
});

test('formatTable() aligns columns and leaves no blanks at the ends', () => {
  const text = formatTable([['n', 'name'], ['1', 'a'], ['10', 'bc']], [0]);
  assert.is(text, ' n  name\n 1  a\n10  bc');
});

test.run();
