// Counts system calls, and how long the host worked on them: the source of `strace -c` and of
// metrics. It is a cache, not state: a restored sandbox begins at zero.

/** Calls of one number. */
export interface CallCount {
  nr: number;
  calls: number;
  errors: number;
  /** Host time in handlers, re-executions included; 0 unless `timing` was on. */
  hostNs: number;
}

const NS_PER_MS = 1e6;

export class SyscallCounter {
  /** Reads the host clock around each call. Off by default: it costs more than some calls. */
  timing: boolean = false;
  #counts: Map<number, CallCount> = new Map();

  /** A call begins. */
  begin(nr: number): void {
    this.#of(nr).calls++;
  }

  /** A call failed with an errno. */
  fail(nr: number): void {
    this.#of(nr).errors++;
  }

  /** Host time in ms for spend(), or 0 when times are not wanted. */
  now(): number {
    return this.timing ? performance.now() : 0;
  }

  /** A handler has returned; `startMs` is what now() said before. */
  spend(nr: number, startMs: number): void {
    if (this.timing) this.#of(nr).hostNs += (performance.now() - startMs) * NS_PER_MS;
  }

  /** Everything counted, most expensive first, then most frequent. */
  list(): CallCount[] {
    return [...this.#counts.values()].sort((a, b) => b.hostNs - a.hostNs || b.calls - a.calls);
  }

  /** Calls of one number so far. */
  callsOf(nr: number): number {
    return this.#counts.get(nr)?.calls ?? 0;
  }

  reset(): void {
    this.#counts.clear();
  }

  #of(nr: number): CallCount {
    let count = this.#counts.get(nr);
    if (count === undefined) {
      count = { nr, calls: 0, errors: 0, hostNs: 0 };
      this.#counts.set(nr, count);
    }
    return count;
  }
}
