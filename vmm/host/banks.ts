// Memory that guests write and JavaScript sees: banks, cut out of large spaces with one view each.
//
//   space   | bank | free | bank | … |       free: address space without access
//
// Why: V8 takes a view of native memory for memory that its heap holds on to. A view for each bank
// would make it collect its garbage for each machine, several milliseconds each time.
//
// Invariant: a space is ours as long as the process lives, so that a view that somebody kept too
// long faults instead of reaching into what is mapped there next.
import * as libc from './libc.ts';
import { discard, mapReserved, type NativeRange, reserve, withdraw } from './memory.ts';

export interface Bank extends NativeRange {
  readonly view: Uint8Array;
}

interface Space {
  readonly address: number;
  readonly buffer: ArrayBuffer;
  /** What nobody has, in order of addresses. */
  readonly free: { off: number; bytes: number }[];
  /** The last view at an offset: engines keep account of each view of a buffer. */
  readonly views: Map<number, Uint8Array>;
}

/** A view is limited to 4 GiB. The first bank, often the only one, has a space of its own. */
const SPACE_BYTES = 0xe000_0000;
/** Large pages can lie behind a bank. */
const ALIGNMENT = 0x20_0000;

const spaces: Space[] = [];

function makeSpace(bytes: number): Space {
  const range = reserve(bytes + ALIGNMENT);
  const address = Math.ceil(range.address / ALIGNMENT) * ALIGNMENT;
  // SAFETY: inside of what was just reserved; the reservation is never given back.
  const buffer = libc.viewNative(address, bytes);
  const space = { address, buffer, free: [{ off: 0, bytes }], views: new Map() };
  spaces.push(space);
  return space;
}

function takeFrom(space: Space, bytes: number): number | null {
  const index = space.free.findIndex((run) => run.bytes >= bytes);
  const run = space.free[index];
  if (run === undefined) return null;
  const { off } = run;
  run.off += bytes;
  run.bytes -= bytes;
  if (run.bytes === 0) space.free.splice(index, 1);
  return off;
}

function giveTo(space: Space, off: number, bytes: number): void {
  const found = space.free.findIndex((run) => run.off > off);
  const index = found < 0 ? space.free.length : found;
  space.free.splice(index, 0, { off, bytes });
  for (const at of [index + 1, index]) {
    const [left, right] = [space.free[at - 1], space.free[at]];
    if (left === undefined || right === undefined || left.off + left.bytes !== right.off) continue;
    left.bytes += right.bytes;
    space.free.splice(at, 1);
  }
}

/** Zero-filled memory; pages take memory only when they are touched. @throws HostError */
export function takeBank(bytes: number): Bank {
  const whole = Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;
  for (const space of spaces) {
    const off = takeFrom(space, whole);
    if (off !== null) return open(space, off, bytes);
  }
  const space = makeSpace(spaces.length === 0 ? whole : Math.max(whole, SPACE_BYTES));
  return open(space, takeFrom(space, whole) as number, bytes);
}

function open(space: Space, off: number, bytes: number): Bank {
  const address = space.address + off;
  try {
    mapReserved({ address, bytes });
  } catch (error) {
    giveTo(space, off, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
    throw error;
  }
  return { address, bytes, view: viewAt(space, off, bytes) };
}

function viewAt(space: Space, off: number, bytes: number): Uint8Array {
  const known = space.views.get(off);
  if (known?.length === bytes) return known;
  const view = new Uint8Array(space.buffer, off, bytes);
  space.views.set(off, view);
  return view;
}

/** Gives a bank's memory back. Order: no machine uses it, and nobody its view. */
export function giveBank({ address, bytes }: NativeRange): void {
  const space = spaces.find((candidate) => {
    return address >= candidate.address &&
      address < candidate.address + candidate.buffer.byteLength;
  });
  if (space === undefined) throw new RangeError(`no bank at ${address}`);
  try {
    withdraw({ address, bytes });
  } catch {
    // No mapping more is to be had: what takes the range next replaces this one.
    discard(address, bytes);
  }
  giveTo(space, address - space.address, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
}
