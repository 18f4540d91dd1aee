// A sandbox of a snapshot from the request to the session that drives it: what boots of images and
// forks of templates have in common.
import type { BootMode, BootOptions, Technique } from '../../options.ts';
import type { Baseline } from './baseline.ts';
import type { WaitableConsole } from '../stdio/console.ts';
import type { Instance } from '../run/instance.ts';
import { ioCacheOf } from './io-cache.ts';
import { launchSnapshot } from '../run/launch.ts';
import type { EntropyPort } from '../../kernel/ports.ts';
import type { Phases } from '../run/phases.ts';
import { Session, type SessionOptions } from '../run/session.ts';
import { requireUnchanged, type Snapshot } from './snapshot.ts';
import { listStartSpaces, type StartSpace } from './write-set.ts';
import { recordWriteSet, wantsWriteSet } from './write-sets.ts';

export interface StartOptions extends BootOptions {
  mode: BootMode;
  /** Made of `without` and `eager`, which alone do nothing. */
  baseline?: Baseline | undefined;
  /** Default: the host's random bytes. */
  entropy?: EntropyPort;
  /** The image's file, for the report. */
  image: string | null;
}

/** Makes a sandbox and lets it run. @throws ImageError, HostError */
export function startSnapshot(
  snapshot: Snapshot, options: StartOptions, console: WaitableConsole, phases: Phases,
): { instance: Instance; start: (swap?: SessionOptions['swap']) => Session } {
  // A cold boot has nothing to share: it sees files and directories as they are now.
  const isOff = (name: Technique): boolean => options.baseline?.without.includes(name) === true;
  const sharesIo = options.mode !== 'cold' && !isOff('io-cache');
  const instance = launchSnapshot(snapshot, { ...options, sharesIo }, console, phases);
  const isTrial = wantsWriteSet(snapshot) && options.baseline === undefined;
  const spaces = isTrial ? listStartSpaces(instance.k) : [];
  if (isTrial) tryOut(snapshot, instance, spaces);
  const start = (swap?: SessionOptions['swap']): Session => new Session(instance, phases, {
    swap,
    mode: options.mode,
    image: options.image,
    without: options.baseline?.without ?? [],
    timeoutMs: options.timeoutMs,
    signal: options.signal,
    burstMs: options.burstMs,
    checkEnd: () => requireUnchanged(snapshot),
    onEnd: ({ k }) => {
      if (k.isTrial) recordWriteSet(snapshot, k, spaces);
      if (sharesIo) ioCacheOf(snapshot, options.rootfs ?? snapshot.rootfs.path).learn(k);
    },
  });
  return { instance, start };
}

/** Learns which pages a sandbox of the snapshot touches up to its first output. */
function tryOut(
  snapshot: Snapshot, { k, runner, console }: Instance, spaces: readonly StartSpace[],
): void {
  k.isTrial = true;
  runner.hooks.shouldStop = () => {
    if (k.isTrial && console.firstOutputMs !== 0) {
      recordWriteSet(snapshot, k, spaces);
      k.isTrial = false;
    }
    return false;
  };
}
