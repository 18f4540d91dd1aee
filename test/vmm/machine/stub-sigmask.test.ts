// rt_sigprocmask in the stub: what it sets and gives back, when it leaves, pointers that it cannot
// follow, and a stop at any of its instructions.
import { assert, needsKvm, suite } from '../../harness.ts';
import { type Bench, CODE, DATA, withBench, WORD } from '../../helpers/machine-bench.ts';
import { u32 } from '../../../vmm/kernel/state/memory.ts';
import {
  classifyExit, EXIT_EXCEPTION, EXIT_SYSCALL, readException,
} from '../../../vmm/machine/exits.ts';
import { CALLS_OFFSET, MASK_GVA, PAGE } from '../../../vmm/machine/layout.ts';
import { PAGE_BYTES } from '../../../vmm/machine/paging.ts';
import {
  clearAnswers, isUserAccess, setAnswer, settleCall, STUB_CALLS, switchAnswers,
} from '../../../vmm/machine/stub-calls.ts';
import { changedMask, clearMaskPage, showMask } from '../../../vmm/machine/stub-sigmask.ts';

const test = suite('vmm/machine/stub-sigmask');
const testKvm = needsKvm(test);

const UNBLOCKABLE = 0x4_0100n;
const OLD = 0x8000_0001_0000_0ff0n & ~UNBLOCKABLE;
const SET = 0x4000_0001_0004_01f3n;
const SET_GVA: number = DATA + 0x108;
const OLD_GVA: number = DATA + 0x200;
const FLAGS = 0x8d7;
/** syscall ; mov ebx, eax ; mov eax, 231 ; syscall */
const PROGRAM = [0x0f, 0x05, 0x89, 0xc3, 0xb8, 231, 0, 0, 0, 0x0f, 0x05];
const OLD_WORDS: Uint32Array = new Uint32Array(BigUint64Array.of(OLD).buffer);

interface Call {
  how: number;
  set: number;
  old: number;
}

function withMask(body: (bench: Bench) => void): void {
  withBench((bench) => {
    setAnswer(bench.machine.tables, STUB_CALLS.indexOf('rt_sigprocmask'), 0);
    switchAnswers(bench.machine.tables, true);
    body(bench);
  });
}

/** Bytes of the data page as the guest sees it: bank frame 2. */
function dataView({ machine: { bankView } }: Bench): DataView {
  return new DataView(bankView.buffer, bankView.byteOffset + 2 * PAGE_BYTES, PAGE_BYTES);
}

function start(bench: Bench, { how, set, old }: Call, more: Record<number, number> = {}): number {
  const data = dataView(bench);
  data.setBigUint64(SET_GVA - DATA, SET, true);
  data.setBigUint64(OLD_GVA - DATA, 0x77n, true);
  showMask(bench.machine.tables, OLD_WORDS, 0);
  return bench.run(PROGRAM, {
    [WORD.rax]: 14, [WORD.rdi]: how, [WORD.rsi]: set, [WORD.rdx]: old, [WORD.r10]: 8,
    [WORD.rflags]: FLAGS, ...more,
  });
}

function expectedMask({ how, set }: Call): bigint {
  if (set === 0) return OLD;
  const wanted = how === 0 ? OLD | SET : how === 1 ? OLD & ~SET : SET;
  return wanted & ~UNBLOCKABLE;
}

/** The program is at its second call, and the first one did what it should. */
function assertDone(bench: Bench, call: Call, what: string): void {
  const { machine: { vcpu, tables }, reg } = bench;
  assert.is(classifyExit(vcpu), EXIT_SYSCALL, what);
  assert.is(reg(WORD.rax), 231, what);
  assert.is(reg(WORD.rbx), 0, what);
  assert.is(reg(WORD.rcx), CODE + PROGRAM.length, what);
  assert.is(reg(WORD.r11) & 0xcd5, FLAGS & 0xcd5, what);
  assert.is(reg(WORD.rdi), call.how, what);
  assert.is(reg(WORD.rsi), call.set, what);
  assert.is(reg(WORD.rdx), call.old, what);
  assert.is(reg(WORD.r10), 8, what);
  const mask = changedMask(tables, OLD_WORDS, 0) ?? OLD;
  assert.is(mask, expectedMask(call), what);
  const given = dataView(bench).getBigUint64(OLD_GVA - DATA, true);
  if (call.old === OLD_GVA) assert.is(given, OLD, what);
  else assert.is(given, 0x77n, what);
  const kept = call.old === SET_GVA ? OLD : SET;
  assert.is(dataView(bench).getBigUint64(SET_GVA - DATA, true), kept, what);
}

const calls: readonly Call[] = [0, 1, 2].flatMap((how) => [
  { how, set: SET_GVA, old: OLD_GVA },
  { how, set: SET_GVA, old: 0 },
  { how, set: SET_GVA, old: SET_GVA },
]).concat([{ how: 77, set: 0, old: OLD_GVA }, { how: 0, set: 0, old: 0 }]);

testKvm('it sets the mask and gives the old one back', () => {
  withMask((bench) => {
    for (const call of calls) {
      assert.is(start(bench, call), 0);
      assertDone(bench, call, JSON.stringify(call));
    }
  });
});

