// Whether this machine can run VMs, found out without FFI.
//
// Opening the device for reading and writing is what KVM needs; everything finer (API version,
// capabilities) belongs to `doctor` and to the tests of vmm/host themselves.

import { closeSync, openSync } from 'node:fs';

let missing: string | undefined | null = null;

/** Why KVM cannot be used here, in one sentence; undefined when it can. */
export function kvmMissing(): string | undefined {
  if (missing !== null) return missing;
  try {
    closeSync(openSync('/dev/kvm', 'r+'));
    missing = undefined;
  } catch (error) {
    const code = (error as { code?: string }).code ?? String(error);
    missing = `needs a usable /dev/kvm (${code})`;
  }
  return missing;
}

/** True when /dev/kvm can be opened for reading and writing. */
export function kvmUsable(): boolean {
  return kvmMissing() === undefined;
}
