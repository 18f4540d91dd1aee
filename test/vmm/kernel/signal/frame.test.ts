// Signal frames both ways: what a handler finds, what rt_sigreturn gives back, what it refuses.
import { EINTR } from '../../../../vmm/abi/errno.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_NONE } from '../../../../vmm/abi/mman.ts';
import {
  SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART, SA_RESTORER, SA_SIGINFO, SEGV_MAPERR,
  SI_KERNEL, SI_QUEUE, SI_TKILL, SI_USER, SIGFPE, SIGSEGV, SIGUSR1, SIGUSR2, SS_AUTODISARM,
  SS_DISABLE, SS_ONSTACK,
} from '../../../../vmm/abi/signal.ts';
import {
  Fpstate, FP_XSTATE_MAGIC1, FP_XSTATE_MAGIC2, RtSigframe, Sigcontext, Siginfo, SiginfoFault,
  StackT, Ucontext,
} from '../../../../vmm/abi/struct-signal.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import type { Task } from '../../../../vmm/kernel/records/task.ts';
import { TASK_DEAD } from '../../../../vmm/kernel/records/task.ts';
import { handlerOf } from '../../../../vmm/kernel/signal/actions.ts';
import { deliverSignals, forceSignal } from '../../../../vmm/kernel/signal/deliver.ts';
import { setMask } from '../../../../vmm/kernel/signal/mask.ts';
import { makeInfo, sendSignalToTask } from '../../../../vmm/kernel/signal/pending.ts';
import { signalBit } from '../../../../vmm/kernel/signal/set.ts';
import { getReg, getRegBig, REG, setReg, setRegBig } from '../../../../vmm/kernel/syscalls/args.ts';
import { BLOCKED } from '../../../../vmm/kernel/syscalls/define.ts';
import { assert, seededRandom, suite } from '../../../harness.ts';
import { AFTER_SYSCALL, type Guest, MEMORY, STACK, withGuest } from '../task/guest.ts';

const test = suite('vmm/kernel/signal/frame');
const HANDLER = 0x50_0000;
const RESTORER = 0x50_1000;
const SCRATCH = MEMORY + 0x800;
const UC = RtSigframe.uc.offset;
const CONTEXT = UC + Ucontext.uc_mcontext.offset;
const INFO = RtSigframe.info.offset;

function handle(g: Guest, signal: number, flags: number, mask: bigint = 0n): void {
  g.poke64(SCRATCH, HANDLER);
  g.poke64(SCRATCH + 8, (flags | SA_RESTORER) >>> 0);
  g.poke64(SCRATCH + 16, RESTORER);
  g.poke64(SCRATCH + 24, mask);
  assert.is(g.call('rt_sigaction', [signal, SCRATCH, 0, 8]), 0);
}

function raise(g: Guest, signal: number, task: Task = g.task): boolean {
  sendSignalToTask(g.k, task, makeInfo(signal, SI_TKILL, 1, 0));
  return deliverSignals(g.k, task);
}

/** The handler returns: `ret` to the restorer, which calls rt_sigreturn. */
function leaveHandler(g: Guest): void {
  setReg(g.task, REG.rsp, getReg(g.task, REG.rsp) + 8);
  g.call('rt_sigreturn', []);
}

function fillRegs(g: Guest, seed: number): void {
  const random = seededRandom(seed);
  for (const [name, offset] of Object.entries(REG)) {
    if (name === 'rsp' || name === 'rip' || name === 'rflags') continue;
    const high = BigInt(random.int(0, 2 ** 32 - 1));
    setRegBig(g.task, offset, high << 32n | BigInt(random.int(0, 2 ** 32 - 1)));
  }
  setReg(g.task, REG.rip, 0x40_2000);
  setReg(g.task, REG.rsp, STACK - 0x4008);
  setRegBig(g.task, REG.rflags, 0x202n | 0xcd5n);
}

