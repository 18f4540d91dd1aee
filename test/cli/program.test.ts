// The flags of `run` and `build` as options of the API: environment, volumes, directories, limits.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArguments } from '../../cli/args.ts';
import { UsageError } from '../../cli/errors.ts';
import {
  makeGuestEnvironment, parseLimits, parseProgram, parsePublish, parseVolume,
} from '../../cli/program.ts';
import type { Surroundings } from '../../cli/program.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/program');
const directory = mkdtempSync(join(tmpdir(), 'catavmm-program-'));
test.after(() => rmSync(directory, { recursive: true }));

const surroundings: Surroundings = {
  env: { PATH: '/secret/bin', TOKEN: 'hidden', TERM: 'xterm', EMPTY: '' },
  cwd: '/home/me',
  isTerminal: false,
};

function environmentOf(words: string[], isTerminal: boolean = false): Record<string, string> {
  const args = parseArguments(['run', ...words, '--', 'x'], {});
  return makeGuestEnvironment(args, { ...surroundings, isTerminal });
}

test('makeGuestEnvironment() passes nothing on that was not asked for', () => {
  const clean = environmentOf([]);
  assert.equal(Object.keys(clean).sort(), ['HOME', 'PATH']);
  assert.is(clean['HOME'], '/root');
  assert.not(clean['PATH']?.includes('secret'));
  assert.is(environmentOf([], true)['TERM'], 'xterm');
});

test('makeGuestEnvironment() sets K=V and passes K on when it is set', () => {
  const variables = environmentOf(['-e', 'A=1=2', '-e', 'TOKEN', '-e', 'MISSING', '-e', 'EMPTY']);
  assert.is(variables['A'], '1=2');
  assert.is(variables['TOKEN'], 'hidden');
  assert.is(variables['EMPTY'], '');
  assert.not('MISSING' in variables);
  assert.is(environmentOf(['-e', 'PATH=/bin'])['PATH'], '/bin');
});

test('makeGuestEnvironment() refuses a variable without a name', () => {
  assert.throws(() => environmentOf(['-e', '=x']), UsageError);
  assert.throws(() => environmentOf(['--env=']), UsageError);
});

test('makeGuestEnvironment() reads files of variables, which -e overrides', () => {
  const file = join(directory, 'env.txt');
  writeFileSync(file, '# comment\n\nA=file\r\nB=two words\nTOKEN\n');
  const variables = environmentOf(['-e', 'A=flag', '--env-file', file]);
  assert.is(variables['A'], 'flag');
  assert.is(variables['B'], 'two words');
  assert.is(variables['TOKEN'], 'hidden');
  writeFileSync(file, 'A=1\n=2\n');
  assert.throws(() => environmentOf(['--env-file', file]), /env\.txt:2/);
});

test('parsePublish() takes HOST:GUEST, and an address before them', () => {
  assert.equal(parsePublish('8080:80'), { hostPort: 8080, guestPort: 80 });
  assert.equal(parsePublish('0:80'), { hostPort: 0, guestPort: 80 });
  assert.equal(
    parsePublish('0.0.0.0:8080:80'), { address: '0.0.0.0', hostPort: 8080, guestPort: 80 });
  assert.equal(parsePublish('[::1]:8080:80'), { address: '::1', hostPort: 8080, guestPort: 80 });
  const wrong = ['', '80', '80:', ':80', '80:0', '70000:80', '80:70000', '-1:80', 'a:b', '8:8:'];
  for (const text of wrong) {
    assert.throws(() => parsePublish(text), UsageError, text);
  }
});

test('parseLimits() takes one kind of autosave, after at least one call', () => {
  const limitsOf = (...words: string[]): unknown =>
    parseLimits(parseArguments(['run', ...words, '--', 'x'], {})).autosave;
  assert.is(limitsOf(), undefined);
  assert.equal(limitsOf('--checkpoint-every', '50'), { every: 50, kind: 'restore' });
  assert.equal(limitsOf('--fork-every', '1'), { every: 1, kind: 'fork' });
  for (const words of [['--fork-every', '0'], ['--fork-every', '1', '--checkpoint-every', '1']]) {
    assert.throws(() => limitsOf(...words), UsageError);
  }
});

test('parseVolume() takes SRC:DST and a mode', () => {
  assert.equal(parseVolume('/a:/b', '/home/me'), {
    source: '/a', target: '/b', readOnly: false,
  });
  assert.equal(parseVolume('./data:/data:ro', '/home/me'), {
    source: '/home/me/data', target: '/data', readOnly: true,
  });
  assert.is(parseVolume('/with:colon:/b:rw', '/').source, '/with:colon');
  for (const text of ['/a', '/a:b', ':/b', '/a:/b:wo', '/a:', '']) {
    assert.throws(() => parseVolume(text, '/'), UsageError, text);
  }
});

test("parseProgram() keeps the caller's directory only below the host's own root", () => {
  const cwdOf = (words: string[]): string | undefined =>
    parseProgram(parseArguments(['run', ...words, 'x'], {}), surroundings).cwd;
  assert.is(cwdOf([]), '/home/me');
  assert.is(cwdOf(['--rootfs', '/']), '/home/me');
  assert.is(cwdOf(['--rootfs', '/srv/root']), '/');
  assert.is(cwdOf(['-w', '/tmp']), '/tmp');
  assert.throws(() => cwdOf(['-w', 'tmp']), UsageError);
});

test('parseProgram() gives limits in bytes and milliseconds, and only those that were set', () => {
  const words = 'run --memory 64m --timeout 2s --cpu v3 --rootfs r a b'.split(' ');
  const program = parseProgram(parseArguments(words, {}), surroundings);
  assert.is(program.memory, 64 * 1024 * 1024);
  assert.is(program.timeoutMs, 2000);
  assert.is(program.cpu, 'v3');
  assert.is(program.rootfs, '/home/me/r');
  assert.equal(program.command, ['a', 'b']);
  const bare = parseProgram(parseArguments(['run', 'a'], {}), surroundings);
  for (const key of ['memory', 'timeoutMs', 'cpu', 'rootfs']) assert.not(key in bare, key);
});

test.run();
