// Endpoints of AF_INET and AF_INET6 sockets: address and port in 18 bytes, the address always as
// 16, IPv4 mapped into IPv6 (RFC 4291, 2.5.5.2), so that both families are compared alike.
//
//   | address 16: ::ffff:a.b.c.d or IPv6 | port 2, big-endian |
//
// The sandbox has one interface, lo: 127.0.0.0/8 and ::1.
import { EAFNOSUPPORT, EINVAL } from '../../abi/errno.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../abi/socket.ts';
import { SockaddrIn, SockaddrIn6 } from '../../abi/struct-socket.ts';

export const ENDPOINT_BYTES = 18;
const ADDRESS_BYTES = 16;
const MAPPED_PREFIX: Uint8Array = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);
const MAPPED_BYTES = 12;
/** Linux: SIN6_LEN_RFC2133, a sockaddr_in6 without sin6_scope_id. */
const SOCKADDR_IN6_BYTES_LEAST = 24;
const LOOPBACK_NET = 127;

/** An endpoint of IPv4 `a.b.c.d` (four bytes) or IPv6 (sixteen) bytes and a port. */
export function makeEndpoint(address: Uint8Array, port: number): Uint8Array {
  const made = new Uint8Array(ENDPOINT_BYTES);
  if (address.length === 4) {
    made.set(MAPPED_PREFIX);
    made.set(address, MAPPED_BYTES);
  } else {
    made.set(address);
  }
  made[ADDRESS_BYTES] = port >> 8;
  made[ADDRESS_BYTES + 1] = port & 0xff;
  return made;
}

export function portOf(endpoint: Uint8Array): number {
  return (endpoint[ADDRESS_BYTES] ?? 0) << 8 | (endpoint[ADDRESS_BYTES + 1] ?? 0);
}

/** The same address with another port. */
export function withPort(endpoint: Uint8Array, port: number): Uint8Array {
  return makeEndpoint(endpoint.subarray(0, ADDRESS_BYTES), port);
}

/** Whether it is an IPv4 address. */
export function isMapped(endpoint: Uint8Array): boolean {
  return MAPPED_PREFIX.every((byte, index) => endpoint[index] === byte);
}

function isZero(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte === 0);
}

/** 0.0.0.0 or ::. */
export function isAny(endpoint: Uint8Array): boolean {
  return isZero(endpoint.subarray(isMapped(endpoint) ? MAPPED_BYTES : 0, ADDRESS_BYTES));
}

/** 127.0.0.0/8 or ::1: an address of the sandbox. */
export function isLoopback(endpoint: Uint8Array): boolean {
  if (isMapped(endpoint)) return endpoint[MAPPED_BYTES] === LOOPBACK_NET;
  return isZero(endpoint.subarray(0, ADDRESS_BYTES - 1)) && endpoint[ADDRESS_BYTES - 1] === 1;
}

/** 255.255.255.255, or a broadcast address of lo. */
export function isBroadcast(endpoint: Uint8Array): boolean {
  if (!isMapped(endpoint)) return false;
  const [first, ...rest] = endpoint.subarray(MAPPED_BYTES, ADDRESS_BYTES);
  return (first === 255 || first === LOOPBACK_NET) && rest.every((byte) => byte === 255);
}

/** 224.0.0.0/4 or ff00::/8. */
export function isMulticast(endpoint: Uint8Array): boolean {
  if (!isMapped(endpoint)) return endpoint[0] === 0xff;
  return ((endpoint[MAPPED_BYTES] ?? 0) & 0xf0) === 0xe0;
}

/** The address packets to `to` come from: 127.0.0.1 or ::1, with the port of `local`. */
export function sourceFor(to: Uint8Array, port: number): Uint8Array {
  return loopback(isMapped(to), port);
}

/** 127.0.0.1 or ::1. */
export function loopback(isV4: boolean, port: number): Uint8Array {
  if (isV4) return makeEndpoint(Uint8Array.of(LOOPBACK_NET, 0, 0, 1), port);
  const address = new Uint8Array(ADDRESS_BYTES);
  address[ADDRESS_BYTES - 1] = 1;
  return makeEndpoint(address, port);
}

