// Pages with several names, forked: within a fork all names agree, and no two forks share a page
// that either of them has written (the paper's CoW flag for shared mappings, section 4).

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import type { Template } from '../../vmm/template.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { Dialogue, runFork, withTemplate } from './forks.ts';

const test = suite('test/oracle/shared');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

/** What `show` prints when all names of all objects show one word. */
function allNames(word: string): string {
  const three = `${word} ${word} ${word}`;
  return `anonymous ${word} ${word} memfd ${three} file ${three} private mine`;
}

function fork(template: Template): Promise<Dialogue> {
  return Dialogue.begin((stdin) => template.fork({ stdin }));
}

for (const how of ['map', 'call']) {
  testBoth(`forks that write by ${how} to shared memory see their own writes only`, async () => {
    await withTemplate({ command: [compileFixture('shared')] }, async (template) => {
      const [first, second] = [await fork(template), await fork(template)];
      assert.is(await first.ask(`${how} one`), 'done');
      assert.is(await second.ask('show'), allNames('template'));
      assert.is(await second.ask(`${how} two`), 'done');
      assert.is(await first.ask('show'), allNames('one'));
      assert.is(await second.ask('show'), allNames('two'));
      assert.is(await runFork(template, 'show\n'), `${allNames('template')}\n`);
      await first.end();
      await second.end();
    });
  });
}

testBoth('a fork of a fork has its words, and neither changes the other', async () => {
  await withTemplate({ command: [compileFixture('shared')] }, async (template) => {
    const first = await fork(template);
    await first.ask('map one');
    const second = await Dialogue.begin((stdin) => first.sandbox.fork({ stdin }));
    assert.is(await second.ask('show'), allNames('one'));
    await second.ask('call two');
    assert.is(await first.ask('show'), allNames('one'));
    await first.ask('map three');
    assert.is(await second.ask('show'), allNames('two'));
    await first.end();
    await second.end();
    assert.is(await runFork(template, 'show\n'), `${allNames('template')}\n`);
  });
});

testBoth('forks agree with themselves when their written pages are copied beforehand', async () => {
  await withTemplate({ command: [compileFixture('shared')] }, async (template, image) => {
    for (const source of [template, image]) {
      for (let round = 0; round < 6; round++) {
        const word = `word${round}`;
        const how = round % 2 === 0 ? 'map' : 'call';
        const orders = `show\n${how} ${word}\nshow\n`;
        const expected = `${allNames('template')}\ndone\n${allNames(word)}\n`;
        assert.is(await runFork(source, orders), expected, `round ${round}`);
      }
    }
  });
});

test.run();