test('deliverSignals() and rt_sigreturn() give back every register, the mask and the FPU',
  withGuest((g) => {
  handle(g, SIGUSR1, SA_SIGINFO);
  setMask(g.k, g.task, signalBit(SIGUSR2));
  fillRegs(g, 7);
  const area = g.k.ports.fpu.read();
  const random = seededRandom(9);
  for (let at = 32; at < 416; at++) area[at] = random.int(0, 255);
  for (let at = 576; at < area.length; at++) area[at] = random.int(0, 255);
  const areaView = new DataView(area.buffer);
  areaView.setUint16(0, 0x27f, true);
  areaView.setUint32(24, 0x1fa0, true);
  areaView.setUint32(28, 0xffff, true);
  areaView.setBigUint64(512, 7n, true);
  const before = g.task.regs.slice();
  const fpuBefore = area.slice();
  assert.is(raise(g, SIGUSR1), true);

  const rsp = getReg(g.task, REG.rsp);
  assert.is(rsp % 16, 8, 'aligned as after a call');
  assert.is(getReg(g.task, REG.rip), HANDLER);
  assert.is(getReg(g.task, REG.rdi), SIGUSR1);
  assert.is(getReg(g.task, REG.rsi), rsp + INFO);
  assert.is(getReg(g.task, REG.rdx), rsp + UC);
  assert.is(getReg(g.task, REG.rax), 0);
  assert.is(getRegBig(g.task, REG.rflags) & 0x1_0500n, 0n, 'TF, DF and RF are clear');
  assert.is(g.peek64(rsp), RESTORER);
  assert.is(g.task.mask, signalBit(SIGUSR1) | signalBit(SIGUSR2));
  const frame = g.peek(rsp, RtSigframe.bytes);
  const fpu = Sigcontext.fpstate.get(frame, CONTEXT);
  assert.is(fpu % 64, 0);
  assert.ok(fpu + area.length + 4 <= STACK - 0x4008 - 128, 'the red zone is left alone');
  assert.is(Ucontext.uc_flags.get(frame, UC), 7n);
  assert.is(Ucontext.uc_sigmask.get(frame, UC), signalBit(SIGUSR2));
  assert.is(Sigcontext.cs.get(frame, CONTEXT), 0x33);
  assert.is(Sigcontext.ss.get(frame, CONTEXT), 0x2b);
  assert.is(Siginfo.si_signo.get(frame, INFO), SIGUSR1);
  assert.is(Siginfo.si_code.get(frame, INFO), SI_TKILL);
  assert.is(Siginfo.si_pid.get(frame, INFO), 1);
  const image = g.peek(fpu, area.length + 4);
  assert.is(Fpstate.magic1.get(image, 0), FP_XSTATE_MAGIC1);
  assert.is(Fpstate.xstate_size.get(image, 0), area.length);
  assert.is(Fpstate.extended_size.get(image, 0), area.length + 4);
  assert.is(Fpstate.xfeatures.get(image, 0), 7n);
  assert.is(image.getUint32(area.length, true), FP_XSTATE_MAGIC2);

  area.fill(0x55);
  areaView.setUint32(28, 0xffff, true);
  setRegBig(g.task, REG.r12, 1n);
  leaveHandler(g);
  assert.equal(g.task.regs.slice(), before);
  assert.equal(g.k.ports.fpu.read(), fpuBefore);
  assert.is(g.task.mask, signalBit(SIGUSR2));
}));

test('rt_sigreturn() takes over what the handler changed, but no forbidden flag', withGuest((g) => {
  handle(g, SIGUSR1, 0);
  fillRegs(g, 3);
  raise(g, SIGUSR1);
  const rsp = getReg(g.task, REG.rsp);
  const at = rsp + CONTEXT;
  g.poke64(at + Sigcontext.rip.offset, 0x12_3456);
  g.poke64(at + Sigcontext.rax.offset, -77);
  g.poke64(at + Sigcontext.eflags.offset, -1);
  g.poke64(rsp + UC + Ucontext.uc_sigmask.offset, -1);
  leaveHandler(g);
  assert.is(getReg(g.task, REG.rip), 0x12_3456);
  assert.is(getRegBig(g.task, REG.rax), BigInt.asUintN(64, -77n));
  // IOPL, NT, VM, VIF, VIP stay clear; IF and bit 1 are set.
  assert.is(getRegBig(g.task, REG.rflags), 0x4_0dd5n | 0x202n);
  assert.is(g.task.mask & (signalBit(9) | signalBit(19)), 0n,
    'SIGKILL and SIGSTOP cannot be blocked');
}));

