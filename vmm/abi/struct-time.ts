// Structs of clocks and timers, in Linux's field names. Source: <linux/time.h>, <linux/times.h>.
import { i32, i64, type Layout, pad, struct, u32 } from './layout.ts';

/** `struct timespec` (__kernel_timespec). */
export const Timespec: Layout<'tv_sec' | 'tv_nsec'> =
  struct('timespec', 16, { tv_sec: i64, tv_nsec: i64 });

/** `struct timeval` */
export const Timeval: Layout<'tv_sec' | 'tv_usec'> =
  struct('timeval', 16, { tv_sec: i64, tv_usec: i64 });

/** `struct timezone` */
export const Timezone: Layout<'tz_minuteswest' | 'tz_dsttime'> =
  struct('timezone', 8, { tz_minuteswest: i32, tz_dsttime: i32 });

/** `struct itimerspec`: two timespecs, flattened. */
export const Itimerspec: Layout<
  'it_interval_sec' | 'it_interval_nsec' | 'it_value_sec' | 'it_value_nsec'
> = struct('itimerspec', 32, {
  it_interval_sec: i64,
  it_interval_nsec: i64,
  it_value_sec: i64,
  it_value_nsec: i64,
});

/** `struct itimerval`: two timevals, flattened. */
export const Itimerval: Layout<
  'it_interval_sec' | 'it_interval_usec' | 'it_value_sec' | 'it_value_usec'
> = struct('itimerval', 32, {
  it_interval_sec: i64,
  it_interval_usec: i64,
  it_value_sec: i64,
  it_value_usec: i64,
});

/** `struct tms` of times(2), in ticks of USER_HZ. */
export const Tms: Layout<'tms_utime' | 'tms_stime' | 'tms_cutime' | 'tms_cstime'> =
  struct('tms', 32, { tms_utime: i64, tms_stime: i64, tms_cutime: i64, tms_cstime: i64 });

/** `struct sigevent`: what a POSIX timer does when it expires. `sigev_value` is raw. */
export const Sigevent: Layout<
  'sigev_value' | 'sigev_signo' | 'sigev_notify' | 'sigev_notify_thread_id'
> = struct('sigevent', 64, {
  sigev_value: i64,
  sigev_signo: i32,
  sigev_notify: i32,
  sigev_notify_thread_id: i32,
  _pad: pad(44, 4),
});

/** `struct timex` of adjtimex(2). */
export const Timex: Layout<
  | 'modes' | 'offset' | 'freq' | 'maxerror' | 'esterror' | 'status' | 'constant' | 'precision'
  | 'tolerance' | 'time_sec' | 'time_usec' | 'tick' | 'tai'
> = struct('timex', 208, {
  modes: u32,
  offset: i64,
  freq: i64,
  maxerror: i64,
  esterror: i64,
  status: i32,
  constant: i64,
  precision: i64,
  tolerance: i64,
  time_sec: i64,
  time_usec: i64,
  tick: i64,
  _pps: pad(64, 8),
  tai: i32,
  _pad: pad(44, 4),
});