/** 0.0.0.0 or :: of a domain. */
export function anyEndpoint(domain: number, port: number): Uint8Array {
  return makeEndpoint(new Uint8Array(domain === AF_INET ? 4 : ADDRESS_BYTES), port);
}

/** Where something sent to the wildcard address arrives: Linux takes it for the loopback's. */
export function destinationOf(endpoint: Uint8Array): Uint8Array {
  return isAny(endpoint) ? loopback(isMapped(endpoint), portOf(endpoint)) : endpoint;
}

export function sameEndpoint(first: Uint8Array, second: Uint8Array): boolean {
  return first.length === second.length && first.every((byte, index) => byte === second[index]);
}

export function sameAddress(first: Uint8Array, second: Uint8Array): boolean {
  return sameEndpoint(first.subarray(0, ADDRESS_BYTES), second.subarray(0, ADDRESS_BYTES));
}

/** sa_family of an address, or -EINVAL when it is too short for one. */
export function familyIn(raw: Uint8Array): number {
  return raw.length < 2 ? -EINVAL : (raw[0] ?? 0) | (raw[1] ?? 0) << 8;
}

/**
 * The endpoint in the guest's `struct sockaddr_in` or `sockaddr_in6` for a socket of `domain`.
 * @returns -EINVAL for a short one, -EAFNOSUPPORT for another family
 */
export function parseEndpoint(domain: number, raw: Uint8Array): Uint8Array | number {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const family = familyIn(raw);
  if (domain === AF_INET) {
    if (raw.length < SockaddrIn.bytes) return -EINVAL;
    if (family !== AF_INET) return -EAFNOSUPPORT;
    return parseV4(raw, view);
  }
  if (raw.length < SOCKADDR_IN6_BYTES_LEAST) return -EINVAL;
  if (family !== AF_INET6) return -EAFNOSUPPORT;
  const at = SockaddrIn6.sin6_addr.offset;
  return makeEndpoint(raw.subarray(at, at + ADDRESS_BYTES), SockaddrIn6.sin6_port.get(view, 0));
}

function parseV4(raw: Uint8Array, view: DataView): Uint8Array {
  const at = SockaddrIn.sin_addr.offset;
  return makeEndpoint(raw.subarray(at, at + 4), SockaddrIn.sin_port.get(view, 0));
}

/**
 * The endpoint a datagram goes to: AF_UNSPEC counts as AF_INET on AF_INET sockets, and AF_INET6
 * sockets send to AF_INET addresses, too. null for AF_UNSPEC on AF_INET6: the peer.
 */
export function parseDestination(domain: number, raw: Uint8Array): Uint8Array | null | number {
  const family = familyIn(raw);
  if (domain === AF_INET6) {
    if (family === AF_UNSPEC) return null;
    if (family !== AF_INET) return parseEndpoint(domain, raw);
  } else if (family !== AF_UNSPEC) {
    return parseEndpoint(domain, raw);
  }
  if (raw.length < SockaddrIn.bytes) return -EINVAL;
  return parseV4(raw, new DataView(raw.buffer, raw.byteOffset, raw.length));
}

/** `struct sockaddr_in` or `sockaddr_in6`, as a socket of `domain` names the endpoint. */
export function encodeEndpoint(domain: number, endpoint: Uint8Array): Uint8Array {
  if (domain === AF_INET) {
    const raw = new Uint8Array(SockaddrIn.bytes);
    const view = new DataView(raw.buffer);
    SockaddrIn.sin_family.set(view, 0, AF_INET);
    SockaddrIn.sin_port.set(view, 0, portOf(endpoint));
    raw.set(endpoint.subarray(MAPPED_BYTES, ADDRESS_BYTES), SockaddrIn.sin_addr.offset);
    return raw;
  }
  const raw = new Uint8Array(SockaddrIn6.bytes);
  const view = new DataView(raw.buffer);
  SockaddrIn6.sin6_family.set(view, 0, AF_INET6);
  SockaddrIn6.sin6_port.set(view, 0, portOf(endpoint));
  raw.set(endpoint.subarray(0, ADDRESS_BYTES), SockaddrIn6.sin6_addr.offset);
  return raw;
}
