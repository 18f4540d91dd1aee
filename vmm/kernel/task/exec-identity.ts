// What execve does to ids and capabilities (Linux: cap_bprm_creds_from_file, begin_new_exec). Files
// have neither set-user-ID bits nor capabilities that count here, so nobody gains what he had not.
import type { Process } from '../records/task.ts';

/** AT_SECURE: whether the program runs with ids that its caller does not have as real ones. */
export function isSecureExec({ uid, realUid, gid, realGid }: Process): boolean {
  return uid !== realUid || gid !== realGid;
}

/** Root has all capabilities again that its bounding set has; others keep the ambient ones. */
export function resetIdentityForExec(p: Process): void {
  const { capPermitted: before, fsUid, fsGid } = p;
  const isPrivileged = p.uid === 0 || p.realUid === 0;
  p.capPermitted = (isPrivileged ? p.capBounding | p.capInheritable : 0n) | p.capAmbient;
  p.capEffective = p.uid === 0 ? p.capPermitted : p.capAmbient;
  p.keepCaps = false;
  p.savedUid = p.uid;
  p.fsUid = p.uid;
  p.savedGid = p.gid;
  p.fsGid = p.gid;
  // Linux: commit_creds().
  const isOther = (p.capPermitted & ~before) !== 0n || fsUid !== p.fsUid || fsGid !== p.fsGid;
  const isSecret = isOther || isSecureExec(p);
  p.dumpable = isSecret ? 0 : 1;
  if (isSecret) p.parentDeathSignal = 0;
}
