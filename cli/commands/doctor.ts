// `catavmm doctor`: one row per check, with what to do where something is wrong. Exit code 1 when
// sandboxes cannot run here.

import { diagnose } from '../../vmm/doctor/mod.ts';
import type { Check, CheckState, Diagnosis } from '../../vmm/doctor/mod.ts';
import type { Command } from '../context.ts';
import { EXIT_NO } from '../exit-codes.ts';
import type { Colour, Output } from '../output.ts';

const marks: Readonly<Record<CheckState, [mark: string, colour: Colour]>> = {
  ok: ['✔', 'green'], bad: ['✘', 'red'], warn: ['!', 'yellow'], info: ['·', 'dim'],
};

function showCheck(check: Check, width: number, output: Output): void {
  const [mark, colour] = marks[check.state];
  output.print(`${output.paint(colour, mark)} ${check.name.padEnd(width)}  ${check.value}`);
  if (check.hint !== '') output.print(`  ${' '.repeat(width)}  → ${check.hint}`);
}

function showDiagnosis({ usable, checks }: Diagnosis, output: Output): void {
  const width = Math.max(...checks.map(({ name }) => name.length));
  let group = '';
  for (const check of checks) {
    if (check.group !== group) {
      if (group !== '') output.print('');
      group = check.group;
      output.print(output.paint('bold', group));
    }
    showCheck(check, width, output);
  }
  output.print('');
  output.print(usable ? 'Sandboxes can run here.' : 'Sandboxes cannot run here: see ✘ above.');
}

export const command: Command = async ({ output }) => {
  const diagnosis = await diagnose();
  if (output.json) output.printJson(diagnosis);
  else if (!output.quiet) showDiagnosis(diagnosis, output);
  return diagnosis.usable ? 0 : EXIT_NO;
};
