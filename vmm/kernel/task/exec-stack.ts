// The initial stack of a program (System V ABI, "Initial Stack and Register State").
//
//   high  ┌──────────────────────────────┐ stackTop
//         │ 8 zero bytes, path (EXECFN)  │
//         │ environment strings          │
//         │ argument strings             │
//         │ platform "x86_64", 16 random │
//         │ auxv … AT_NULL               │
//         │ envp … NULL                  │
//         │ argv … NULL                  │
//   rsp ► │ argc                         │  16-aligned
//   low   └──────────────────────────────┘
import type { Kernel } from '../kernel.ts';
import type { Mm } from '../records/mm.ts';
import { copyOut } from '../mm/user-memory.ts';
import { E2BIG, EFAULT } from '../../abi/errno.ts';
import { AT_EXECFN, AT_NULL, AT_PLATFORM, AT_RANDOM } from '../../abi/auxv.ts';

/** Linux: MAX_ARG_STRLEN. */
const STRING_BYTES_MAX = 128 * 1024;
/** Linux: a quarter of the stack limit of 8 MiB. */
const STRINGS_BYTES_MAX = 2 * 1024 * 1024;
const PLATFORM = new TextEncoder().encode('x86_64');

export interface StackRequest {
  argv: Uint8Array[];
  env: Uint8Array[];
  path: Uint8Array;
  random: Uint8Array;
  /** (type, value) pairs without the ones that point into the stack. */
  auxv: [number, number][];
}

/** Checks the sizes of arguments and environment: 0 or -E2BIG. */
export function checkStrings(argv: Uint8Array[], env: Uint8Array[]): number {
  let total = 0;
  for (const string of [...argv, ...env]) {
    if (string.length + 1 > STRING_BYTES_MAX) return -E2BIG;
    total += string.length + 1 + 8;
  }
  return total > STRINGS_BYTES_MAX ? -E2BIG : 0;
}

/**
 * Writes the initial stack below `mm.stackTop`.
 * @returns the stack pointer, or -errno
 */
export function writeStack(k: Kernel, mm: Mm, request: StackRequest): number {
  const strings = [...request.argv, ...request.env, request.path];
  const bytes = strings.reduce((sum, string) => sum + string.length + 1, 0);
  const block = new Uint8Array(bytes + 8);
  const blockStart = mm.stackTop - block.length;
  const addresses: number[] = [];
  let at = 0;
  for (const string of strings) {
    addresses.push(blockStart + at);
    block.set(string, at);
    at += string.length + 1;
  }
  const platform = blockStart - PLATFORM.length - 1;
  const random = platform - request.random.length;
  const auxv: [number, number][] = [
    ...request.auxv,
    [AT_RANDOM, random],
    [AT_EXECFN, addresses[addresses.length - 1] as number],
    [AT_PLATFORM, platform],
    [AT_NULL, 0],
  ];
  const argc = request.argv.length;
  const words = [
    argc,
    ...addresses.slice(0, argc), 0,
    ...addresses.slice(argc, argc + request.env.length), 0,
    ...auxv.flat(),
  ];
  const low = random - words.length * 8;
  const rsp = low - low % 16;
  const image = new DataView(new ArrayBuffer(words.length * 8));
  words.forEach((word, index) => image.setBigUint64(index * 8, BigInt(word), true));
  const noted = noteRanges(mm, addresses, argc, blockStart + at);
  const ok = put(k, blockStart, block) && put(k, random, request.random) &&
    put(k, platform, PLATFORM) && put(k, rsp, new Uint8Array(image.buffer));
  return ok && noted ? rsp : -EFAULT;
}

function put(k: Kernel, gva: number, bytes: Uint8Array): boolean {
  return copyOut(k, gva, bytes) === bytes.length;
}

/** For /proc/self/stat and prctl: where arguments and environment lie. */
function noteRanges(mm: Mm, addresses: number[], argc: number, end: number): boolean {
  const pathAt = addresses[addresses.length - 1] ?? end;
  mm.argStart = addresses[0] ?? pathAt;
  mm.argEnd = addresses[argc] ?? pathAt;
  mm.envStart = mm.argEnd;
  mm.envEnd = pathAt;
  return true;
}
