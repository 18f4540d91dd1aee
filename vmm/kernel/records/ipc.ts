// What stands behind descriptors that are not files: pipes, eventfds, epoll, sockets, the console.
// Each has a wait queue; whoever changes an object's readiness calls wake() on it (task/block.ts).
import { Bytes, type Table, tableKind } from '../state/containers.ts';
import { KIND } from '../state/kinds.ts';
import {
  fAny, fBig, fBlob, fBool, fI32, fMust, fNum, fRef, fU32, fU8, fUsers, held, kind, type Kind,
  nosave, placeIn, type Rec, upTo, within,
} from '../state/record.ts';
import { Inode, File } from './vfs.ts';
import { WaitQueue, Waiter } from './task.ts';
import { head, next, previous, tail } from '../state/rules.ts';
import { Timer } from './time.ts';

/** A pipe's ring buffer. */
export interface Pipe extends Rec {
  queue: WaitQueue;
  /** Ring storage; grows up to `capacity` as it is needed. */
  buffer: Bytes;
  /** F_GETPIPE_SZ: most bytes it holds. */
  capacity: number;
  head: number;
  count: number;
  readers: number;
  writers: number;
  serial: number;
  /** How often a FIFO was opened for reading and for writing: what a waiting open looks at. */
  readerOpens: number;
  writerOpens: number;
}

export const Pipe: Kind<Pipe> = kind<Pipe>(KIND.pipe, 'Pipe', {
  queue: fMust(() => WaitQueue),
  buffer: fMust(() => Bytes),
  capacity: fU32,
  head: placeIn('buffer'),
  count: upTo('buffer'),
  readers: fU32,
  writers: fU32,
  serial: fU32,
  readerOpens: fU32,
  writerOpens: fU32,
});

export interface EventFd extends Rec {
  queue: WaitQueue;
  count: bigint;
  semaphore: boolean;
}

export const EventFd: Kind<EventFd> = kind<EventFd>(KIND.eventFd, 'EventFd', {
  queue: fMust(() => WaitQueue),
  count: fBig,
  semaphore: fBool,
});

export interface Epoll extends Rec {
  queue: WaitQueue;
  items: Table<EpollItem>;
  /** Items that may be ready, oldest first. */
  readyHead: EpollItem | null;
  readyTail: EpollItem | null;
  /** The open file of the instance itself. */
  owner: File | null;
}

export const Epoll: Kind<Epoll> = kind<Epoll>(KIND.epoll, 'Epoll', {
  queue: fMust(() => WaitQueue),
  items: fMust(() => EpollItemTable),
  readyHead: head(fRef(() => EpollItem), 'ready', 'epoll'),
  readyTail: tail(fRef(() => EpollItem), 'readyNext'),
  owner: fRef(() => File),
});

/** One interest: (file, descriptor) in an epoll instance. */
export interface EpollItem extends Rec {
  epoll: Epoll;
  file: File;
  fd: number;
  /** EPOLL* events asked for, with EPOLLET, EPOLLONESHOT. */
  events: number;
  data: bigint;
  isReady: boolean;
  readyNext: EpollItem | null;
  readyPrevious: EpollItem | null;
  /** Its entry in the file's wait queue; null when the file's readiness never changes. */
  waiter: Waiter | null;
  /** Next interest in the same file. */
  nextOfFile: EpollItem | null;
  /** Where it is in `epoll.items`. */
  index: number;
}

export const EpollItem: Kind<EpollItem> = kind<EpollItem>(KIND.epollItem, 'EpollItem', {
  epoll: fMust(() => Epoll),
  file: fMust(() => File),
  fd: fI32,
  events: fU32,
  data: fBig,
  isReady: fBool,
  readyNext: next(fRef(() => EpollItem), 'ready', {
    back: 'readyPrevious', owner: 'epoll', flag: 'isReady',
  }),
  readyPrevious: previous(fRef(() => EpollItem), 'readyNext'),
  waiter: fRef(() => Waiter),
  nextOfFile: next(fRef(() => EpollItem), 'file', { owner: 'file' }),
  index: fU32,
});

