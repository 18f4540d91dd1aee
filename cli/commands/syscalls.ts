// `catavmm syscalls`: the guest kernel's table of system calls.

import { errnoName } from '../../vmm/abi/errno.ts';
import { describeSyscalls } from '../../vmm/kernel/syscalls/table.ts';
import type { SyscallInfo } from '../../vmm/kernel/syscalls/table.ts';
import type { Command } from '../context.ts';
import { suggest, UsageError } from '../errors.ts';
import type { Colour } from '../output.ts';
import { formatTable } from '../output.ts';

const colours: Readonly<Record<SyscallInfo['support'], Colour>> = {
  full: 'green', partial: 'yellow', missing: 'red',
};

/** Calls of one family, or all. @throws UsageError */
export function selectFamily(
  calls: readonly SyscallInfo[], family: string | undefined,
): readonly SyscallInfo[] {
  if (family === undefined) return calls;
  const found = calls.filter((call) => call.family === family);
  if (found.length > 0) return found;
  const families = [...new Set(calls.map((call) => call.family))].sort();
  const meant = suggest(family, families);
  const hint = meant === undefined ? `There are ${families.join(', ')}.` : `Did you mean ${meant}?`;
  throw new UsageError(`There is no family "${family}".`, hint);
}

export const command: Command = ({ args, output }) => {
  const calls = selectFamily(describeSyscalls(), args.text('family'));
  if (output.json) {
    const named = calls.map(({ errno, ...rest }) => {
      return { ...rest, errno: errno === 0 ? null : errnoName(errno) };
    });
    output.printJson(named);
    return 0;
  }
  const rows = calls.map(({ nr, name, family, support, errno, note, template }) => {
    const answer = errno === 0 ? note : `${errnoName(errno)} ${note}`;
    return [String(nr), name, family, support, template, answer];
  });
  const head = ['nr', 'name', 'family', 'support', 'template', 'note'];
  const [title = '', ...body] = formatTable([head, ...rows], [0]).split('\n');
  output.print(output.paint('bold', title));
  calls.forEach(({ support }, index) => {
    const line = body[index] as string;
    output.print(line.replace(` ${support} `, ` ${output.paint(colours[support], support)} `));
  });
  const count = (support: string): number => {
    return calls.filter((call) => call.support === support).length;
  };
  output.print(`${count('full')} full, ${count('partial')} partial, ${count('missing')} missing`);
  return 0;
};
