// Drives a runner until the sandbox ends: enters the guest in bounded bursts, waits for the console
// and for timers while all threads are blocked, and lets the event loop run in between.
//
// Many sandboxes live in one thread. Those that wait are promises: they cost no thread and no CPU.
// Those that run take turns of the event loop, shorter ones when there are several.
import { consoleReadable, consoleWritable } from '../../kernel/ipc/console.ts';
import { pumpOutside } from '../../kernel/inet/outside.ts';
import { nowNs } from '../../kernel/time/clock.ts';
import { nextDeadlineNs, runTimers } from '../../kernel/time/timers.ts';
import { setSliceInterval } from '../../host/slice-timer.ts';
import { monotonicNs } from '../../host/clock.ts';
import { giveTurn } from '../../host/event-loop.ts';
import type { Instance } from './instance.ts';

/** Why driving stopped. */
export type DriveEnd = 'exited' | 'stopped' | 'timeout' | 'aborted';

export interface DriveOptions {
  /** Host monotonic time (ns) at which the guest is to be ended; Infinity = never. */
  deadlineNs: number;
  isAborted: () => boolean;
  /** Longest stretch without giving the event loop a turn; default BURST_MS. */
  burstMs?: number | undefined;
}

/** Length of a time slice: how long a thread may run while others wait. */
const SLICE_MS = 4;
/** Long enough to be worth a turn of the event loop; one slice when others want to run. */
const BURST_MS = 16;

/** Sandboxes of this thread that are in the middle of something. */
let busy = 0;

/** Runs until the process exits, a hook stops it, the deadline passes or it is aborted. */
export async function drive(instance: Instance, options: DriveOptions): Promise<DriveEnd> {
  const { runner, k } = instance;
  for (;;) {
    if (options.isAborted()) return 'aborted';
    const start = monotonicNs();
    if (start >= options.deadlineNs) return 'timeout';
    pollConsole(instance);
    setSliceInterval(SLICE_MS);
    const burstMs = busy > 0 ? SLICE_MS : options.burstMs ?? BURST_MS;
    const state = runner.run(Math.min(start + burstMs * 1e6, options.deadlineNs));
    if (k.ports.net !== undefined) pumpOutside(k);
    if (state === 'exited' || state === 'stopped') {
      setSliceInterval(0);
      return state;
    }
    if (state === 'budget') {
      setSliceInterval(0);
      busy++;
      await giveTurn();
      busy--;
      continue;
    }
    // Whoever waited for room in a connection with the outside may have it now.
    if (k.root.runHead !== null) continue;
    const waiting = waitForHost(instance, options);
    if (waiting !== undefined) {
      setSliceInterval(0);
      await waiting;
    }
    runTimers(k);
  }
}

/** Tells blocked readers and writers what the host's side of the console allows now. */
function pollConsole(instance: Instance): void {
  const { k, console } = instance;
  if (k.root.console?.queue.first == null) return;
  if (k.root.console.wantsInput && console.readable()) consoleReadable(k);
  if (k.root.console.wantsOutput !== 0) consoleWritable(k);
}

function waitForHost(instance: Instance, options: DriveOptions): void | Promise<void> {
  const { k, console } = instance;
  const wantsInput = k.root.console?.queue.first != null && k.root.console.wantsInput;
  // It came while the guest ran, and nobody knows of it yet.
  if (wantsInput && console.readable()) return;
  const guestMs = (nextDeadlineNs(k) - nowNs(k)) / 1e6;
  const hostMs = (options.deadlineNs - monotonicNs()) / 1e6;
  const timeoutMs = Math.max(0, Math.min(guestMs, hostMs));
  return console.wait({
    stdin: wantsInput,
    output: k.root.console?.wantsOutput ?? 0,
    timeoutMs,
  });
}
