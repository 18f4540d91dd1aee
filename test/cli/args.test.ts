// Splitting command lines: what is catavmm's, what is the guest's, what comes from the environment.

import { checkOperands, environmentName, parseArguments } from '../../cli/args.ts';
import type { Arguments, Environment } from '../../cli/args.ts';
import { UsageError } from '../../cli/errors.ts';
import { commands, flagsOf } from '../../cli/spec.ts';
import { assert, suite } from '../harness.ts';

const test = suite('cli/args');

/** A command line as a shell without quotes would split it. */
function parse(line: string, env: Environment = {}): Arguments {
  return parseArguments(line.split(' ').filter((word) => word !== ''), env);
}

function failure(line: string, env: Environment = {}): UsageError {
  try {
    checkOperands(parse(line, env));
  } catch (error) {
    if (error instanceof UsageError) return error;
    throw error;
  }
  return assert.unreachable(`"${line}" was accepted`);
}

test('parseArguments() leaves the guest everything from the program on', () => {
  const rows: [line: string, operands: string[]][] = [
    ['run ls -la /tmp', ['ls', '-la', '/tmp']],
    ['run -- ls --memory', ['ls', '--memory']],
    ['run --memory 1g ls --memory 2g', ['ls', '--memory', '2g']],
    ['run ls -- -x', ['ls', '--', '-x']],
    ['run -- -odd-name --help', ['-odd-name', '--help']],
    ['run -c -- sh -c true', ['sh', '-c', 'true']],
    ['build -o x.cfi python3 -o y -- z', ['python3', '-o', 'y', '--', 'z']],
    ['run - --help', ['-', '--help']],
  ];
  for (const [line, operands] of rows) assert.equal(parse(line).operands, operands, line);
  assert.is(parse('run --memory 1g ls --memory 2g').text('memory'), '1g');
  assert.not(parse('run ls --help').has('help'));
  assert.not(parse('run ls --json').has('json'));
});

test('parseArguments() takes flags before and after the operand of other commands', () => {
  const args = parse('boot --timeout 5s a.cfi --report r.json --verify');
  assert.equal(args.operands, ['a.cfi']);
  assert.is(args.text('report'), 'r.json');
  assert.is(args.text('timeout'), '5s');
  assert.ok(args.has('verify'));
  assert.equal(parse('verify -- --json').operands, ['--json']);
});

test('parseArguments() takes global flags in front of the command', () => {
  const args = parse('-q --json doctor');
  assert.is(args.command, 'doctor');
  assert.ok(args.has('quiet'));
  assert.ok(args.has('json'));
  assert.is(parse('--help').command, undefined);
});

test('parseArguments() gives values as the texts they are', () => {
  for (const value of ['0512', '1e3', '0x10', '1.10', '-5', '', 'a=b']) {
    assert.is(parseArguments(['run', `--memory=${value}`, 'x'], {}).text('memory'), value);
  }
  assert.is(parseArguments(['run', '--memory', '-5', 'x'], {}).text('memory'), '-5');
});

test('parseArguments() understands every way to write a short flag', () => {
  assert.equal(parse('run -e A=1 -eB=2 -e=C=3 x').list('env'), ['A=1', 'B=2', 'C=3']);
  const args = parse('run -qc -w /tmp x');
  assert.ok(args.has('quiet'));
  assert.ok(args.has('strace-summary'));
  assert.is(args.text('workdir'), '/tmp');
  assert.is(parse('run -qm1g x').text('memory'), '1g');
});

test('parseArguments() keeps all values of a repeated flag, and the last of another', () => {
  assert.equal(parse('run -v /a:/b --volume /c:/d:ro x').list('volume'), ['/a:/b', '/c:/d:ro']);
  assert.is(parse('run --memory 1g --memory 2g x').text('memory'), '2g');
});

test('parseArguments() reads flags from the environment, behind the command line', () => {
  const env = { CATAVMM_MEMORY: '256m', CATAVMM_VERIFY: '1', CATAVMM_QUIET: 'no' };
  const args = parse('boot x.cfi', env);
  assert.is(args.text('memory'), '256m');
  assert.ok(args.has('verify'));
  assert.not(args.has('quiet'));
  assert.is(parse('boot --memory 1g x.cfi', env).text('memory'), '1g');
  assert.not(parse('doctor', env).has('verify'), 'doctor has no such flag');
  assert.is(parse('run x', { CATAVMM_STRACE_SUMMARY: 'true' }).has('strace-summary'), true);
  assert.match(failure('boot x', { CATAVMM_VERIFY: 'maybe' }).message, 'CATAVMM_VERIFY');
  assert.match(failure('run x', { CATAVMM_CPU: 'v9' }).message, 'CATAVMM_CPU');
});

test('environmentName() gives no variable to flags that are repeated or ask', () => {
  const names = commands.flatMap(flagsOf).map(environmentName).filter((name) => name !== undefined);
  assert.ok(names.includes('CATAVMM_SELF_CONTAINED'));
  for (const name of ['CATAVMM_ENV', 'CATAVMM_HELP', 'CATAVMM_VERSION', 'CATAVMM_VOLUME']) {
    assert.not(names.includes(name), name);
  }
});

test('parseArguments() says what is wrong and what was probably meant', () => {
  const rows: [line: string, message: string, hint: string][] = [
    ['rum x', 'There is no command "rum".', 'Did you mean run?'],
    ['xyzzy', 'There is no command "xyzzy".', '--help'],
    ['run --memry 1g x', 'has no flag --memry', 'Did you mean --memory?'],
    ['run -z x', 'has no flag -z', 'catavmm run --help'],
    ['--memory 1g run x', 'has no flag --memory', 'run --memory'],
    ['boot --memory', '--memory needs a value: SIZE', ''],
    ['run --memory -- x', '--memory needs a value: SIZE', ''],
    ['boot --verify=yes x', '--verify takes no value', ''],
    ['run --cpu v5 x', '"v5" is not one of v2, v3, v4, host', 'Did you mean v2?'],
    ['build -o x --entry line= y', '"line=" is not one of', ''],
    ['build -o x --entry stdn y', '"stdn" is not one of', 'Did you mean stdin?'],
    ['boot', 'takes one image, not 0', 'Usage: catavmm boot'],
    ['boot a b', 'takes one image, not 2', ''],
    ['run', 'takes a command, not 0', ''],
    ['doctor now', 'takes no operands, not 1', ''],
    ['-- x', 'A command must come before', ''],
  ];
  for (const [line, message, hint] of rows) {
    const error = failure(line);
    assert.match(error.message, message, line);
    assert.match(error.hint, hint, line);
  }
});

test('parseArguments() accepts every choice that the table lists', () => {
  for (const choice of ['listen', 'stdin', 'explicit', 'line=ready']) {
    assert.is(parse(`build -o x --entry ${choice} y`).text('entry'), choice);
  }
  const spaced = parseArguments(['build', '--entry', 'line=a b=c', 'y'], {});
  assert.is(spaced.text('entry'), 'line=a b=c');
});

test.run();
