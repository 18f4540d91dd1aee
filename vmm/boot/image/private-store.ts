// What this user's processes found out and need not find out again: small files in a folder that is
// this user's alone, `$XDG_CACHE_HOME/catavmm` or `~/.cache/catavmm`.
//
// Whatever goes wrong here costs time, not correctness: what is not found is found out anew.
import * as fs from 'node:fs';
import * as path from 'node:path';

/** More entries than this are a reason to begin anew: what they are about comes and goes. */
const ENTRIES_MAX = 4096;
const NOT_PRIVATE = 0o077;

/** A shelf's folder; null where this user has no home. */
function folderOf(shelf: string): string | null {
  const { XDG_CACHE_HOME, HOME } = process.env;
  if (XDG_CACHE_HOME !== undefined && path.isAbsolute(XDG_CACHE_HOME)) {
    return path.join(XDG_CACHE_HOME, 'catavmm', shelf);
  }
  return HOME !== undefined && path.isAbsolute(HOME)
    ? path.join(HOME, '.cache/catavmm', shelf) : null;
}

/** Whether a file or folder belongs to this user. */
export function isOurs(stat: fs.BigIntStats | fs.Stats): boolean {
  return Number(stat.uid) === process.geteuid?.();
}

/** The entry `name`, or null. */
export function readEntry(shelf: string, name: string): string | null {
  const directory = folderOf(shelf);
  if (directory === null) return null;
  try {
    const own = fs.statSync(directory);
    if (!isOurs(own) || (own.mode & NOT_PRIVATE) !== 0) return null;
    return fs.readFileSync(path.join(directory, name), 'utf8');
  } catch {
    return null;
  }
}

/** Writes an entry, in one step. */
export function writeEntry(shelf: string, name: string, content: string): void {
  const directory = folderOf(shelf);
  if (directory === null) return;
  try {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (fs.readdirSync(directory).length >= ENTRIES_MAX) {
      fs.rmSync(directory, { recursive: true });
      fs.mkdirSync(directory, { mode: 0o700 });
    }
    const temporary = path.join(directory, `.${process.pid}`);
    fs.writeFileSync(temporary, content, { mode: 0o600 });
    fs.renameSync(temporary, path.join(directory, name));
  } catch {
    // A full disk or a read-only home.
  }
}
