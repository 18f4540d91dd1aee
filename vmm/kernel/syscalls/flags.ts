// Symbols for numbers in strace's lines: flag sets and enumerations, taken from vmm/abi by prefix,
// so that a constant that is added there is shown without a change here.
import * as epoll from '../../abi/poll.ts';
import * as fcntl from '../../abi/fcntl.ts';
import * as futex from '../../abi/futex.ts';
import * as ioctl from '../../abi/ioctl.ts';
import * as mman from '../../abi/mman.ts';
import * as prctl from '../../abi/prctl.ts';
import * as random from '../../abi/random.ts';
import * as resource from '../../abi/resource.ts';
import * as sched from '../../abi/sched.ts';
import * as signal from '../../abi/signal.ts';
import * as socket from '../../abi/socket.ts';
import * as time from '../../abi/time.ts';

type Symbols = readonly (readonly [value: number, name: string])[];

/** Constants of a module whose name matches; of two names for a value the first is kept. */
function pick(module: object, pattern: RegExp): Symbols {
  const byValue = new Map<number, string>();
  for (const [name, value] of Object.entries(module)) {
    if (typeof value !== 'number' || !pattern.test(name) || byValue.has(value)) continue;
    byValue.set(value, name);
  }
  return [...byValue];
}

/** Largest first, so that O_SYNC is found before O_DSYNC, which it contains. */
function pickFlags(module: object, pattern: RegExp): Symbols {
  return [...pick(module, pattern)].filter(([value]) => value !== 0).sort(([a], [b]) => b - a);
}

const OPEN: Symbols = pickFlags(fcntl, /^O_(?!ACCMODE|RDONLY|WRONLY|RDWR|NDELAY)/);
const OPEN_ACCESS = ['O_RDONLY', 'O_WRONLY', 'O_RDWR', 'O_ACCMODE'] as const;

/** Flag sets by format. */
const FLAGS: Readonly<Record<string, Symbols>> = {
  fdflags: pickFlags(fcntl, /^O_(CLOEXEC|NONBLOCK|APPEND)$/),
  prot: pickFlags(mman, /^PROT_/),
  mremap: pickFlags(mman, /^MREMAP_/),
  memfd: pickFlags(mman, /^MFD_/),
  msg: pickFlags(socket, /^MSG_/),
  at: pickFlags(fcntl, /^AT_(SYMLINK_NOFOLLOW|SYMLINK_FOLLOW|NO_AUTOMOUNT|EMPTY_PATH)$/),
  atremove: pickFlags(fcntl, /^AT_REMOVEDIR$/),
  access: pickFlags(fcntl, /^[RWX]_OK$/),
  flock: pickFlags(fcntl, /^LOCK_/),
  rename: pickFlags(fcntl, /^RENAME_/),
  grnd: pickFlags(random, /^GRND_/),
};

/** What a flag set without any flag is called, where it is not 0. */
const NONE: Readonly<Record<string, string>> = { prot: 'PROT_NONE', access: 'F_OK' };

/** Enumerations by format. */
const ENUMS: Readonly<Record<string, ReadonlyMap<number, string>>> = {
  madvise: new Map(pick(mman, /^MADV_/)),
  signal: new Map(pick(signal, /^SIG(?!EV_|_|RTM)[A-Z0-9]+$/)),
  sigmaskhow: new Map(pick(signal, /^SIG_(BLOCK|UNBLOCK|SETMASK)$/)),
  clock: new Map(pick(time, /^CLOCK_/)),
  itimer: new Map(pick(time, /^ITIMER_/)),
  whence: new Map(pick(fcntl, /^SEEK_/)),
  family: new Map(pick(socket, /^AF_(?!MAX|LOCAL)/)),
  shutdown: new Map(pick(socket, /^SHUT_/)),
  sol: new Map(pick(socket, /^SOL_/)),
  fcntl: new Map(pick(fcntl, /^F_(?!OK$|OWNER|RDLCK|WRLCK|UNLCK|SEAL)/)),
  ioctl: new Map(pick(ioctl, /^(TC[GS]ET|TCSB|TCX|TCFL|TIO|FIO|FS_IOC|FICL|BLK|RND)/)),
  rlimit: new Map(pick(resource, /^RLIMIT_/)),
  prctl: new Map([
    ...pick(prctl, /^PR_(GET_|SET_(?!VMA_)|CAPBSET_|CAP_AMBIENT$)/),
    ...pick(prctl, /^PR_(MCE_|TASK_|TIMER_|FUTEX_|SCHED_CORE$)/),
  ]),
  arch: new Map(pick(prctl, /^ARCH_/)),
  epollop: new Map(pick(epoll, /^EPOLL_CTL_/)),
};

const MAP_FLAGS: Symbols = pickFlags(mman, /^MAP_(?!SHARED|PRIVATE|TYPE|HUGE_|DROPPABLE)/);
const MAP_TYPES: ReadonlyMap<number, string> =
  new Map(pick(mman, /^MAP_(SHARED|PRIVATE|SHARED_VALIDATE|DROPPABLE)$/));
const CLONE_FLAGS: Symbols = pickFlags(sched, /^CLONE_(?!ARGS|CLEAR|INTO)/);
const FUTEX_OPS: ReadonlyMap<number, string> =
  new Map(pick(futex, /^FUTEX_(WAIT|WAKE|FD|REQUEUE|CMP_REQUEUE|LOCK|UNLOCK|TRYLOCK)(?!V)(?!ERS)/));
