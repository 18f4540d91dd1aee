// The clock page: a page of each machine that programs read the time from, without a system call.
// The vDSO (vmm/kernel/vdso) reads it; nobody in the guest can write it.
//
//   +0     u32  sequence   differs after every change; odd, so never the 0 of an empty page
//   +4     u32  clocks     bit n: CLOCK n can be read here. 0: none, make the call
//   +8     u64  tsc        time stamp counter when the page was written
//   +16    u64  rate       nanoseconds per tick, times 2^32
//   +64    u64  base[12]   nanoseconds of CLOCK n at `tsc`
//
//   CLOCK n = base[n] + (rdtsc - tsc) * rate / 2^32
//
// Invariant: images contain code that reads this page at this address. A change of either needs
// another address for the new form.

/** Guest-virtual address. */
export const CLOCK_PAGE_GVA = 0xffff_ffff_8000_5000n;
export const CLOCK_PAGE_SEQUENCE = 0;
export const CLOCK_PAGE_CLOCKS = 4;
export const CLOCK_PAGE_TSC = 8;
export const CLOCK_PAGE_RATE = 16;
export const CLOCK_PAGE_BASE = 64;
/** Clocks that fit. */
export const CLOCK_PAGE_COUNT = 12;
