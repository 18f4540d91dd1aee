// prctl(2), arch_prctl(2), seccomp(2). Source: <linux/prctl.h>, <asm/prctl.h>, <linux/seccomp.h>.

// prctl(2)
export const PR_SET_PDEATHSIG = 1;
export const PR_GET_PDEATHSIG = 2;
export const PR_GET_DUMPABLE = 3;
export const PR_SET_DUMPABLE = 4;
export const PR_GET_UNALIGN = 5;
export const PR_SET_UNALIGN = 6;
export const PR_GET_KEEPCAPS = 7;
export const PR_SET_KEEPCAPS = 8;
export const PR_GET_FPEMU = 9;
export const PR_SET_FPEMU = 10;
export const PR_GET_FPEXC = 11;
export const PR_SET_FPEXC = 12;
export const PR_GET_TIMING = 13;
export const PR_SET_TIMING = 14;
export const PR_TIMING_STATISTICAL = 0;
export const PR_TIMING_TIMESTAMP = 1;
export const PR_SET_NAME = 15;
export const PR_GET_NAME = 16;
export const PR_GET_ENDIAN = 19;
export const PR_SET_ENDIAN = 20;
export const PR_GET_SECCOMP = 21;
export const PR_SET_SECCOMP = 22;
export const PR_CAPBSET_READ = 23;
export const PR_CAPBSET_DROP = 24;
export const PR_GET_TSC = 25;
export const PR_SET_TSC = 26;
export const PR_TSC_ENABLE = 1;
export const PR_TSC_SIGSEGV = 2;
export const PR_GET_SECUREBITS = 27;
export const PR_SET_SECUREBITS = 28;
export const PR_SET_TIMERSLACK = 29;
export const PR_GET_TIMERSLACK = 30;
export const PR_TASK_PERF_EVENTS_DISABLE = 31;
export const PR_TASK_PERF_EVENTS_ENABLE = 32;
export const PR_MCE_KILL = 33;
export const PR_MCE_KILL_GET = 34;
export const PR_SET_MM = 35;
export const PR_SET_CHILD_SUBREAPER = 36;
export const PR_GET_CHILD_SUBREAPER = 37;
export const PR_SET_NO_NEW_PRIVS = 38;
export const PR_GET_NO_NEW_PRIVS = 39;
export const PR_GET_TID_ADDRESS = 40;
export const PR_SET_THP_DISABLE = 41;
export const PR_GET_THP_DISABLE = 42;
export const PR_CAP_AMBIENT = 47;
export const PR_CAP_AMBIENT_IS_SET = 1;
export const PR_CAP_AMBIENT_RAISE = 2;
export const PR_CAP_AMBIENT_LOWER = 3;
export const PR_CAP_AMBIENT_CLEAR_ALL = 4;
export const PR_GET_SPECULATION_CTRL = 52;
export const PR_SET_SPECULATION_CTRL = 53;
export const PR_SPEC_STORE_BYPASS = 0;
export const PR_SPEC_INDIRECT_BRANCH = 1;
export const PR_SPEC_L1D_FLUSH = 2;
export const PR_SPEC_NOT_AFFECTED = 0;
export const PR_SPEC_PRCTL = 1;
export const PR_SPEC_ENABLE = 2;
export const PR_SPEC_DISABLE = 4;
export const PR_SPEC_FORCE_DISABLE = 8;
export const PR_SPEC_DISABLE_NOEXEC = 16;
export const PR_SET_IO_FLUSHER = 57;
export const PR_GET_IO_FLUSHER = 58;
export const PR_SET_SYSCALL_USER_DISPATCH = 59;
export const PR_SYS_DISPATCH_OFF = 0;
export const PR_SYS_DISPATCH_ON = 1;
export const PR_SCHED_CORE = 62;
export const PR_SCHED_CORE_GET = 0;
export const PR_SCHED_CORE_CREATE = 1;
export const PR_SCHED_CORE_SHARE_TO = 2;
export const PR_SCHED_CORE_SHARE_FROM = 3;
export const PR_SET_MDWE = 65;
export const PR_GET_MDWE = 66;
export const PR_MDWE_REFUSE_EXEC_GAIN = 1;
export const PR_SET_MEMORY_MERGE = 67;
export const PR_GET_MEMORY_MERGE = 68;
export const PR_TIMER_CREATE_RESTORE_IDS = 77;
export const PR_FUTEX_HASH = 78;

// PR_SET_VMA, PR_SET_PTRACER
export const PR_SET_VMA = 0x53564d41;
export const PR_SET_VMA_ANON_NAME = 0x0;
export const PR_SET_PTRACER = 0x59616d61;

// arch_prctl(2)
export const ARCH_SET_GS = 0x1001;
export const ARCH_SET_FS = 0x1002;
export const ARCH_GET_FS = 0x1003;
export const ARCH_GET_GS = 0x1004;
export const ARCH_GET_CPUID = 0x1011;
export const ARCH_SET_CPUID = 0x1012;
export const ARCH_MAP_VDSO_64 = 0x2003;
export const ARCH_GET_XCOMP_SUPP = 0x1021;
export const ARCH_GET_XCOMP_PERM = 0x1022;
export const ARCH_REQ_XCOMP_PERM = 0x1023;
export const ARCH_GET_XCOMP_GUEST_PERM = 0x1024;
export const ARCH_REQ_XCOMP_GUEST_PERM = 0x1025;
export const ARCH_CET_STATUS = 0x3001;
export const ARCH_SHSTK_ENABLE = 0x5001;
export const ARCH_SHSTK_DISABLE = 0x5002;
export const ARCH_SHSTK_LOCK = 0x5003;
export const ARCH_SHSTK_UNLOCK = 0x5004;
export const ARCH_SHSTK_STATUS = 0x5005;

// seccomp(2)
export const SECCOMP_MODE_DISABLED = 0;
export const SECCOMP_MODE_STRICT = 1;
export const SECCOMP_MODE_FILTER = 2;
export const SECCOMP_SET_MODE_STRICT = 0;
export const SECCOMP_SET_MODE_FILTER = 1;
export const SECCOMP_GET_ACTION_AVAIL = 2;
export const SECCOMP_GET_NOTIF_SIZES = 3;

// capget(2)

export const CAP_LAST_CAP = 40;

export const LINUX_CAPABILITY_VERSION_1 = 0x19980330;
export const LINUX_CAPABILITY_VERSION_2 = 0x20071026;
export const LINUX_CAPABILITY_VERSION_3 = 0x20080522;
