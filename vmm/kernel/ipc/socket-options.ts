// getsockopt(2) and setsockopt(2) at level SOL_SOCKET. Switches are bits of Socket.options; what
// has no meaning within a sandbox is remembered and otherwise ignored.
import { EDOM, EFAULT, EINVAL, ENOPROTOOPT, EOPNOTSUPP } from '../../abi/errno.ts';
import { readI64, writeI64 } from '../../abi/layout.ts';
import {
  AF_UNIX, SO_ACCEPTCONN, SO_BROADCAST, SO_BSDCOMPAT, SO_DEBUG, SO_DOMAIN, SO_DONTROUTE, SO_ERROR,
  SO_KEEPALIVE, SO_LINGER, SO_MARK, SO_NO_CHECK, SO_OOBINLINE, SO_PASSCRED, SO_PASSSEC,
  SO_PEERCRED, SO_PRIORITY, SO_PROTOCOL, SO_RCVBUF, SO_RCVBUFFORCE, SO_RCVLOWAT, SO_RCVTIMEO,
  SO_REUSEADDR, SO_REUSEPORT, SO_RXQ_OVFL, SO_SNDBUF, SO_SNDBUFFORCE, SO_SNDLOWAT, SO_SNDTIMEO,
  SO_TIMESTAMP, SO_TIMESTAMPNS, SO_TYPE, TCP_LISTEN,
} from '../../abi/socket.ts';
import { Linger, Ucred } from '../../abi/struct-socket.ts';
import { NSEC_PER_SEC, NSEC_PER_USEC, USEC_PER_SEC } from '../../abi/time.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn } from '../mm/user-memory.ts';
import type { Socket } from '../records/ipc.ts';
import type { Process } from '../records/task.ts';
import { toNs } from '../time/clock.ts';

/**
 * SO_* switches in the order of their bits in Socket.options; append only (images hold the bits).
 */
const SWITCHES: readonly number[] = [
  SO_DEBUG, SO_REUSEADDR, SO_DONTROUTE, SO_BROADCAST, SO_KEEPALIVE, SO_OOBINLINE, SO_NO_CHECK,
  SO_BSDCOMPAT, SO_PASSCRED, SO_TIMESTAMP, SO_TIMESTAMPNS, SO_RXQ_OVFL, SO_PASSSEC, SO_REUSEPORT,
];
/** Bit of Socket.options: messages are received with credentials. */
export const OPTION_PASSCRED: number = 1 << SWITCHES.indexOf(SO_PASSCRED);
/** Bits of Socket.options that AF_INET and AF_INET6 sockets look at. */
export const OPTION_REUSEADDR: number = 1 << SWITCHES.indexOf(SO_REUSEADDR);
export const OPTION_REUSEPORT: number = 1 << SWITCHES.indexOf(SO_REUSEPORT);
export const OPTION_BROADCAST: number = 1 << SWITCHES.indexOf(SO_BROADCAST);
/** Bit of Socket.options: SO_LINGER is on. */
export const OPTION_LINGER: number = 1 << 31;

/** Linux: SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF, wmem_max and rmem_max. */
const SEND_BYTES_LEAST = 4608;
const RECEIVE_BYTES_LEAST = 2304;
const BUFFER_BYTES_MOST = 212_992;
/** A timeout so short that the call does not wait; 0 would mean none. */
const NO_WAIT_NS = -1;

/** Reads the option's value as bytes; the caller cuts it to the guest's length. -ENOPROTOOPT. */
export function getOption(
  process: Process,
  socket: Socket,
  name: number,
): Uint8Array | number {
  const value = getNumber(socket, name);
  if (value !== null) return new Uint8Array(Int32Array.of(value).buffer);
  const raw = new Uint8Array(16);
  const view = new DataView(raw.buffer);
  switch (name) {
    case SO_LINGER:
      Linger.l_onoff.set(view, 0, (socket.options & OPTION_LINGER) !== 0 ? 1 : 0);
      Linger.l_linger.set(view, 0, socket.lingerSec);
      return raw.subarray(0, Linger.bytes);
    case SO_RCVTIMEO:
    case SO_SNDTIMEO: {
      const ns = name === SO_RCVTIMEO ? socket.receiveTimeoutNs : socket.sendTimeoutNs;
      const sec = Math.floor(Math.max(0, ns) / NSEC_PER_SEC);
      writeI64(view, 0, sec);
      writeI64(view, 8, Math.floor((Math.max(0, ns) - sec * NSEC_PER_SEC) / NSEC_PER_USEC));
      return raw;
    }
    case SO_PEERCRED: {
      // All sockets of the sandbox belong to one process.
      const isKnown = socket.domain === AF_UNIX &&
        (socket.peer !== null || socket.state === TCP_LISTEN);
      Ucred.pid.set(view, 0, isKnown ? process.pid : 0);
      Ucred.uid.set(view, 0, isKnown ? process.uid : 0xffff_ffff);
      Ucred.gid.set(view, 0, isKnown ? process.gid : 0xffff_ffff);
      return raw.subarray(0, Ucred.bytes);
    }
    default:
      return -ENOPROTOOPT;
  }
}

