// The generated numbers against the headers of this machine, and our own numbers' place.
import { assert, suite } from '../../harness.ts';
import { askCompiler, gccMissing } from './c-compiler.ts';
import { CATAVMM_BASE, CATAVMM_NUMBERS } from '../../../vmm/abi/catavmm.ts';
import { NR_SYSCALLS, SYSCALL_NUMBERS } from '../../../vmm/abi/syscall-numbers.ts';

const test = suite('vmm/abi/syscall-numbers');
const missing: string | undefined = gccMissing();
const againstHeaders = 'SYSCALL_NUMBERS agrees with asm/unistd_64.h';

if (missing !== undefined) {
  test.skip(againstHeaders, missing);
} else {
  test(againstHeaders, () => {
    const names = Object.keys(SYSCALL_NUMBERS);
    const answers = askCompiler(
      '#include <stdio.h>\n#include <asm/unistd_64.h>',
      names.map((name) => `#ifdef __NR_${name}\nprintf("${name} %d\\n", __NR_${name});\n#endif`),
    );
    for (const [name, nr] of answers) assert.is(SYSCALL_NUMBERS[name], nr, name);
    assert.ok(answers.size > 340, `the headers know only ${answers.size} calls`);
  });
}

test('SYSCALL_NUMBERS is in order, without a number twice', () => {
  const numbers = Object.values(SYSCALL_NUMBERS);
  assert.equal(numbers, [...new Set(numbers)].sort((a, b) => a - b));
  assert.is(numbers.at(-1), NR_SYSCALLS - 1);
  assert.is(SYSCALL_NUMBERS['clone3'], 435);
});

test('CATAVMM_NUMBERS count up from the base, clear of Linux and within an i32', () => {
  const numbers = Object.values(CATAVMM_NUMBERS);
  assert.equal(numbers, numbers.map((_, index) => CATAVMM_BASE + index));
  assert.ok(numbers.every((nr) => nr > 0xffff && nr < 2 ** 31));
});

test.run();
