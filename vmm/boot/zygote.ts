// A zygote: a machine with its table window, ready and function-independent. Made before a request
// comes; a run or boot gives it memory content and registers.
import { type Region, giveRegion, takeRegion, u8 } from '../kernel/state/memory.ts';
import { Machine } from '../machine/machine.ts';
import type { CpuBaseline } from '../machine/cpu-baseline.ts';
import { FIRST_GUEST_TABLE, TABLE_WINDOW_BYTES } from '../machine/layout.ts';
import { findInvalidationMethod } from '../machine/self-test.ts';
import { setInvalidationMethod, StaleTranslations } from '../machine/translations.ts';
import { visibleFeatures } from './cpu-check.ts';
import { populate } from '../host/memory.ts';
import { PAGE_BYTES } from '../kernel/ports.ts';
import { kvmSignalMask } from '../host/slice-timer.ts';

export interface ZygoteOptions {
  /** Guest memory limit (the bank's address space). */
  memoryBytes: number;
  /** Size class of the base window, 0 for a run without image. */
  baseBytes: number;
  baseline: CpuBaseline;
}

/** Bank memory that a prepared machine has beyond what its image pre-copies. */
const SPARE_BYTES = 1024 * 1024;
const TEST_BYTES = 4 * 1024 * 1024;
/** Pages of the table window that a machine and its probes (machine/probe.ts) have written. */
const UNUSED_TABLES_END: number = FIRST_GUEST_TABLE + 16;

export interface Zygote {
  readonly machine: Machine;
  readonly tables: Region;
  readonly stale: StaleTranslations;
  readonly options: ZygoteOptions;
}

/** Size classes of base windows: a slot costs with its size, so images use the next larger one. */
const BASE_CLASSES: readonly number[] = [64, 256, 1024, 4096].map((mib) => mib * 1024 * 1024);

/** The largest of them. */
export const BASE_BYTES_MAX: number = BASE_CLASSES[BASE_CLASSES.length - 1] as number;

/** The base window for an image with `bytes` of frames. @throws RangeError above 4 GiB */
export function baseClassOf(bytes: number): number {
  const found = BASE_CLASSES.find((size) => size >= bytes);
  if (found === undefined) {
    throw new RangeError(`an image of ${bytes} bytes of memory is too large`);
  }
  return found;
}

/** @throws HostError when the host gives no machine */
export function makeZygote(options: ZygoteOptions): Zygote {
  const tables = takeRegion(TABLE_WINDOW_BYTES);
  try {
    const machine = new Machine({
      bankBytes: options.memoryBytes,
      baseBytes: options.baseBytes,
      baseline: options.baseline,
      tables: { bytes: u8.subarray(tables.address, tables.address + tables.bytes) },
    });
    return finishZygote(machine, tables, options);
  } catch (error) {
    giveRegion(tables, UNUSED_TABLES_END * PAGE_BYTES);
    throw error;
  }
}

function finishZygote(machine: Machine, tables: Region, options: ZygoteOptions): Zygote {
  try {
    machine.vcpu.setSignalMask(kvmSignalMask());
    return { machine, tables, stale: new StaleTranslations(machine), options };
  } catch (error) {
    machine.close();
    throw error;
  }
}

const ready: Zygote[] = [];
let isTested = false;

/** Runs the machine's self-test once per process, on a machine that is thrown away. */
function testHost(options: ZygoteOptions): void {
  if (isTested) return;
  isTested = true;
  const zygote = makeZygote({ ...options, memoryBytes: TEST_BYTES, baseBytes: 0 });
  try {
    setInvalidationMethod(findInvalidationMethod(zygote.machine));
  } finally {
    closeZygote(zygote);
  }
}

/**
 * Makes `count` machines beforehand, so that later boots find them ready.
 * @param precopiedBytes how much of the bank a boot fills at once: brought in now
 */
export function prepareZygotes(
  options: ZygoteOptions,
  count: number,
  precopiedBytes: number,
): void {
  testHost(options);
  for (let i = 0; i < count; i++) {
    const zygote = makeZygote(options);
    try {
      const bytes = Math.min(precopiedBytes + SPARE_BYTES, options.memoryBytes);
      visibleFeatures(options.baseline, zygote.machine);
      populate(zygote.machine.bank.address, bytes);
    } catch (error) {
      closeZygote(zygote);
      throw error;
    }
    ready.push(zygote);
  }
}

/** A ready machine of the same configuration, or a new one. */
export function takeZygote(options: ZygoteOptions): Zygote {
  const index = ready.findIndex(({ options: o }) =>
    o.memoryBytes === options.memoryBytes && o.baseBytes === options.baseBytes &&
    o.baseline === options.baseline);
  const [found] = index < 0 ? [] : ready.splice(index, 1);
  return found ?? makeZygote(options);
}

/** Closes machines that nobody took. */
export function dropReadyZygotes(): void {
  for (const zygote of ready.splice(0)) closeZygote(zygote);
}

/**
 * Closes the machine and gives its memory back.
 * @param tablesEnd one past the highest page of the table window that was used; only what was used
 *   is cleared, because clearing all of the window would bring all of it into memory first
 */
export function closeZygote(zygote: Zygote, tablesEnd: number = UNUSED_TABLES_END): void {
  zygote.machine.close();
  giveRegion(zygote.tables, tablesEnd * PAGE_BYTES);
}
