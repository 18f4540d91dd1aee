// What the guest kernel needs from outside, as interfaces: guest frames, the lower file system, the
// console, clocks and entropy. boot/ implements them over the machine and the host; unit tests with
// plain arrays. Errors are -errno; nothing here throws for what a guest or a file can cause.

/** A frame id: 0 none, i bank frame i, BASE_FRAME | i base frame i (from the image, read-only). */
export type FrameId = number;
export const BASE_FRAME = 0x8000_0000;
export const PAGE_BYTES = 4096;

/** Guest-physical memory as the kernel sees it. */
export interface GuestFrames {
  /**
   * Bank frames, those that are backed at least: frame i is bytes [i * 4096, (i + 1) * 4096).
   * Frame 0 is never used. Another array when more are backed; older ones stay good for what they
   * show.
   */
  readonly bank: Uint8Array;
  /** Host-virtual address of `bank` (for reads straight into guest memory). */
  readonly bankAddress: number;
  /** How many bank frames there are (the sandbox's memory limit), frame 0 included. */
  readonly bankFrames: number;
  readonly bankPfn: number;
  /** Frames of the image's base window; 0 when there is no image. */
  readonly baseFrames: number;
  readonly basePfn: number;
  /** Copies out of a base frame. False when the image's file has gone. */
  readBase(index: number, offset: number, target: Uint8Array): boolean;
  /** Bank frames below this are backed (slot registered); `grow` raises it. */
  ensureBacked(frames: number): void;
}

/** The piece of state memory with a sandbox's page tables; table i is 4096 bytes at i * 4096. */
export interface TableWindow {
  /** Address in the state memory. */
  readonly address: number;
  /** Guest page number of table 0. */
  readonly pfn: number;
  readonly count: number;
  /** Tables below this index belong to the machine (stub pages, kernel half). */
  readonly firstFree: number;
}

/** Tells the machine that a present translation changed in a way the guest could still use. */
export interface Translations {
  /** `pte` is the old entry, of guest address `gva`; it may be cached by the CPU or by KVM. */
  stale(gva: number, oldPte: bigint, tableIndex: number, entryIndex: number): void;
  /**
   * Forgets every translation and every way to a table, so that tables of address spaces that have
   * ended can be used elsewhere. Dear (about 1 ms): for many tables at once.
   */
  forgetAll(): void;
}

export interface LowerStat {
  dev: number;
  ino: number;
  mode: number;
  nlink: number;
  uid: number;
  gid: number;
  rdev: number;
  bytes: number;
  atimeSec: number;
  atimeNsec: number;
  mtimeSec: number;
  mtimeNsec: number;
  ctimeSec: number;
  ctimeNsec: number;
}

export interface LowerEntry {
  name: Uint8Array;
  ino: number;
  /** DT_* */
  type: number;
}

/** An extended attribute. */
export interface LowerAttribute {
  name: Uint8Array;
  value: Uint8Array;
}

/**
 * The read-only rootfs. Paths are bytes relative to its root, without leading slash; '' is the
 * root.
 */
export interface LowerFs {
  stat(path: Uint8Array): LowerStat | number;
  /** Opens a regular file for reading; returns a handle ≥ 0. */
  open(path: Uint8Array): number;
  fstat(handle: number): LowerStat | number;
  /** Reads at an offset; returns bytes read, 0 at the end. */
  read(handle: number, offset: number, target: Uint8Array): number;
  readlink(path: Uint8Array): Uint8Array | number;
  list(path: Uint8Array): LowerEntry[] | number;
  /** The extended attributes of a regular file or directory, as far as they can be read. */
  attributes(path: Uint8Array): LowerAttribute[] | number;
  close(handle: number): void;
}

/** The sandbox's stdin, stdout, stderr on the host side. */
export interface ConsolePort {
  /** Bytes read, 0 at the end, -EAGAIN when nothing is there yet. */
  read(target: Uint8Array): number;
  /** Bytes written; -EAGAIN when the host side is full, -EPIPE when it is gone. */
  write(stream: 1 | 2, data: Uint8Array): number;
  /** True when read() would not say -EAGAIN. */
  readable(): boolean;
  writable(stream: 1 | 2): boolean;
  /** The guest has set the mode of its terminal: `struct termios2`. */
  setTerminal?(termios: Uint8Array): void;
  /** Bit n: stream n is a terminal; columns and rows of it. */
  readonly terminals: number;
  readonly columns: number;
  readonly rows: number;
}

