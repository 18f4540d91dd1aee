// A zygote: a machine with its table window, ready and function-independent. Made before a request
// comes; a run or boot gives it memory content and registers.
import { type Region, giveRegion, takeRegion, u8 } from '../kernel/state/memory.ts';
import { Machine } from '../machine/machine.ts';
import type { CpuBaseline } from '../machine/cpu-baseline.ts';
import { TABLE_WINDOW_BYTES } from '../machine/layout.ts';
import { findInvalidationMethod } from '../machine/self-test.ts';
import { setInvalidationMethod, StaleTranslations } from '../machine/translations.ts';
import { visibleFeatures } from './cpu-check.ts';
import { populate } from '../host/memory.ts';
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
  if (found === undefined) throw new RangeError(`an image of ${bytes} bytes of memory is too large`);
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
    machine.vcpu.setSignalMask(kvmSignalMask());
    return { machine, tables, stale: new StaleTranslations(machine), options };
  } catch (error) {
    giveRegion(tables);
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
  setInvalidationMethod(findInvalidationMethod(zygote.machine));
  closeZygote(zygote);
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
    const bytes = Math.min(precopiedBytes + SPARE_BYTES, options.memoryBytes);
    visibleFeatures(options.baseline, zygote.machine);
    populate(zygote.machine.bank.address, bytes);
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

/** Closes the machine and gives its memory back. */
export function closeZygote(zygote: Zygote): void {
  zygote.machine.close();
  giveRegion(zygote.tables);
}
