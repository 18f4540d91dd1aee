// POSIX timers, timer_create(2). (Signatures; the body follows.)
import type { Kernel } from '../kernel.ts';
import type { Timer } from '../records/time.ts';

/** A timer expired `count` times: queues its signal, or counts overruns while one is queued. */
export function posixTimerExpired(_k: Kernel, _timer: Timer, _count: number): void {}