export const EpollItemTable: Kind<Table<EpollItem>> =
  tableKind(KIND.epollItemTable, 'EpollItemTable', () => EpollItem);

export interface Socket extends Rec {
  queue: WaitQueue;
  domain: number;
  type: number;
  protocol: number;
  /** TCP_CLOSE, TCP_SYN_SENT, TCP_ESTABLISHED or TCP_LISTEN (abi/socket.ts), for all families. */
  state: number;
  /** The open file or the listener it waits at, and each socket whose `peer` this is. */
  refs: number;
  /** Its file is gone. */
  isClosed: boolean;
  /** Connected peer, also when it is closed; for datagrams where they go by default. */
  peer: Socket | null;
  /** Received, not yet read. */
  firstMessage: SocketMessage | null;
  lastMessage: SocketMessage | null;
  messageCount: number;
  /**
   * What the received messages cost (bytes and overhead); counted against the sender's sendLimit.
   */
  queuedBytes: number;
  /** SHUT_RD = bit 0, SHUT_WR = bit 1. */
  shutdown: number;
  /** The peer existed once and is gone. */
  hungUp: boolean;
  sendLimit: number;
  receiveLimit: number;
  /** SO_ERROR, a positive errno; reading it clears it. */
  error: number;
  serial: number;
  /**
   * AF_UNIX: the name as sun_path has it, without a path's NUL. AF_INET, AF_INET6: the local
   * endpoint (inet/endpoint.ts). null when it has none.
   */
  name: Bytes | null;
  /**
   * AF_UNIX: found by its name: accepted sockets have their listener's name, but are not. AF_INET,
   * AF_INET6: bind(2) gave the port, so that it stays when a connection ends.
   */
  isBound: boolean;
  /** AF_INET, AF_INET6: the endpoint it is connected with, or connects to. */
  remote: Bytes | null;
  /** Linux: SS_CONNECTING, connect(2) has not told how it went. */
  isConnecting: boolean;
  /** It is in Sandbox.namedSockets: it has a port, or is bound to an abstract name. */
  isListed: boolean;
  nextListed: Socket | null;
  previousListed: Socket | null;
  /** It stands for the host's end of a connection with the outside (inet/outside.ts). */
  isOutside: boolean;
  /** NetPort's number of the host's socket; 0 = none. */
  hostHandle: number;
  /** Options of levels below SOL_SOCKET that were set, see inet/options.ts; or null. */
  protocolOptions: Bytes | null;
  /** What a bound path leads to; null for abstract names. */
  inode: Inode | null;
  /** SO_* switches, see ipc/socket-options.ts. */
  options: number;
  /** SO_RCVTIMEO and SO_SNDTIMEO in ns; 0 = none. */
  receiveTimeoutNs: number;
  sendTimeoutNs: number;
  lingerSec: number;
  /** listen(2): connections that wait for accept(2), oldest first. */
  backlog: number;
  firstPending: Socket | null;
  lastPending: Socket | null;
  nextPending: Socket | null;
  pendingCount: number;
}

export const Socket: Kind<Socket> = kind<Socket>(KIND.socket, 'Socket', {
  queue: fMust(() => WaitQueue),
  domain: fU32,
  type: fU32,
  protocol: fU32,
  state: fU32,
  refs: fUsers,
  isClosed: fBool,
  peer: held(fRef(() => Socket)),
  firstMessage: head(fRef(() => SocketMessage), 'messages'),
  lastMessage: tail(fRef(() => SocketMessage), 'next'),
  messageCount: fU32,
  queuedBytes: fU32,
  shutdown: fU32,
  hungUp: fBool,
  sendLimit: fU32,
  receiveLimit: fU32,
  error: fU32,
  serial: fU32,
  name: fRef(() => Bytes),
  isBound: fBool,
  remote: fRef(() => Bytes),
  isConnecting: fBool,
  isListed: fBool,
  nextListed: next(fRef(() => Socket), 'listed', { back: 'previousListed', flag: 'isListed' }),
  previousListed: previous(fRef(() => Socket), 'nextListed'),
  isOutside: fBool,
  hostHandle: nosave(fU32),
  protocolOptions: fRef(() => Bytes),
  inode: held(fRef(() => Inode)),
  options: fU32,
  receiveTimeoutNs: fNum,
  sendTimeoutNs: fNum,
  lingerSec: fI32,
  backlog: fU32,
  firstPending: head(held(fRef(() => Socket)), 'pending'),
  lastPending: tail(fRef(() => Socket), 'nextPending'),
  nextPending: next(held(fRef(() => Socket)), 'pending'),
  pendingCount: fU32,
});

