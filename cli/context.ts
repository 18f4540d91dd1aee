// What a command gets and gives: its arguments, where to write, and an exit code back.

import type { Arguments, Environment } from './args.ts';
import type { Output } from './output.ts';

export interface Context {
  args: Arguments;
  output: Output;
  env: Environment;
}

/** Does the command's work; returns the exit code. Errors that end it are thrown. */
export type Command = (context: Context) => number | Promise<number>;