/** The options whose value is an int; null for others. */
function getNumber(socket: Socket, name: number): number | null {
  const bit = SWITCHES.indexOf(name);
  if (bit >= 0) return (socket.options >> bit) & 1;
  switch (name) {
    case SO_TYPE: return socket.type;
    case SO_DOMAIN: return socket.domain;
    case SO_PROTOCOL: return socket.protocol;
    case SO_ACCEPTCONN: return socket.state === TCP_LISTEN ? 1 : 0;
    case SO_SNDBUF: return socket.sendLimit;
    case SO_RCVBUF: return socket.receiveLimit;
    case SO_RCVLOWAT:
    case SO_SNDLOWAT: return 1;
    case SO_PRIORITY:
    case SO_MARK:
    case SO_REUSEPORT: return 0;
    case SO_ERROR: {
      const { error } = socket;
      socket.error = 0;
      return error;
    }
    default: return null;
  }
}

const scratch: Uint8Array = new Uint8Array(16);
const scratchView: DataView = new DataView(scratch.buffer);

/**
 * Sets an option from the guest's `bytes` bytes at `gva`. 0, -EINVAL, -EFAULT, -ENOPROTOOPT, -EDOM.
 */
export function setOption(
  k: Kernel,
  socket: Socket,
  name: number,
  gva: number,
  bytes: number,
): number {
  if (bytes < 4) return -EINVAL;
  if (copyIn(k, gva, scratch.subarray(0, 4)) !== 4) return -EFAULT;
  const value = scratchView.getInt32(0, true);
  // Linux: AF_UNIX sockets cannot share a name.
  if (name === SO_REUSEPORT && socket.domain === AF_UNIX && value !== 0) return -EOPNOTSUPP;
  const bit = SWITCHES.indexOf(name);
  if (bit >= 0) {
    socket.options = (value !== 0 ? socket.options | 1 << bit : socket.options & ~(1 << bit)) >>> 0;
    return 0;
  }
  switch (name) {
    case SO_SNDBUF:
    case SO_SNDBUFFORCE:
      socket.sendLimit = doubled(value, SEND_BYTES_LEAST);
      return 0;
    case SO_RCVBUF:
    case SO_RCVBUFFORCE:
      socket.receiveLimit = doubled(value, RECEIVE_BYTES_LEAST);
      return 0;
    case SO_PRIORITY:
    case SO_MARK:
    case SO_RCVLOWAT:
      return 0;
    case SO_LINGER:
      return setLinger(k, socket, gva, bytes);
    case SO_RCVTIMEO:
    case SO_SNDTIMEO:
      return setTimeout(k, socket, name, gva, bytes);
    default:
      return -ENOPROTOOPT;
  }
}

/** Linux keeps twice of what is asked for, as room for its own structures. */
function doubled(value: number, least: number): number {
  return Math.max(Math.min(value >>> 0, BUFFER_BYTES_MOST) * 2, least);
}

function setLinger(k: Kernel, socket: Socket, gva: number, bytes: number): number {
  if (bytes < Linger.bytes) return -EINVAL;
  const raw = scratch.subarray(0, Linger.bytes);
  if (copyIn(k, gva, raw) !== Linger.bytes) return -EFAULT;
  const isOn = Linger.l_onoff.get(scratchView, 0) !== 0;
  socket.options = (isOn ? socket.options | OPTION_LINGER : socket.options & ~OPTION_LINGER) >>> 0;
  if (isOn) socket.lingerSec = Linger.l_linger.get(scratchView, 0);
  return 0;
}

/** Linux: sock_set_timeout. Zero is for ever, a negative time does not wait at all. */
function setTimeout(
  k: Kernel,
  socket: Socket,
  name: number,
  gva: number,
  bytes: number,
): number {
  if (bytes < 16) return -EINVAL;
  if (copyIn(k, gva, scratch) !== 16) return -EFAULT;
  const sec = readI64(scratchView, 0);
  const usec = readI64(scratchView, 8);
  if (usec < 0 || usec >= USEC_PER_SEC) return -EDOM;
  const ns = sec < 0 ? NO_WAIT_NS : toNs(sec, usec * NSEC_PER_USEC);
  if (name === SO_RCVTIMEO) socket.receiveTimeoutNs = ns;
  else socket.sendTimeoutNs = ns;
  return 0;
}

/** SO_RCVTIMEO or SO_SNDTIMEO as a timeout: Infinity for none, 0 to not wait. */
export function timeoutOf(ns: number): number {
  if (ns === 0) return Infinity;
  return Math.max(0, ns);
}
