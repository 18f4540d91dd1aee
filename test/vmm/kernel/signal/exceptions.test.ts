// Exceptions as signals, by vector.
import {
  BUS_ADRALN, FPE_FLTDIV, FPE_FLTINV, FPE_FLTOVF, FPE_FLTRES, FPE_FLTUND, FPE_INTDIV, ILL_ILLOPN,
  SI_KERNEL, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGTRAP, TRAP_TRACE,
} from '../../../../vmm/abi/signal.ts';
import { dequeueSignal } from '../../../../vmm/kernel/signal/pending.ts';
import { signalOfException } from '../../../../vmm/kernel/signal/exceptions.ts';
import { SIGNAL_BITS } from '../../../../vmm/kernel/signal/set.ts';
import { assert, suite } from '../../../harness.ts';
import { withGuest } from '../task/guest.ts';

const test = suite('vmm/kernel/signal/exceptions');
const RIP = 0x40_5678;

test('signalOfException() gives each vector the signal Linux does', withGuest((g) => {
  const rows: [vector: number, signal: number, code: number, address: number][] = [
    [0, SIGFPE, FPE_INTDIV, RIP],
    [1, SIGTRAP, TRAP_TRACE, RIP],
    [3, SIGTRAP, SI_KERNEL, 0],
    [4, SIGSEGV, SI_KERNEL, 0],
    [5, SIGSEGV, SI_KERNEL, 0],
    [6, SIGILL, ILL_ILLOPN, RIP],
    [11, SIGBUS, SI_KERNEL, 0],
    [12, SIGBUS, SI_KERNEL, 0],
    [13, SIGSEGV, SI_KERNEL, 0],
    [17, SIGBUS, BUS_ADRALN, 0],
    [21, SIGSEGV, SI_KERNEL, 0],
  ];
  for (const [vector, signal, code, address] of rows) {
    signalOfException(g.k, g.task, vector, 8, RIP);
    const info = dequeueSignal(g.k, g.task, SIGNAL_BITS);
    assert.is(info?.signal, signal, `vector ${vector}`);
    assert.is(info?.code, code, `vector ${vector}`);
    assert.is(info?.value, address, `vector ${vector}`);
    assert.is(g.task.faultVector, vector);
    assert.is(g.task.faultError, 8);
  }
}));

test('signalOfException() finds the reason of a floating-point exception', withGuest((g) => {
  const area = g.k.ports.fpu.read();
  const view = new DataView(area.buffer);
  const rows: [flag: number, code: number][] = [
    [0x01, FPE_FLTINV], [0x02, FPE_FLTUND], [0x04, FPE_FLTDIV], [0x08, FPE_FLTOVF],
    [0x10, FPE_FLTUND], [0x20, FPE_FLTRES],
  ];
  for (const [flag, code] of rows) {
    // SIMD: the flag is raised and its mask bit, 7 above, is clear; all others are masked.
    view.setUint32(24, 0x3f | (0x1f80 & ~(flag << 7)), true);
    signalOfException(g.k, g.task, 19, 0, RIP);
    assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.code, code, `SIMD ${flag}`);
    view.setUint16(0, 0x37f & ~flag, true);
    view.setUint16(2, 0x3f, true);
    signalOfException(g.k, g.task, 16, 0, RIP);
    assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS)?.code, code, `x87 ${flag}`);
  }
  view.setUint32(24, 0x1f80, true);
  signalOfException(g.k, g.task, 19, 0, RIP);
  assert.is(dequeueSignal(g.k, g.task, SIGNAL_BITS), null, 'spurious');
}));

test.run();
