// Options of AF_INET and AF_INET6 sockets below SOL_SOCKET. Within the sandbox nothing is lost,
// delayed or routed, so that most are only remembered: checked as Linux checks them, and read back.
//
//   Socket.protocolOptions   | u32 level << 16 | name, i32 value | …      those that were set
import {
  EADDRNOTAVAIL, EFAULT, EINVAL, ENODEV, ENOPROTOOPT, ENOTCONN,
  EOPNOTSUPP,
} from '../../abi/errno.ts';
import {
  AF_INET, AF_INET6, IP_ADD_MEMBERSHIP, IP_BIND_ADDRESS_NO_PORT, IP_DROP_MEMBERSHIP, IP_FREEBIND,
  IP_MTU,
  IP_MTU_DISCOVER, IP_MULTICAST_LOOP, IP_MULTICAST_TTL, IP_PKTINFO, IP_RECVERR, IP_RECVOPTS,
  IP_RECVTOS, IP_RECVTTL, IP_TOS, IP_TRANSPARENT, IP_TTL, IPPROTO_TCP, IPV6_JOIN_GROUP,
  IPV6_LEAVE_GROUP, IPV6_MTU_DISCOVER, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_IF, IPV6_MULTICAST_LOOP,
  IPV6_RECVERR, IPV6_RECVPKTINFO, IPV6_TCLASS, IPV6_UNICAST_HOPS, IPV6_V6ONLY, SOCK_STREAM, SOL_IP,
  SOL_IPV6, SOL_TCP, SOL_UDP, TCP_CONGESTION, TCP_CORK, TCP_DEFER_ACCEPT, TCP_FASTOPEN,
  TCP_FASTOPEN_CONNECT, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_LINGER2, TCP_MAXSEG,
  TCP_NODELAY, TCP_NOTSENT_LOWAT, TCP_QUICKACK, TCP_SYNCNT, TCP_USER_TIMEOUT, TCP_WINDOW_CLAMP,
} from '../../abi/socket.ts';
import { LOOPBACK_MTU } from './interface-ioctl.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn } from '../mm/user-memory.ts';
import type { Socket } from '../records/ipc.ts';
import { Bytes } from '../state/containers.ts';

interface Rule {
  /** What it is until it is set. */
  start: number;
  least: number;
  most: number;
  /** A value that stands for `start`. */
  reset?: number;
  /** Values other than 0 count as 1. */
  isSwitch?: boolean;
  /** May be set in one byte. */
  isByte?: boolean;
}

const INT_MAX = 0x7fff_ffff;
const INT_MIN = -0x8000_0000;
const ENTRY_BYTES = 8;
/** Bytes of `struct tcp_info`, of which tcpi_state is the first. */
const TCP_INFO_BYTES = 232;
const CONGESTION_BYTES = 16;
/** Level UDP options that only a network would notice: UDP_CORK, UDP_SEGMENT, UDP_GRO. */
const UDP_NAMES: readonly number[] = [1, 103, 104];

function onOff(start: number = 0): Rule {
  return { start, least: INT_MIN, most: INT_MAX, isSwitch: true, isByte: true };
}

function number(start: number, least: number, most: number): Rule {
  return { start, least, most };
}

function key(level: number, name: number): number {
  return level << 16 | name;
}

