// Timer descriptors. (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { TimerFd } from '../records/ipc.ts';

/** The timer behind `timerFd` expired once more (time/timers.ts, TIMER_FD). */
export function timerFdExpired(_k: Kernel, _timerFd: TimerFd): void {}
