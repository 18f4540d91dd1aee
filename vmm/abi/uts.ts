// What uname(2) and /proc/sys/kernel say about the kernel. Programs compare the release with the
// versions that brought features they use; ours stands for a kernel that has what is implemented
// here.

export const UTS_SYSNAME = 'Linux';
export const UTS_RELEASE = '6.6.0-catavmm';
export const UTS_VERSION = '#1 SMP PREEMPT_DYNAMIC';
export const UTS_MACHINE = 'x86_64';