test('rt_sigreturn() ends in SIGSEGV for a bad frame', withGuest((g) => {
  const spoil: [string, (at: number) => void][] = [
    ['rip is no user address', (at) => g.poke64(at + CONTEXT + Sigcontext.rip.offset, 2n ** 63n)],
    ['rip is not canonical', (at) => g.poke64(at + CONTEXT + Sigcontext.rip.offset, 2n ** 50n)],
    ['fpstate is not mapped', (at) => g.poke64(at + CONTEXT + Sigcontext.fpstate.offset, 0x1000)],
    ['MXCSR has a reserved bit', (at) => g.poke32(fpuOf(g, at) + 24, 0x8001_1f80)],
    ['XSTATE_BV has an unknown component', (at) => g.poke64(fpuOf(g, at) + 512, 0x27)],
    ['the XSAVE header has a reserved byte', (at) => g.poke64(fpuOf(g, at) + 520, 1)],
  ];
  for (const [what, act] of spoil) {
    handle(g, SIGUSR1, SA_NODEFER);
    handle(g, SIGSEGV, SA_NODEFER);
    fillRegs(g, 5);
    raise(g, SIGUSR1);
    act(getReg(g.task, REG.rsp));
    leaveHandler(g);
    assert.is(getReg(g.task, REG.rip), HANDLER, what);
    assert.is(getReg(g.task, REG.rdi), SIGSEGV, what);
    setMask(g.k, g.task, 0n);
  }
  setReg(g.task, REG.rsp, 0x2000);
  g.call('rt_sigaction', [SIGSEGV, 0, 0, 8]);
  g.poke64(SCRATCH, 0);
  g.call('rt_sigaction', [SIGSEGV, SCRATCH, 0, 8]);
  setReg(g.task, REG.rsp, 0x2000);
  g.call('rt_sigreturn', []);
  assert.is(g.process.exitSignal, SIGSEGV);
}));

function fpuOf(g: Guest, frame: number): number {
  return g.peek64(frame + CONTEXT + Sigcontext.fpstate.offset);
}

test('rt_sigreturn() restores legacy state only when the software bytes are gone',
  withGuest((g) => {
  handle(g, SIGUSR1, 0);
  fillRegs(g, 1);
  raise(g, SIGUSR1);
  const fpu = fpuOf(g, getReg(g.task, REG.rsp));
  g.poke32(fpu + Fpstate.magic1.offset, 0);
  g.poke32(fpu + 576, 0x1234_5678);
  g.poke32(fpu + 160, 0x7777_7777);
  leaveHandler(g);
  const area = new DataView(g.k.ports.fpu.read().buffer);
  assert.is(area.getUint32(160, true), 0x7777_7777, 'xmm0 came from the frame');
  assert.is(area.getUint32(576, true), 0, 'AVX is initial');
  assert.is(area.getBigUint64(512, true), 3n);
}));

test('deliverSignals() uses the alternate stack only with SA_ONSTACK, and once', withGuest((g) => {
  const alt = MEMORY + 0x1_0000;
  setStack(g, alt, 0x4000, 0);
  handle(g, SIGUSR1, 0);
  fillRegs(g, 2);
  raise(g, SIGUSR1);
  assert.ok(getReg(g.task, REG.rsp) > STACK - 0x8000);
  leaveHandler(g);
  handle(g, SIGUSR2, SA_ONSTACK | SA_NODEFER);
  fillRegs(g, 2);
  raise(g, SIGUSR2);
  const first = getReg(g.task, REG.rsp);
  assert.ok(first > alt && first < alt + 0x4000);
  assert.is(stackOf(g).flags, SS_ONSTACK);
  setReg(g.task, REG.rsp, first);
  assert.is(setStack(g, alt, 0x8000, 0), -1, 'EPERM: it is in use');
  setReg(g.task, REG.rsp, first);
  raise(g, SIGUSR2);
  const second = getReg(g.task, REG.rsp);
  assert.ok(second < first && second > alt, 'a nested handler goes on below');
  setReg(g.task, REG.rsp, alt + 0x200);
  assert.is(raise(g, SIGUSR2), false, 'no room left: SIGSEGV, whose default action is the end');
  assert.is(g.process.exitSignal, SIGSEGV);
}));