const RULES: ReadonlyMap<number, Rule> = new Map([
  [key(SOL_TCP, TCP_NODELAY), { ...onOff(), isByte: false }],
  [key(SOL_TCP, TCP_CORK), { ...onOff(), isByte: false }],
  [key(SOL_TCP, TCP_QUICKACK), { ...onOff(1), isByte: false }],
  [key(SOL_TCP, TCP_MAXSEG), number(536, 88, 32_767)],
  [key(SOL_TCP, TCP_KEEPIDLE), number(7200, 1, 32_767)],
  [key(SOL_TCP, TCP_KEEPINTVL), number(75, 1, 32_767)],
  [key(SOL_TCP, TCP_KEEPCNT), number(9, 1, 127)],
  [key(SOL_TCP, TCP_SYNCNT), number(6, 1, 127)],
  [key(SOL_TCP, TCP_LINGER2), number(60, INT_MIN, INT_MAX)],
  [key(SOL_TCP, TCP_DEFER_ACCEPT), number(0, INT_MIN, INT_MAX)],
  [key(SOL_TCP, TCP_WINDOW_CLAMP), number(0, 0, INT_MAX)],
  [key(SOL_TCP, TCP_USER_TIMEOUT), number(0, 0, INT_MAX)],
  [key(SOL_TCP, TCP_FASTOPEN), number(0, 0, INT_MAX)],
  [key(SOL_TCP, TCP_FASTOPEN_CONNECT), { ...onOff(), isByte: false }],
  [key(SOL_TCP, TCP_NOTSENT_LOWAT), number(-1, INT_MIN, INT_MAX)],
  [key(SOL_IP, IP_TOS), { start: 0, least: INT_MIN, most: INT_MAX, isByte: true }],
  [key(SOL_IP, IP_TTL), { start: 64, least: 1, most: 255, reset: -1, isByte: true }],
  [key(SOL_IP, IP_RECVOPTS), onOff()],
  [key(SOL_IP, IP_PKTINFO), onOff()],
  [key(SOL_IP, IP_MTU_DISCOVER), { start: 1, least: 0, most: 5, isByte: true }],
  [key(SOL_IP, IP_RECVERR), onOff()],
  [key(SOL_IP, IP_RECVTTL), onOff()],
  [key(SOL_IP, IP_RECVTOS), onOff()],
  [key(SOL_IP, IP_FREEBIND), onOff()],
  [key(SOL_IP, IP_TRANSPARENT), onOff()],
  [key(SOL_IP, IP_BIND_ADDRESS_NO_PORT), onOff()],
  [key(SOL_IP, IP_MULTICAST_TTL), { start: 1, least: 0, most: 255, reset: -1, isByte: true }],
  [key(SOL_IP, IP_MULTICAST_LOOP), onOff(1)],
  [key(SOL_IPV6, IPV6_UNICAST_HOPS), { start: 64, least: 0, most: 255, reset: -1 }],
  [key(SOL_IPV6, IPV6_MULTICAST_IF), number(0, 0, INT_MAX)],
  [key(SOL_IPV6, IPV6_MULTICAST_HOPS), { start: 1, least: 0, most: 255, reset: -1 }],
  [key(SOL_IPV6, IPV6_MULTICAST_LOOP), { start: 1, least: 0, most: 1 }],
  [key(SOL_IPV6, IPV6_MTU_DISCOVER), number(1, 0, 5)],
  [key(SOL_IPV6, IPV6_RECVERR), { ...onOff(), isByte: false }],
  [key(SOL_IPV6, IPV6_V6ONLY), { ...onOff(), isByte: false }],
  [key(SOL_IPV6, IPV6_RECVPKTINFO), { ...onOff(), isByte: false }],
  [key(SOL_IPV6, IPV6_TCLASS), { start: 0, least: 0, most: 255, reset: -1 }],
]);

/** Whether an AF_INET6 socket takes no IPv4 connections: IPV6_V6ONLY. */
export function isV6Only(socket: Socket): boolean {
  return stored(socket, key(SOL_IPV6, IPV6_V6ONLY)) === 1;
}

/** The accepted connection has its listener's options. */
export function copyOptions(k: Kernel, from: Socket, to: Socket): void {
  if (from.protocolOptions !== null) {
    const { data } = from.protocolOptions;
    to.protocolOptions = k.arena.make(Bytes, data.length);
    to.protocolOptions.length = data.length;
    to.protocolOptions.data.set(data);
  }
}

function viewOf({ data }: Bytes): DataView {
  return new DataView(data.buffer, data.byteOffset, data.length);
}

function placeOf(list: Bytes, option: number): number {
  const view = viewOf(list);
  for (let at = 0; at + ENTRY_BYTES <= list.length; at += ENTRY_BYTES) {
    if (view.getUint32(at, true) === option) return at;
  }
  return -1;
}

function stored(socket: Socket, option: number): number | null {
  const list = socket.protocolOptions;
  const at = list === null ? -1 : placeOf(list, option);
  return list === null || at < 0 ? null : viewOf(list).getInt32(at + 4, true);
}

/** Keeps a value. The list is as long as there are rules, at most. */
function store(k: Kernel, socket: Socket, option: number, value: number): void {
  const old = socket.protocolOptions;
  let at = old === null ? -1 : placeOf(old, option);
  let list = old;
  if (list === null || at < 0) {
    at = old?.length ?? 0;
    list = k.arena.make(Bytes, at + ENTRY_BYTES);
    list.length = at + ENTRY_BYTES;
    if (old !== null) {
      list.data.set(old.data);
      k.arena.free(old);
    }
    socket.protocolOptions = list;
  }
  viewOf(list).setUint32(at, option, true);
  viewOf(list).setInt32(at + 4, value, true);
}

