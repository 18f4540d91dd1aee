// The special registers of a vCPU that runs user code in long mode (struct kvm_sregs).
import { KvmSregs } from '../abi/kvm.ts';
import { GDT_GVA, IDT_GVA, TSS_GVA } from './layout.ts';
import {
  GDT_LIMIT, IDT_LIMIT, TSS_LIMIT, TSS_SELECTOR, USER_CODE_SELECTOR, USER_DATA_SELECTOR,
} from './stub.ts';

const CR0 = 0x8005_0033;
/** PAE | OSFXSR | OSXMMEXCPT | FSGSBASE | OSXSAVE; SMEP off: the stub page is user-accessible. */
const CR4 = 0x5_0620;
/** SCE | LME | LMA | NXE. */
const EFER = 0xd01;

interface Segment {
  base: bigint;
  limit: number;
  selector: number;
  type: number;
  dpl: number;
  db: number;
  s: number;
  l: number;
  g: number;
}

const USER_CODE: Segment = {
  base: 0n, limit: 0xffff_ffff, selector: USER_CODE_SELECTOR,
  type: 11, dpl: 3, db: 0, s: 1, l: 1, g: 1,
};
const USER_DATA: Segment = {
  base: 0n, limit: 0xffff_ffff, selector: USER_DATA_SELECTOR,
  type: 3, dpl: 3, db: 1, s: 1, l: 0, g: 1,
};
const TASK: Segment = {
  base: TSS_GVA, limit: TSS_LIMIT, selector: TSS_SELECTOR,
  type: 11, dpl: 0, db: 0, s: 0, l: 0, g: 0,
};

/** Offsets of the segments within struct kvm_sregs, in its order. */
const SEGMENT_BYTES = 24;
export const CS_OFFSET = 0;
export const FS_OFFSET: number = 3 * SEGMENT_BYTES;
export const GS_OFFSET: number = 4 * SEGMENT_BYTES;
export const SS_OFFSET: number = 5 * SEGMENT_BYTES;
const DATA_OFFSETS = [1, 2, 3, 4, 5].map((index) => index * SEGMENT_BYTES);
const TR_OFFSET = 6 * SEGMENT_BYTES;

function writeSegment(view: DataView, at: number, segment: Segment): void {
  view.setBigUint64(at, segment.base, true);
  view.setUint32(at + 8, segment.limit, true);
  view.setUint16(at + 12, segment.selector, true);
  const bits = [
    segment.type, 1, segment.dpl, segment.db, segment.s, segment.l, segment.g, 0, 0, 0,
  ];
  bits.forEach((value, index) => view.setUint8(at + 14 + index, value));
}

/** Puts CS and SS back to user code, as after every exit through ring 0. */
export function writeUserSegments(view: DataView, at: number): void {
  writeSegment(view, at + CS_OFFSET, USER_CODE);
  writeSegment(view, at + SS_OFFSET, USER_DATA);
}

/**
 * Writes the state of a fresh user-mode vCPU over what KVM_GET_SREGS returned.
 * @param cr3 guest-physical address of the top-level page table
 */
export function writeUserSregs(view: DataView, at: number, cr3: number): void {
  for (const offset of DATA_OFFSETS) writeSegment(view, at + offset, USER_DATA);
  writeSegment(view, at + CS_OFFSET, USER_CODE);
  writeSegment(view, at + TR_OFFSET, TASK);
  view.setBigUint64(at + KvmSregs.gdt.offset, GDT_GVA, true);
  view.setUint16(at + KvmSregs.gdt.offset + 8, GDT_LIMIT, true);
  view.setBigUint64(at + KvmSregs.idt.offset, IDT_GVA, true);
  view.setUint16(at + KvmSregs.idt.offset + 8, IDT_LIMIT, true);
  view.setBigUint64(at + KvmSregs.cr0.offset, BigInt(CR0), true);
  view.setBigUint64(at + KvmSregs.cr3.offset, BigInt(cr3), true);
  view.setBigUint64(at + KvmSregs.cr4.offset, BigInt(CR4), true);
  view.setBigUint64(at + KvmSregs.efer.offset, BigInt(EFER), true);
}
