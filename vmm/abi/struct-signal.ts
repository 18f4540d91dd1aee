// Structs of signals, and the frame that the kernel builds for a handler:
//
//   rsp → rt_sigframe: return address 8 | ucontext 304 | siginfo 128
//         above it, aligned to 64: the FPU image (_fpstate, then the extended states)
//
// Source: <asm/signal.h>, <asm-generic/siginfo.h>, <asm/sigcontext.h>, <asm/ucontext.h>.
import {
  blob, i16, i32, i64, type Layout, pad, struct, u16, u32, u64, usize,
} from './layout.ts';

/** `struct kernel_sigaction`: what rt_sigaction(2) takes (not the C library's struct). */
export const KernelSigaction: Layout<'sa_handler' | 'sa_restorer', 'sa_flags' | 'sa_mask'> =
  struct('kernel_sigaction', 32, {
    sa_handler: usize,
    sa_flags: u64,
    sa_restorer: usize,
    sa_mask: u64,
  });

/** `stack_t` of sigaltstack(2). */
export const StackT: Layout<'ss_sp' | 'ss_flags' | 'ss_size'> =
  struct('stack_t', 24, { ss_sp: usize, ss_flags: i32, ss_size: usize });

/** `siginfo_t` of kill(2), tkill(2), sigqueue(3); the common head of all. */
export const Siginfo: Layout<
  'si_signo' | 'si_errno' | 'si_code' | 'si_pid' | 'si_uid',
  'si_value'
> = struct('siginfo_t', 128, {
  si_signo: i32,
  si_errno: i32,
  si_code: i32,
  _pad0: i32,
  si_pid: i32,
  si_uid: u32,
  si_value: u64,
  _pad1: pad(96, 8),
});

/** `siginfo_t` of a POSIX timer. */
export const SiginfoTimer: Layout<'si_timerid' | 'si_overrun', 'si_value'> =
  struct('siginfo_t', 128, {
    _head: pad(16, 8),
    si_timerid: i32,
    si_overrun: i32,
    si_value: u64,
    _pad: pad(96, 8),
  });

/** `siginfo_t` of SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP. */
export const SiginfoFault: Layout<'si_addr_lsb', 'si_addr'> = struct('siginfo_t', 128, {
  _head: pad(16, 8),
  si_addr: u64,
  si_addr_lsb: i16,
  _pad: pad(102, 2),
});

/** `siginfo_t` of SIGCHLD. */
export const SiginfoChild: Layout<'si_pid' | 'si_uid' | 'si_status' | 'si_utime' | 'si_stime'> =
  struct('siginfo_t', 128, {
    _head: pad(16, 8),
    si_pid: i32,
    si_uid: u32,
    si_status: i32,
    _pad0: i32,
    si_utime: i64,
    si_stime: i64,
    _pad1: pad(80, 8),
  });

/** `siginfo_t` of SIGIO. */
export const SiginfoPoll: Layout<'si_band' | 'si_fd'> = struct('siginfo_t', 128, {
  _head: pad(16, 8),
  si_band: i64,
  si_fd: i32,
  _pad: pad(100, 4),
});

/** `siginfo_t` of SIGSYS. */
export const SiginfoSys: Layout<'si_syscall' | 'si_arch', 'si_call_addr'> =
  struct('siginfo_t', 128, {
    _head: pad(16, 8),
    si_call_addr: u64,
    si_syscall: i32,
    si_arch: u32,
    _pad: pad(96, 8),
  });

/** `struct signalfd_siginfo`: what a read of a signalfd gives. */
export const SignalfdSiginfo: Layout<
  | 'ssi_signo' | 'ssi_errno' | 'ssi_code' | 'ssi_pid' | 'ssi_uid' | 'ssi_fd' | 'ssi_tid'
  | 'ssi_band' | 'ssi_overrun' | 'ssi_trapno' | 'ssi_status' | 'ssi_int' | 'ssi_addr_lsb'
  | 'ssi_syscall' | 'ssi_arch',
  'ssi_ptr' | 'ssi_utime' | 'ssi_stime' | 'ssi_addr' | 'ssi_call_addr'
