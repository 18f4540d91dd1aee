// Files of /proc and /sys that always say the same: what there is none of here, and settings that
// nobody changes. A directory names them in rows.
//
// Invariant: a row's number stands in saved inodes (as generatorArgument, negative, for a positive
// one would be a process) and is not reused.
import { defineGenerator, type Generator, staticDirectory } from './generated.ts';
import { GEN } from './ids.ts';

export type ConstantRow = readonly [number: number, name: string, text: string];

const texts: Map<number, string> = new Map();

/**
 * A directory with fixed children and constant files.
 * @param generator GEN.constant, GEN.setting or GEN.sysfsConstant
 */
export function directoryWith(
  children: Readonly<Record<string, number>>,
  generator: number,
  rows: readonly ConstantRow[],
): Generator {
  const { mode, child, list } = staticDirectory(children);
  const numbers = new Map<string, number>();
  for (const [number, name, text] of rows) {
    if (texts.has(number)) throw new Error(`constant ${number} is both ${name} and another`);
    texts.set(number, text);
    numbers.set(name, number);
  }
  return {
    mode,
    child: (k, argument, name) => {
      const number = numbers.get(name);
      return number === undefined
        ? child?.(k, argument, name) ?? null : { generator, argument: -number };
    },
    list: (k, argument) => [
      ...list?.(k, argument) ?? [],
      ...[...numbers].map(([name, number]) => ({ name, generator, argument: -number })),
    ],
  };
}

function textOf(argument: number): string {
  return texts.get(-argument) ?? '';
}

defineGenerator(GEN.constant, { mode: 0o100444, text: (_k, argument) => textOf(argument) });
defineGenerator(GEN.setting, { mode: 0o100644, text: (_k, argument) => textOf(argument) });
/** Linux: files of sysfs have the size of a page. */
defineGenerator(GEN.sysfsConstant, {
  mode: 0o100444, bytes: 4096, text: (_k, argument) => textOf(argument),
});
