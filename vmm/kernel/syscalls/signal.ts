// Signals: sigaction(2), sigprocmask(2), sigaltstack(2), waiting for signals, sigreturn(2).
// Sending them is in kill.ts.
import { EAGAIN, EFAULT, EINTR, EINVAL } from '../../abi/errno.ts';
import {
  SA_EXPOSE_TAGBITS, SA_NOCLDSTOP, SA_NOCLDWAIT, SA_NODEFER, SA_ONSTACK, SA_RESETHAND, SA_RESTART,
  SA_RESTORER, SA_SIGINFO, SI_KERNEL, SIG_BLOCK, SIG_SETMASK, SIG_UNBLOCK, SIGSEGV,
} from '../../abi/signal.ts';
import { KernelSigaction, StackT } from '../../abi/struct-signal.ts';
import { hasTimedOut, readTimeout, startWait } from '../ipc/wait-timeout.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct } from '../mm/user-memory.ts';
import type { Process, Task } from '../records/task.ts';
import { actionBytes, isIgnored } from '../signal/actions.ts';
import { applyAltStack } from '../signal/alt-stack-call.ts';
import { encodeAltStack, shownFlags } from '../signal/alt-stack.ts';
import { forceSignal } from '../signal/force.ts';
import { popFrame } from '../signal/frame.ts';
import {
  readSignalSet, replaceMask, setMask, SIGSET_BYTES, UNBLOCKABLE,
} from '../signal/mask.ts';
import {
  dequeueSignal, flushSignals, pendingSet, type SignalInfo,
} from '../signal/pending.ts';
import { isSignal, signalBit, UNCHANGEABLE } from '../signal/set.ts';
import { encodeSiginfo, SIGINFO_BYTES } from '../signal/siginfo.ts';
import { block, makeWaitQueue } from '../task/block.ts';
import { type Args, getReg, REG } from './args.ts';
import { ERESTARTNOHAND, type Family, full, NO_RESULT } from './define.ts';

/** Flags that the kernel keeps; others read back as 0, which is how programs probe for them. */
const KNOWN_FLAGS = (SA_NOCLDSTOP | SA_NOCLDWAIT | SA_SIGINFO | SA_EXPOSE_TAGBITS | SA_RESTORER |
  SA_ONSTACK | SA_RESTART | SA_NODEFER | SA_RESETHAND) >>> 0;

function rtSigaction(k: Kernel, task: Task, a: Args): number {
  const signal = a.i32(0);
  const newGva = a.u64(1);
  const oldGva = a.u64(2);
  if (a.u64(3) !== SIGSET_BYTES) return -EINVAL;
  const wanted = new Uint8Array(KernelSigaction.bytes);
  if (newGva !== 0 && copyIn(k, newGva, wanted) !== wanted.length) return -EFAULT;
  if (!isSignal(signal)) return -EINVAL;
  if (newGva !== 0 && (UNCHANGEABLE & signalBit(signal)) !== 0n) return -EINVAL;
  const action = actionBytes(task.process, signal);
  const old = action.slice();
  if (newGva !== 0) changeAction(k, task.process, signal, action, wanted);
  if (oldGva !== 0 && copyOut(k, oldGva, old) !== old.length) return -EFAULT;
  return 0;
}

function changeAction(
  k: Kernel,
  process: Process,
  signal: number,
  action: Uint8Array,
  wanted: Uint8Array,
): void {
  const view = new DataView(wanted.buffer);
  const flags = KernelSigaction.sa_flags.get(view, 0) & BigInt(KNOWN_FLAGS);
  KernelSigaction.sa_flags.set(view, 0, flags);
  KernelSigaction.sa_mask.set(view, 0, KernelSigaction.sa_mask.get(view, 0) & ~UNBLOCKABLE);
  action.set(wanted);
  // POSIX: a signal that becomes ignored is discarded, also when it is blocked.
  if (isIgnored(process, signal)) flushSignals(k, process, signalBit(signal));
}

