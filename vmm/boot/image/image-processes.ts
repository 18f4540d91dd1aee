// The processes of an image, taken together: all are of one family, each has its own records, each
// thread is one of its process's, an address space counts its users right, and what leads to a
// process or a thread from outside (timers, wait queues, futexes) is known to it. So nothing of a
// process or thread that ends is used by another one.
//
// Preconditions: shapes, rules (image-records.ts): lists and the ways to parents end.
import { FdTable } from '../../kernel/records/vfs.ts';
import { Mm } from '../../kernel/records/mm.ts';
import { FutexWaiter, Process, Task, Waiter } from '../../kernel/records/task.ts';
import { Timer } from '../../kernel/records/time.ts';
import { Sandbox } from '../../kernel/records/sandbox.ts';
import { KIND } from '../../kernel/state/kinds.ts';
import { u32 } from '../../kernel/state/memory.ts';
import { bytesAt, type Kind, kindIdAt, type Rec } from '../../kernel/state/record.ts';
import type { Piece } from './image-records.ts';

/** References whose targets nobody else refers to in this way. */
const OWNED: readonly (readonly [kind: number, offsets: readonly number[]])[] = [
  [KIND.process, offsetsOf(Process, [
    'tasks', 'fds', 'cmdline', 'environ', 'actions', 'realTimer', 'groups', 'signalQueue',
    'childQueue',
  ])],
  [KIND.task, offsetsOf(Task, ['xsave', 'waitTimer', 'futex'])],
  [KIND.fdTable, offsetsOf(FdTable, ['slots', 'closeOnExec'])],
  [KIND.mm, offsetsOf(Mm, ['vmas'])],
];
const FOLLOWED: ReadonlySet<number> =
  new Set([
    KIND.sandbox, KIND.process, KIND.task, KIND.taskTable, KIND.fdTable, KIND.mm, KIND.timer,
    KIND.waiter, KIND.futexWaiter,
  ]);

/** A record by its offset, with where its references lead, by their offset in it. */
interface Node {
  kind: number;
  targets: Map<number, number>;
}

type Graph = ReadonlyMap<number, Node>;

function offsetsOf<T extends Rec>(kind: Kind<T>, fields: readonly (keyof T & string)[]): number[] {
  return fields.map((field) => kind.offset(field));
}

/** What is wrong with the processes, in words; null when nothing is. */
export function findProcessFault(objects: Piece, relations: Piece): string | null {
  const graph = readGraph(objects, relations);
  return findSharedRecord(graph) ?? findStranger(graph) ?? findTaskFault(graph) ??
    findUserFault(objects, graph) ?? findLooseTimer(graph) ?? findLooseWaiter(graph);
}

function readGraph(objects: Piece, relations: Piece): Graph {
  const graph = new Map<number, Node>();
  let word = relations.address >> 2;
  const end = (relations.address + relations.bytes) >> 2;
  for (let at = 0; at < objects.bytes;) {
    const address = objects.address + at;
    const kind = kindIdAt(address);
    const next = at + bytesAt(address);
    const node = FOLLOWED.has(kind) ? { kind, targets: new Map<number, number>() } : null;
    if (node !== null) graph.set(at, node);
    for (; word < end && (u32[word] as number) < next; word += 2) {
      node?.targets.set((u32[word] as number) - at, u32[word + 1] as number);
    }
    at = next;
  }
  return graph;
}

function* nodesOf(graph: Graph, kind: number): Generator<[at: number, node: Node]> {
  for (const entry of graph) if (entry[1].kind === kind) yield entry;
}

function findSharedRecord(graph: Graph): string | null {
  const owned = new Set<number>();
  for (const [kind, offsets] of OWNED) {
    for (const [at, { targets }] of nodesOf(graph, kind)) {
      for (const offset of offsets) {
        const target = targets.get(offset);
        if (target === undefined) continue;
        if (owned.has(target)) return `the record at ${target} has two owners, one at ${at}`;
        owned.add(target);
      }
    }
  }
  return null;
}

/** A process outside the family: each has to be found where its parent says. */
function findStranger(graph: Graph): string | null {
  const family = new Set<number>();
  const first = graph.get(0)?.targets.get(Sandbox.offset('process'));
  const waiting = first === undefined ? [] : [first];
  for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
    if (family.has(at)) return `the process at ${at} is its own ancestor`;
    family.add(at);
    let child = graph.get(at)?.targets.get(Process.offset('children'));
    while (child !== undefined) {
      waiting.push(child);
      child = graph.get(child)?.targets.get(Process.offset('nextSibling'));
    }
  }
  if (first !== undefined && graph.get(first)?.targets.has(Process.offset('parent')) === true) {
    return 'the first process has a parent';
  }
  for (const [at] of nodesOf(graph, KIND.process)) {
    if (!family.has(at)) return `the process at ${at} is nobody's child`;
  }
  return null;
}

