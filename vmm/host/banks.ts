// Memory that guests write and JavaScript sees: banks, cut out of large spaces.
//
//   space   | bank | free | bank | … |       free: address space without access
//   views     ==            =======          of what a guest has come to use, kept for the next one
//
// Why: V8 takes a view of native memory for memory that its heap holds on to, and collects its
// garbage when there is much more of it than before. A view of each whole bank made it do so for
// every seventh machine, and without a pause once there were 50 GiB.
//
// Invariant: a space is ours as long as the process lives, so that a view that somebody kept too
// long faults instead of reaching into what is mapped there next.
import * as libc from './libc.ts';
import { discard, mapReserved, type NativeRange, reserve, withdraw } from './memory.ts';

/** Address space for guest-physical memory; pages take memory only when they are touched. */
export type Bank = NativeRange;

interface Space {
  readonly address: number;
  readonly bytes: number;
  /** What nobody has, in order of addresses. */
  readonly free: { off: number; bytes: number }[];
  /** The last view at an offset. */
  readonly views: Map<number, Uint8Array>;
}

/** The first bank, often the only one, has a space of its own. */
const SPACE_BYTES = 0xe000_0000;
/** Views of a bank: the first one, and how many times as long the next one is. */
const VIEW_BYTES = 8 * 2 ** 20;
const VIEW_GROWTH = 8;
/** Large pages can lie behind a bank. */
const ALIGNMENT = 0x20_0000;

const spaces: Space[] = [];

function makeSpace(bytes: number): Space {
  const range = reserve(bytes + ALIGNMENT);
  const address = Math.ceil(range.address / ALIGNMENT) * ALIGNMENT;
  const space = { address, bytes, free: [{ off: 0, bytes }], views: new Map() };
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
  return { address, bytes };
}

/**
 * A view of a bank from its beginning, of `wanted` bytes or more. The views of a bank show the same
 * memory, so that shorter ones can be used on.
 */
export function viewBank(bank: Bank, wanted: number): Uint8Array {
  if (wanted > bank.bytes) throw new RangeError('the bank has no more bytes');
  let bytes = VIEW_BYTES;
  while (bytes < wanted) bytes *= VIEW_GROWTH;
  bytes = Math.min(bytes, bank.bytes);
  const space = spaceOf(bank.address);
  const off = bank.address - space.address;
  const known = space.views.get(off);
  if (known?.length === bytes) return known;
  // SAFETY: inside of a space, which is never given back.
  const view = new Uint8Array(libc.viewNative(bank.address, bytes));
  space.views.set(off, view);
  return view;
}

function spaceOf(address: number): Space {
  const found = spaces.find((space) => {
    return address >= space.address && address < space.address + space.bytes;
  });
  if (found === undefined) throw new RangeError(`no bank at ${address}`);
  return found;
}

/** Gives a bank's memory back. Order: no machine uses it, and nobody its views. */
export function giveBank({ address, bytes }: Bank): void {
  const space = spaceOf(address);
  try {
    withdraw({ address, bytes });
  } catch {
    // No mapping more is to be had: what takes the range next replaces this one.
    discard(address, bytes);
  }
  giveTo(space, address - space.address, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);
}
