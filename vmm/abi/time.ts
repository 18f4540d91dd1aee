// Clocks, interval timers, timerfd. Source: <linux/time.h>, <linux/timerfd.h>, <linux/timex.h>.

// Clocks
export const CLOCK_REALTIME = 0;
export const CLOCK_MONOTONIC = 1;
export const CLOCK_PROCESS_CPUTIME_ID = 2;
export const CLOCK_THREAD_CPUTIME_ID = 3;
export const CLOCK_MONOTONIC_RAW = 4;
export const CLOCK_REALTIME_COARSE = 5;
export const CLOCK_MONOTONIC_COARSE = 6;
export const CLOCK_BOOTTIME = 7;
export const CLOCK_REALTIME_ALARM = 8;
export const CLOCK_BOOTTIME_ALARM = 9;
export const CLOCK_TAI = 11;
export const MAX_CLOCKS = 16;

// Dynamic clock ids: ~pid << 3 | kind (clock_getcpuclockid(3))
export const CPUCLOCK_PERTHREAD_MASK = 4;
export const CPUCLOCK_CLOCK_MASK = 3;
export const CPUCLOCK_PROF = 0;
export const CPUCLOCK_VIRT = 1;
export const CPUCLOCK_SCHED = 2;
export const CLOCKFD = 3;

// getitimer(2)
export const ITIMER_REAL = 0;
export const ITIMER_VIRTUAL = 1;
export const ITIMER_PROF = 2;

// clock_nanosleep(2), timer_settime(2)
export const TIMER_ABSTIME = 1;

// timerfd
export const TFD_TIMER_ABSTIME = 0x1;
export const TFD_TIMER_CANCEL_ON_SET = 0x2;

export const TFD_CLOEXEC = 0o2000000;
export const TFD_NONBLOCK = 0o4000;

// adjtimex(2) results
export const TIME_OK = 0;
export const TIME_ERROR = 5;

// Kernel ticks per second as user space sees them (times(2), /proc/stat)
export const USER_HZ = 100;

// Nanoseconds per second, and of other units
export const NSEC_PER_SEC = 1_000_000_000;
export const NSEC_PER_USEC = 1000;
export const NSEC_PER_MSEC = 1_000_000;
export const USEC_PER_SEC = 1_000_000;
