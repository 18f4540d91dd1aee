// Zero pages: found by or-ing 16-byte lanes, 128 bytes at a time, so that other pages end early.

import { pageBytes } from "./pte";

export function isZeroPage(page: usize): bool {
  for (let offset: usize = 0; offset < pageBytes; offset += 128) {
    const at = page + offset;
    const a = v128.or(v128.load(at), v128.load(at, 16));
    const b = v128.or(v128.load(at, 32), v128.load(at, 48));
    const c = v128.or(v128.load(at, 64), v128.load(at, 80));
    const d = v128.or(v128.load(at, 96), v128.load(at, 112));
    if (v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) return false;
  }
  return true;
}

/** Bit i (of byte i/8, lowest first) is 1 for a zero page. Returns how many there are. */
export function zeroMap(pages: usize, pageCount: u32, bitmap: usize): u32 {
  let zeroPages: u32 = 0;
  for (let index: u32 = 0; index < pageCount; index += 8) {
    let bits: u32 = 0;
    const end = min<u32>(8, pageCount - index);
    for (let bit: u32 = 0; bit < end; bit++) {
      if (!isZeroPage(pages + <usize>(index + bit) * pageBytes)) continue;
      bits |= 1 << bit;
      zeroPages++;
    }
    store<u8>(bitmap + (index >>> 3), <u8>bits);
  }
  return zeroPages;
}