function setStack(g: Guest, gva: number, bytes: number, flags: number): number {
  g.poke64(SCRATCH, gva);
  g.poke64(SCRATCH + 8, flags);
  g.poke64(SCRATCH + 16, bytes);
  return g.call('sigaltstack', [SCRATCH, 0]);
}

function stackOf(g: Guest): { gva: number; flags: number; bytes: number } {
  assert.is(g.call('sigaltstack', [0, SCRATCH]), 0);
  const view = g.peek(SCRATCH, StackT.bytes);
  return {
    gva: StackT.ss_sp.get(view, 0),
    flags: StackT.ss_flags.get(view, 0) >>> 0,
    bytes: StackT.ss_size.get(view, 0),
  };
}

test('sigaltstack() checks its arguments, SS_AUTODISARM disarms during a handler',
  withGuest((g) => {
  const alt = MEMORY + 0x1_0000;
  assert.equal(stackOf(g), { gva: 0, flags: SS_DISABLE, bytes: 0 });
  assert.is(setStack(g, alt, 2047, 0), -12);
  assert.is(setStack(g, alt, 4096, 4), -22);
  assert.is(setStack(g, alt, 0x4000, SS_AUTODISARM), 0);
  assert.equal(stackOf(g), { gva: alt, flags: SS_AUTODISARM, bytes: 0x4000 });
  handle(g, SIGUSR1, SA_ONSTACK);
  fillRegs(g, 4);
  raise(g, SIGUSR1);
  const rsp = getReg(g.task, REG.rsp);
  assert.ok(rsp > alt && rsp < alt + 0x4000);
  assert.equal(stackOf(g), { gva: 0, flags: SS_DISABLE, bytes: 0 });
  setReg(g.task, REG.rsp, rsp);
  leaveHandler(g);
  assert.equal(stackOf(g), { gva: alt, flags: SS_AUTODISARM, bytes: 0x4000 });
}));

test('deliverSignals() applies sa_mask, SA_NODEFER and SA_RESETHAND', withGuest((g) => {
  handle(g, SIGUSR1, SA_NODEFER | SA_RESETHAND, signalBit(SIGUSR2) | signalBit(9));
  fillRegs(g, 6);
  raise(g, SIGUSR1);
  assert.is(g.task.mask, signalBit(SIGUSR2));
  assert.is(handlerOf(g.process, SIGUSR1), 0);
}));

test('deliverSignals() nests handlers of signals that arrive together, lowest number outermost',
  withGuest((g) => {
  handle(g, SIGUSR1, 0);
  handle(g, SIGUSR2, 0);
  fillRegs(g, 8);
  const before = g.task.regs.slice();
  sendSignalToTask(g.k, g.task, makeInfo(SIGUSR2, SI_USER));
  raise(g, SIGUSR1);
  assert.is(getReg(g.task, REG.rdi), SIGUSR2);
  leaveHandler(g);
  assert.is(getReg(g.task, REG.rip), HANDLER);
  assert.is(getReg(g.task, REG.rdi), SIGUSR1);
  leaveHandler(g);
  assert.equal(g.task.regs.slice(), before);
}));

test('deliverSignals() ends the process when SIGSEGV has no stack, is blocked or ignored', () => {
  const rows: [string, (g: Guest) => void][] = [
    ['no stack', (g) => {
      handle(g, SIGSEGV, 0);
      setReg(g.task, REG.rsp, 0x3000);
    }],
    ['blocked', (g) => {
      handle(g, SIGSEGV, 0);
      setMask(g.k, g.task, signalBit(SIGSEGV));
    }],
    ['ignored', (g) => {
      g.poke64(SCRATCH, 1);
      g.poke64(SCRATCH + 8, 0);
      g.call('rt_sigaction', [SIGSEGV, SCRATCH, 0, 8]);
    }],
    ['no restorer', (g) => {
      g.poke64(SCRATCH, HANDLER);
      g.poke64(SCRATCH + 8, 0);
      g.call('rt_sigaction', [SIGSEGV, SCRATCH, 0, 8]);
    }],
  ];
  for (const [what, prepare] of rows) {
    withGuest((g) => {
      prepare(g);
      forceSignal(g.k, g.task, SIGSEGV, SEGV_MAPERR, 0x1234);
      assert.is(deliverSignals(g.k, g.task), false, what);
      assert.is(g.process.exitSignal, SIGSEGV, what);
      assert.is(g.task.state, TASK_DEAD, what);
    })();
  }
});

