// `catavmm run`: a program in a new sandbox, with this process's stdin, stdout and stderr.

import { Sandbox } from '../../vmm/sandbox.ts';
import type { Command } from '../context.ts';
import { asThisProcess, noteEvent, superviseGuest } from '../guest.ts';
import { parseProgram, readSurroundings } from '../program.ts';
import { makeTracing } from '../strace.ts';

export const command: Command = async ({ args, output, env }) => {
  const program = parseProgram(args, readSurroundings(env, output));
  const tracing = makeTracing(
    { lines: args.has('strace'), summary: args.has('strace-summary') }, output);
  const start = (): Promise<Sandbox> => Sandbox.run({
    ...program,
    ...asThisProcess,
    onEvent: noteEvent(args, output),
    ...(tracing.strace === undefined ? {} : { strace: tracing.strace }),
  });
  return await superviseGuest(start, args, output, tracing);
};
