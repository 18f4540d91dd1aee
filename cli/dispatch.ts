// From the words on the command line to an exit code, with the commands that an entry offers:
// cli.ts all, boot-cli.ts one.
//
// Invariant: each command is loaded when it is called, so that `boot` does not wait for what
// `doctor` needs, and `--help` and `--version` load no FFI.

import { expectOneSandbox } from '../vmm/kernel/state/size.ts';
import { checkOperands, parseArguments } from './args.ts';
import type { Arguments, Environment } from './args.ts';
import type { Command } from './context.ts';
import { describeError, exitCodeOf, UsageError } from './errors.ts';
import { EXIT_USAGE } from './exit-codes.ts';
import { Output } from './output.ts';
import type { CommandName } from './spec.ts';

/** How each command that is offered is loaded. */
export type Loaders = Readonly<Partial<Record<CommandName, () => Promise<{ command: Command }>>>>;

/** One sentence on stderr and one on what to do about it, or both as JSON. */
export function showError(error: unknown, output: Output): number {
  const description = describeError(error);
  if (output.json) {
    output.complain(JSON.stringify(description));
    return exitCodeOf(description);
  }
  const end = /[.!?]$/.test(description.message) ? '' : '.';
  output.complain(`${output.paint('red', 'catavmm:', 2)} ${description.message}${end}`);
  if (description.hint !== '') {
    output.complain(`  ${output.paint('cyan', 'hint:', 2)} ${description.hint}`);
  }
  const internal = description.code === 'CATAVMM_INTERNAL' && error instanceof Error;
  if (internal && error.stack !== undefined) output.complain(error.stack);
  return exitCodeOf(description);
}

/** Errors of the parser come before `--json` is known: it is looked for among the first words. */
function guessOutput(words: readonly string[], env: Environment): Output {
  const end = words.indexOf('--');
  const ours = end < 0 ? words : words.slice(0, end);
  return new Output({
    json: ours.includes('--json'), quiet: false, noColor: ours.includes('--no-color'), env,
  });
}

/** Whether a command line is about one guest, besides trial boots of what it builds. */
function hasOneSandbox(args: Arguments): boolean {
  const { command } = args;
  if (command === 'boot') return !args.has('count') && !args.has('mode');
  return command === 'run' || command === 'build';
}

async function dispatch(
  args: Arguments, output: Output, env: Environment, loaders: Loaders,
): Promise<number> {
  if (args.has('help')) {
    const { showHelp } = await import('./help.ts');
    return showHelp(args.command, output);
  }
  if (args.has('version')) {
    const { showVersion } = await import('./show-version.ts');
    return showVersion(output);
  }
  if (args.command === undefined) {
    const { showHelp } = await import('./help.ts');
    showHelp(undefined, output, 2);
    return EXIT_USAGE;
  }
  checkOperands(args);
  const load = loaders[args.command];
  if (load === undefined) throw new Error(`this entry does not offer ${args.command}`);
  if (hasOneSandbox(args)) expectOneSandbox();
  const { command } = await load();
  return await command({ args, output, env });
}

/**
 * Runs a command line.
 * @param words what follows the program's name
 * @returns the exit code; everything is written when the promise resolves
 */
export async function runWords(
  words: readonly string[], env: Environment, loaders: Loaders,
): Promise<number> {
  let output = guessOutput(words, env);
  try {
    const args = parseArguments(words, env);
    output = new Output({
      json: args.has('json'), quiet: args.has('quiet'), noColor: args.has('no-color'), env,
    });
    return await dispatch(args, output, env, loaders);
  } catch (error) {
    const code = showError(error, output);
    return error instanceof UsageError ? EXIT_USAGE : code;
  }
}
