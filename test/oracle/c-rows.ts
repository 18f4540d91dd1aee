// Rows of C programs that are compared with the host: fixtures/c/*.c print what calls return.
import { kvmMissing, needs, type RegisterTest, type Suite } from '../harness.ts';
import { compileFixture, compilerMissing, type Variant } from './compile.ts';
import { compareWithHost, type Comparison } from './oracle.ts';

export interface CRow extends Omit<Comparison, 'argv'> {
  name: string;
  args?: readonly string[];
  /** Default: dynamic. */
  variants?: readonly Variant[];
}

const one: readonly Variant[] = ['dynamic'];
export const both: readonly Variant[] = ['static', 'dynamic'];

/** Adds a test for each row and variant; returns how to add more that need the same. */
export function testPrograms(test: Suite, rows: readonly CRow[]): RegisterTest {
  const register = needs(test, kvmMissing() ?? compilerMissing());
  for (const { name, args = [], variants = one, ...rest } of rows) {
    for (const variant of variants) {
      register(`${name} (${variant}) does in the sandbox what it does on the host`, () => {
        compareWithHost({ argv: [compileFixture(name, variant), ...args], ...rest });
      }, { timeoutMs: 120_000 });
    }
  }
  return register;
}