export interface ClockPort {
  /** Host CLOCK_MONOTONIC in ns, from an origin that keeps it below 2^53. */
  monotonicNs(): number;
  /** Host CLOCK_REALTIME. */
  realtime(): { sec: number; nsec: number };
  /** CPU time the guest consumed in this process (ns). */
  cpuNs(): number;
  /**
   * From now on programs may read the time by themselves (kernel/vdso): CLOCK_REALTIME and its
   * kind as the host's, CLOCK_MONOTONIC and its kind as the host's plus `offsetNs`.
   */
  share(offsetNs: number): void;
  /** Keeps what programs read near the host's clocks. `hostNs` is monotonicNs() now. */
  refresh(hostNs: number): void;
}

export interface EntropyPort {
  fill(target: Uint8Array): void;
}

/** The FPU of the vCPU, that is, of the thread that is on it (Kernel.current). */
export interface FpuPort {
  /** XCR0: the state components that the guest may use. */
  readonly features: bigint;
  /** Bytes of the XSAVE area (standard format) for `features`: CPUID 0xd.0 EBX. */
  readonly bytes: number;
  /** The XSAVE area: legacy 512, header 64, then the components. At least `bytes` long. */
  read(): Uint8Array;
  /** Loads an area that read() gave, or one that signal/xsave.ts has checked. */
  write(bytes: Uint8Array): void;
}

/** What becomes known while the guest runs and somebody outside may want to hear. */
export interface EventPort {
  /** A lower file is not what the image saw, an unimplemented call was made, … */
  event(kind: string, detail: string): void;
}

/** Log files of the host, by number; -EROFS for one that was not granted. */
export interface LogPort {
  /** Writes to the end, at once; bytes written or -errno. */
  append(number: number, data: Uint8Array): number;
  read(number: number, offset: number, target: Uint8Array): number;
  /** The size of the file. */
  bytes(number: number): number;
  /** Has what was written reach the disk; 0 or -errno. */
  sync(number: number): number;
  /** Closes them: the sandbox has ended. */
  close(): void;
}

/**
 * The host's network, by handles (> 0). Endpoints are as in inet/endpoint.ts. What comes from it is
 * told by calling kernel/inet/outside.ts, never while a guest runs.
 */
export interface NetPort {
  /** Whether guests may reach the outside by themselves. */
  readonly isOutbound: boolean;
  /** Begins a TCP connection. A handle, or -errno. */
  connect(to: Uint8Array): number;
  /** The outside end (a record's address) that a handle of connect() belongs to. */
  attach(handle: number, end: number): void;
  /** Takes bytes for a connection: how many, 0 when it takes none now. */
  write(handle: number, data: Uint8Array): number;
  /** Nothing more goes to a connection. Idempotent. */
  end(handle: number): void;
  /** The guest has room again. Idempotent. */
  resume(handle: number): void;
  /** Ends what a handle stands for; a connection with an RST if `isReset`. */
  destroy(handle: number, isReset: boolean): void;
  /**
   * Sends a datagram of the guest's socket at the address `owner`, whose handle is 0 at first. The
   * handle, or -errno.
   */
  sendDatagram(handle: number, owner: number, to: Uint8Array, data: Uint8Array): number;
}

export interface Ports {
  frames: GuestFrames;
  tables: TableWindow;
  translations: Translations;
  lower: LowerFs;
  console: ConsolePort;
  clock: ClockPort;
  entropy: EntropyPort;
  events: EventPort;
  fpu: FpuPort;
  /** None unless the sandbox was granted some. */
  logs?: LogPort;
  /** None unless ports are published or the sandbox may reach the outside. */
  net?: NetPort;
  /** Text of /proc/cpuinfo for the one CPU that the guest sees; a minimal one unless given. */
  cpuInfo?: () => string;
}
