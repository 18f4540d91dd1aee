// The Python helper: what programs draw after their func-entry point differs in each fork, also
// what comes out of generators that live in the program's memory.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { fixturePath } from './compile.ts';
import { Dialogue, type ForkedProgram, withTemplate } from './forks.ts';
import { pythonMissing } from './python-missing.ts';

const test = suite('test/oracle/reseed');
const testPython = needs(test, kvmMissing() ?? pythonMissing());

const SOURCES = ['random', 'ssl', 'node', 'uuid4', 'urandom', 'temporary'];

function program(...args: string[]): ForkedProgram {
  return { command: ['python3', fixturePath('python/reseed.py'), ...args] };
}

/** `name value name value …` of a line. */
function readDraws(line: string): Map<string, string> {
  const words = line.split(' ');
  const draws = new Map<string, string>();
  for (let i = 0; i + 1 < words.length; i += 2) {
    draws.set(words[i] as string, words[i + 1] as string);
  }
  assert.equal([...draws.keys()], SOURCES, line);
  return draws;
}

/** What two clones draw: the names of those that are the same. */
async function commonDraws(clones: readonly Dialogue[]): Promise<string[]> {
  const draws: Map<string, string>[] = [];
  for (const clone of clones) draws.push(readDraws(await clone.ask('draw')));
  return SOURCES.filter((name) => draws[0]?.get(name) === draws[1]?.get(name));
}

testPython('forks of a program with the helper draw nothing twice', async () => {
  await withTemplate(program(), async (template, image) => {
    const clones = [
      await Dialogue.begin((stdin) => template.fork({ stdin })),
      await Dialogue.begin((stdin) => template.fork({ stdin })),
      await Dialogue.begin((stdin) => image.boot({ stdin })),
    ];
    assert.equal(await commonDraws(clones.slice(0, 2)), []);
    assert.equal(await commonDraws(clones.slice(1, 3)), []);
    for (const clone of clones) await clone.end();
  });
}, { timeoutMs: 120_000 });

testPython('without the helper, what lies in memory is drawn twice, the kernel\'s is not',
  async () => {
  await withTemplate(program('raw'), async (template) => {
    const clones = [
      await Dialogue.begin((stdin) => template.fork({ stdin })),
      await Dialogue.begin((stdin) => template.fork({ stdin })),
    ];
    const common = await commonDraws(clones);
    assert.ok(common.includes('random') && common.includes('temporary'), common.join(' '));
    assert.not(common.includes('uuid4') || common.includes('urandom'), common.join(' '));
    for (const clone of clones) await clone.end();
  });
}, { timeoutMs: 120_000 });

testPython('check() draws anew in forks of a fork', async () => {
  await withTemplate(program(), async (template) => {
    const first = await Dialogue.begin((stdin) => template.fork({ stdin }));
    await first.ask('draw');
    assert.is(await first.ask('check'), '1');
    const clones = [
      await Dialogue.begin((stdin) => first.sandbox.fork({ stdin })),
      await Dialogue.begin((stdin) => first.sandbox.fork({ stdin })),
    ];
    for (const clone of clones) assert.is(await clone.ask('check'), '2');
    assert.equal(await commonDraws(clones), []);
    for (const clone of [...clones, first]) await clone.end();
  });
}, { timeoutMs: 120_000 });

test.run();