const FUTEX_FLAGS: Symbols = pickFlags(futex, /^FUTEX_(PRIVATE_FLAG|CLOCK_REALTIME)$/);
const SOCKET_TYPES: ReadonlyMap<number, string> =
  new Map(pick(socket, /^SOCK_(?!TYPE|CLOEXEC|NONBLOCK)/));
const SOCKET_FLAGS: Symbols = pickFlags(socket, /^SOCK_(CLOEXEC|NONBLOCK)$/);
const SOCKET_OPTIONS: ReadonlyMap<number, string> = new Map(pick(socket, /^SO_/));
const TCP_OPTIONS: ReadonlyMap<number, string> =
  new Map(pick(socket, /^TCP_(?!ESTABLISHED|SYN_|FIN_|TIME_|CLOSE|LAST_|LISTEN)/));
const EPOLL_EVENTS: Symbols = pickFlags(epoll, /^EPOLL(?!_)/);

function hex(value: number): string {
  return `0x${(value >>> 0).toString(16)}`;
}

/** Names of set bits joined by `|`; what has no name is hexadecimal. */
function joinFlags(value: number, symbols: Symbols, first: readonly string[] = []): string {
  const names: string[] = [];
  let rest = value;
  for (const [bit, name] of symbols) {
    if ((rest & bit) >>> 0 !== bit >>> 0) continue;
    names.push(name);
    rest &= ~bit;
  }
  names.reverse();
  if (rest !== 0) names.push(hex(rest));
  const all = [...first, ...names];
  return all.length === 0 ? '0' : all.join('|');
}

function formatMap(value: number): string {
  const type = value & mman.MAP_TYPE;
  const name = MAP_TYPES.get(type);
  const rest = name === undefined ? value : value & ~type;
  return joinFlags(rest, MAP_FLAGS, name === undefined ? [] : [name]);
}

function formatClone(value: number): string {
  const end = value & sched.CSIGNAL;
  const flags = joinFlags(value & ~sched.CSIGNAL, CLONE_FLAGS);
  const name = ENUMS['signal']?.get(end) ?? String(end);
  if (end === 0) return flags;
  return flags === '0' ? name : `${flags}|${name}`;
}

function formatFutex(value: number): string {
  const flags = value & (futex.FUTEX_PRIVATE_FLAG | futex.FUTEX_CLOCK_REALTIME);
  const op = FUTEX_OPS.get(value & ~flags) ?? hex(value & ~flags);
  return flags === 0 ? op : joinFlags(flags, FUTEX_FLAGS, [op]).replace('_FLAG', '');
}

function formatSocketType(value: number): string {
  const type = value & socket.SOCK_TYPE_MASK;
  const name = SOCKET_TYPES.get(type);
  const rest = name === undefined ? value : value & ~type;
  return joinFlags(rest, SOCKET_FLAGS, name === undefined ? [] : [name]);
}

function formatSignal(value: number): string {
  const name = ENUMS['signal']?.get(value);
  if (name !== undefined) return name;
  return value >= signal.SIGRTMIN && value <= signal.SIGRTMAX
    ? `SIGRT_${value - signal.SIGRTMIN}`
    : String(value);
}

/** The option's name, which depends on its level. */
export function formatSocketOption(level: number, option: number): string {
  if (level === socket.SOL_SOCKET) return SOCKET_OPTIONS.get(option) ?? String(option);
  if (level === socket.SOL_TCP) return TCP_OPTIONS.get(option) ?? String(option);
  return String(option);
}

/** Events of an epoll interest. */
export function formatEpollEvents(value: number): string {
  return joinFlags(value, EPOLL_EVENTS);
}

/** A set of signals, bit n-1 for signal n: `[INT TERM]`, or `~[KILL]` when most are in it. */
export function formatSigset(set: bigint): string {
  const members: number[] = [];
  for (let n = 1; n <= signal.SIGRTMAX; n++) if ((set >> BigInt(n - 1)) & 1n) members.push(n);
  if (members.length > signal.SIGRTMAX / 2) {
    return `~${formatSigset(~set & 0xffff_ffff_ffff_ffffn)}`;
  }
  return `[${members.map((n) => formatSignal(n).replace(/^SIG/, '')).join(' ')}]`;
}

/**
 * A 32-bit argument of format `format` (names.ts) in symbols.
 * @returns undefined when the format is not symbolic
 */
export function formatSymbol(format: string, value: number): string | undefined {
  const flags = FLAGS[format];
  if (flags !== undefined) return value === 0 ? NONE[format] ?? '0' : joinFlags(value, flags);
  switch (format) {
    case 'open':
      return joinFlags(value & ~fcntl.O_ACCMODE, OPEN, [
        OPEN_ACCESS[value & fcntl.O_ACCMODE] as string,
      ]);
    case 'map':
      return formatMap(value);
    case 'clone':
      return formatClone(value);
    case 'futex':
      return formatFutex(value);
    case 'socktype':
      return value === 0 ? '0' : formatSocketType(value);
    case 'signal':
      return formatSignal(value);
    default:
      return ENUMS[format]?.get(value) ?? (ENUMS[format] === undefined ? undefined : hex(value));
  }
}
