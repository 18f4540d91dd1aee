// What clones must not share (docs/uniqueness.md names these tests): randomness, identity, time.

import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import type { FuncImage } from '../../vmm/func-image.ts';
import type { Template } from '../../vmm/template.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { Dialogue, type ForkedProgram, runFork, withImage, withTemplate } from './forks.ts';
import { withScratchAsync } from './images.ts';

const test = suite('test/oracle/uniqueness');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());

/** How many forks draw; 10,000 for a long test. */
const FORKS = Number(process.env['CATAVMM_FORKS'] ?? 500);
const DRAWS = 5;
const DRAWS_MS = 60_000 * Math.max(1, FORKS / 500);

function program(...args: string[]): ForkedProgram {
  return { command: [compileFixture('unique'), ...args] };
}

function fork(template: Template): Promise<Dialogue> {
  return Dialogue.begin((stdin) => template.fork({ stdin }));
}

function boot(image: FuncImage): Promise<Dialogue> {
  return Dialogue.begin((stdin) => image.boot({ stdin }));
}

/** Asks once and ends. */
async function askOnce(clone: Promise<Dialogue>, order: string): Promise<string> {
  const dialogue = await clone;
  const answer = await dialogue.ask(order);
  await dialogue.end();
  return answer;
}

function assertBetween(value: number, low: number, high: number, what: string): void {
  assert.ok(value >= low && value <= high, `${what}: ${value} is not in ${low} … ${high}`);
}

function sleepMs(ms: number): Promise<void> {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}

testBoth(`no two of the draws of ${FORKS} forks are equal`, async () => {
  await withTemplate(program(), async (template, image) => {
    const seen: Set<string> = new Set();
    for (let i = 0; i < FORKS; i++) {
      const source = i % 50 === 0 ? image : template;
      const [draws = '', ids = ''] = (await runFork(source, `draw ${DRAWS}\nids\n`)).split('\n');
      const words = [...draws.trim().split(' '), ids.split(' ')[0] as string];
      assert.is(words.length, 4 * DRAWS + 1);
      for (const word of words) {
        assert.match(word, /^[0-9a-f-]{32,36}$/);
        seen.add(word);
      }
    }
    assert.is(seen.size, FORKS * (4 * DRAWS + 1));
  });
}, { timeoutMs: DRAWS_MS });

testBoth('forks keep their ids, and have a boot id each', async () => {
  await withTemplate(program(), async (template) => {
    const [first = '', second = ''] = [
      await askOnce(fork(template), 'ids'), await askOnce(fork(template), 'ids'),
    ];
    assert.not(first === second, first);
    assert.is(first.split(' ')[1], second.split(' ')[1]);
  });
});

testBoth('what exec draws is new in each fork, what was drawn before is not', async () => {
  await withTemplate(program(), async (template) => {
    const seen: Set<string> = new Set();
    for (let i = 0; i < 8; i++) {
      for (const word of (await askOnce(fork(template), 'exec')).split(' ')) seen.add(word);
    }
    assert.is(seen.size, 24, [...seen].join(' '));
    const pages = await Promise.all([1, 2].map(() => askOnce(fork(template), 'pages')));
    assert.is(pages[0], pages[1]);
  });
});

testBoth('pages of MADV_WIPEONFORK are zero in each boot and fork', async () => {
  await withTemplate(program(), async (template, image) => {
    for (let i = 0; i < 3; i++) {
      assert.match(await askOnce(fork(template), 'pages'), /^wiped 0 0 kept 7 /);
      assert.match(await askOnce(boot(image), 'pages'), /^wiped 0 0 kept 7 /);
    }
  });
});

testBoth('the generation is readable, and grows with each fork of a fork', async () => {
  await withTemplate(program(), async (template) => {
    const first = await fork(template);
    assert.is(await first.ask('generation'), '1 1 1 ');
    const second = await Dialogue.begin((stdin) => first.sandbox.fork({ stdin }));
    // The program remembers what the entry gave; the kernel knows better.
    assert.is(await second.ask('generation'), '1 2 2 ');
    assert.is(await first.ask('generation'), '1 1 1 ');
    await first.end();
    await second.end();
  });
});

