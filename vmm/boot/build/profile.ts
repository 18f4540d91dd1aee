// Profiling an image before it is finished: one trial boot in this process, fed the first training
// request (or an empty line), tells which pages a boot writes and reads first. The image is then
// laid out in that order: [written | read | the rest] (design: image layout; REAP, FaaSnap).
//
// A deterministic image gets only the order of what is written: D bits are exact, but a CPU sets A
// bits for accesses that it merely guesses, too.
//
// The trial is an ordinary boot: nothing it does leaves its sandbox, and what it prints or logs is
// dropped.
import type { Kernel } from '../../kernel/kernel.ts';
import { visitPresent } from '../../kernel/mm/tables.ts';
import { PTE_A, PTE_D, PTE_SHARED, pfnAt } from '../../kernel/mm/pte.ts';
import { u32 } from '../../kernel/state/memory.ts';
import { listSpaces } from '../../kernel/task/family.ts';
import { BASE_GPA } from '../../machine/layout.ts';
import { monotonicNs } from '../../host/clock.ts';
import { PAGE_BYTES } from '../../kernel/ports.ts';
import { QueueConsole } from '../stdio/console.ts';
import { drive } from '../run/drive.ts';
import { DISCARDED_LOGS } from '../files/logs.ts';
import type { OpenImage } from '../image/image-open.ts';
import { closeInstance, type Instance } from '../run/instance.ts';
import { launchSnapshot } from '../run/launch.ts';
import { beginPhases } from '../run/phases.ts';
import { isFreshPage, listStartSpaces, type StartSpace } from '../restore/write-set.ts';
import { findImageLeaf } from '../image/image-tables.ts';
import { pagesToFill } from './fill-groups.ts';

/** Image frames of an address space in the order in which the image shall have them. */
export interface SpaceProfile {
  written: number[];
  read: number[];
  /** Private anonymous pages that the image does not have and the boot wrote: guest addresses. */
  fresh: number[];
}

/** Of each address space of the image (listSpaces). */
export type Profile = SpaceProfile[];

/** Longest trial: what a request touches first shows early. */
const TRIAL_MS = 1500;
/** The same for a deterministic trial, which no clock may end. */
const TRIAL_CALLS = 20_000;
const USER_END = 0x8000_0000_0000;
const NEWLINE = 0x0a;

/**
 * Boots an image once and lists the frames it touched.
 * @param request what the trial reads from stdin
 */
export async function profileImage(
  image: OpenImage,
  request: Uint8Array | undefined,
): Promise<Profile> {
  const console = new QueueConsole(() => true);
  console.push(request ?? Uint8Array.of(NEWLINE));
  console.end();
  return await runTrial(launchTrial(image, console), image, console);
}

function launchTrial(image: OpenImage, console: QueueConsole): Instance {
  const instance = launchSnapshot(image, {}, console, beginPhases());
  instance.k.ports.logs = DISCARDED_LOGS;
  return instance;
}

async function runTrial(
  instance: Instance,
  image: OpenImage,
  console: QueueConsole,
): Promise<Profile> {
  instance.k.isTrial = true;
  const spaces = listStartSpaces(instance.k);
  // What matters is what stands between the boot and its first output.
  const { root } = instance.k;
  const lastCall = root.deterministic ? root.syscallCount + TRIAL_CALLS : Infinity;
  instance.runner.hooks.shouldStop = () =>
    console.firstOutputMs !== 0 || root.syscallCount >= lastCall;
  try {
    const deadlineNs = monotonicNs() + TRIAL_MS * 1e6;
    const end = await drive(instance, { deadlineNs, isAborted: () => false });
    const { deterministic, runHead } = instance.k.root;
    // How far a thread comes until the deadline is chance.
    if (deterministic && end === 'timeout' && runHead !== null) return [];
    const alive = new Set(listSpaces(instance.k));
    return spaces.map((space): SpaceProfile => {
      // Who ended or called execve(2) meanwhile gave its memory back.
      if (!alive.has(space.mm)) return { written: [], read: [], fresh: [] };
      const touched = touchedFrames(instance.k, image, space);
      return deterministic ? { ...touched, read: [] } : touched;
    });
  } catch {
    // A trial that fails costs speed, not correctness: the image keeps its plain order.
    return [];
  } finally {
    closeInstance(instance);
  }
}

/**
 * What the A and D bits say. A private page that was copied because a neighbour was written counts
 * only if it was touched itself. Pages between touched ones may be worth copying, too.
 */
function touchedFrames(k: Kernel, image: OpenImage, { mm, root }: StartSpace): SpaceProfile {
  const written = new Set<number>();
  const read = new Set<number>();
  const fresh: number[] = [];
  const touched = new Set<number>();
  const spare = new Map<number, number>();
  const basePfn = BASE_GPA / PAGE_BYTES;
  visitPresent(k.tables, mm.rootTable, 0, USER_END, (at, gva) => {
    const pfn = pfnAt(at);
    const frame = pfn >= basePfn ? pfn - basePfn : copiedFrame(image, root, gva);
    const flags = u32[at] as number;
    const vpn = gva / PAGE_BYTES;
    if ((flags & PTE_A) === 0) {
      if (frame !== undefined) spare.set(vpn, frame);
      return;
    }
    touched.add(vpn);
    if (frame === undefined) {
      if ((flags & PTE_D) !== 0 && isFreshPage(mm, gva)) fresh.push(gva);
      return;
    }
    if (pfn < basePfn && (flags & PTE_D) !== 0) written.add(frame);
    else read.add(frame);
  });
  for (const vpn of pagesToFill(touched, spare)) read.add(spare.get(vpn) as number);
  for (const frame of written) read.delete(frame);
  return { written: [...written], read: [...read], fresh };
}

/** The image's frame of a private page that was copied; undefined when it has none there. */
function copiedFrame(image: OpenImage, root: number, gva: number): number | undefined {
  const leaf = findImageLeaf(image.tables.address, gva / PAGE_BYTES, root);
  if (leaf === 0 || ((u32[leaf] as number) & PTE_SHARED) !== 0) return undefined;
  return pfnAt(leaf) - BASE_GPA / PAGE_BYTES;
}
