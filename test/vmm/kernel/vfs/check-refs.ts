// Recounts the references of every dentry, inode and open file that can be reached from the root record,
// and compares with what they say. Finds leaks and early drops.
import type { Kernel } from '../../../../vmm/kernel/kernel.ts';
import { Vma } from '../../../../vmm/kernel/records/mm.ts';
import { Process } from '../../../../vmm/kernel/records/task.ts';
import { Dentry, FdTable, File, Inode } from '../../../../vmm/kernel/records/vfs.ts';
import { kindIdAt, type Rec } from '../../../../vmm/kernel/state/record.ts';
import { saveObjects } from '../../../../vmm/kernel/state/save.ts';

/** Differences as sentences; empty when all counts are right. */
export function checkRefs(k: Kernel): string[] {
  const records = [...saveObjects(k.root).offsets.keys()].map((address) => k.arena.atAny(address));
  const expected = new Map<Rec, number>();
  const add = (target: Rec | null): void => {
    if (target !== null) expected.set(target, (expected.get(target) ?? 0) + 1);
  };
  add(k.root.rootDentry);
  for (const record of records) addReferences(record, add);
  const wrong: string[] = [];
  for (const record of records) {
    const kind = kindIdAt(record.address);
    if (kind !== Dentry.id && kind !== Inode.id && kind !== File.id) continue;
    const { refs } = record as Dentry | Inode | File;
    const counted = expected.get(record) ?? 0;
    if (refs !== counted) wrong.push(`${nameOf(record)}: refs ${refs}, counted ${counted}`);
  }
  return wrong;
}

function addReferences(record: Rec, add: (target: Rec | null) => void): void {
  switch (kindIdAt(record.address)) {
    case Dentry.id: {
      const { parent, inode, mounted, mountPoint } = record as Dentry;
      [parent, inode, mounted, mountPoint].forEach(add);
      return;
    }
    case File.id:
      add((record as File).inode);
      add((record as File).dentry);
      return;
    case Process.id: {
      const { root, cwd, exe } = record as Process;
      [root, cwd, exe].forEach(add);
      return;
    }
    case FdTable.id: {
      const { slots } = record as FdTable;
      for (let fd = 0; fd < slots.capacity; fd++) add(slots.get(fd));
      return;
    }
    case Vma.id:
      add((record as Vma).inode);
      add((record as Vma).dentry);
      return;
    default:
  }
}

function nameOf(record: Rec): string {
  switch (kindIdAt(record.address)) {
    case Dentry.id: {
      const { name, deleted } = record as Dentry;
      return `dentry "${new TextDecoder().decode(name.data)}"${deleted ? ' (deleted)' : ''}`;
    }
    case Inode.id:
      return `inode ${(record as Inode).serial} mode ${(record as Inode).mode.toString(8)}`;
    default:
      return `file ${(record as File).serial} kind ${(record as File).kind}`;
  }
}

