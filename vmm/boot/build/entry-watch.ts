// Watching for the func-entry point while an image is being built (kernel/entry.ts has the explicit
// ones): the first wait for stdin, for a connection, or a printed line; and training requests.
import {
  ENTRY_DEFAULT, ENTRY_EXPLICIT, ENTRY_LINE, ENTRY_LISTEN, ENTRY_NONE, ENTRY_STDIN,
} from '../../kernel/entry.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import type { WaitQueue } from '../../kernel/records/task.ts';
import { FILE_SOCKET, type FdTable } from '../../kernel/records/vfs.ts';
import { Socket } from '../../kernel/records/ipc.ts';
import { isListening } from '../../kernel/ipc/socket.ts';
import { forEachProcess } from '../../kernel/task/family.ts';
import type { EntryChoice } from '../../options.ts';
import type { QueueConsole } from '../stdio/console.ts';

const WANTED = {
  default: ENTRY_DEFAULT,
  explicit: ENTRY_EXPLICIT,
  listen: ENTRY_LISTEN,
  stdin: ENTRY_STDIN,
  line: ENTRY_LINE,
} as const;

/** Bytes of output kept for --entry line=TEXT. */
const TAIL_BYTES = 64 * 1024;

export interface EntryWatch {
  /** For RunnerHooks.shouldStop: true when the image can be saved. */
  reached(): boolean;
  /** What was reached. */
  kind(): 'explicit' | 'listen' | 'stdin' | 'line';
}

/**
 * Arms the watch. What the console holds already is read before a wait for input or a connection
 * counts. `training`: requests fed to stdin, one at each entry, before the last counts.
 */
export function watchEntry(
  k: Kernel,
  console: QueueConsole,
  choice: EntryChoice,
  training: readonly Uint8Array[],
): EntryWatch {
  k.root.entryWanted = WANTED[choice.kind];
  k.root.trainLeft = training.length;
  const line = choice.kind === 'line' ? new TextEncoder().encode(choice.text) : null;
  const tail = { bytes: new Uint8Array(), seen: false };
  if (line !== null) console.onOutput = (data) => { noteOutput(tail, data, line); };
  let next = 0;
  return {
    reached: () => {
      const seen = { line: tail.seen, isTrained: training.length > 0 };
      if (!detect(k, seen, console.queuedBytes > 0)) return false;
      if (next >= training.length) return true;
      console.push(training[next++] as Uint8Array);
      k.root.trainLeft = training.length - next;
      k.root.entryKind = ENTRY_NONE;
      tail.seen = false;
      return false;
    },
    kind: () => kindName(k.root.entryKind),
  };
}

function noteOutput(
  tail: { bytes: Uint8Array; seen: boolean },
  data: Uint8Array,
  line: Uint8Array,
): void {
  const joined = new Uint8Array(tail.bytes.length + data.length);
  joined.set(tail.bytes);
  joined.set(data, tail.bytes.length);
  if (indexOf(joined, line) >= 0) tail.seen = true;
  tail.bytes = joined.slice(Math.max(0, joined.length - Math.max(line.length, 1)));
  if (tail.bytes.length > TAIL_BYTES) tail.bytes = tail.bytes.slice(-TAIL_BYTES);
}

function indexOf(bytes: Uint8Array, wanted: Uint8Array): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(wanted);
}

/** Sets entryKind when an implicit entry is reached; true when any is. */
function detect(
  k: Kernel, seen: { line: boolean; isTrained: boolean }, hasInput: boolean,
): boolean {
  const { root } = k;
  if (root.entryKind !== ENTRY_NONE) return true;
  const wanted = root.entryWanted;
  if (wanted === ENTRY_LINE && seen.line) root.entryKind = ENTRY_LINE;
  if (hasInput) return root.entryKind !== ENTRY_NONE;
  const implicit = wanted === ENTRY_DEFAULT;
  if ((implicit || wanted === ENTRY_LISTEN) && waitsForConnection(k)) root.entryKind = ENTRY_LISTEN;
  else if ((implicit || wanted === ENTRY_STDIN) && waitsForInput(k)) root.entryKind = ENTRY_STDIN;
  // A trained explicit program waits for its next request: that is its entry.
  else if (wanted === ENTRY_EXPLICIT && seen.isTrained && waitsForInput(k)) {
    root.entryKind = ENTRY_EXPLICIT;
  }
  return root.entryKind !== ENTRY_NONE;
}

function waitsForInput(k: Kernel): boolean {
  const { console } = k.root;
  return console !== null && console.wantsInput && hasWaitingTask(console.queue);
}

/** Whether a thread waits in `queue`, or for an epoll instance that watches it. */
function hasWaitingTask(queue: WaitQueue): boolean {
  for (let waiter = queue.first; waiter !== null; waiter = waiter.next) {
    const { item, task } = waiter;
    if (task !== null || item !== null && hasWaitingTask(item.epoll.queue)) return true;
  }
  return false;
}

/** Of any process: a server may leave it to its workers to accept connections. */
function waitsForConnection(k: Kernel): boolean {
  let isWaiting = false;
  forEachProcess(k, ({ fds }) => { isWaiting ||= hasWaitingListener(k, fds); });
  return isWaiting;
}

function hasWaitingListener(k: Kernel, { slots }: FdTable): boolean {
  for (let fd = 0; fd < slots.length; fd++) {
    const file = slots.get(fd);
    if (file === null || file.kind !== FILE_SOCKET || file.object === null) continue;
    if (!isListening(file)) continue;
    if (hasWaitingTask(k.arena.at(Socket, file.object.address).queue)) return true;
  }
  return false;
}

function kindName(kind: number): 'explicit' | 'listen' | 'stdin' | 'line' {
  switch (kind) {
    case ENTRY_LISTEN: return 'listen';
    case ENTRY_STDIN: return 'stdin';
    case ENTRY_LINE: return 'line';
    default: return 'explicit';
  }
}
