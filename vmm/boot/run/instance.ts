// A sandbox in the making: a zygote joined with a kernel, a console and a rootfs.
import { readCpuInfo } from '../../host/cpu-info.ts';
import { HostRoot } from '../../host/files.ts';
import type { Kernel, KernelLimits } from '../../kernel/kernel.ts';
import { DEFAULT_LIMITS } from '../../kernel/kernel.ts';
import type { EntropyPort, LowerFs, Ports } from '../../kernel/ports.ts';
import type { WaitableConsole } from '../stdio/console.ts';
import { makeCounters, type RunCounters } from './counters.ts';
import { GuestClock } from './guest-clock.ts';
import { type FrameReader, makeGuestFrames } from './guest-frames.ts';
import {
  makeEntropy, makeEvents, makeFpu, makeTableWindow, makeTranslations,
} from './host-ports.ts';
import { Runner } from './runner.ts';
import type { Zygote } from '../pool/zygote.ts';
import { giveZygote } from '../pool/zygote-pool.ts';
import { closeLowerHandles } from '../../kernel/vfs/lower.ts';

export interface Instance {
  readonly k: Kernel;
  readonly zygote: Zygote;
  readonly runner: Runner;
  readonly console: WaitableConsole;
  readonly counters: RunCounters;
  /** The rootfs, then the volumes. */
  readonly roots: readonly HostRoot[];
  /** Ends its use of the snapshot that it was made of. */
  readonly release: () => void;
  /** Ends its part of the host's network, once what was sent is out; null without one. */
  closeNet: (() => Promise<void>) | null;
  /** Set by closeInstance(). */
  closed: boolean;
}

export interface PortOptions {
  zygote: Zygote;
  console: WaitableConsole;
  lower: LowerFs;
  onEvent: (kind: string, detail: string) => void;
  /** For boots: frames of the image and how to read them. */
  baseFrames: number;
  readFrames: FrameReader | null;
  /** Default: the host's. */
  entropy?: EntropyPort | undefined;
}

/** The ports of a sandbox over `zygote`. */
export function makePorts(options: PortOptions): Ports {
  const { zygote } = options;
  return {
    frames: makeGuestFrames(zygote.machine, options.baseFrames, options.readFrames),
    tables: makeTableWindow(zygote.tables, zygote.firstTable),
    translations: makeTranslations(zygote.stale),
    lower: options.lower,
    console: options.console,
    clock: new GuestClock(zygote.machine),
    entropy: options.entropy ?? makeEntropy(),
    events: makeEvents(options.onEvent),
    fpu: makeFpu(zygote.machine),
    cpuInfo: () => readCpuInfo(zygote.machine.xcr0),
  };
}

/** Limits for a sandbox with `memoryBytes` of guest memory. */
export function limitsFor(memoryBytes: number): KernelLimits {
  return { ...DEFAULT_LIMITS, memoryBytes };
}

/** Joins a kernel with its zygote. */
export function makeInstance(
  k: Kernel,
  zygote: Zygote,
  console: WaitableConsole,
  roots: readonly HostRoot[],
  release: () => void = () => undefined,
): Instance {
  const counters = makeCounters();
  const runner = new Runner(k, zygote.machine, zygote.stale, counters);
  return { k, zygote, runner, console, counters, roots, release, closeNet: null, closed: false };
}

/** Ends a sandbox: its records, machine and host descriptors. Idempotent. */
export function closeInstance(instance: Instance): void {
  if (instance.closed) return;
  instance.closed = true;
  giveBack(instance);
}

/** What a sandbox holds, as far as it has come to be. */
export interface Holdings {
  k: Kernel | null;
  roots: readonly HostRoot[];
  zygote: Zygote | null;
  /** Ends its use of a snapshot. */
  release?: () => void;
}

/** Gives back what a sandbox holds. Order: the kernel's handles lie below the roots. */
export function giveBack({ k, roots, zygote, release }: Holdings): void {
  if (k !== null) {
    closeLowerHandles(k);
    k.ports.logs?.close();
    k.arena.close();
  }
  for (const root of roots) root.dispose();
  if (zygote !== null) {
    giveZygote(zygote, { tablesEnd: k?.tables.end ?? 0, framesEnd: k?.frames.end ?? 0 });
  }
  release?.();
}
