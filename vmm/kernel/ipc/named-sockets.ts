// The list of sockets that are found by an address that is no path: abstract names (AF_UNIX),
// ports (AF_INET, AF_INET6). There are few (a sandbox has as many sockets as descriptors), so that
// the list is walked.
//
//   Sandbox.namedSockets ─► Socket ─ nextListed ─► …        latest first
import { AF_UNIX } from '../../abi/socket.ts';
import type { Kernel } from '../kernel.ts';
import type { Socket } from '../records/ipc.ts';

/** Puts a socket in the list, if it is not in it. */
export function listSocket(k: Kernel, socket: Socket): void {
  if (socket.isListed) return;
  const first = k.root.namedSockets;
  socket.nextListed = first;
  if (first !== null) first.previousListed = socket;
  k.root.namedSockets = socket;
  socket.isListed = true;
}

/** Takes a socket out of the list, if it is in it. */
export function unlistSocket(k: Kernel, socket: Socket): void {
  if (!socket.isListed) return;
  const { nextListed, previousListed } = socket;
  if (previousListed === null) k.root.namedSockets = nextListed;
  else previousListed.nextListed = nextListed;
  if (nextListed !== null) nextListed.previousListed = previousListed;
  socket.nextListed = null;
  socket.previousListed = null;
  socket.isListed = false;
}

/** The listed sockets of AF_UNIX, or all others. The one it is at may be taken out meanwhile. */
export function* listedSockets(k: Kernel, ofUnix: boolean): Generator<Socket> {
  let next: Socket | null = k.root.namedSockets;
  while (next !== null) {
    const socket: Socket = next;
    next = socket.nextListed;
    if ((socket.domain === AF_UNIX) === ofUnix) yield socket;
  }
}
