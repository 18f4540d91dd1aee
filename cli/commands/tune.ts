// `catavmm tune`: boots an image a few times and rewrites it in the order they touched its memory.

import { readFileSync } from 'node:fs';
import { FuncImage } from '../../vmm/func-image.ts';
import type { Command } from '../context.ts';
import { formatCount, parseCount } from '../sizes.ts';

const BOOTS_MAX = 1000;

export const command: Command = async ({ args, output }) => {
  const boots = args.text('boots');
  const input = args.text('input');
  const requests = input === undefined ? [] : readFileSync(input, 'utf8').split('\n');
  if (requests.at(-1) === '') requests.pop();
  const result = await FuncImage.tune(args.operands[0] as string, {
    requests,
    ...(boots === undefined ? {} : { boots: parseCount(boots, '--boots', BOOTS_MAX) }),
  });
  if (output.json) {
    output.printJson(result);
    return 0;
  }
  const [hotBefore, hot] = result.hotFrames.map(formatCount);
  const [, written] = result.writeFrames.map(formatCount);
  output.note(`Tuned ${result.output} after ${formatCount(result.boots)} boots: of ` +
    `${formatCount(result.frames)} frames, ${hot} come first (before: ${hotBefore}), ` +
    `${written} of them to be written.`);
  return 0;
};
