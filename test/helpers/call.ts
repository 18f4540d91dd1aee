// Makes a system call in a unit test: puts the arguments into the thread's registers and runs the
// row.
import { argsOf, REG, setReg, setRegBig } from '../../vmm/kernel/syscalls/args.ts';
import type { Family } from '../../vmm/kernel/syscalls/define.ts';
import type { TestKernel } from './kernel.ts';

const ARGUMENTS = [REG.rdi, REG.rsi, REG.rdx, REG.r10, REG.r8, REG.r9] as const;

/** Executes `name` of `family` for the test's thread; the result, -errno, or BLOCKED. */
export function call(
  t: TestKernel,
  family: Family,
  name: string,
  ...args: (number | bigint)[]
): number {
  const row = family[name];
  if (row === undefined) throw new Error(`no call ${name}`);
  ARGUMENTS.forEach((register, index) => {
    const value = args[index] ?? 0;
    if (typeof value === 'bigint') setRegBig(t.task, register, BigInt.asUintN(64, value));
    else setReg(t.task, register, value);
  });
  return row.handler(t.k, t.task, argsOf(t.task));
}
