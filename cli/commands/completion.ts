// `catavmm completion`: a script for bash, zsh or fish.

import { makeCompletion } from '../completion.ts';
import type { Command } from '../context.ts';
import { UsageError } from '../errors.ts';

export const command: Command = ({ args, output }) => {
  const shell = args.operands[0] as string;
  const script = makeCompletion(shell);
  if (script === undefined) {
    throw new UsageError(`There is no completion for "${shell}".`, 'It can be bash, zsh or fish.');
  }
  output.print(script);
  return 0;
};
