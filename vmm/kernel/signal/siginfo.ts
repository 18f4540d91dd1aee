// siginfo_t: what a signal tells, in the layout that its number and code ask for.
//
//   0 si_signo | 4 si_errno | 8 si_code | 16 the union:
//     sent        pid 16, uid 20, value 24        timer   id 16, overruns 20, value 24
//     fault       address 16                      child   pid 16, uid 20, status 24
//     poll        band 16, fd 24
import {
  SI_TIMER, SI_TKILL, SI_USER, SIGBUS, SIGCHLD, SIGFPE, SIGILL, SIGIO, SIGSEGV, SIGTRAP, SI_KERNEL,
} from '../../abi/signal.ts';
import { readUsize } from '../../abi/layout.ts';
import {
  Siginfo, SiginfoChild, SiginfoFault, SiginfoPoll, SiginfoTimer,
} from '../../abi/struct-signal.ts';
import type { SignalInfo } from './pending.ts';

/** Bytes of siginfo_t. */
export const SIGINFO_BYTES = 128;

/** Writes `info` as siginfo_t at `at`, which is all zero before. */
export function encodeSiginfo(info: SignalInfo, view: DataView, at: number): void {
  const { signal, code } = info;
  Siginfo.si_signo.set(view, at, signal);
  Siginfo.si_errno.set(view, at, info.errno);
  Siginfo.si_code.set(view, at, code);
  if (code === SI_TIMER) {
    SiginfoTimer.si_timerid.set(view, at, info.pid);
    SiginfoTimer.si_overrun.set(view, at, info.uid);
    SiginfoTimer.si_value.set(view, at, info.sigval);
  } else if (code <= SI_USER) {
    Siginfo.si_pid.set(view, at, info.pid);
    Siginfo.si_uid.set(view, at, info.uid);
    if (code !== SI_USER && code !== SI_TKILL) Siginfo.si_value.set(view, at, info.sigval);
  } else if (code !== SI_KERNEL || isFault(signal)) {
    encodeKernelInfo(info, view, at);
  }
}

function encodeKernelInfo(info: SignalInfo, view: DataView, at: number): void {
  if (isFault(info.signal)) {
    SiginfoFault.si_addr.set(view, at, BigInt.asUintN(64, BigInt(Math.trunc(info.value))));
  } else if (info.signal === SIGCHLD) {
    SiginfoChild.si_pid.set(view, at, info.pid);
    SiginfoChild.si_uid.set(view, at, info.uid);
    SiginfoChild.si_status.set(view, at, info.value);
  } else if (info.signal === SIGIO) {
    SiginfoPoll.si_band.set(view, at, info.value);
    SiginfoPoll.si_fd.set(view, at, info.pid);
  }
}

/** Reads the siginfo_t that a guest passes to rt_sigqueueinfo(2). `signal` replaces si_signo. */
export function decodeSiginfo(view: DataView, at: number, signal: number): SignalInfo {
  const isChild = signal === SIGCHLD;
  return {
    signal,
    errno: Siginfo.si_errno.get(view, at),
    code: Siginfo.si_code.get(view, at),
    pid: Siginfo.si_pid.get(view, at) >>> 0,
    uid: Siginfo.si_uid.get(view, at),
    value: isChild ? SiginfoChild.si_status.get(view, at) : readUsize(view, at + 16),
    sigval: Siginfo.si_value.get(view, at),
  };
}

function isFault(signal: number): boolean {
  return signal === SIGSEGV || signal === SIGBUS || signal === SIGILL || signal === SIGFPE ||
    signal === SIGTRAP;
}
