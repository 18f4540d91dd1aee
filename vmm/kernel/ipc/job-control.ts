// Who may read from, write to and change a controlling terminal: the foreground group. Others are
// stopped (Linux: __tty_check_change, job_control).
import { EIO } from '../../abi/errno.ts';
import { SI_KERNEL, SIGTTIN } from '../../abi/signal.ts';
import type { Kernel } from '../kernel.ts';
import type { Pty } from '../records/pty.ts';
import { isIgnored } from '../signal/actions.ts';
import { makeInfo, sendSignal } from '../signal/pending.ts';
import { signalBit } from '../signal/set.ts';
import { ERESTARTSYS } from '../syscalls/define.ts';
import { groupOf } from '../task/family.ts';

/** No member has a parent in another group of the session: nobody could continue it. */
function isOrphaned(k: Kernel, pgid: number): boolean {
  return !groupOf(k, pgid).some(({ exited, parent, sid }) =>
    !exited && parent !== null && parent.pgid !== pgid && parent.sid === sid);
}

/**
 * Whether the calling process may use its terminal now.
 * @param signal SIGTTIN for a read, SIGTTOU for a write or a change
 * @returns 0; -EIO; or -ERESTARTSYS: the signal was sent, and the call goes on when it is continued
 */
export function mayUseTerminal(k: Kernel, pty: Pty, signal: number): number {
  const task = k.current;
  if (task === null) return 0;
  const { process } = task;
  if (pty.session === 0 || process.sid !== pty.session || pty.foreground === 0) return 0;
  if (process.pgid === pty.foreground) return 0;
  const isDeaf = (task.mask & signalBit(signal)) !== 0n || isIgnored(process, signal);
  if (isDeaf) return signal === SIGTTIN ? -EIO : 0;
  if (isOrphaned(k, process.pgid)) return -EIO;
  for (const member of groupOf(k, process.pgid)) sendSignal(k, member, makeInfo(signal, SI_KERNEL));
  return -ERESTARTSYS;
}
