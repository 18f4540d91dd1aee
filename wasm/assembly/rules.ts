// rules: what else must hold in an objects section from a hostile file, so that a kernel may work
// on its records without looking twice: numbers lie in their ranges, lists end, ways back lead
// back.
//
//   marks     u32 per 8 bytes of the section; at a record's start what was found out about it: bit
//             0 … 29 a list has it, by class; 30 its chain ends; 31 it is on the chain at hand
//   targets   u32 per 4 bytes of the section: where the reference field there leads, plus 1; 0 null
//
// Preconditions: validate() has accepted the section, and the rules fit the schema that it had.
// Invariant: loads stay inside the section, the table, the rules and the scratch; only the scratch
// is written. Linear: each record and field is looked at a fixed number of times.

import { fail } from "./validate";

const numberOutside: i32 = -11;
const notKeptNotZero: i32 = -12;
const lengthOutside: i32 = -13;
const secondRecord: i32 = -14;
const listedTwice: i32 = -15;
const wrongWayBack: i32 = -16;
const wrongOwner: i32 = -17;
const endlessChain: i32 = -18;
const wrongFlag: i32 = -19;

const numberU8: u32 = 1;
const numberU16: u32 = 2;
const numberU32: u32 = 3;
const numberI32: u32 = 4;
const numberF64: u32 = 5;
const zeroBytes: u32 = 6;
const tailLength: u32 = 7;
const atMostLength: u32 = 8;
const belowLength: u32 = 9;

const roleHead: u32 = 1;
const roleNext: u32 = 2;
const roleTail: u32 = 3;

const chainEnds: u32 = 1 << 30;
const onChain: u32 = 1 << 31;

// The seven words of a kind.
@unmanaged class Kind {
  fixedBytes: u32;
  single: u32;
  numberCount: u32;
  numberStart: u32;
  linkCount: u32;
  linkStart: u32;
  chain: u32;
}
const kindWords: usize = 28;

// A number's row: u16 offset, u8 type, u8 log2 of its step, f64 least, f64 most.
const numberBytes: usize = 20;

@unmanaged class Link {
  offset: u16;
  /** Of the field in the target that leads back here; 0 none. For tails: that must be null. */
  back: u16;
  listClass: u8;
  role: u8;
  /** Of the field that all records of a list have in common; 0 none. */
  owner: u16;
  /** Of the byte that says whether the target is in a list of the class; 0 none. */
  flag: u16;
}
const linkBytes: usize = 12;

let objects: usize = 0;
let objectsBytes: u32 = 0;
let kinds: usize = 0;
let rows: usize = 0;
let marks: usize = 0;
let targets: usize = 0;

/** Bytes of scratch memory that checkRules() needs for a section. */
export function rulesScratchBytes(bytes: u32): u32 {
  return (bytes >>> 1) + bytes;
}

// @ts-ignore: decorator
@inline
function kindAt(offset: u32): Kind {
  return changetype<Kind>(kinds + <usize>load<u16>(objects + offset) * kindWords);
}

// @ts-ignore: decorator
@inline
function markAt(offset: u32): usize {
  return marks + (offset >>> 1);
}

/** Where the reference field at `field` leads, plus 1; 0 when it is null. */
// @ts-ignore: decorator
@inline
function follow(field: u32): u32 {
  return load<u32>(targets + field);
}

/** Returns the number of records, or a negative code. */
export function checkRules(
  objectsAddress: usize, bytes: u32, relations: usize, relationCount: u32,
  rules: usize, scratch: usize,
): i32 {
  objects = objectsAddress;
  objectsBytes = bytes;
  kinds = rules + 4;
  rows = kinds + <usize>load<u32>(rules) * kindWords;
  marks = scratch;
  targets = scratch + (bytes >>> 1);
  memory.fill(scratch, 0, rulesScratchBytes(bytes));
  for (let index: u32 = 0; index < relationCount; index++) {
    const relation = relations + (<usize>index << 3);
    store<u32>(targets + load<u32>(relation), load<u32>(relation, 4) + 1);
  }
  const count = checkAlone();
  if (count < 0) return count;
  let result = checkLinks();
  if (result < 0) return result;
  result = checkChains();
  return result < 0 ? result : count;
}

/** What can be told of each record by itself; returns how many there are. */
function checkAlone(): i32 {
  let count: i32 = 0;
  let seen: u32 = 0;
  for (let offset: u32 = 0; offset < objectsBytes; count++) {
    const kind = kindAt(offset);
    if (kind.single != 0) {
      const bit = <u32>1 << (kind.single - 1);
      if (seen & bit) return fail(secondRecord, offset);
      seen |= bit;
    }
    let row = rows + (<usize>kind.numberStart << 2);
    for (let left = kind.numberCount; left != 0; left--, row += numberBytes) {
      const code = checkNumber(offset, kind, row);
      if (code < 0) return fail(code, offset + load<u16>(row));
    }
    offset += load<u32>(objects + offset, 4);
  }
  return count;
}

