// How errors of all layers become a sentence, a code and an exit code.

import { CommandError, describeError, exitCodeOf, suggest, UsageError } from '../../cli/errors.ts';
import { CfiError } from '../../formats/cfi/error.ts';
import { CatavmmError } from '../../vmm/errors.ts';
import { HostError } from '../../vmm/host/errors.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/errors');

test('describeError() keeps code and hint of our own errors', () => {
  const code = 'CATAVMM_KVM_UNAVAILABLE';
  const host = new HostError(code, '/dev/kvm is missing', { hint: 'Load it.' });
  assert.equal(describeError(host), {
    code, message: '/dev/kvm is missing', hint: 'Load it.',
  });
  assert.is(describeError(new CfiError('digest', 'Damaged.')).code, 'CATAVMM_CFI_DIGEST');
  assert.is(describeError(new UsageError('What?', 'So.')).hint, 'So.');
  assert.is(describeError(new CommandError('CATAVMM_REPORT', 'No.')).code, 'CATAVMM_REPORT');
});

test('describeError() puts failed file operations into words', () => {
  const error = Object.assign(new Error('ENOENT: no such file or directory, open'), {
    code: 'ENOENT', syscall: 'open', path: 'env.txt',
  });
  assert.equal(describeError(error), {
    code: 'CATAVMM_FILE_ENOENT', message: 'env.txt: there is no such file or directory', hint: '',
  });
});

test('describeError() gives a code to surprises too', () => {
  assert.is(describeError(new RangeError('odd')).code, 'CATAVMM_INTERNAL');
  assert.is(describeError('thrown text').message, 'thrown text');
  const foreign = Object.assign(new Error('x'), { code: 'constructor' });
  assert.is(describeError(foreign).code, 'CATAVMM_INTERNAL');
});

test('exitCodeOf() follows the conventions of docker and coreutils', () => {
  const rows: [error: Error, code: number][] = [
    [new UsageError('x'), 2],
    [new CatavmmError('CATAVMM_NOT_FOUND', 'x'), 127],
    [new CatavmmError('CATAVMM_NOT_EXECUTABLE', 'x'), 126],
    [new CfiError('magic', 'x'), 125],
    [new HostError('CATAVMM_KVM_FAILED', 'x'), 125],
    [new Error('x'), 125],
  ];
  for (const [error, code] of rows) assert.is(exitCodeOf(describeError(error)), code, error.name);
});

test('suggest() finds what was meant, but does not guess wildly', () => {
  const known = ['run', 'build', 'boot', 'inspect', 'verify'];
  const rows: [word: string, meant: string | undefined][] = [
    ['rnu', 'run'], ['biuld', 'build'], ['boots', 'boot'], ['inspct', 'inspect'],
    ['verfy', 'verify'], ['zzz', undefined], ['x', undefined], ['', undefined],
    ['completely-different', undefined],
  ];
  for (const [word, meant] of rows) assert.is(suggest(word, known), meant, word);
});

test.run();
