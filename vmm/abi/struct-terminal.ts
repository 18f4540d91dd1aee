// Structs of terminal ioctls. Source: <asm-generic/termbits.h>, <asm-generic/termios.h>.
import { blob, type Layout, struct, u16, u32, u8 } from './layout.ts';

/** `struct termios` as TCGETS fills it: the kernel's, with 19 control characters. */
export const Termios: Layout<
  'c_iflag' | 'c_oflag' | 'c_cflag' | 'c_lflag' | 'c_line' | 'c_cc'
> = struct('termios', 36, {
  c_iflag: u32,
  c_oflag: u32,
  c_cflag: u32,
  c_lflag: u32,
  c_line: u8,
  c_cc: blob(19),
});

/** `struct termios2` (TCGETS2): with the speeds as numbers. */
export const Termios2: Layout<
  'c_iflag' | 'c_oflag' | 'c_cflag' | 'c_lflag' | 'c_line' | 'c_cc' | 'c_ispeed' | 'c_ospeed'
> = struct('termios2', 44, {
  c_iflag: u32,
  c_oflag: u32,
  c_cflag: u32,
  c_lflag: u32,
  c_line: u8,
  c_cc: blob(19),
  c_ispeed: u32,
  c_ospeed: u32,
});

/** `struct winsize` */
export const Winsize: Layout<'ws_row' | 'ws_col' | 'ws_xpixel' | 'ws_ypixel'> =
  struct('winsize', 8, { ws_row: u16, ws_col: u16, ws_xpixel: u16, ws_ypixel: u16 });
