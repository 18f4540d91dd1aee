// /proc/net/tcp, udp and unix: the sockets that have a descriptor. Connections that nobody has
// accepted yet are not among them.
import {
  AF_INET, AF_INET6, AF_UNIX, SOCK_DGRAM, SOCK_STREAM, TCP_CLOSE, TCP_ESTABLISHED, TCP_LISTEN,
} from '../../../abi/socket.ts';
import { portOf } from '../../inet/endpoint.ts';
import { socketOf } from '../../ipc/socket.ts';
import type { Kernel } from '../../kernel.ts';
import type { Socket } from '../../records/ipc.ts';
import type { Inode } from '../../records/vfs.ts';
import { defineGenerator } from './generated.ts';
import { GEN } from './ids.ts';
import { procProcesses } from './target-process.ts';

/** A socket and the inode of its file. */
interface OpenSocket {
  socket: Socket;
  inode: Inode;
}

/** Every open socket of a domain, each once. */
function openSockets(k: Kernel, domain: number, type: number = 0): OpenSocket[] {
  const found = new Map<Socket, OpenSocket>();
  for (const { fds: { slots } } of procProcesses(k)) {
    for (let fd = 0; fd < slots.length; fd++) {
      const file = slots.get(fd);
      const socket = file === null ? null : socketOf(file);
      if (file === null || file.inode === null || socket === null) continue;
      if (socket.domain !== domain || (type !== 0 && socket.type !== type)) continue;
      found.set(socket, { socket, inode: file.inode });
    }
  }
  return [...found.values()];
}

function hex(value: number, digits: number): string {
  return value.toString(16).toUpperCase().padStart(digits, '0');
}

const NOWHERE: Uint8Array = new Uint8Array(18);
const ADDRESS_BYTES = 16;
const MAPPED_BYTES = 12;

/** Linux: the words of the address as the CPU sees them, so that 127.0.0.1 is 0100007F. */
function endpointText(domain: number, endpoint: Uint8Array): string {
  let text = '';
  for (let at = domain === AF_INET ? MAPPED_BYTES : 0; at < ADDRESS_BYTES; at += 4) {
    for (let byte = 3; byte >= 0; byte--) text += hex(endpoint[at + byte] ?? 0, 2);
  }
  return `${text}:${hex(portOf(endpoint), 4)}`;
}

/** What the lines of TCP and UDP have in common, up to the inode. */
function endpointsLine({ socket, inode }: OpenSocket, state: number, waiting: number): string {
  const { domain, name, remote } = socket;
  const local = endpointText(domain, name?.data ?? NOWHERE);
  const other = endpointText(domain, remote?.data ?? NOWHERE);
  return `${local} ${other} ${hex(state, 2)} 00000000:${hex(waiting, 8)} 00:00000000 00000000 ` +
    `${String(inode.uid).padStart(5)} ${'0'.padStart(8)} ${inode.serial}`;
}

/** Linux: %pK for those who may not see addresses. */
const POINTER = '0000000000000000';

/** IPv4's lines are padded; IPv6's are as long as they are. */
function table(domain: number, header: string, lines: readonly string[], width: number): string {
  const all = [header, ...lines];
  return all.map((line) => `${domain === AF_INET ? line.padEnd(width) : line}\n`).join('');
}

const ADDRESSES = new Map([
  [AF_INET, 'local_address rem_address   '],
  [AF_INET6, `${'local_address'.padEnd(38)}${'remote_address'.padEnd(38)}`],
]);
const COLUMNS = 'st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';

function tcp(domain: number): (k: Kernel) => string {
  return (k) => {
    const lines = openSockets(k, domain, SOCK_STREAM)
      .filter(({ socket }) => socket.state !== TCP_CLOSE)
      .map((open, index) => {
        const { state, pendingCount, queuedBytes, refs } = open.socket;
        const waiting = state === TCP_LISTEN ? pendingCount : queuedBytes;
        return `${String(index).padStart(4)}: ${endpointsLine(open, state, waiting)} ` +
          `${refs} ${POINTER} 100 0 0 10 0`;
      });
    return table(domain, `  sl  ${ADDRESSES.get(domain)}${COLUMNS}`, lines, TCP_WIDTH);
  };
}

function udp(domain: number): (k: Kernel) => string {
  return (k) => {
    const lines = openSockets(k, domain, SOCK_DGRAM)
      .filter(({ socket }) => socket.name !== null)
      .map((open, index) => {
        const { remote, queuedBytes, refs } = open.socket;
        const state = remote === null ? TCP_CLOSE : TCP_ESTABLISHED;
        return `${String(index).padStart(5)}: ${endpointsLine(open, state, queuedBytes)} ` +
          `${refs + 1} ${POINTER} 0`;
      });
    const first = domain === AF_INET ? '   sl  ' : '  sl  ';
    const header = `${first}${ADDRESSES.get(domain)}${COLUMNS} ref pointer drops`;
    return table(domain, header, lines, UDP_WIDTH);
  };
}

const TCP_WIDTH = 149;
const UDP_WIDTH = 127;
/** Linux: __SO_ACCEPTCON. */
const ACCEPTS = 0x10000;
const UNCONNECTED = 1;
const CONNECTED = 3;

function unix(k: Kernel): string {
  const lines = openSockets(k, AF_UNIX).map(({ socket, inode }) => {
    const { state, name, refs, type, peer } = socket;
    const isListening = state === TCP_LISTEN;
    const path = name === null ? '' : ` ${pathText(name.data)}`;
    return `${POINTER}: ${hex(refs + 1, 8)} 00000000 ${hex(isListening ? ACCEPTS : 0, 8)} ` +
      `${hex(type, 4)} ${hex(peer === null ? UNCONNECTED : CONNECTED, 2)} ` +
      `${String(inode.serial).padStart(5)}${path}\n`;
  });
  return `Num       RefCount Protocol Flags    Type St Inode Path\n${lines.join('')}`;
}

/** Abstract names begin with a NUL; every NUL is shown as @. */
function pathText(name: Uint8Array): string {
  return new TextDecoder().decode(name).replaceAll('\0', '@');
}

defineGenerator(GEN.netTcp, { mode: 0o100444, text: tcp(AF_INET) });
defineGenerator(GEN.netTcp6, { mode: 0o100444, text: tcp(AF_INET6) });
defineGenerator(GEN.netUdp, { mode: 0o100444, text: udp(AF_INET) });
defineGenerator(GEN.netUdp6, { mode: 0o100444, text: udp(AF_INET6) });
defineGenerator(GEN.netUnix, { mode: 0o100444, text: unix });
