// A process as something to hold and wait for: all pidfds of a process share one of these.
import { KIND } from '../state/kinds.ts';
import { fMust, fRef, fUsers, kind, type Kind, type Rec } from '../state/record.ts';
import { previous } from '../state/rules.ts';
import { Process, WaitQueue } from './task.ts';

export interface PidFd extends Rec {
  /** Woken when the process ends and when somebody has waited for it. */
  queue: WaitQueue;
  /** Open files. */
  refs: number;
  /** Null when it ended and was waited for. */
  process: Process | null;
}

export const PidFd: Kind<PidFd> = kind<PidFd>(KIND.pidFd, 'PidFd', {
  queue: fMust(() => WaitQueue),
  refs: fUsers,
  process: previous(fRef(() => Process), 'pidfd'),
});
