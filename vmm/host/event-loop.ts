// Turns of the event loop for a thread that goes on at once.
//
// On Deno a loop that never sleeps looks for signals and sockets only in every sixty-first turn
// (its I/O driver is polled when it sleeps, and once in a while), so it has to sleep a moment now
// and then: such a turn takes 2 ms instead of 10 us.
import { getRuntime } from './runtime.ts';

/** How long signals and sockets may go unseen on Deno. */
const UNSEEN_MS = 50;
const sleeps: boolean = getRuntime().name === 'deno';
let sleptMs = 0;

/** A turn. `isIdle`: nobody minds if it takes a moment. */
export function giveTurn(isIdle: boolean = false): Promise<void> {
  if (sleeps) {
    const nowMs = performance.now();
    if (isIdle || nowMs - sleptMs >= UNSEEN_MS) {
      sleptMs = nowMs;
      return new Promise((resolve) => { setTimeout(resolve, 0); });
    }
  }
  return new Promise((resolve) => { setImmediate(resolve); });
}
