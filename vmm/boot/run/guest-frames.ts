// The kernel's view of guest memory (ports.ts GuestFrames) over a machine's bank and base window.
import type { Machine } from '../../machine/machine.ts';
import { BANK_GPA, BASE_GPA } from '../../machine/layout.ts';
import type { GuestFrames } from '../../kernel/ports.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';

/** Reads a piece of the frames section of an open image; false when the file has gone or shrunk. */
export type FrameReader = (offset: number, target: Uint8Array) => boolean;

/**
 * Makes the frames port.
 * @param baseFrames frames of the image in the base window, 0 for none
 * @param readFrames how base frames are read (never through the mapping)
 */
export function makeGuestFrames(
  machine: Machine,
  baseFrames: number,
  readFrames: FrameReader | null,
): GuestFrames {
  return {
    get bank() { return machine.bankView; },
    bankAddress: machine.bank.address,
    bankFrames: Math.floor(machine.bank.bytes / PAGE_BYTES),
    bankPfn: BANK_GPA / PAGE_BYTES,
    baseFrames,
    basePfn: BASE_GPA / PAGE_BYTES,
    readBase: (index, offset, target) =>
      readFrames !== null && readFrames(index * PAGE_BYTES + offset, target),
    ensureBacked: (frames) => machine.ensureBacked(frames * PAGE_BYTES),
  };
}
