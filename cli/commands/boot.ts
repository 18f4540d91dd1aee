// `catavmm boot`: goes on from an image. The shortest way from the command line to the guest:
// what is imported here is loaded before the image is opened.

import process from 'node:process';
import type { Technique } from '../../vmm/options.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import type { Command } from '../context.ts';
import { UsageError } from '../errors.ts';
import { asThisProcess, noteEvent, superviseGuest } from '../guest.ts';
import { parseBootCount, parseLimits, parseRootfs } from '../program.ts';
import { makeTracing } from '../strace.ts';

export const command: Command = async (context) => {
  const { args, output } = context;
  const mode = args.text('mode') ?? 'cold';
  const count = parseBootCount(args);
  if (mode !== 'cold' || count > 1) {
    if (args.has('checkpoint')) {
      throw new UsageError('--checkpoint is for one boot from the file.');
    }
    const { bootMany } = await import('../boot-many.ts');
    return await bootMany(context, mode as 'cold' | 'warm' | 'fork', count);
  }
  const rootfs = parseRootfs(args, process.cwd());
  const tracing = makeTracing(
    { lines: args.has('strace'), summary: args.has('strace-summary') }, output);
  const start = (): Promise<Sandbox> => Sandbox.boot(args.operands[0] as string, {
    ...parseLimits(args),
    ...(rootfs === undefined ? {} : { rootfs }),
    verify: args.has('verify'),
    eager: args.has('eager'),
    without: args.list('without') as Technique[],
    ...asThisProcess,
    onEvent: noteEvent(args, output),
    ...(tracing.strace === undefined ? {} : { strace: tracing.strace }),
  });
  return await superviseGuest(start, args, output, tracing);
};
