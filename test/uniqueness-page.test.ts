// docs/uniqueness.md names the test of each hazard: those tests exist.

import { assert, suite } from './harness.ts';
import { readText } from './helpers/repository.ts';

const test = suite('test/uniqueness-page');

interface Row {
  hazard: string;
  tests: { name: string; file: string }[];
}

/** Rows of the table of hazards: `name`, `name` (file); `name` (file). */
function readRows(): Row[] {
  const [, section = ''] = readText('docs/uniqueness.md').split('## Eight hazards');
  const lines = section.split('\n').filter((line) => /^\| [A-Z]/.test(line));
  return lines.map((line) => {
    const [hazard = '', , tests = ''] = line.split(' | ');
    const groups = tests.split(';').map((group) => {
      const file = /\((test\/[^)]*)\)/.exec(group)?.[1] ?? '';
      return [...group.matchAll(/`([^`]*)`/g)].map((match) => ({ name: match[1] ?? '', file }));
    });
    return { hazard: hazard.replace('| ', ''), tests: groups.flat() };
  });
}

test('docs/uniqueness.md names tests that exist, for each of eight hazards', () => {
  const rows = readRows();
  assert.is(rows.length, 8);
  for (const { hazard, tests } of rows) {
    assert.ok(tests.length > 0, hazard);
    for (const { name, file } of tests) {
      assert.ok(readText(file).includes(name), `${hazard}: "${name}" in ${file}`);
    }
  }
});

test.run();
