// Images that this user's processes have checked before: digests and structure of a file need to be
// checked once on a host, not in each process (design: func-image). One small file per image in a
// private folder, `$XDG_CACHE_HOME/catavmm/checked` or `~/.cache/catavmm/checked`:
//
//   name     device, inode, size, mtime and ctime of the image; nobody but root can forge a ctime
//   content  version of catavmm and its record schema, then the image's digest
//
// Invariant: an entry counts only if the folder is ours alone and nobody else may write to the
// image. Whatever goes wrong here costs time, not correctness: the image is checked as if it were
// new.
import * as fs from 'node:fs';
import * as path from 'node:path';
import { VERSION } from '../version.ts';

/** More entries than this are a reason to begin anew: images come and go, their entries stay. */
const ENTRIES_MAX = 4096;
const OTHERS_MAY_WRITE = 0o022;
const PRIVATE = 0o077;

/** Device, inode, size and times of a file: other content has another identity. */
export function fileIdentity(stat: fs.BigIntStats): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = stat;
  return `${dev}-${ino}-${size}-${mtimeNs}-${ctimeNs}`;
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** The folder of entries; null where this user has no home. */
function folder(): string | null {
  const { XDG_CACHE_HOME, HOME } = process.env;
  if (XDG_CACHE_HOME !== undefined && path.isAbsolute(XDG_CACHE_HOME)) {
    return path.join(XDG_CACHE_HOME, 'catavmm/checked');
  }
  return HOME !== undefined && path.isAbsolute(HOME)
    ? path.join(HOME, '.cache/catavmm/checked') : null;
}

function isOurs(stat: fs.BigIntStats | fs.Stats): boolean {
  return Number(stat.uid) === process.geteuid?.();
}

/** Whether only this user and root can change the image. */
function isGuarded(stat: fs.BigIntStats): boolean {
  return (isOurs(stat) || stat.uid === 0n) && (Number(stat.mode) & OTHERS_MAY_WRITE) === 0;
}

function contentOf(digest: Uint8Array, schema: string): string {
  return `${VERSION} ${schema} ${hexOf(digest)}\n`;
}

/**
 * Whether this very file was checked before.
 * @param stat of the open file
 * @param digest from its prologue
 * @param schema what names the record schema that it was checked against
 */
export function isCheckedImage(stat: fs.BigIntStats, digest: Uint8Array, schema: string): boolean {
  const directory = folder();
  if (directory === null || !isGuarded(stat)) return false;
  try {
    const own = fs.statSync(directory);
    if (!isOurs(own) || (own.mode & PRIVATE) !== 0) return false;
    const entry = fs.readFileSync(path.join(directory, fileIdentity(stat)), 'utf8');
    return entry === contentOf(digest, schema);
  } catch {
    return false;
  }
}

/** Remembers a file that has just been checked. */
export function rememberImage(stat: fs.BigIntStats, digest: Uint8Array, schema: string): void {
  const directory = folder();
  if (directory === null || !isGuarded(stat)) return;
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (fs.readdirSync(directory).length >= ENTRIES_MAX) {
      fs.rmSync(directory, { recursive: true });
      fs.mkdirSync(directory, { mode: 0o700 });
    }
    const temporary = path.join(directory, `.${process.pid}`);
    fs.writeFileSync(temporary, contentOf(digest, schema), { mode: 0o600 });
    fs.renameSync(temporary, path.join(directory, fileIdentity(stat)));
  } catch {
    // A full disk or a read-only home: the next process checks the image again.
  }
}
