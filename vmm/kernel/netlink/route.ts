// NETLINK_ROUTE: answers to questions about interfaces and addresses (rtnetlink(7)). There is one
// interface, lo, which nobody can change.
//
//   request    nlmsghdr 16 | ifinfomsg or ifaddrmsg …
//   answer     nlmsghdr | message | attributes: u16 length, u16 type, data, padded to 4
import { EINVAL, ENODEV, EOPNOTSUPP, EPERM } from '../../abi/errno.ts';
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../abi/socket.ts';
import { Nlmsghdr } from '../../abi/struct-socket.ts';
import {
  LOOPBACK_FLAGS, LOOPBACK_INDEX, LOOPBACK_MTU, LOOPBACK_NAME, LOOPBACK_TYPE,
} from '../inet/interface-ioctl.ts';

const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const FIRST_ROUTE_TYPE = 16;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const NLM_F_REQUEST = 1;
const NLM_F_MULTI = 2;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;
const IFLA = { address: 1, broadcast: 2, name: 3, mtu: 4, queue: 13, state: 16 } as const;
const IFA = { address: 1, local: 2, label: 3 } as const;
const IFF_LOWER_UP = 0x1_0000;
const IFA_F_PERMANENT = 0x80;
const RT_SCOPE_HOST = 254;
const TX_QUEUE = 1000;

/** One request, and who asks. */
interface Request {
  type: number;
  flags: number;
  sequence: number;
  /** The asker's nl_pid. */
  port: number;
  body: Uint8Array;
}

/** The messages that answer all requests of a datagram, each to be received on its own. */
export function answerRoute(data: Uint8Array, port: number): Uint8Array[] {
  const view = new DataView(data.buffer, data.byteOffset, data.length);
  const answers: Uint8Array[] = [];
  for (let at = 0; at + Nlmsghdr.bytes <= data.length;) {
    const bytes = Nlmsghdr.nlmsg_len.get(view, at);
    if (bytes < Nlmsghdr.bytes || bytes > data.length - at) break;
    answers.push(...answerOne({
      type: Nlmsghdr.nlmsg_type.get(view, at),
      flags: Nlmsghdr.nlmsg_flags.get(view, at),
      sequence: Nlmsghdr.nlmsg_seq.get(view, at),
      port,
      body: data.subarray(at + Nlmsghdr.bytes, at + bytes),
    }, data.subarray(at, at + Nlmsghdr.bytes)));
    at += align(bytes);
  }
  return answers;
}

function answerOne(request: Request, header: Uint8Array): Uint8Array[] {
  const { type, flags } = request;
  if ((flags & NLM_F_REQUEST) === 0 || type < FIRST_ROUTE_TYPE) {
    return (flags & NLM_F_ACK) === 0 ? [] : [errorMessage(request, header, 0)];
  }
  const isGet = (type & 3) === 2;
  // The sandbox gives nobody CAP_NET_ADMIN.
  if (!isGet) return [errorMessage(request, header, EPERM)];
  const isDump = (flags & NLM_F_DUMP) === NLM_F_DUMP;
  if (type === RTM_GETLINK && !isDump) return [oneLink(request, header)];
  if (!isDump) return [errorMessage(request, header, EOPNOTSUPP)];
  const family = request.body[0] ?? AF_UNSPEC;
  const parts = type === RTM_GETLINK ? [linkMessage(request, NLM_F_MULTI)]
    : type === RTM_GETADDR ? addressMessages(request, family) : [];
  const done = message(request, NLMSG_DONE, NLM_F_MULTI, new Uint8Array(4));
  return [join(parts), done].filter(({ length }) => length > 0);
}

/** A link by its index, or its name. */
function oneLink(request: Request, header: Uint8Array): Uint8Array {
  const { body } = request;
  if (body.length < 16) return errorMessage(request, header, EINVAL);
  const index = new DataView(body.buffer, body.byteOffset).getInt32(4, true);
  const isNamed = index === 0 && body.length >= 16 + 4 + LOOPBACK_NAME.length &&
    LOOPBACK_NAME.every((byte, place) => body[20 + place] === byte);
  if (index !== LOOPBACK_INDEX && !isNamed) return errorMessage(request, header, ENODEV);
  return linkMessage(request, 0);
}

function linkMessage(request: Request, flags: number): Uint8Array {
  const info = new Uint8Array(16);
  const view = new DataView(info.buffer);
  view.setUint16(2, LOOPBACK_TYPE, true);
  view.setInt32(4, LOOPBACK_INDEX, true);
  view.setUint32(8, LOOPBACK_FLAGS | IFF_LOWER_UP, true);
  return message(request, RTM_NEWLINK, flags, join([
    info,
    attribute(IFLA.name, LOOPBACK_NAME),
    attribute(IFLA.queue, u32(TX_QUEUE)),
    attribute(IFLA.state, new Uint8Array(1)),
    attribute(IFLA.mtu, u32(LOOPBACK_MTU)),
    attribute(IFLA.address, new Uint8Array(6)),
    attribute(IFLA.broadcast, new Uint8Array(6)),
  ]));
}

function addressMessages(request: Request, family: number): Uint8Array[] {
  const found: Uint8Array[] = [];
  if (family === AF_UNSPEC || family === AF_INET) {
    const address = Uint8Array.of(127, 0, 0, 1);
    found.push(addressMessage(request, AF_INET, 8, [
      attribute(IFA.address, address), attribute(IFA.local, address),
      attribute(IFA.label, LOOPBACK_NAME),
    ]));
  }
  if (family === AF_UNSPEC || family === AF_INET6) {
    const address = new Uint8Array(16);
    address[15] = 1;
    found.push(addressMessage(request, AF_INET6, 128, [attribute(IFA.address, address)]));
  }
  return found;
}

function addressMessage(
  request: Request, family: number, prefix: number, attributes: Uint8Array[],
): Uint8Array {
  const info = new Uint8Array(8);
  info.set([family, prefix, IFA_F_PERMANENT, RT_SCOPE_HOST, LOOPBACK_INDEX]);
  return message(request, RTM_NEWADDR, NLM_F_MULTI, join([info, ...attributes]));
}

function errorMessage(request: Request, header: Uint8Array, errno: number): Uint8Array {
  const code = new Uint8Array(4);
  new DataView(code.buffer).setInt32(0, -errno, true);
  return message(request, NLMSG_ERROR, 0, join([code, header]));
}

function message(request: Request, type: number, flags: number, body: Uint8Array): Uint8Array {
  const raw = new Uint8Array(align(Nlmsghdr.bytes + body.length));
  const view = new DataView(raw.buffer);
  Nlmsghdr.nlmsg_len.set(view, 0, Nlmsghdr.bytes + body.length);
  Nlmsghdr.nlmsg_type.set(view, 0, type);
  Nlmsghdr.nlmsg_flags.set(view, 0, flags);
  Nlmsghdr.nlmsg_seq.set(view, 0, request.sequence);
  Nlmsghdr.nlmsg_pid.set(view, 0, request.port);
  raw.set(body, Nlmsghdr.bytes);
  return raw;
}

function attribute(type: number, data: Uint8Array): Uint8Array {
  const raw = new Uint8Array(align(4 + data.length));
  const view = new DataView(raw.buffer);
  view.setUint16(0, 4 + data.length, true);
  view.setUint16(2, type, true);
  raw.set(data, 4);
  return raw;
}

function u32(value: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

function align(bytes: number): number {
  return Math.ceil(bytes / 4) * 4;
}

function join(parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
