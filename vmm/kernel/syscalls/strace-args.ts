// The arguments of one call as strace shows them, by the formats of names.ts. Pointers are followed
// only where a format says so, and at most a few pages; what cannot be read is shown as an address.
import { AT_FDCWD, O_CREAT, O_TMPFILE } from '../../abi/fcntl.ts';
import { FUTEX_WAIT, FUTEX_WAIT_BITSET, FUTEX_WAKE } from '../../abi/futex.ts';
import { AF_INET, AF_INET6, AF_UNIX } from '../../abi/socket.ts';
import { EpollEvent, Iovec } from '../../abi/struct-file.ts';
import { SockaddrIn } from '../../abi/struct-socket.ts';
import { Timespec } from '../../abi/struct-time.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, readString, readStruct } from '../mm/user-memory.ts';
import type { Task } from '../records/task.ts';
import { type Args, argsOf } from './args.ts';
import { formatEpollEvents, formatSigset, formatSocketOption, formatSymbol } from './flags.ts';
import { SIGNATURES } from './names.ts';
import type { SyscallRow } from './table.ts';

/** Bytes of a buffer that are shown, as strace's default. */
const SHOWN_BYTES = 32;
/** Elements of argv and of an iovec that are shown. */
const SHOWN_ITEMS = 16;
const PATH_BYTES = 4096;
const ARGUMENT_COUNT = 6;

/** One argument: its position, its format, and everything around it. */
interface Context {
  readonly k: Kernel;
  readonly args: Args;
  /** Formats of all arguments, in order. */
  readonly formats: readonly string[];
}

/** The text between the parentheses. */
export function formatArguments(k: Kernel, task: Task, row: SyscallRow): string {
  const args = argsOf(task);
  if (row.name === '') {
    return Array.from({ length: ARGUMENT_COUNT }, (_, i) => address(args.u64(i))).join(', ');
  }
  const formats = formatsOf(SIGNATURES[row.name] ?? '');
  const context: Context = { k, args, formats };
  const texts: string[] = [];
  for (let index = 0; index < argumentCount(context); index++) {
    texts.push(formatArgument(context, index, formats[index] as string));
  }
  return texts.join(', ');
}

function formatsOf(signature: string): string[] {
  if (signature === '') return [];
  return signature.split(' ').map((part) => part.slice(part.indexOf(':') + 1));
}

/** Arguments that the call looks at: fewer than declared for some flags and operations. */
function argumentCount({ args, formats }: Context): number {
  const modeIndex = formats.indexOf('openmode');
  if (modeIndex > 0) {
    const flags = args.i32(modeIndex - 1);
    const creates = (flags & O_CREAT) !== 0 || (flags & O_TMPFILE) === O_TMPFILE;
    return creates ? formats.length : modeIndex;
  }
  if (formats[1] === 'futex') {
    const operation = args.u32(1) & 0x7f;
    if (operation === FUTEX_WAKE) return 3;
    if (operation === FUTEX_WAIT) return 4;
  }
  return formats.length;
}

function formatArgument(context: Context, index: number, format: string): string {
  const { args } = context;
  switch (format) {
    case 'int':
    case 'fd':
      return String(args.i32(index));
    case 'dirfd':
      return args.i32(index) === AT_FDCWD ? 'AT_FDCWD' : String(args.i32(index));
    case 'uint':
      return String(args.u32(index));
    case 'long':
      return String(args.i64(index));
    case 'size':
      return args.big(index).toString();
    case 'hex':
      return args.big(index) === 0n ? '0' : `0x${args.big(index).toString(16)}`;
    case 'hex32':
      return `0x${args.u32(index).toString(16)}`;
    case 'oct':
    case 'openmode':
      return `0${(args.u32(index) & 0xffff).toString(8)}`;
    case 'ptr':
      return address(args.u64(index));
    case 'so':
      return formatSocketOption(args.i32(index - 1), args.i32(index));
    default:
      return formatSymbol(format, args.i32(index)) ?? formatPointed(context, index, format);
  }
}

/** Formats that read guest memory. */
function formatPointed(context: Context, index: number, format: string): string {
  const { k, args } = context;
  const gva = args.u64(index);
  if (gva === 0) return 'NULL';
  const [, kind, lengthIndex = ''] = /^([a-z]+)(\d?)$/.exec(format) ?? [];
  const length = lengthIndex === '' ? 0 : args.u64(Number(lengthIndex));
  switch (kind) {
    case 'path':
      return formatString(k, gva);
    case 'data':
      return formatData(k, gva, length);
    case 'iov':
      return formatIovec(k, gva, length);
    case 'argv':
      return formatArgv(k, gva);
    case 'sockaddr':
      return formatSockaddr(k, gva, length);
    case 'sigset':
      return formatSet(k, gva);
    case 'timespec':
      return formatPair(k, gva, 'tv_nsec');
    case 'timeval':
      return formatPair(k, gva, 'tv_usec');
    case 'futextimeout':
      return isFutexWait(args) ? formatPair(k, gva, 'tv_nsec') : address(gva);
    case 'epollevent':
      return formatEpollEvent(k, gva);
    default:
      return address(gva);
  }
}

function address(gva: number): string {
  return gva === 0 ? 'NULL' : `0x${gva.toString(16)}`;
}

