// `catavmm verify`: checks every byte of an image. Exit code 1 when something is wrong.

import { checkImageFile } from '../../vmm/boot/image/verify.ts';
import type { Command } from '../context.ts';
import { EXIT_NO } from '../exit-codes.ts';
import { printable } from '../output.ts';
import { Progress } from '../progress.ts';

export const command: Command = async ({ args, output }) => {
  const image = args.operands[0] as string;
  const progress = new Progress(output);
  const findings = await checkImageFile(image, (done, total) => {
    progress.update('verify', done, total);
  }).finally(() => progress.end());
  const isGood = findings.length === 0;
  if (output.json) {
    output.printJson({ image, ok: isGood, findings });
  } else if (!isGood) {
    for (const { where, message } of findings) {
      output.print(`${output.paint('red', '✘')} ${where}: ${printable(message)}`);
    }
  } else if (!output.quiet) {
    output.print(`${output.paint('green', '✔')} ${printable(image)} is good.`);
  }
  return isGood ? 0 : EXIT_NO;
};
