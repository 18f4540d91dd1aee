// Help, completion and docs/cli.md come from one table: they are whole and agree with it.

import { spawnSync } from 'node:child_process';
import { formatCliPage } from '../../cli/cli-page.ts';
import { makeCompletion } from '../../cli/completion.ts';
import { formatHelp } from '../../cli/help.ts';
import { commands, flagsOf, globalFlags } from '../../cli/spec.ts';
import { parseArguments } from '../../cli/args.ts';
import { assert, needs, suite } from '../harness.ts';
import { readText } from '../helpers/repository.ts';

const test = suite('cli/help');

/** Words of a shell line without its pipes, quotes and redirections. */
function wordsOf(example: string): string[] | undefined {
  const plain = example.replace(/^.*\| (?=catavmm)/, '').replace(/ [|&>)].*$|\)$/, '');
  const line = plain.replace(/^source <\(/, '');
  if (!line.startsWith('catavmm ')) return undefined;
  const words = line.match(/'[^']*'|\S+/g) ?? [];
  return words.slice(1).map((word) => word.replaceAll("'", ''));
}

test('formatHelp() names every command, flag and example', () => {
  const overview = formatHelp(undefined);
  for (const { name, summary } of commands) assert.ok(overview.includes(`${name} `), summary);
  const codes = ['124', '125', '126', '127', '128+n'];
  for (const code of codes) assert.ok(overview.includes(code), code);
  for (const command of commands) {
    const help = formatHelp(command.name);
    assert.match(help, `catavmm ${command.name} ${command.usage}`);
    for (const { name } of command.flags) assert.ok(help.includes(`--${name}`), name);
    for (const { name } of globalFlags) {
      // Versions are catavmm's, not a command's.
      if (name !== 'version') assert.ok(help.includes(`--${name}`), name);
    }
    for (const example of command.examples) assert.ok(help.includes(example), example);
    assert.not(help.includes('default: true'));
    assert.is(help.split('--help ').length, 2, `${command.name} lists --help once`);
  }
});

test('every command has three examples, and each can be parsed', () => {
  for (const { name, examples } of commands) {
    assert.is(examples.length, 3);
    for (const example of examples) {
      const words = wordsOf(example);
      if (words !== undefined) assert.is(parseArguments(words, {}).command, name, example);
    }
  }
});

test('names and letters of flags are unique within a command', () => {
  for (const command of commands) {
    const names = flagsOf(command).flatMap(({ name, short }) => {
      return short === undefined ? [name] : [name, short];
    });
    assert.is(new Set(names).size, names.length, command.name);
  }
});

test('docs/cli.md is fresh (node scripts/generate-cli-doc.mjs writes it)', () => {
  assert.is(readText('docs/cli.md'), formatCliPage());
});

test('makeCompletion() knows three shells, and every command and flag in each', () => {
  assert.is(makeCompletion('tcsh'), undefined);
  for (const shell of ['bash', 'zsh', 'fish']) {
    const script = makeCompletion(shell) ?? '';
    for (const command of commands) {
      assert.ok(script.includes(command.name), command.name);
      for (const { name } of command.flags) assert.ok(script.includes(name), `${shell} ${name}`);
    }
    for (const { name } of globalFlags) assert.ok(script.includes(name), `${shell} ${name}`);
  }
});

const bashMissing = spawnSync('bash', ['--version']).status === 0 ? undefined : 'needs bash';
const testBash = needs(test, bashMissing);

/** What bash would offer for the last of these words. */
function completeInBash(words: string[]): string[] {
  const list = words.map((word) => `'${word}'`).join(' ');
  const script = `${makeCompletion('bash')}
    COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _catavmm; echo "\${COMPREPLY[@]}"`;
  const { stdout, stderr } = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.is(stderr, '');
  return stdout.trim().split(' ');
}

testBash('the bash completion offers commands, flags and choices', () => {
  assert.equal(completeInBash(['catavmm', 'b']), ['build', 'boot', 'bench']);
  assert.equal(completeInBash(['catavmm', 'run', '--cpu', 'v']), ['v2', 'v3', 'v4']);
  assert.equal(completeInBash(['catavmm', 'boot', '--ver']), ['--verify', '--version']);
  assert.equal(completeInBash(['catavmm', 'completion', 'f']), ['fish']);
});

for (const shell of ['zsh', 'fish']) {
  const missing = spawnSync(shell, ['--version']).status === 0 ? undefined : `needs ${shell}`;
  needs(test, missing)(`the ${shell} completion is a valid script`, () => {
    const options = { input: makeCompletion(shell) ?? '', encoding: 'utf8' } as const;
    const { status, stderr } = spawnSync(shell, ['-n'], options);
    assert.is(status, 0, stderr);
  });
}

test.run();