function isFutexWait(args: Args): boolean {
  const operation = args.u32(1) & 0x7f;
  return operation === FUTEX_WAIT || operation === FUTEX_WAIT_BITSET;
}

const ESCAPES: Readonly<Record<number, string>> =
  { 9: '\\t', 10: '\\n', 11: '\\v', 12: '\\f', 13: '\\r', 34: '\\"', 92: '\\\\' };

/** Printable ASCII as it is, everything else as C escapes. */
export function quote(bytes: Uint8Array): string {
  let text = '"';
  bytes.forEach((byte, index) => {
    const next = bytes[index + 1] ?? 0;
    const octal = byte.toString(8);
    if (ESCAPES[byte] !== undefined) text += ESCAPES[byte];
    else if (byte >= 32 && byte < 127) text += String.fromCharCode(byte);
    else text += `\\${next >= 48 && next < 56 ? octal.padStart(3, '0') : octal}`;
  });
  return `${text}"`;
}

function formatString(k: Kernel, gva: number): string {
  const bytes = readString(k, gva, PATH_BYTES);
  if (bytes === null) return address(gva);
  return bytes === undefined ? `${formatData(k, gva, PATH_BYTES)}` : quote(bytes);
}

function formatData(k: Kernel, gva: number, length: number): string {
  const bytes = new Uint8Array(Math.min(length, SHOWN_BYTES));
  if (copyIn(k, gva, bytes) < bytes.length) return address(gva);
  return length > SHOWN_BYTES ? `${quote(bytes)}...` : quote(bytes);
}

function formatIovec(k: Kernel, gva: number, count: number): string {
  const items: string[] = [];
  for (let index = 0; index < Math.min(count, SHOWN_ITEMS); index++) {
    const view = readStruct(k, gva + index * Iovec.bytes, Iovec.bytes);
    if (view === null) return items.length === 0 ? address(gva) : `[${items.join(', ')}, ???]`;
    const base = Iovec.iov_base.get(view, 0);
    const length = Iovec.iov_len.get(view, 0);
    items.push(`{iov_base=${formatData(k, base, length)}, iov_len=${length}}`);
  }
  return `[${items.join(', ')}${count > SHOWN_ITEMS ? ', ...' : ''}]`;
}

function formatArgv(k: Kernel, gva: number): string {
  const items: string[] = [];
  for (let index = 0; index < SHOWN_ITEMS; index++) {
    const view = readStruct(k, gva + index * 8, 8);
    if (view === null) return items.length === 0 ? address(gva) : `[${items.join(', ')}, ???]`;
    const item = Number(view.getBigUint64(0, true));
    if (item === 0) return `[${items.join(', ')}]`;
    items.push(formatString(k, item));
  }
  return `[${items.join(', ')}, ...]`;
}

function formatSockaddr(k: Kernel, gva: number, length: number): string {
  const bytes = new Uint8Array(Math.min(length, 128));
  if (bytes.length < 2 || copyIn(k, gva, bytes) < bytes.length) return address(gva);
  const view = new DataView(bytes.buffer);
  const family = view.getUint16(0, true);
  const name = formatSymbol('family', family) ?? String(family);
  if (family === AF_UNIX) {
    return `{sa_family=${name}, sun_path=${quoteUnixPath(bytes.subarray(2))}}`;
  }
  if (family === AF_INET && bytes.length >= SockaddrIn.bytes) {
    const port = SockaddrIn.sin_port.get(view, 0);
    const dotted = bytes.subarray(4, 8).join('.');
    return `{sa_family=${name}, sin_port=htons(${port}), sin_addr=inet_addr("${dotted}")}`;
  }
  if (family === AF_INET6 && bytes.length >= 24) {
    const words = Array.from({ length: 8 }, (_, i) => view.getUint16(8 + i * 2).toString(16));
    const port = view.getUint16(2);
    return `{sa_family=${name}, sin6_port=htons(${port}), sin6_addr="${words.join(':')}"}`;
  }
  return `{sa_family=${name}, sa_data=${quote(bytes.subarray(2, 2 + SHOWN_BYTES))}}`;
}

/** A path ends at its NUL; an abstract name begins with one and is shown with an @. */
function quoteUnixPath(path: Uint8Array): string {
  if (path.length > 0 && path[0] === 0) return `@${quote(path.subarray(1))}`;
  const end = path.indexOf(0);
  return quote(end < 0 ? path : path.subarray(0, end));
}

function formatSet(k: Kernel, gva: number): string {
  const view = readStruct(k, gva, 8);
  return view === null ? address(gva) : formatSigset(view.getBigUint64(0, true));
}

function formatPair(k: Kernel, gva: number, second: string): string {
  const view = readStruct(k, gva, Timespec.bytes);
  if (view === null) return address(gva);
  const { tv_sec, tv_nsec } = Timespec;
  return `{tv_sec=${tv_sec.get(view, 0)}, ${second}=${tv_nsec.get(view, 0)}}`;
}

function formatEpollEvent(k: Kernel, gva: number): string {
  const view = readStruct(k, gva, EpollEvent.bytes);
  if (view === null) return address(gva);
  const data = EpollEvent.data.get(view, 0).toString(16);
  return `{events=${formatEpollEvents(EpollEvent.events.get(view, 0))}, data=0x${data}}`;
}
