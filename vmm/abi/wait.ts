// wait4(2), waitid(2). Source: <linux/wait.h>.

// Options
export const WNOHANG = 0x1;
export const WUNTRACED = 0x2;
export const WSTOPPED = 0x2;
export const WEXITED = 0x4;
export const WCONTINUED = 0x8;
export const WNOWAIT = 0x1000000;
export const __WNOTHREAD = 0x20000000;
export const __WALL = 0x40000000;
export const __WCLONE = 0x80000000;

// waitid(2) id types
export const P_ALL = 0;
export const P_PID = 1;
export const P_PGID = 2;
export const P_PIDFD = 3;

/** The status word of a process that called exit(code). */
export function W_EXITCODE(code: number, signal: number): number {
  return (code & 0xff) << 8 | signal & 0x7f;
}

/** Set in the status word when a core was dumped. */
export const WCOREFLAG = 0x80;
