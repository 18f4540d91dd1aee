// The kernel's ports over the host: rootfs, entropy, FPU, events. One file because each is
// a few lines; guest frames, clocks and the console have their own.
import { fillFromHost } from '../../host/entropy.ts';
import type { HostRoot } from '../../host/files.ts';
import type { Machine } from '../../machine/machine.ts';
import { XSAVE_BYTES, readXsave, writeXsave } from '../../machine/fpu.ts';
import { TABLES_GPA } from '../../machine/layout.ts';
import type { StaleTranslations } from '../../machine/translations.ts';
import type { Region } from '../../kernel/state/memory.ts';
import {
  type EntropyPort, type EventPort, type FpuPort, type LowerFs, PAGE_BYTES, type TableWindow,
  type Translations,
} from '../../kernel/ports.ts';

/** The rootfs directory as the lower layer. */
export function makeLowerFs(root: HostRoot): LowerFs {
  return {
    stat: (path) => root.stat(path),
    open: (path) => root.open(path),
    fstat: (handle) => root.fstat(handle),
    read: (handle, offset, target) => root.read(handle, offset, target),
    readlink: (path) => root.readlink(path),
    list: (path) => root.list(path),
    attributes: (path) => root.attributes(path),
    close: (handle) => root.close(handle),
  };
}

/** The host's random number generator. Fails closed: an error ends the boot. */
export function makeEntropy(): EntropyPort {
  return { fill: fillFromHost };
}

export function makeFpu(machine: Machine): FpuPort {
  return {
    features: BigInt(machine.xcr0),
    bytes: XSAVE_BYTES,
    read: () => readXsave(machine.vcpu),
    write: (bytes) => writeXsave(machine.vcpu, bytes),
  };
}

export function makeEvents(listener: (kind: string, detail: string) => void): EventPort {
  return { event: listener };
}

/** The table window in a region of the state memory, from its table `firstFree` on. */
export function makeTableWindow(region: Region, firstFree: number): TableWindow {
  return {
    address: region.address,
    pfn: TABLES_GPA / PAGE_BYTES,
    count: region.bytes / PAGE_BYTES,
    firstFree,
  };
}

/** Reports of changed translations, collected until the next entry into the guest. */
export function makeTranslations(stale: StaleTranslations): Translations {
  return {
    stale: (_gva, oldPte) => stale.add(oldPte),
    forgetAll: () => stale.forgetAll(),
  };
}