/** Whether it is the level of the socket's protocol. */
function isOwnLevel(socket: Socket, level: number): boolean {
  return level === socket.protocol;
}

/** Linux: which levels a socket knows; -ENOPROTOOPT. */
function ruleOf(socket: Socket, level: number, name: number): Rule | null {
  if (level === SOL_TCP && socket.protocol !== IPPROTO_TCP) return null;
  if (level === SOL_IPV6 && socket.domain !== AF_INET6) return null;
  if (level === SOL_UDP && socket.type !== SOCK_STREAM && UDP_NAMES.includes(name)) {
    return number(0, INT_MIN, INT_MAX);
  }
  return RULES.get(key(level, name)) ?? null;
}

/** getsockopt(2) below SOL_SOCKET; the caller cuts the value to the guest's length. */
export function getInetOption(socket: Socket, level: number, name: number): Uint8Array | number {
  if (level === SOL_TCP && socket.protocol === IPPROTO_TCP) {
    if (name === TCP_INFO) return tcpInfo(socket);
    if (name === TCP_CONGESTION) return congestion();
  }
  if (level === SOL_IP && name === IP_MTU) {
    return socket.remote === null ? -ENOTCONN : intBytes(LOOPBACK_MTU);
  }
  if (socket.domain === AF_INET && level !== SOL_IP && !isOwnLevel(socket, level)) {
    return -EOPNOTSUPP;
  }
  const rule = ruleOf(socket, level, name);
  if (rule === null) return -ENOPROTOOPT;
  return intBytes(stored(socket, key(level, name)) ?? rule.start);
}

function intBytes(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function tcpInfo(socket: Socket): Uint8Array {
  const raw = new Uint8Array(TCP_INFO_BYTES);
  raw[0] = socket.state;
  return raw;
}

function congestion(): Uint8Array {
  const raw = new Uint8Array(CONGESTION_BYTES);
  raw.set(new TextEncoder().encode('cubic'));
  return raw;
}

/** setsockopt(2) below SOL_SOCKET. -ENOPROTOOPT, -EINVAL, -EFAULT. */
export function setInetOption(
  k: Kernel, socket: Socket, level: number, name: number, gva: number, bytes: number,
): number {
  const isTcp = level === SOL_TCP && socket.protocol === IPPROTO_TCP;
  if (isTcp && name === TCP_CONGESTION) return bytes < 1 ? -EINVAL : 0;
  if (isMembership(level, name)) return bytes < 8 ? -EINVAL : joinGroup(name);
  const rule = ruleOf(socket, level, name);
  if (rule === null) return -ENOPROTOOPT;
  const value = readValue(k, rule, gva, bytes);
  if (typeof value === 'string') return value === 'short' ? -EINVAL : -EFAULT;
  const option = key(level, name);
  if (name === IPV6_V6ONLY && level === SOL_IPV6 && socket.name !== null) return -EINVAL;
  if (value === rule.reset) return keep(k, socket, option, rule.start);
  if (value < rule.least || value > rule.most) return -EINVAL;
  return keep(k, socket, option, rule.isSwitch === true ? Number(value !== 0) : value);
}

function keep(k: Kernel, socket: Socket, option: number, value: number): number {
  store(k, socket, option, value);
  return 0;
}

const scratch: Uint8Array = new Uint8Array(4);

function readValue(
  k: Kernel, rule: Rule, gva: number, bytes: number,
): number | 'short' | 'fault' {
  const isByte = bytes < 4 && rule.isByte === true;
  if (bytes < (isByte ? 1 : 4)) return 'short';
  const part = scratch.subarray(0, isByte ? 1 : 4);
  if (copyIn(k, gva, part) !== part.length) return 'fault';
  return isByte ? part[0] ?? 0 : new DataView(scratch.buffer).getInt32(0, true);
}

function isMembership(level: number, name: number): boolean {
  if (level === SOL_IP) return name === IP_ADD_MEMBERSHIP || name === IP_DROP_MEMBERSHIP;
  return level === SOL_IPV6 && (name === IPV6_JOIN_GROUP || name === IPV6_LEAVE_GROUP);
}

/** lo has no multicast. */
function joinGroup(name: number): number {
  return name === IP_DROP_MEMBERSHIP || name === IPV6_LEAVE_GROUP ? -EADDRNOTAVAIL : -ENODEV;
}