function checkNumber(record: u32, kind: Kind, row: usize): i32 {
  const at = objects + record + load<u16>(row);
  const type = <u32>load<u8>(row, 2);
  const most = load<f64>(row, 12);
  if (type == zeroBytes) {
    for (let end = at + <usize>most, from = at; from < end; from++) {
      if (load<u8>(from) != 0) return notKeptNotZero;
    }
    return 0;
  }
  if (type == tailLength) {
    const room = <f64>(load<u32>(objects + record, 4) - kind.fixedBytes);
    return <f64>load<u32>(at) * most > room ? lengthOutside : 0;
  }
  if (type == atMostLength || type == belowLength) {
    const target = follow(record + <u32>most);
    const length: u32 = target == 0 ? 0 : load<u32>(objects + target - 1, 8);
    const value = load<u32>(at);
    return value > length || (type == belowLength && value == length) ? lengthOutside : 0;
  }
  let value: f64 = 0;
  if (type == numberU8) value = <f64>load<u8>(at);
  else if (type == numberU16) value = <f64>load<u16>(at);
  else if (type == numberU32) value = <f64>load<u32>(at);
  else if (type == numberI32) value = <f64>load<i32>(at);
  else if (type == numberF64) value = load<f64>(at);
  // A NaN is in no range and an infinity is its own integer part.
  const least = load<f64>(row, 4);
  if (!(value >= least && value <= most)) return numberOutside;
  const steps = value / <f64>(<u64>1 << load<u8>(row, 3));
  return Math.trunc(steps) == steps ? 0 : numberOutside;
}

function checkLinks(): i32 {
  for (let offset: u32 = 0; offset < objectsBytes;) {
    const kind = kindAt(offset);
    let row = rows + (<usize>kind.linkStart << 2);
    for (let left = kind.linkCount; left != 0; left--, row += linkBytes) {
      const link = changetype<Link>(row);
      const target = follow(offset + link.offset);
      if (target == 0) continue;
      const code = checkLink(offset, target - 1, link);
      if (code < 0) return fail(code, offset + link.offset);
    }
    offset += load<u32>(objects + offset, 4);
  }
  return checkFlags();
}

function checkLink(record: u32, target: u32, link: Link): i32 {
  const role = <u32>link.role;
  if (link.back != 0) {
    const back = follow(target + link.back);
    if (back != (role == roleTail ? 0 : record + 1)) return wrongWayBack;
  }
  if (role == roleHead || role == roleNext) {
    const at = markAt(target);
    const bit = <u32>1 << link.listClass;
    const found = load<u32>(at);
    if (found & bit) return listedTwice;
    store<u32>(at, found | bit);
    if (link.owner != 0) {
      const owner = role == roleHead ? record + 1 : follow(record + link.owner);
      if (follow(target + link.owner) != owner) return wrongOwner;
    }
  }
  return 0;
}

/** Whether records know that they are in a list: the rule stands with the list's `next`. */
function checkFlags(): i32 {
  for (let offset: u32 = 0; offset < objectsBytes;) {
    const kind = kindAt(offset);
    let row = rows + (<usize>kind.linkStart << 2);
    for (let left = kind.linkCount; left != 0; left--, row += linkBytes) {
      const link = changetype<Link>(row);
      if (link.flag == 0) continue;
      const isListed = (load<u32>(markAt(offset)) >>> link.listClass & 1) != 0;
      const says = load<u8>(objects + offset + link.flag) != 0;
      if (isListed != says) return fail(wrongFlag, offset + link.flag);
    }
    offset += load<u32>(objects + offset, 4);
  }
  return 0;
}

/** The next record of a chain plus 1, or 0: a record has at most one of the chain's two fields. */
function followChain(record: u32): u32 {
  const chain = kindAt(record).chain;
  const first = follow(record + (chain & 0xffff));
  return first != 0 ? first : follow(record + (chain >>> 16));
}

/** Each chain is walked once, and its records are marked then. */
function checkChains(): i32 {
  for (let offset: u32 = 0; offset < objectsBytes;) {
    const chain = kindAt(offset).chain;
    if (chain != 0) {
      if (follow(offset + (chain & 0xffff)) != 0 && follow(offset + (chain >>> 16)) != 0) {
        return fail(endlessChain, offset);
      }
      if (walkChain(offset) < 0) return fail(endlessChain, offset);
    }
    offset += load<u32>(objects + offset, 4);
  }
  return 0;
}

function walkChain(start: u32): i32 {
  let next = start + 1;
  while (next != 0) {
    const at = markAt(next - 1);
    const found = load<u32>(at);
    if (found & onChain) return endlessChain;
    if (found & chainEnds) break;
    store<u32>(at, found | onChain);
    next = followChain(next - 1);
  }
  for (next = start + 1; next != 0;) {
    const at = markAt(next - 1);
    const found = load<u32>(at);
    if (found & chainEnds) break;
    store<u32>(at, (found & ~onChain) | chainEnds);
    next = followChain(next - 1);
  }
  return 0;
}
