// A zygote: a machine with its table window, ready and function-independent. Made before a request
// comes; a run or boot gives it memory content and registers.
import { type Region, giveRegion, takeRegion, u8 } from '../../kernel/state/memory.ts';
import { clearClockPage } from '../../machine/clock-page.ts';
import { clearAnswers, switchAnswers } from '../../machine/stub-calls.ts';
import { clearMaskPage } from '../../machine/stub-sigmask.ts';
import { Machine } from '../../machine/machine.ts';
import type { CpuBaseline } from '../../machine/cpu-baseline.ts';
import { writeXsave } from '../../machine/fpu.ts';
import { FIRST_GUEST_TABLE, tableWindowBytes } from '../../machine/layout.ts';
import {
  beginProbe, PROBE_FRAMES, PROBE_ROOT, PROBE_TABLES, runProbe,
} from '../../machine/probe.ts';
import { StaleTranslations } from '../../machine/translations.ts';
import { discard, dropTranslations } from '../../host/memory.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { kvmSignalMask } from '../../host/slice-timer.ts';

export interface ZygoteOptions {
  /** Guest memory limit (the bank's address space). */
  memoryBytes: number;
  /** Size class of the base window, 0 for a run without image. */
  baseBytes: number;
  baseline: CpuBaseline;
}

export interface Zygote {
  readonly machine: Machine;
  readonly tables: Region;
  readonly stale: StaleTranslations;
  readonly options: ZygoteOptions;
  /** Index of the first page table of its next guest. */
  firstTable: number;
  /** Identity of the snapshot whose frames are mapped over the base window. */
  mapped: string | null;
  /** Who used it last; null while nobody has. */
  tenant: string | null;
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
  const tables = takeRegion(tableWindowBytes(options.memoryBytes));
  try {
    const machine = new Machine({
      bankBytes: options.memoryBytes,
      baseBytes: options.baseBytes,
      baseline: options.baseline,
      tables: { bytes: u8.subarray(tables.address, tables.address + tables.bytes) },
    });
    return finishZygote(machine, tables, options);
  } catch (error) {
    giveRegion(tables, (FIRST_GUEST_TABLE + PROBE_TABLES) * PAGE_BYTES);
    throw error;
  }
}

function finishZygote(machine: Machine, tables: Region, options: ZygoteOptions): Zygote {
  try {
    machine.vcpu.setSignalMask(kvmSignalMask());
    return {
      machine, tables, options,
      stale: new StaleTranslations(machine),
      firstTable: FIRST_GUEST_TABLE,
      mapped: null,
      tenant: null,
    };
  } catch (error) {
    machine.close();
    throw error;
  }
}

/** `syscall` */
const ENTER_AND_LEAVE: readonly number[] = [0x0f, 0x05];

/**
 * Enters and leaves the guest once, so that what KVM makes for a machine at its first entry, and
 * for the kernel half of every address space, is there before a boot is asked for.
 */
export function warmZygote(zygote: Zygote): void {
  const { machine, firstTable } = zygote;
  beginProbe(machine, ENTER_AND_LEAVE);
  machine.vcpu.cr3 = PROBE_ROOT;
  runProbe(machine);
  wipe(zygote, { tablesEnd: firstTable + PROBE_TABLES, framesEnd: PROBE_FRAMES });
}

/** What a guest has used of its zygote. */
export interface Used {
  /** One past the highest page of the table window. */
  tablesEnd: number;
  /** One past the highest frame of the bank. */
  framesEnd: number;
}

/** A recycled machine has so many tables left at least, or it is closed. */
const TABLES_LEFT_MIN = 768;
/** So many used frames are zeroed; of more the memory is given back. */
const ZEROED_FRAMES_MAX = 4096;

/**
 * Makes a used machine as good as new for the next guest of the same tenant; false when it has to
 * be closed instead.
 */
export function recycleZygote(zygote: Zygote, used: Used): boolean {
  // The next guest is of the same kind and needs as many tables: many for many processes.
  const wanted = Math.max(TABLES_LEFT_MIN, 2 * (used.tablesEnd - zygote.firstTable));
  if (zygote.tables.bytes / PAGE_BYTES - used.tablesEnd < wanted) return false;
  wipe(zygote, used);
  return true;
}

/**
 * Nothing of the last guest stays: frames and tables are zero, the FPU is reset,
 * and the other registers are loaded whole before each entry (Vcpu.loadRegs).
 *
 * The next guest's tables lie where no table of this machine ever was, so that nothing that KVM
 * remembers of the last guest's tables concerns it; leaf translations are dropped through the MMU
 * notifier.
 */
function wipe(zygote: Zygote, used: Used): void {
  const { machine, tables } = zygote;
  const { bank, bankView } = machine;
  const usedBytes = used.framesEnd * PAGE_BYTES;
  const zeroedBytes = Math.min(usedBytes, ZEROED_FRAMES_MAX * PAGE_BYTES);
  zygote.stale.forget();
  dropTranslations(bank.address, usedBytes, true);
  bankView.fill(0, 0, zeroedBytes);
  if (usedBytes > zeroedBytes) discard(bank.address + zeroedBytes, usedBytes - zeroedBytes);
  u8.fill(0, tables.address + zygote.firstTable * PAGE_BYTES,
    tables.address + used.tablesEnd * PAGE_BYTES);
  zygote.firstTable = used.tablesEnd;
  clearClockPage(machine.tables);
  if (switchAnswers(machine.tables, false)) clearAnswers(machine.tables);
  clearMaskPage(machine.tables);
  writeXsave(machine.vcpu, null);
}

/**
 * Closes the machine and gives its memory back.
 * @param tablesEnd one past the highest page of the table window that was used; only what was used
 *   is cleared, because clearing all of the window would bring all of it into memory first
 */
export function closeZygote(zygote: Zygote, tablesEnd: number = 0): void {
  zygote.machine.close();
  giveRegion(zygote.tables, Math.max(tablesEnd, zygote.firstTable + PROBE_TABLES) * PAGE_BYTES);
}
