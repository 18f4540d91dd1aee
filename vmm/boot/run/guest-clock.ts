// The clocks of one sandbox over those of the host, and the clock page of its machine, from which
// programs read the time without leaving the guest.
//
// The page says how late it was at one value of the time stamp counter, and how fast that counts.
// Host clocks are slewed by up to 500 ppm (adjtimex(2)), so the page is written anew now and then;
// CLOCK_MONOTONIC never steps back meanwhile: what is ahead of the host goes on a little slower.
import {
  CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE, CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_TAI,
} from '../../abi/time.ts';
import {
  CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_REALTIME, isTscHost, monotonicNs, readClock,
} from '../../host/clock.ts';
import { type ClockReading, writeClockPage } from '../../machine/clock-page.ts';
import type { Machine } from '../../machine/machine.ts';
import type { ClockPort } from '../../kernel/ports.ts';

const REFRESH_NS = 250e6;
/** The counter is read between two looks at the host's clock, which are to be this near. */
const NEAR_NS = 20_000;
const TRIES = 4;
/** Slewing is limited to 500 ppm; so is going slower. */
const SLOWER_MOST = 500e-6;

export class GuestClock implements ClockPort {
  readonly #machine: Machine;
  #isAsked: boolean = false;
  #offsetNs: number = 0;
  #nsPerTick: number = 0;
  /** When the page is to be written next; Infinity: it is not in use. */
  #nextNs: number = Infinity;
  #last: { tsc: bigint; ns: number; nsPerTick: number } | null = null;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  monotonicNs(): number {
    return monotonicNs();
  }

  realtime(): { sec: number; nsec: number } {
    const { sec, nsec } = readClock(CLOCK_REALTIME);
    return { sec, nsec };
  }

  cpuNs(): number {
    const { sec, nsec } = readClock(CLOCK_PROCESS_CPUTIME_ID);
    return sec * 1e9 + nsec;
  }

  share(offsetNs: number): void {
    if (this.#isAsked) return;
    this.#isAsked = true;
    const khz = isTscHost() ? this.#machine.vcpu.readTscKhz() : 0;
    if (khz === 0) return;
    this.#nsPerTick = 1e6 / khz;
    this.#offsetNs = offsetNs;
    this.#write();
  }

  refresh(hostNs: number): void {
    if (hostNs >= this.#nextNs) this.#write();
  }

  #write(): void {
    const { tsc, hostNs } = this.#readTogether();
    let nsPerTick = this.#nsPerTick;
    let ns = hostNs + this.#offsetNs;
    if (this.#last !== null) {
      const shown = this.#last.ns + Number(tsc - this.#last.tsc) * this.#last.nsPerTick;
      if (shown > ns) {
        nsPerTick *= 1 - Math.min((shown - ns) / REFRESH_NS, SLOWER_MOST);
        ns = Math.ceil(shown);
      }
    }
    const { sec, nsec } = readClock(CLOCK_REALTIME);
    const sinceNs = monotonicNs() - hostNs;
    const realNs = BigInt(sec) * 1_000_000_000n + BigInt(nsec - Math.round(sinceNs));
    writeClockPage(this.#machine.tables, {
      tsc,
      rate: BigInt(Math.round(nsPerTick * 2 ** 32)),
      bases: basesOf(BigInt(Math.round(ns)), realNs),
    });
    this.#last = { tsc, ns, nsPerTick };
    this.#nextNs = hostNs + REFRESH_NS;
  }

  /** The guest's counter and the host's CLOCK_MONOTONIC at the same moment, to a few µs. */
  #readTogether(): { tsc: bigint; hostNs: number } {
    let best = { tsc: 0n, hostNs: 0, apartNs: Infinity };
    for (let tries = 0; tries < TRIES && best.apartNs > NEAR_NS; tries++) {
      const before = monotonicNs();
      const tsc = this.#machine.vcpu.readTsc();
      const apartNs = monotonicNs() - before;
      if (apartNs < best.apartNs) best = { tsc, hostNs: before + apartNs / 2, apartNs };
    }
    return best;
  }
}

/** Clocks that run with each other: as kernel/syscalls/time.ts reads them. */
function basesOf(monotonic: bigint, real: bigint): ClockReading['bases'] {
  const bases: (bigint | null)[] = [];
  for (const clock of [CLOCK_REALTIME, CLOCK_REALTIME_COARSE, CLOCK_TAI]) bases[clock] = real;
  for (const clock of [
    CLOCK_MONOTONIC, CLOCK_MONOTONIC_RAW, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
  ]) bases[clock] = monotonic;
  return bases;
}
