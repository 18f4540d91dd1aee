// Endpoints (kernel/inet/endpoint.ts) as the runtimes write addresses, and back.
import { isMapped, makeEndpoint } from '../../kernel/inet/endpoint.ts';

const ADDRESS_BYTES = 16;
const GROUPS = 8;

/** The address of an endpoint: `127.0.0.1`, or IPv6 without shortening. */
export function addressText(endpoint: Uint8Array): string {
  if (isMapped(endpoint)) return endpoint.subarray(ADDRESS_BYTES - 4, ADDRESS_BYTES).join('.');
  const groups = Array.from({ length: GROUPS }, (_, index) =>
    ((endpoint[index * 2] ?? 0) << 8 | (endpoint[index * 2 + 1] ?? 0)).toString(16));
  return groups.join(':');
}

/** The endpoint of an address and a port; null when the text is no address. */
export function endpointOf(text: string, port: number): Uint8Array | null {
  // A zone (`%eth0`) says nothing to a guest.
  const [address = ''] = text.split('%');
  const v4 = /^(?:::ffff:)?(\d+)\.(\d+)\.(\d+)\.(\d+)$/i.exec(address);
  if (v4 !== null) return makeEndpoint(Uint8Array.from(v4.slice(1).map(Number)), port);
  const halves = address.split('::').map((half) => half === '' ? [] : half.split(':'));
  if (halves.length > 2) return null;
  const [head = [], tail = []] = halves;
  const missing = GROUPS - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 0) return null;
  const groups = [...head, ...new Array<string>(missing).fill('0'), ...tail];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  const values = groups.map((group) => parseInt(group, 16));
  return makeEndpoint(Uint8Array.from(values.flatMap((value) => [value >> 8, value & 0xff])), port);
}
