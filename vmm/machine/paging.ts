// x86-64 page table entries as the machine writes them (Intel SDM vol. 3, 4.5).

export const PAGE_BYTES = 4096;
export const PTE_PRESENT = 1n;
export const PTE_WRITABLE = 2n;
export const PTE_USER = 4n;
export const PTE_ACCESSED = 0x20n;
export const PTE_DIRTY = 0x40n;
export const PTE_NO_EXECUTE: bigint = 1n << 63n;

/** Entries of the kernel half are written accessed and dirty, so that a walk never has to. */
export const KERNEL_TABLE: bigint =
  PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED | PTE_DIRTY;
export const KERNEL_DATA: bigint =
  PTE_PRESENT | PTE_WRITABLE | PTE_ACCESSED | PTE_DIRTY | PTE_NO_EXECUTE;
/**
 * The stub must be user-accessible: under PVM a SYSCALL arrives there still at CPL 3. A guest that
 * jumps to it gains nothing: exits are checked (exits.ts), and with IOPL 0 `out` faults elsewhere.
 */
export const STUB_PAGE: bigint = PTE_PRESENT | PTE_USER | PTE_ACCESSED;
/** What every program may read: abi/clock-page.ts. */
export const USER_DATA_PAGE: bigint = PTE_PRESENT | PTE_USER | PTE_ACCESSED | PTE_NO_EXECUTE;
/** What every program may write: stub-sigmask.ts. */
export const USER_SCRATCH_PAGE: bigint = USER_DATA_PAGE | PTE_WRITABLE | PTE_DIRTY;
