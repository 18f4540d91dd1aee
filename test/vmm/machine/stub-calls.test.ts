// Calls that the stub answers: what they leave of the registers, when they leave to the VMM, and
// what becomes of a program that is interrupted in there, or has jumped there.
import { assert, needsKvm, suite } from '../../harness.ts';
import { type Bench, CODE, DATA, withBench, WORD } from '../../helpers/machine-bench.ts';
import { SYSCALL_NUMBERS } from '../../../vmm/abi/syscall-numbers.ts';
import { EINTR } from '../../../vmm/abi/errno.ts';
import { eatSliceSignal, setSliceInterval } from '../../../vmm/host/slice-timer.ts';
import {
  classifyExit, EXIT_EXCEPTION, EXIT_FAILED, EXIT_SYSCALL, isInStub, readException,
} from '../../../vmm/machine/exits.ts';
import { ANSWERS_GVA, CALLS_OFFSET, PAGE, STUB_GVA } from '../../../vmm/machine/layout.ts';
import { PAGE_BYTES } from '../../../vmm/machine/paging.ts';
import {
  clearAnswers, leaveStub, setAnswer, STUB_CALLS, switchAnswers,
} from '../../../vmm/machine/stub-calls.ts';

const test = suite('vmm/machine/stub-calls');
const testKvm = needsKvm(test);

const GETPID = 39;
const STUB_LOW = Number(STUB_GVA & 0xffff_ffffn);
const STUB_HIGH = Number(STUB_GVA >> 32n);
/** CF, PF, AF, ZF, SF, OF. */
const ARITHMETIC = [0x1, 0x4, 0x10, 0x40, 0x80, 0x800] as const;
/** mov eax, nr ; syscall ; mov edx, eax ; mov eax, 231 ; syscall */
function askAndLeave(nr: number): number[] {
  return [
    0xb8, nr & 0xff, nr >> 8, 0, 0, 0x0f, 0x05, 0x89, 0xc2, 0xb8, 231, 0, 0, 0, 0x0f, 0x05,
  ];
}

function withAnswers(body: (bench: Bench) => void): void {
  withBench((bench) => {
    STUB_CALLS.forEach((_name, index) => setAnswer(bench.machine.tables, index, 1000 + index));
    switchAnswers(bench.machine.tables, true);
    body(bench);
  });
}

testKvm('each call gets its own answer and the program goes on', () => {
  withAnswers(({ machine, run, reg }) => {
    STUB_CALLS.forEach((name, index) => {
      if (name === 'rt_sigprocmask') return;
      assert.is(run(askAndLeave(SYSCALL_NUMBERS[name] as number)), 0);
      assert.is(classifyExit(machine.vcpu), EXIT_SYSCALL, name);
      assert.is(reg(WORD.rax), 231, name);
      assert.is(reg(WORD.rdx), 1000 + index, name);
    });
  });
});

testKvm('an answer changes no register but rax, rcx and r11, and no flag', () => {
  withAnswers(({ run, reg }) => {
    const others = [WORD.rbx, WORD.rsi, WORD.rdi, WORD.rbp, WORD.r10, 16, 18, 24, 26, 28, 30];
    const values = Object.fromEntries(others.map((word) => [word, 0x5000 + word]));
    for (let set = 0; set < 64; set++) {
      const flags = ARITHMETIC.reduce((sum, bit, i) => sum + (set >> i & 1) * bit, 0x202);
      run(askAndLeave(GETPID), { ...values, [WORD.rflags]: flags });
      assert.is(reg(WORD.r11), flags, 'flags at the second call');
      for (const word of others) assert.is(reg(word), 0x5000 + word, `word ${word}`);
      assert.is(reg(WORD.rsp), DATA + 0xff0);
    }
    // mov eax, 39 ; syscall ; mov rsi, rcx ; mov rdi, r11 ; mov eax, 231 ; syscall
    run([0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0x48, 0x89, 0xce, 0x4c, 0x89, 0xdf, 0xb8, 231, 0, 0, 0,
      0x0f, 0x05]);
    assert.is(reg(WORD.rsi), CODE + 7, 'rcx: the address behind the call');
    assert.is(reg(WORD.rdi) & 0xcd5, 0, 'r11: the flags');
  });
});

testKvm('a call leaves when it is off, has no answer, or with flags that jumps do not keep', () => {
  withAnswers(({ machine, run, reg }) => {
    const leaves = (what: string, registers: Record<number, number> = {}): void => {
      assert.is(run(askAndLeave(GETPID), registers), 0, what);
      assert.is(classifyExit(machine.vcpu), EXIT_SYSCALL, what);
      assert.is(reg(WORD.rax), GETPID, what);
      assert.is(reg(WORD.rcx), CODE + 7, what);
    };
    for (const [name, bit] of [['DF', 0x400], ['AC', 0x4_0000]] as const) {
      leaves(name, { [WORD.rflags]: 0x202 | bit });
      assert.is(reg(WORD.r11) & bit, bit, name);
    }
    // mov rax, 0x100000027 ; syscall: Linux looks at the low half, the stub at all of it.
    run([0x48, 0xb8, 39, 0, 0, 0, 1, 0, 0, 0, 0x0f, 0x05]);
    assert.is(reg(WORD.rcx), CODE + 12);
    setAnswer(machine.tables, STUB_CALLS.indexOf('getpid'), null);
    leaves('no answer');
    setAnswer(machine.tables, STUB_CALLS.indexOf('getpid'), 1);
    switchAnswers(machine.tables, false);
    leaves('off');
    switchAnswers(machine.tables, true);
    clearAnswers(machine.tables);
    leaves('cleared');
  });
});