test('deliverSignals() turns a frame that cannot be written into SIGSEGV on the alternate stack',
  withGuest((g) => {
  setStack(g, MEMORY + 0x1_0000, 0x4000, 0);
  handle(g, SIGUSR1, 0);
  handle(g, SIGSEGV, SA_ONSTACK | SA_SIGINFO);
  const guard = mapRegion(g.k, {
    gva: MEMORY + 0x40_0000, bytes: 0x1000, prot: PROT_NONE,
    flags: MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
  });
  setReg(g.task, REG.rsp, guard + 0x1000);
  assert.is(raise(g, SIGUSR1), true);
  assert.is(getReg(g.task, REG.rdi), SIGSEGV);
  const frame = g.peek(getReg(g.task, REG.rsp), RtSigframe.bytes);
  assert.is(Siginfo.si_code.get(frame, INFO), SI_KERNEL);
}));

test('forceSignal() tells the handler address, vector and error code', withGuest((g) => {
  handle(g, SIGSEGV, SA_SIGINFO);
  forceSignal(g.k, g.task, SIGSEGV, SEGV_MAPERR, 0x7fff_1234_5678, 6);
  deliverSignals(g.k, g.task);
  const frame = g.peek(getReg(g.task, REG.rsp), RtSigframe.bytes);
  assert.is(SiginfoFault.si_addr.get(frame, INFO), 0x7fff_1234_5678n);
  assert.is(Sigcontext.trapno.get(frame, CONTEXT), 14n);
  assert.is(Sigcontext.err.get(frame, CONTEXT), 6n);
  assert.is(Sigcontext.cr2.get(frame, CONTEXT), 0x7fff_1234_5678n);
}));

test('forceSignal() tells addresses of the kernel\'s half exactly', withGuest((g) => {
  handle(g, SIGSEGV, SA_SIGINFO);
  forceSignal(g.k, g.task, SIGSEGV, SEGV_MAPERR, -1, 5);
  deliverSignals(g.k, g.task);
  const frame = g.peek(getReg(g.task, REG.rsp), RtSigframe.bytes);
  assert.is(SiginfoFault.si_addr.get(frame, INFO), 2n ** 64n - 1n);
  assert.is(Sigcontext.cr2.get(frame, CONTEXT), 2n ** 64n - 1n);
}));

test('deliverSignals() takes a fault before other signals', withGuest((g) => {
  handle(g, SIGFPE, 0);
  handle(g, 1, 0);
  forceSignal(g.k, g.task, SIGFPE, 1, 0);
  sendSignalToTask(g.k, g.task, makeInfo(1, SI_USER));
  deliverSignals(g.k, g.task);
  assert.is(getReg(g.task, REG.rdi), 1, 'the innermost handler came last');
  leaveHandler(g);
  assert.is(getReg(g.task, REG.rdi), SIGFPE);
}));

test('rt_sigqueueinfo() carries all 64 bits of a value', withGuest((g) => {
  handle(g, 40, SA_SIGINFO);
  g.poke64(SCRATCH, 40);
  g.poke32(SCRATCH + 8, SI_QUEUE);
  g.poke64(SCRATCH + 16, 1);
  g.poke64(SCRATCH + 24, 0xdead_beef_1234_5679n);
  assert.is(g.call('rt_sigqueueinfo', [g.process.pid, 40, SCRATCH]), 0);
  const frame = g.peek(getReg(g.task, REG.rsp), RtSigframe.bytes);
  assert.is(Siginfo.si_value.get(frame, INFO), 0xdead_beef_1234_5679n);
}));

test('pause() restarts, is restarted or fails by the handler', withGuest((g) => {
  handle(g, SIGUSR1, SA_RESTART);
  assert.is(g.call('pause', []), BLOCKED);
  sendSignalToTask(g.k, g.task, makeInfo(SIGUSR1, SI_USER));
  g.resume(g.task);
  const rsp = getReg(g.task, REG.rsp);
  assert.is(g.peek64(rsp + CONTEXT + Sigcontext.rax.offset), -EINTR,
    'ERESTARTNOHAND: never with a handler');
  assert.is(g.peek64(rsp + CONTEXT + Sigcontext.rip.offset), AFTER_SYSCALL);
}));

test.run();
