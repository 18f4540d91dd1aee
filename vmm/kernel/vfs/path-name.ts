// The path of a dentry as the process sees it (Linux: d_path), and the names of files without a
// path.
import type { Kernel } from '../kernel.ts';
import type { Process } from '../records/task.ts';
import {
  type Dentry, type File, FILE_CONSOLE, FILE_EPOLL, FILE_EVENTFD, FILE_INOTIFY, FILE_PIDFD,
  FILE_PIPE, FILE_SIGNALFD, FILE_SOCKET, FILE_TIMERFD,
} from '../records/vfs.ts';

const SLASH = 0x2f;
const encoder: TextEncoder = new TextEncoder();
const DELETED: Uint8Array = encoder.encode(' (deleted)');

/** A dentry's absolute path. */
export interface DentryPath {
  path: Uint8Array;
  /** False when it cannot be reached from `root`; the path is then from the top of the tree. */
  reachable: boolean;
}

/** The path from `root` (the process's root directory) down to `dentry`, without " (deleted)". */
export function pathBelow(dentry: Dentry, root: Dentry): DentryPath {
  const names: Uint8Array[] = [];
  let bytes = 0;
  let at: Dentry = dentry;
  let reachable = true;
  while (at !== root) {
    if (at.parent === null) {
      if (at.mountPoint === null) {
        // A memfd's dentry has a name and nothing above it.
        if (at.name.length > 0) {
          names.push(at.name.data);
          bytes += at.name.length + 1;
        }
        reachable = false;
        break;
      }
      at = at.mountPoint;
      continue;
    }
    const { data } = at.name;
    names.push(data);
    bytes += data.length + 1;
    at = at.parent;
  }
  if (bytes === 0) return { path: new Uint8Array([SLASH]), reachable };
  const path = new Uint8Array(bytes);
  let end = bytes;
  for (const name of names) {
    path.set(name, end - name.length);
    end -= name.length + 1;
    path[end] = SLASH;
  }
  return { path, reachable };
}

/** d_path: what /proc shows for a dentry, with " (deleted)" for one that was unlinked. */
export function displayPath(process: Process, dentry: Dentry): Uint8Array {
  const { path } = pathBelow(dentry, process.root);
  if (!dentry.deleted) return path;
  const marked = new Uint8Array(path.length + DELETED.length);
  marked.set(path);
  marked.set(DELETED, path.length);
  return marked;
}

const ANON_NAMES: ReadonlyMap<number, string> = new Map([
  [FILE_EVENTFD, 'anon_inode:[eventfd]'],
  [FILE_EPOLL, 'anon_inode:[eventpoll]'],
  [FILE_TIMERFD, 'anon_inode:[timerfd]'],
  [FILE_SIGNALFD, 'anon_inode:[signalfd]'],
  [FILE_INOTIFY, 'anon_inode:inotify'],
  [FILE_PIDFD, 'anon_inode:[pidfd]'],
]);

/** What /proc/self/fd/N links to. */
export function fileName(k: Kernel, process: Process, file: File): Uint8Array {
  if (file.dentry !== null) return displayPath(process, file.dentry);
  const ino = file.inode?.serial ?? 0;
  if (file.kind === FILE_PIPE) return encoder.encode(`pipe:[${ino}]`);
  if (file.kind === FILE_SOCKET) return encoder.encode(`socket:[${ino}]`);
  if (file.kind === FILE_CONSOLE) return encoder.encode(consoleName(k, file, ino));
  return encoder.encode(ANON_NAMES.get(file.kind) ?? 'anon_inode:[unknown]');
}

function consoleName(k: Kernel, file: File, ino: number): string {
  const terminals = k.root.console?.terminals ?? 0;
  return ((terminals >> file.variant) & 1) !== 0 ? '/dev/console' : `pipe:[${ino}]`;
}