> = struct('signalfd_siginfo', 128, {
  ssi_signo: u32,
  ssi_errno: i32,
  ssi_code: i32,
  ssi_pid: u32,
  ssi_uid: u32,
  ssi_fd: i32,
  ssi_tid: u32,
  ssi_band: u32,
  ssi_overrun: u32,
  ssi_trapno: u32,
  ssi_status: i32,
  ssi_int: i32,
  ssi_ptr: u64,
  ssi_utime: u64,
  ssi_stime: u64,
  ssi_addr: u64,
  ssi_addr_lsb: u16,
  _pad2: u16,
  ssi_syscall: i32,
  ssi_call_addr: u64,
  ssi_arch: u32,
  _pad: pad(28, 4),
});

/** `struct sigcontext`: the registers of the interrupted thread. */
export const Sigcontext: Layout<
  'cs' | 'gs' | 'fs' | 'ss' | 'fpstate',
  | 'r8' | 'r9' | 'r10' | 'r11' | 'r12' | 'r13' | 'r14' | 'r15' | 'rdi' | 'rsi' | 'rbp' | 'rbx'
  | 'rdx' | 'rax' | 'rcx' | 'rsp' | 'rip' | 'eflags' | 'err' | 'trapno' | 'oldmask' | 'cr2'
> = struct('sigcontext', 256, {
  r8: u64, r9: u64, r10: u64, r11: u64,
  r12: u64, r13: u64, r14: u64, r15: u64,
  rdi: u64, rsi: u64, rbp: u64, rbx: u64,
  rdx: u64, rax: u64, rcx: u64, rsp: u64,
  rip: u64,
  eflags: u64,
  cs: u16,
  gs: u16,
  fs: u16,
  ss: u16,
  err: u64,
  trapno: u64,
  oldmask: u64,
  cr2: u64,
  fpstate: usize,
  _reserved: pad(64, 8),
});

/** `struct ucontext`: uc_stack is a StackT, uc_mcontext a Sigcontext. */
export const Ucontext: Layout<
  'uc_link' | 'uc_stack' | 'uc_mcontext',
  'uc_flags' | 'uc_sigmask'
> = struct('ucontext', 304, {
  uc_flags: u64,
  uc_link: usize,
  uc_stack: blob(24, 8),
  uc_mcontext: blob(256, 8),
  uc_sigmask: u64,
});

/** `struct rt_sigframe` */
export const RtSigframe: Layout<'pretcode' | 'uc' | 'info'> =
  struct('rt_sigframe', 440, { pretcode: usize, uc: blob(304, 8), info: blob(128, 8) });

/** uc_flags: the FPU image has extended states; ss is saved; ss is to be restored as it is. */
export const UC_FP_XSTATE = 0x1;
export const UC_SIGCONTEXT_SS = 0x2;
export const UC_STRICT_RESTORE_SS = 0x4;

/** `struct _fpstate`: FXSAVE's 512 bytes, the last 48 of which describe the extended part. */
export const Fpstate: Layout<
  | 'cwd' | 'swd' | 'twd' | 'fop' | 'mxcsr' | 'mxcsr_mask' | 'st_space' | 'xmm_space'
  | 'magic1' | 'extended_size' | 'xstate_size',
  'rip' | 'rdp' | 'xfeatures'
> = struct('_fpstate', 512, {
  cwd: u16,
  swd: u16,
  twd: u16,
  fop: u16,
  rip: u64,
  rdp: u64,
  mxcsr: u32,
  mxcsr_mask: u32,
  st_space: blob(128, 4),
  xmm_space: blob(256, 4),
  _reserved2: pad(48, 4),
  magic1: u32,
  extended_size: u32,
  xfeatures: u64,
  xstate_size: u32,
  _padding: pad(28, 4),
});

/** In `magic1` when extended states follow, and in the four bytes after them. */
export const FP_XSTATE_MAGIC1 = 0x46505853;
export const FP_XSTATE_MAGIC2 = 0x46505845;
export const FP_XSTATE_MAGIC2_SIZE = 4;

/** The sigset argument of pselect6(2): a pointer and its size. */
export const SigsetArgpack: Layout<'p' | 'size'> =
  struct('sigset_argpack', 16, { p: usize, size: usize });

/** Bytes of a sigset_t as the kernel means it. */
export const SIGSET_BYTES = 8;

/** Bytes below rsp that a handler must not overwrite (System V ABI). */
export const REDZONE_BYTES = 128;
