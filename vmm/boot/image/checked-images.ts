// Images that this user's processes have checked before: digests and structure of a file need to be
// checked once on a host, not in each process (design: func-image).
//
//   entry     device, inode, size, mtime and ctime of the image; nobody but root can forge a ctime
//   content   version of catavmm and its record schema, then the image's digest
//
// Invariant: an entry counts only if nobody but this user and root may write to the image.
import type * as fs from 'node:fs';
import { VERSION } from '../../version.ts';
import { isOurs, readEntry, writeEntry } from './private-store.ts';

const SHELF = 'checked';
const OTHERS_MAY_WRITE = 0o022;

/** Device, inode, size and times of a file: other content has another identity. */
export function fileIdentity(stat: fs.BigIntStats): string {
  const { dev, ino, size, mtimeNs, ctimeNs } = stat;
  return `${dev}-${ino}-${size}-${mtimeNs}-${ctimeNs}`;
}

/** Whether only this user and root can change the image. */
function isGuarded(stat: fs.BigIntStats): boolean {
  return (isOurs(stat) || stat.uid === 0n) && (Number(stat.mode) & OTHERS_MAY_WRITE) === 0;
}

function contentOf(digest: Uint8Array, schema: string): string {
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  return `${VERSION} ${schema} ${hex}\n`;
}

/**
 * Whether this very file was checked before.
 * @param stat of the open file
 * @param digest from its prologue
 * @param schema what names the record schema that it was checked against
 */
export function isCheckedImage(stat: fs.BigIntStats, digest: Uint8Array, schema: string): boolean {
  return isGuarded(stat) && readEntry(SHELF, fileIdentity(stat)) === contentOf(digest, schema);
}

/** Remembers a file that has just been checked. */
export function rememberImage(stat: fs.BigIntStats, digest: Uint8Array, schema: string): void {
  // A file without a name is not opened again.
  if (!isGuarded(stat) || stat.nlink === 0n) return;
  writeEntry(SHELF, fileIdentity(stat), contentOf(digest, schema));
}
