// The ioctls that ask about network interfaces (netdevice(7)): there is one, lo.
//
//   struct ifreq    | name 16 | union 24: sockaddr, flags, index, MTU |
//   struct ifconf   | i32 bytes | pad | pointer to ifreqs |
import { EFAULT, EINVAL, ENODEV, ENOTTY } from '../../abi/errno.ts';
import {
  AF_INET, SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFCONF, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX,
  SIOCGIFMTU, SIOCGIFNAME, SIOCGIFNETMASK,
} from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import { copyIn, copyOut, readStruct, readU64, writeU32 } from '../mm/user-memory.ts';

export const LOOPBACK_INDEX = 1;
export const LOOPBACK_MTU = 65_536;
/** ARPHRD_LOOPBACK. */
export const LOOPBACK_TYPE = 772;
/** IFF_UP | IFF_LOOPBACK | IFF_RUNNING. */
export const LOOPBACK_FLAGS = 0x49;
export const LOOPBACK_NAME: Uint8Array = Uint8Array.of(0x6c, 0x6f, 0);

const IFREQ_BYTES = 40;
const NAME_BYTES = 16;
const BY_NAME: readonly number[] = [
  SIOCGIFADDR, SIOCGIFBRDADDR, SIOCGIFFLAGS, SIOCGIFHWADDR, SIOCGIFINDEX, SIOCGIFMTU,
  SIOCGIFNETMASK,
];

/** @returns 0, -ENOTTY for another request, -ENODEV, -EFAULT, -EINVAL */
export function ioctlInterface(k: Kernel, request: number, gva: number): number {
  if (request === SIOCGIFCONF) return listInterfaces(k, gva);
  if (request !== SIOCGIFNAME && !BY_NAME.includes(request)) return -ENOTTY;
  const raw = new Uint8Array(IFREQ_BYTES);
  if (copyIn(k, gva, raw) !== IFREQ_BYTES) return -EFAULT;
  const view = new DataView(raw.buffer);
  if (request === SIOCGIFNAME) {
    if (view.getInt32(NAME_BYTES, true) !== LOOPBACK_INDEX) return -ENODEV;
    raw.fill(0, 0, NAME_BYTES);
    raw.set(LOOPBACK_NAME);
  } else {
    if (!LOOPBACK_NAME.every((byte, index) => raw[index] === byte)) return -ENODEV;
    fillRequest(view, request);
  }
  return copyOut(k, gva, raw) === IFREQ_BYTES ? 0 : -EFAULT;
}

function fillRequest(view: DataView, request: number): void {
  const at = NAME_BYTES;
  switch (request) {
    case SIOCGIFINDEX: return view.setInt32(at, LOOPBACK_INDEX, true);
    case SIOCGIFMTU: return view.setInt32(at, LOOPBACK_MTU, true);
    case SIOCGIFFLAGS: return view.setInt16(at, LOOPBACK_FLAGS, true);
    case SIOCGIFHWADDR: return setSockaddr(view, LOOPBACK_TYPE, 0);
    case SIOCGIFNETMASK: return setSockaddr(view, AF_INET, 0xff00_0000);
    case SIOCGIFADDR: return setSockaddr(view, AF_INET, 0x7f00_0001);
    default: return setSockaddr(view, AF_INET, 0);
  }
}

function setSockaddr(view: DataView, family: number, address: number): void {
  for (let at = NAME_BYTES; at < NAME_BYTES + 16; at++) view.setUint8(at, 0);
  view.setUint16(NAME_BYTES, family, true);
  view.setUint32(NAME_BYTES + 4, address);
}

/** Without a buffer it tells how many bytes there would be. */
function listInterfaces(k: Kernel, gva: number): number {
  const room = readStruct(k, gva, 16)?.getInt32(0, true);
  if (room === undefined) return -EFAULT;
  const buffer = readU64(k, gva + 8);
  if (buffer === 0) return writeU32(k, gva, IFREQ_BYTES) ? 0 : -EFAULT;
  if (room < 0) return -EINVAL;
  if (room < IFREQ_BYTES) return writeU32(k, gva, 0) ? 0 : -EFAULT;
  const raw = new Uint8Array(IFREQ_BYTES);
  raw.set(LOOPBACK_NAME);
  setSockaddr(new DataView(raw.buffer), AF_INET, 0x7f00_0001);
  if (copyOut(k, buffer, raw) !== IFREQ_BYTES) return -EFAULT;
  return writeU32(k, gva, IFREQ_BYTES) ? 0 : -EFAULT;
}
