// A UDP socket of the host, for one of a guest.
import { createSocket, type Socket } from 'node:dgram';
import { endpointOf } from './address-text.ts';

/** Opens one; `onMessage` hears what comes. Errors are lost datagrams. */
export function openDatagram(
  isV4: boolean, onMessage: (from: Uint8Array, data: Uint8Array) => void,
): Socket {
  const socket = createSocket(isV4 ? 'udp4' : 'udp6');
  socket.on('error', () => {});
  socket.on('message', (data, { address, port }) => {
    const from = endpointOf(address, port);
    if (from !== null) onMessage(from, data);
  });
  return socket;
}