export interface SocketMessage extends Rec {
  next: SocketMessage | null;
  data: Bytes;
  /** Bytes of `data` already read (streams). */
  consumed: number;
  /** Passed descriptors (SCM_RIGHTS), a table of Files that it holds; or null. */
  files: Rec | null;
  /** The sender's name, as Socket.name (datagrams), or null. */
  name: Bytes | null;
}

export const SocketMessage: Kind<SocketMessage> = kind<SocketMessage>(
  KIND.socketMessage,
  'SocketMessage',
  {
    next: next(fRef(() => SocketMessage), 'messages'),
    data: fMust(() => Bytes),
    consumed: upTo('data'),
    files: fAny,
    name: fRef(() => Bytes),
  },
);

export interface TimerFd extends Rec {
  queue: WaitQueue;
  timer: Timer;
  clock: number;
  expirations: number;
  /** TFD_TIMER_CANCEL_ON_SET: the next read says when the clock has been set. */
  cancelOnSet: boolean;
  isCanceled: boolean;
}

export const TimerFd: Kind<TimerFd> = kind<TimerFd>(KIND.timerFd, 'TimerFd', {
  queue: fMust(() => WaitQueue),
  timer: fMust(() => Timer),
  clock: fU32,
  expirations: fNum,
  cancelOnSet: fBool,
  isCanceled: fBool,
});

export interface SignalFd extends Rec {
  queue: WaitQueue;
  mask: bigint;
}

export const SignalFd: Kind<SignalFd> =
  kind<SignalFd>(KIND.signalFd, 'SignalFd', { queue: fMust(() => WaitQueue), mask: fBig });

/** The sandbox's stdin, stdout and stderr; the host side is the console port (ports.ts). */
export interface Console extends Rec {
  queue: WaitQueue;
  inode: Inode | null;
  /** Bit n: stream n is a terminal. */
  terminals: number;
  columns: number;
  rows: number;
  /** Set when the host said that stdin has no more bytes. */
  atEnd: boolean;
  /** c_lflag of `termios`. */
  localFlags: number;
  hostReady: number;
  /** `struct termios2` as the guest sees and sets it. */
  termios: Uint8Array;
  /** Process group in the foreground; 0 = the process's own. */
  foreground: number;
  /** Taken from the host but not delivered to the guest yet; or null. */
  input: Bytes | null;
  /** Taken from the guest for stream 1 and 2, but not by the host yet; or null. */
  output: Bytes | null;
  errors: Bytes | null;
  /** Somebody was told that the host takes no more: 1 of stream 1, 2 of stream 2, 3 of both. */
  wantsOutput: number;
  /** Somebody found no input, or took some, since input was last announced. */
  wantsInput: boolean;
}

export const Console: Kind<Console> = kind<Console>(KIND.console, 'Console', {
  queue: fMust(() => WaitQueue),
  inode: held(fRef(() => Inode)),
  terminals: fU32,
  columns: fU32,
  rows: fU32,
  atEnd: nosave(fBool),
  localFlags: fU32,
  hostReady: nosave(fU32),
  termios: fBlob(44),
  foreground: fU32,
  input: fRef(() => Bytes),
  output: fRef(() => Bytes),
  errors: fRef(() => Bytes),
  wantsOutput: within(fU8, 0, 3),
  wantsInput: fBool,
});
