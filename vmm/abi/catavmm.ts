// Our own system calls: numbers far above Linux's, so that a program that runs elsewhere gets
// ENOSYS. ("cat\0" in ASCII; bit 30 is x32's, which a 64-bit kernel without x32 refuses too.)

/** First number of ours. */
export const CATAVMM_BASE = 0x63617400;

/** The func-entry point: blocks until the image is saved; in each boot returns its generation. */
export const SYS_catavmm_entry = 0x63617400;

/** The boot's generation, at any time; 0 in a program that was not booted from an image. */
export const SYS_catavmm_generation = 0x63617401;

/** By name, as in SYSCALL_NUMBERS. */
export const CATAVMM_NUMBERS: Readonly<Record<string, number>> = {
  catavmm_entry: SYS_catavmm_entry,
  catavmm_generation: SYS_catavmm_generation,
};
