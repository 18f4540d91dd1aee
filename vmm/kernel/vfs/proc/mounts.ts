// /proc/<pid>/mounts and mountinfo: the four file systems of mountRoot().
import { deviceNumber, majorOf, minorOf } from '../inode-number.ts';
import type { Kernel } from '../../kernel.ts';
import { type Dentry, FS_DEV, FS_OVERLAY, FS_PROC, FS_SYS } from '../../records/vfs.ts';
import { pathBelow } from '../path-name.ts';
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
  [FS_DEV, ['tmpfs', 'rw,nosuid', 'rw,mode=755']],
]);

/** Identifier of a mount, as in fdinfo and statx: the root is 20 + FS_OVERLAY. */
export function mountId(fs: number): number {
  return 20 + fs;
}

function mountLines(k: Kernel): MountLine[] {
  const lines: MountLine[] = [];
  const top = k.root.rootDentry;
  const process = procProcess(k);
  if (top === null || process === null) return lines;
  addMount(lines, top, '/');
  for (let child = top.firstChild; child !== null; child = child.nextSibling) {
    if (child.mounted === null) continue;
    const { path, reachable } = pathBelow(child.mounted, process.root);
    if (reachable) addMount(lines, child.mounted, escapePath(path, ' \t\n\\'));
  }
  return lines;
}

function addMount(lines: MountLine[], root: Dentry, path: string): void {
  const found = TYPES.get(root.inode?.fs ?? 0);
  if (found === undefined) return;
  const [type, options, superOptions] = found;
  lines.push({ root, path, type, options, superOptions });
}

defineGenerator(GEN.mounts, {
  mode: 0o100444,
  text: (k) => mountLines(k).map(({ path, type, options, superOptions }) => {
    const extra = superOptions.split(',').slice(1).map((one) => `,${one}`).join('');
    return `${type} ${path} ${type} ${options}${extra} 0 0\n`;
  }).join(''),
});

defineGenerator(GEN.mountinfo, {
  mode: 0o100444,
  text: (k) => mountLines(k).map(({ root, path, type, options, superOptions }) => {
    const { inode } = root;
    if (inode === null) return '';
    const device = deviceNumber(inode);
    const parent = path === '/' ? 1 : mountId(FS_OVERLAY);
    return `${mountId(inode.fs)} ${parent} ${majorOf(device)}:${minorOf(device)} / ${path} ` +
      `${options} - ${type} ${type} ${superOptions}\n`;
  }).join(''),
});
