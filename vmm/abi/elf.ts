// ELF as the kernel meets it: segment types, permissions and the program header's place in the
// auxiliary vector. formats/elf.ts parses files; this is only the vocabulary. Source:
// <linux/elf.h>.

export const ET_EXEC = 2;
export const ET_DYN = 3;
export const EM_X86_64 = 62;

// p_type
export const PT_LOAD = 1;
export const PT_DYNAMIC = 2;
export const PT_INTERP = 3;
export const PT_NOTE = 4;
export const PT_PHDR = 6;
export const PT_TLS = 7;
export const PT_GNU_EH_FRAME = 0x6474e550;
export const PT_GNU_STACK = 0x6474e551;
export const PT_GNU_RELRO = 0x6474e552;
export const PT_GNU_PROPERTY = 0x6474e553;

// p_flags
export const PF_X = 1;
export const PF_W = 2;
export const PF_R = 4;

/** Bytes of an Elf64_Ehdr and of an Elf64_Phdr. */
export const EHDR_BYTES = 64;
export const PHDR_BYTES = 56;
