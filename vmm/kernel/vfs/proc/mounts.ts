// /proc/<pid>/mounts and mountinfo: the four file systems of mountRoot(), and the volumes.
import { deviceNumber, majorOf, minorOf, TMPFS_DEVICE } from '../inode-number.ts';
import type { Kernel } from '../../kernel.ts';
import { type Dentry, FS_DEV, FS_OVERLAY, FS_PROC, FS_SYS, type Inode } from '../../records/vfs.ts';
import { mountOf } from '../lookup.ts';
import { listMounts } from '../mount.ts';
import { pathBelow } from '../path-name.ts';
import { volumeOf } from '../volume-path.ts';
import { defineGenerator } from './generated.ts';
import { GEN } from './ids.ts';
import { escapePath } from './process-maps.ts';
import { procProcess } from './target-process.ts';

interface MountLine {
  root: Dentry;
  path: string;
  type: string;
  options: string;
  superOptions: string;
}

/** Type, per-mount options and file-system options by Inode.fs. */
const TYPES: ReadonlyMap<number, readonly [string, string, string]> = new Map([
  [FS_OVERLAY, ['overlay', 'rw,relatime', 'rw']],
  [FS_PROC, ['proc', 'rw,nosuid,nodev,noexec,relatime', 'rw']],
  [FS_SYS, ['sysfs', 'ro,nosuid,nodev,noexec,relatime', 'ro']],
  [FS_DEV, ['tmpfs', 'rw,nosuid', 'rw']],
]);

/** Volumes and tmpfs count from here; the other mounts have 20 + Inode.fs. */
const VOLUME_ID_BASE = 30;
const TMPFS_ID_BASE = 100;

/** Identifier of the mount that a file is in, as in fdinfo and statx. */
export function mountId(inode: Inode, dentry: Dentry | null): number {
  const volume = dentry === null ? -1 : volumeOf(mountOf(dentry).inode);
  if (volume >= 0) return VOLUME_ID_BASE + volume;
  const isTmpfs = inode.fs === FS_DEV && inode.lowerDev >= TMPFS_DEVICE;
  return isTmpfs ? TMPFS_ID_BASE + inode.lowerDev - TMPFS_DEVICE : 20 + inode.fs;
}

function mountLines(k: Kernel, pid: number): MountLine[] {
  const lines: MountLine[] = [];
  const top = k.root.rootDentry;
  const process = procProcess(k, pid);
  if (top === null || process === null) return lines;
  addMount(lines, top, '/');
  for (const root of listMounts(k)) {
    const { path, reachable } = pathBelow(root, process.root);
    if (reachable) addMount(lines, root, escapePath(path, ' \t\n\\'));
  }
  return lines;
}

function addMount(lines: MountLine[], root: Dentry, path: string): void {
  const found = TYPES.get(root.inode?.fs ?? 0);
  if (found === undefined) return;
  const [type, usual, common] = found;
  const mode = ((root.inode?.mode ?? 0) & 0o7777).toString(8);
  const superOptions = type === 'tmpfs' ? `${common},mode=${mode}` : common;
  const options = root.inode?.readOnly === true ? usual.replace(/^rw/, 'ro') : usual;
  lines.push({ root, path, type, options, superOptions });
}

defineGenerator(GEN.mounts, {
  mode: 0o100444,
  text: (k, pid) => mountLines(k, pid).map(({ path, type, options, superOptions }) => {
    const extra = superOptions.split(',').slice(1).map((one) => `,${one}`).join('');
    return `${type} ${path} ${type} ${options}${extra} 0 0\n`;
  }).join(''),
});

defineGenerator(GEN.mountinfo, {
  mode: 0o100444,
  text: (k, pid) => mountLines(k, pid).map(({ root, path, type, options, superOptions }) => {
    const { inode } = root;
    if (inode === null) return '';
    const device = deviceNumber(inode);
    const above = root.mountPoint;
    const parent = above === null || above.inode === null ? 1 : mountId(above.inode, above);
    return `${mountId(inode, root)} ${parent} ${majorOf(device)}:${minorOf(device)} / ${path} ` +
      `${options} - ${type} ${type} ${superOptions}\n`;
  }).join(''),
});