testBoth('the monotonic clock goes on where it was, the time of day is right', async () => {
  await withTemplate(program(), async (template, image) => {
    const seen: { nowMs: number; lifeMs: number }[] = [];
    for (const clone of [() => fork(template), () => boot(image), () => fork(template)]) {
      await sleepMs(400);
      const startMs = performance.now();
      const dialogue = await clone();
      const hostBefore = Date.now();
      const [before, now, real] = (await dialogue.ask('clocks')).split(' ').map(Number) as
        [number, number, number];
      const hostAfter = Date.now();
      seen.push({ nowMs: now / 1e6, lifeMs: performance.now() - startMs });
      assert.ok(now >= before, `${now} < ${before}`);
      assertBetween(real / 1e6, hostBefore - 50, hostAfter + 50, 'the time of day');
      await dialogue.end();
    }
    // All began at the same time, so none is further than its own life.
    const first = Math.min(...seen.map(({ nowMs }) => nowMs));
    for (const { nowMs, lifeMs } of seen) assert.atMost(nowMs - lifeMs, first + 100);
  });
});

testBoth('timers go on with their clocks, and those of the time of day know that it jumped',
  async () => {
  const builtMs = Date.now();
  await withTemplate(program(), async (template, image) => {
    await sleepMs(1000);
    for (const clone of [fork(template), boot(image)]) {
      const [relative, real, ...reads] = (await askOnce(clone, 'timers')).split(' ');
      // 100 s on a clock that stood still, an hour on one that went on: the hour has begun between
      // the start of the build and its end, more than a second ago.
      assertBetween(Number(relative), 99_000, 100_000, 'the monotonic timer');
      const low = 3_600_000 - (Date.now() - builtMs) - 50;
      assertBetween(Number(real), low, 3_600_000 - 1000, 'the timer of the time of day');
      assert.equal(reads, ['ECANCELED', 'EAGAIN']);
    }
  });
});

testBoth('a wait until a time of day that has passed ends at once', async () => {
  await withTemplate(program('wait'), async (template, image) => {
    await sleepMs(1600);
    for (const clone of [fork(template), boot(image)]) {
      assert.atMost(Number(await askOnce(clone, 'late')), 400, 'ms after the entry');
    }
  });
});

testBoth('sockets of a fork are its own, and none leads outside', async () => {
  await withTemplate(program(), async (template) => {
    const clones = [await fork(template), await fork(template)];
    for (const clone of clones) {
      // One byte of its own, and the one that was on its way when the template was made.
      assert.is(await clone.ask('sockets'), 'internet ENETUNREACH bind 0 received 2');
    }
    for (const clone of clones) await clone.end();
  });
});

testBoth('a fork cannot reach a socket of the host, so it can inherit none', async () => {
  await withScratchAsync(async (folder) => {
    const path = join(folder, 'socket');
    let connections = 0;
    const server = createServer(() => { connections++; });
    await new Promise<void>((resolve) => { server.listen(path, resolve); });
    try {
      await withTemplate(program(), async (template) => {
        assert.is(await askOnce(fork(template), `connect ${path}`), 'ECONNREFUSED');
      });
      assert.is(connections, 0);
    } finally {
      await new Promise((resolve) => { server.close(resolve); });
    }
  });
});

testBoth('a fork that touches more than its limit is killed, whenever it does', async () => {
  await withTemplate({ ...program(), memory: '64Mi' }, async (template) => {
    const [greedy, modest] = [await fork(template), await fork(template)];
    assert.is(await greedy.ask('touch 24'), 'touched');
    assert.is(await modest.ask('touch 24'), 'touched');
    await assert.rejects(greedy.ask('touch 56'), /it ended/);
    assert.is((await greedy.sandbox.status).signal, 'SIGKILL');
    await greedy.sandbox.close();
    assert.is(await modest.ask('touch 16'), 'touched');
    await modest.end();
  });
});

testBoth('two images of one program differ where only a build draws', async () => {
  const seen: string[] = [];
  for (let i = 0; i < 2; i++) {
    await withImage(program(), async (image) => {
      seen.push(await askOnce(boot(image), 'pages'));
    });
  }
  assert.not(seen[0] === seen[1]);
});

test.run();