/** A thread that is not in the table of its process, once, or in another's. */
function findTaskFault(graph: Graph): string | null {
  const listed = new Set<number>();
  for (const [process, { targets }] of nodesOf(graph, KIND.process)) {
    const table = graph.get(targets.get(Process.offset('tasks')) ?? -1);
    for (const task of table?.targets.values() ?? []) {
      const isOwn = graph.get(task)?.targets.get(Task.offset('process')) === process;
      if (!isOwn || listed.has(task)) return `the thread at ${task} is not in one process`;
      listed.add(task);
    }
  }
  for (const [task] of nodesOf(graph, KIND.task)) {
    if (!listed.has(task)) return `the thread at ${task} is in no process`;
  }
  return null;
}

function findUserFault(objects: Piece, graph: Graph): string | null {
  const users = new Map<number, number>();
  for (const [, { targets }] of nodesOf(graph, KIND.process)) {
    const mm = targets.get(Process.offset('mm'));
    if (mm !== undefined) users.set(mm, (users.get(mm) ?? 0) + 1);
  }
  for (const [at] of nodesOf(graph, KIND.mm)) {
    const sharers = u32[(objects.address + at + Mm.offset('sharers')) >> 2] as number;
    if (users.get(at) !== sharers + 1) return `the address space at ${at} counts its users wrong`;
  }
  return null;
}

/** The records of a list that begins in a field of `node`. */
function* listOf(graph: Graph, node: Node, head: number, next: number): Generator<number> {
  for (let at = node.targets.get(head); at !== undefined;) {
    yield at;
    at = graph.get(at)?.targets.get(next);
  }
}

/** A timer that would signal a process, or wake a thread, which does not know of it. */
function findLooseTimer(graph: Graph): string | null {
  const known = new Map<number, number>();
  for (const [process, node] of nodesOf(graph, KIND.process)) {
    const own = node.targets.get(Process.offset('realTimer'));
    if (own !== undefined) known.set(own, process);
    const [first, next] = [Process.offset('posixTimers'), Timer.offset('nextOfProcess')];
    for (const timer of listOf(graph, node, first, next)) known.set(timer, process);
  }
  for (const [at, { targets }] of nodesOf(graph, KIND.timer)) {
    const process = targets.get(Timer.offset('process'));
    if (process !== undefined && known.get(at) !== process) return `the timer at ${at} is nobody's`;
    const task = targets.get(Timer.offset('task'));
    if (task === undefined) continue;
    const { targets: ofTask } = graph.get(task) as Node;
    const isWait = ofTask.get(Task.offset('waitTimer')) === at;
    const isOfProcess = process !== undefined && ofTask.get(Task.offset('process')) === process;
    if (!isWait && !isOfProcess) return `the timer at ${at} is not its thread's`;
  }
  return null;
}

/** A place in a wait queue, or a futex, of a thread that does not know of it. */
function findLooseWaiter(graph: Graph): string | null {
  const known = new Map<number, number>();
  for (const [task, node] of nodesOf(graph, KIND.task)) {
    const [first, next] = [Task.offset('waiters'), Waiter.offset('nextOfOwner')];
    for (const waiter of listOf(graph, node, first, next)) known.set(waiter, task);
    const futex = node.targets.get(Task.offset('futex'));
    if (futex !== undefined) known.set(futex, task);
  }
  for (const kind of [Waiter, FutexWaiter]) {
    const field = kind === Waiter ? Waiter.offset('task') : FutexWaiter.offset('task');
    for (const [at, { targets }] of nodesOf(graph, kind.id)) {
      const task = targets.get(field);
      if (task === undefined || known.get(at) === task) continue;
      return `nobody knows that it waits at ${at}`;
    }
  }
  return null;
}

/** Place of the root of the first process's page tables among the image's; -1 without a program. */
export function firstRoot(objects: Piece, relations: Piece): number {
  const graph = readGraph(objects, relations);
  const first = graph.get(0)?.targets.get(Sandbox.offset('process')) ?? -1;
  const mm = graph.get(first)?.targets.get(Process.offset('mm'));
  if (mm === undefined) return -1;
  return u32[(objects.address + mm + Mm.offset('rootTable')) >> 2] as number;
}
