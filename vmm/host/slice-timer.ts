// Time slices without signal handlers. A real-time signal is blocked in this thread and unblocked
// only inside KVM_RUN (KVM_SET_SIGNAL_MASK); a periodic timer sends it to the thread; KVM_RUN then
// returns EINTR and the pending signal is eaten here. No handler ever runs.
//
// The signal is also ignored, because an engine's event loop may wait with all signals unblocked
// (epoll_pwait2 with an empty mask on Bun): there it must vanish, not end the process. A blocked
// signal stays pending although it is ignored, and KVM_RUN keeps the thread's own mask as the real
// one.
import * as libc from './libc.ts';
import { HostError } from './errors.ts';
import { takeScratch, type Scratch } from './scratch.ts';

/** SIGRTMIN + 5 in the C library's numbering (its first two are taken). */
const SLICE_SIGNAL = 39;
const SIG_BLOCK = 0;
const SIG_IGN = 1;
const CLOCK_MONOTONIC = 1;
const SIGEV_THREAD_ID = 4;
const SYS_GETTID = 186;
const SIGSET_OFFSET = 0;
const EVENT_OFFSET = 256;
const ID_OFFSET = 384;
const VALUE_OFFSET = 448;
const ZERO_OFFSET = 512;
const OLD_SET_OFFSET = 640;

interface ThreadTimer {
  id: number;
  scratch: Scratch;
  /** The thread's signal mask as KVM shall use it: the current one without the slice signal. */
  kvmMask: bigint;
  intervalMs: number;
}

let timer: ThreadTimer | null = null;

function setUp(): ThreadTimer {
  const scratch = takeScratch(1024);
  const { view, address } = scratch;
  view.setBigUint64(SIGSET_OFFSET, 1n << BigInt(SLICE_SIGNAL - 1), true);
  // SAFETY: SIG_IGN; nothing else in this process uses the signal.
  libc.signalDisposition(SLICE_SIGNAL, SIG_IGN);
  // SAFETY: both sets are 128-byte pieces of this scratch block.
  libc.sigmask(SIG_BLOCK, address + SIGSET_OFFSET, address + OLD_SET_OFFSET);
  const kvmMask = view.getBigUint64(OLD_SET_OFFSET, true) & ~(1n << BigInt(SLICE_SIGNAL - 1));
  view.setInt32(EVENT_OFFSET + 8, SLICE_SIGNAL, true);
  view.setInt32(EVENT_OFFSET + 12, SIGEV_THREAD_ID, true);
  // SAFETY: gettid takes no argument.
  view.setInt32(EVENT_OFFSET + 16, libc.syscall(SYS_GETTID), true);
  // SAFETY: a struct sigevent and 8 bytes for the id, both in this scratch block.
  const result = libc.timerCreate(CLOCK_MONOTONIC, address + EVENT_OFFSET, address + ID_OFFSET);
  if (result !== 0) {
    throw new HostError('CATAVMM_HOST_CALL', 'the host refused a timer', {
      errno: libc.lastErrno(),
      call: 'timer_create',
      hint: 'Raise the limit on pending signals (ulimit -i).',
    });
  }
  const id = view.getUint32(ID_OFFSET, true) + view.getUint32(ID_OFFSET + 4, true) * 0x1_0000_0000;
  return { id, scratch, kvmMask, intervalMs: 0 };
}

function threadTimer(): ThreadTimer {
  timer ??= setUp();
  return timer;
}

/** The mask for KVM_SET_SIGNAL_MASK of every vCPU that this thread runs. */
export function kvmSignalMask(): bigint {
  return threadTimer().kvmMask;
}

/** Makes KVM_RUN return every `intervalMs` (0 = never). Cheap when nothing changes. */
export function setSliceInterval(intervalMs: number): void {
  const t = threadTimer();
  if (t.intervalMs === intervalMs) return;
  t.intervalMs = intervalMs;
  const { view, address } = t.scratch;
  const seconds = BigInt(Math.floor(intervalMs / 1000));
  const nanoseconds = BigInt(Math.round((intervalMs % 1000) * 1e6));
  for (const at of [VALUE_OFFSET, VALUE_OFFSET + 16]) {
    view.setBigUint64(at, seconds, true);
    view.setBigUint64(at + 8, nanoseconds, true);
  }
  // SAFETY: a struct itimerspec in this scratch block.
  libc.timerSettime(t.id, 0, address + VALUE_OFFSET);
}

/** Takes the pending slice signal, after KVM_RUN said EINTR. Returns false when there was none. */
export function eatSliceSignal(): boolean {
  const { address } = threadTimer().scratch;
  // SAFETY: a sigset and a zero timespec in this scratch block.
  return libc.sigtimedwait(address + SIGSET_OFFSET, address + ZERO_OFFSET) === SLICE_SIGNAL;
}