function rtSigprocmask(k: Kernel, task: Task, a: Args): number {
  const how = a.i32(0);
  const setGva = a.u64(1);
  const oldGva = a.u64(2);
  if (a.u64(3) !== SIGSET_BYTES) return -EINVAL;
  const old = task.mask;
  if (setGva !== 0) {
    const set = readSignalSet(k, setGva);
    if (set === null) return -EFAULT;
    if (how === SIG_BLOCK) setMask(k, task, old | set);
    else if (how === SIG_UNBLOCK) setMask(k, task, old & ~set);
    else if (how === SIG_SETMASK) setMask(k, task, set);
    else return -EINVAL;
  }
  return oldGva === 0 ? 0 : writeSet(k, oldGva, old, SIGSET_BYTES);
}

function rtSigpending(k: Kernel, task: Task, a: Args): number {
  const bytes = a.u64(1);
  if (bytes > SIGSET_BYTES) return -EINVAL;
  return writeSet(k, a.u64(0), pendingSet(task) & task.mask, bytes);
}

function writeSet(k: Kernel, gva: number, set: bigint, bytes: number): number {
  const raw = new Uint8Array(8);
  new DataView(raw.buffer).setBigUint64(0, set, true);
  return copyOut(k, gva, raw.subarray(0, bytes)) === bytes ? 0 : -EFAULT;
}

function rtSigsuspend(k: Kernel, task: Task, a: Args): number {
  if (!task.hasSavedMask) {
    if (a.u64(1) !== SIGSET_BYTES) return -EINVAL;
    const set = readSignalSet(k, a.u64(0));
    if (set === null) return -EFAULT;
    replaceMask(k, task, set);
  }
  return block(k, task, [], ERESTARTNOHAND);
}

function pause(k: Kernel, task: Task): number {
  return block(k, task, [], ERESTARTNOHAND);
}

function rtSigtimedwait(k: Kernel, task: Task, a: Args): number {
  const infoGva = a.u64(1);
  if (a.u64(3) !== SIGSET_BYTES) return -EINVAL;
  const set = readSignalSet(k, a.u64(0));
  if (set === null) return -EFAULT;
  const timeoutNs = readTimeout(k, task, a.u64(2));
  if (timeoutNs < 0) return timeoutNs;
  const info = dequeueSignal(k, task, set & ~UNBLOCKABLE);
  if (info !== null) return writeInfo(k, infoGva, info);
  startWait(k, task, timeoutNs);
  if (timeoutNs === 0 || hasTimedOut(k, task)) return -EAGAIN;
  const { process } = task;
  process.signalQueue ??= makeWaitQueue(k);
  return block(k, task, [process.signalQueue], EINTR);
}

function writeInfo(k: Kernel, gva: number, info: SignalInfo): number {
  if (gva === 0) return info.signal;
  const raw = new Uint8Array(SIGINFO_BYTES);
  encodeSiginfo(info, new DataView(raw.buffer), 0);
  return copyOut(k, gva, raw) === raw.length ? info.signal : -EFAULT;
}

function sigaltstack(k: Kernel, task: Task, a: Args): number {
  const newGva = a.u64(0);
  const oldGva = a.u64(1);
  const rsp = getReg(task, REG.rsp);
  const old = new Uint8Array(StackT.bytes);
  encodeAltStack(task, shownFlags(task, rsp), new DataView(old.buffer), 0);
  if (newGva !== 0) {
    const view = readStruct(k, newGva, StackT.bytes);
    if (view === null) return -EFAULT;
    const result = applyAltStack(task, rsp, view, 0);
    if (result !== 0) return result;
  }
  return oldGva !== 0 && copyOut(k, oldGva, old) !== old.length ? -EFAULT : 0;
}

function rtSigreturn(k: Kernel, task: Task): number {
  task.syscall = -1;
  if (!popFrame(k, task)) forceSignal(k, task, SIGSEGV, SI_KERNEL, 0);
  return NO_RESULT;
}

/** restart_syscall(2): the kernel restarts calls without it, so nothing is left to restart. */
function restartSyscall(): number {
  return -EINTR;
}

export const signalCalls: Family = {
  rt_sigaction: full(rtSigaction),
  rt_sigprocmask: full(rtSigprocmask),
  rt_sigpending: full(rtSigpending),
  rt_sigsuspend: full(rtSigsuspend),
  rt_sigtimedwait: full(rtSigtimedwait),
  rt_sigreturn: full(rtSigreturn),
  sigaltstack: full(sigaltstack),
  pause: full(pause),
  restart_syscall: full(restartSyscall),
};