testKvm('it leaves with its registers when it may not answer, or does not know how', () => {
  withMask((bench) => {
    const { machine: { vcpu, tables }, reg } = bench;
    const good = calls[0] as Call;
    const leaves = (what: string, call: Call, more: Record<number, number> = {}): void => {
      assert.is(start(bench, call, more), 0, what);
      assert.is(classifyExit(vcpu), EXIT_SYSCALL, what);
      assert.is(reg(WORD.rax), 14, what);
      assert.is(reg(WORD.rcx), CODE + 2, what);
      assert.is(reg(WORD.r11) & 0xcd5, FLAGS & 0xcd5, what);
      assert.is(changedMask(tables, OLD_WORDS, 0), null, what);
      assert.is(dataView(bench).getBigUint64(OLD_GVA - DATA, true), 0x77n, what);
    };
    leaves('another size', good, { [WORD.r10]: 4 });
    leaves('a size beyond 32 bits', good, { [WORD.r10 + 1]: 1 });
    leaves('an unknown how', { ...good, how: 3 });
    leaves('a negative how', { ...good, how: 0xffff_ffff });
    leaves('a set in the kernel half', good, { [WORD.rsi + 1]: 0xffff_ffff });
    leaves('a place in the kernel half', good, { [WORD.rdx + 1]: 0xffff_ffff });
    leaves('a set that is no address', good, { [WORD.rsi + 1]: 0x8000 });
    clearAnswers(tables);
    leaves('not ready', good);
  });
});

testKvm('a pointer that it cannot follow becomes a call for the VMM, with nothing changed', () => {
  withMask((bench) => {
    const { machine: { vcpu, tables }, setLeaf } = bench;
    const good = calls[0] as Call;
    const faults = (what: string, call: Call): void => {
      assert.is(start(bench, call), 0, what);
      assert.is(classifyExit(vcpu), EXIT_EXCEPTION, what);
      const frame = readException(vcpu, tables);
      assert.ok(frame.fromUser && isUserAccess(frame.stubOffset), what);
      const words = new Uint32Array(36);
      vcpu.storeRegs(words, 0);
      settleCall(words, 0, frame.stubOffset, tables);
      assert.is(words[WORD.rax], 14, what);
      assert.is(words[WORD.rcx], CODE + 2, what);
      assert.is(words[WORD.rip], CODE, what);
      assert.is((words[WORD.r11] as number) & 0xcd5, FLAGS & 0xcd5, what);
      assert.is(changedMask(tables, OLD_WORDS, 0), null, what);
    };
    faults('an unmapped set', { ...good, set: 0x50_0000 });
    faults('an unmapped place', { ...good, old: 0x50_0000 });
    faults('a place that cannot be written', { ...good, old: CODE + 0x100 });
    faults('a set that lies half beyond its page', { ...good, set: DATA + 0xffc });
    setLeaf(DATA + PAGE_BYTES, 3, 0x8000_0000_0000_0005n);
    faults('a place that lies half in a page to be read only', { ...good, old: DATA + 0xffc });
  });
});

/** Stops at `offset` of the stub's page, if that is an instruction that is reached. */
function stopAt(bench: Bench, offset: number, call: Call): boolean {
  const { machine: { vcpu, tables } } = bench;
  const at = PAGE.stub * PAGE_BYTES + offset;
  const byte = tables.getUint8(at);
  tables.setUint8(at, 0xf4); // hlt, which is a #GP
  const errno = start(bench, call);
  tables.setUint8(at, byte);
  if (errno !== 0 || classifyExit(vcpu) !== EXIT_EXCEPTION) return false;
  const frame = readException(vcpu, tables);
  return frame.vector === 13 && frame.stubOffset === offset;
}

testKvm('stopped at any of its instructions, it is done once in the end', () => {
  withMask((bench) => {
    const { machine: { vcpu, tables }, regs } = bench;
    const words = regs.address >> 2;
    for (const call of calls) {
      let stops = 0;
      for (let offset = CALLS_OFFSET; offset < 0xa00; offset++) {
        if (!stopAt(bench, offset, call)) continue;
        stops++;
        const { rsp } = readException(vcpu, tables);
        settleCall(u32, words, offset, tables);
        u32[words + WORD.rsp] = rsp;
        vcpu.loadRegs(u32, words);
        // A time slice that ends, as the run loop sees it: the mask goes into the record and back.
        const mask = changedMask(tables, OLD_WORDS, 0) ?? OLD;
        showMask(tables, new Uint32Array(BigUint64Array.of(mask).buffer), 0);
        assert.is(vcpu.enter(), 0);
        vcpu.storeRegs(u32, words);
        assertDone(bench, call, `${JSON.stringify(call)}, stopped at ${offset}`);
      }
      assert.ok(stops > 30, `${stops} stops`);
    }
  });
});

testKvm('a program reads no more in the mask page than what is its own', () => {
  withMask((bench) => {
    const { machine: { tables }, run, reg } = bench;
    start(bench, calls[0] as Call);
    showMask(tables, OLD_WORDS, 0);
    const low = Number(MASK_GVA & 0xffff_ffffn);
    const address = (offset: number): number[] =>
      [0, 8, 16, 24].map((shift) => ((low + offset) >>> shift) & 0xff);
    for (const offset of [8, 12, 16, 20]) {
      run([0x8b, 0x1c, 0x25, ...address(offset), 0x0f, 0x05]);
      assert.is(reg(WORD.rbx), 0, `offset ${offset}`);
    }
    run([0x89, 0x04, 0x25, ...address(0x800), 0x0f, 0x05], { [WORD.rax]: 0x5a5a });
    assert.is(tables.getUint32(PAGE.mask * PAGE_BYTES + 0x800, true), 0x5a5a);
    clearMaskPage(tables);
    assert.is(tables.getUint32(PAGE.mask * PAGE_BYTES + 0x800, true), 0, 'not for the next guest');
    run([0x48, 0xc7, 0xc3, ...address(0), 0xff, 0xe3]);
    assert.is(readException(bench.machine.vcpu, tables).vector, 14, 'no execution');
  });
});

test.run();