testKvm('a program that only asks is interrupted, and makes its call again', () => {
  withAnswers(({ machine, run }) => {
    const { vcpu } = machine;
    let inside = 0;
    setSliceInterval(2);
    try {
      // mov eax, 39 ; mov r8, rax ; syscall ; jmp back to the mov
      const loop = [0xb8, 39, 0, 0, 0, 0x49, 0x89, 0xc0, 0x0f, 0x05, 0xeb, 0xf4];
      for (let round = 0; round < 40; round++) {
        assert.is(run(loop), EINTR);
        eatSliceSignal();
        if (!isInStub(vcpu) || !leaveStub(vcpu, machine.tables)) continue;
        inside++;
        const words = new Uint32Array(36);
        vcpu.storeRegs(words, 0);
        assert.is(words[WORD.rip], CODE + 8);
        assert.is(words[WORD.rip + 1], 0);
        assert.is(words[WORD.rax], 39);
      }
    } finally {
      setSliceInterval(0);
    }
    assert.ok(inside > 0, 'none of the slices ended in the stub');
  });
});

testKvm('leaveStub() makes the call undone wherever it was, or says that it is over', () => {
  withAnswers(({ machine: { vcpu, tables } }) => {
    const words = new Uint32Array(36);
    const at = (offset: number): Uint32Array => {
      words.fill(0);
      words.set([0x1234, 0], WORD.rax);
      words.set([0x40_0001, 0x7f], WORD.rcx);
      words.set([0x246, 0], WORD.r11);
      words.set([STUB_LOW + offset, STUB_HIGH], WORD.rip);
      vcpu.loadRegs(words, 0);
      const left = leaveStub(vcpu, tables);
      vcpu.storeRegs(words, 0);
      return left ? words : new Uint32Array(0);
    };
    // What rt_sigprocmask keeps there: rcx and r11.
    const page = PAGE.mask * PAGE_BYTES;
    [0, 0, 0x40_0001, 0x7f, 0x246, 0].forEach((word, i) =>
      tables.setUint32(page + i * 4, word, true));
    for (const offset of [0, 2, 0x100, 0x102, 0x2f2]) assert.is(at(offset).length, 0);
    const seen: Set<number> = new Set();
    for (let offset = CALLS_OFFSET; offset < 0x1000; offset++) {
      const result = at(offset);
      const isOver = result[WORD.rax] === 0;
      assert.is(result[WORD.rip], isOver ? 0x40_0001 : 0x3f_ffff, `offset ${offset}`);
      assert.is(result[WORD.rip + 1], 0x7f);
      assert.is((result[WORD.rflags] as number) & 0xcd5, 0x44);
      seen.add(result[WORD.rax] as number);
    }
    for (const name of STUB_CALLS) assert.ok(seen.has(SYSCALL_NUMBERS[name] as number), name);
    assert.ok(seen.has(0x1234), 'which call it is, is not known yet');
    words[WORD.rip] = CODE;
    words[WORD.rip + 1] = 0;
    vcpu.loadRegs(words, 0);
    assert.is(leaveStub(vcpu, tables), false, 'it is not in there');
  });
});

testKvm('a program that jumps into the stub is where it was, or is stopped', () => {
  withAnswers(({ machine, run }) => {
    const { vcpu } = machine;
    setSliceInterval(2);
    try {
      for (let offset = 0; offset < 0x1000; offset += offset < CALLS_OFFSET + 0x400 ? 1 : 61) {
        // mov rbx, STUB + offset ; mov rcx, rbx ; mov r11d, 0x202 ; jmp rbx: and back there again
        const low = STUB_LOW + offset;
        const bytes = [low, low >> 8, low >> 16, low >>> 24].map((byte) => byte & 0xff);
        const errno = run([0x48, 0xc7, 0xc3, ...bytes, 0x48, 0x89, 0xd9, 0x41, 0xbb, 2, 2, 0, 0,
          0xff, 0xe3], { [WORD.rax]: DATA });
        if (errno !== 0) {
          assert.is(errno, EINTR);
          eatSliceSignal();
          // Nobody enters it again as it is: it would never come back.
          if (isInStub(vcpu) && offset >= CALLS_OFFSET) assert.ok(leaveStub(vcpu, machine.tables));
          continue;
        }
        assert.ok(classifyExit(vcpu) !== EXIT_FAILED, `offset ${offset}`);
      }
    } finally {
      setSliceInterval(0);
    }
  });
});

testKvm('a program reads its answers and cannot write them', () => {
  withAnswers(({ machine, run, reg }) => {
    const low = Number(ANSWERS_GVA & 0xffff_ffffn);
    const address = [low & 0xff, (low >> 8) & 0xff, (low >> 16) & 0xff, low >>> 24];
    run([0x8b, 0x14, 0x25, ...address, 0x0f, 0x05]);
    assert.is(reg(WORD.rdx), 1000);
    // mov [answer page], eax
    assert.is(run([0x89, 0x04, 0x25, ...address]), 0);
    assert.is(classifyExit(machine.vcpu), EXIT_EXCEPTION);
    assert.is(readException(machine.vcpu, machine.tables).vector, 14);
    assert.is(run([0x48, 0xc7, 0xc3, ...address, 0xff, 0xe3]), 0);
    assert.is(readException(machine.vcpu, machine.tables).vector, 14, 'no execution');
  });
});

test.run();
