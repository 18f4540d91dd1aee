// /proc/<pid>/maps, smaps and smaps_rollup.
import { MAP_SHARED, PROT_EXEC, PROT_READ, PROT_WRITE } from '../../../abi/mman.ts';
import type { Kernel } from '../../kernel.ts';
import { visitPresent } from '../../mm/tables.ts';
import { type Mm, type Vma, VMA_HEAP, VMA_PLAIN, VMA_STACK, VMA_VDSO } from '../../records/mm.ts';
import { deviceNumber, inodeNumber, majorOf, minorOf } from '../inode-number.ts';
import { displayPath } from '../path-name.ts';
import { defineGenerator } from './generated.ts';
import { GEN } from './ids.ts';
import { procProcess, readingProcess } from './target-process.ts';

/** Column at which names begin (Linux: show_map_vma pads to 25 + 6 * 8 - 1, then a blank). */
const NAME_COLUMN = 73;

function hex(value: number, digits: number): string {
  return value.toString(16).padStart(digits, '0');
}

function visitVmas(k: Kernel, pid: number, visit: (vma: Vma) => void): Mm | null {
  const mm = procProcess(k, pid)?.mm ?? null;
  for (let index = 0; mm !== null && index < mm.vmas.length; index++) {
    const vma = mm.vmas.get(index);
    if (vma !== null) visit(vma);
  }
  return mm;
}

/** Newlines and backslashes in a path would break the line (Linux: seq_path with "\n"). */
export function escapePath(path: Uint8Array, also: string = '\n'): string {
  const text = new TextDecoder().decode(path);
  let escaped = '';
  for (const char of text) {
    const code = char.charCodeAt(0);
    escaped += also.includes(char) ? `\\${code.toString(8).padStart(3, '0')}` : char;
  }
  return escaped;
}

const ROLE_NAMES: Readonly<Record<number, string>> = {
  [VMA_PLAIN]: '', [VMA_HEAP]: '[heap]', [VMA_STACK]: '[stack]', [VMA_VDSO]: '[vdso]',
};

function nameOf(k: Kernel, vma: Vma): string {
  const process = readingProcess(k);
  if (vma.dentry !== null && process !== null) return escapePath(displayPath(process, vma.dentry));
  if (vma.inode !== null) return '/dev/zero (deleted)';
  return ROLE_NAMES[vma.role] ?? '';
}

function mapsLine(k: Kernel, vma: Vma): string {
  const { prot, inode } = vma;
  const access = ((prot & PROT_READ) !== 0 ? 'r' : '-') + ((prot & PROT_WRITE) !== 0 ? 'w' : '-') +
    ((prot & PROT_EXEC) !== 0 ? 'x' : '-') + ((vma.flags & MAP_SHARED) !== 0 ? 's' : 'p');
  const device = inode === null ? 0 : deviceNumber(inode);
  const ino = inode === null ? 0 : inodeNumber(inode);
  const offset = inode === null ? 0 : vma.fileOffset;
  const line = `${hex(vma.start, 8)}-${hex(vma.end, 8)} ${access} ${hex(offset, 8)} ` +
    `${hex(majorOf(device), 2)}:${hex(minorOf(device), 2)} ${ino} `;
  const name = nameOf(k, vma);
  return name === '' ? `${line}\n` : `${line.padEnd(NAME_COLUMN)}${name}\n`;
}

defineGenerator(GEN.maps, {
  mode: 0o100444,
  text: (k, pid) => {
    const lines: string[] = [];
    visitVmas(k, pid, (vma) => lines.push(mapsLine(k, vma)));
    return lines.join('');
  },
});

function residentKib(k: Kernel, mm: Mm, vma: Vma): number {
  let pages = 0;
  visitPresent(k.tables, mm.rootTable, vma.start, vma.end, () => { pages++; });
  return pages * 4;
}

const ZERO_FIELDS: readonly string[] = [
  'KSM', 'LazyFree', 'AnonHugePages', 'ShmemPmdMapped', 'FilePmdMapped', 'Shared_Hugetlb',
  'Private_Hugetlb', 'Swap', 'SwapPss', 'Locked',
];

function field(name: string, kib: number): string {
  return `${`${name}:`.padEnd(16)}${String(kib).padStart(8)} kB\n`;
}

/** What is counted for one mapping, or for all of them. */
interface Usage {
  resident: number;
  anonymous: number;
  clean: number;
}

function usageOf(k: Kernel, mm: Mm, vma: Vma): Usage {
  const resident = residentKib(k, mm, vma);
  const isFile = vma.inode !== null;
  return { resident, anonymous: isFile ? 0 : resident, clean: isFile ? resident : 0 };
}

function usageFields(usage: Usage): string {
  const { resident, anonymous, clean } = usage;
  return field('Rss', resident) + field('Pss', resident) + field('Pss_Dirty', anonymous) +
    field('Shared_Clean', 0) + field('Shared_Dirty', 0) + field('Private_Clean', clean) +
    field('Private_Dirty', anonymous) + field('Referenced', resident) +
    field('Anonymous', anonymous) + ZERO_FIELDS.map((name) => field(name, 0)).join('');
}

function smapsOf(k: Kernel, mm: Mm, vma: Vma): string {
  const { prot } = vma;
  const flags = ((prot & PROT_READ) !== 0 ? 'rd ' : '') + ((prot & PROT_WRITE) !== 0 ? 'wr ' : '') +
    ((prot & PROT_EXEC) !== 0 ? 'ex ' : '') + ((vma.flags & MAP_SHARED) !== 0 ? 'sh ' : '') +
    'mr mw me ';
  return mapsLine(k, vma) + field('Size', (vma.end - vma.start) / 1024) +
    field('KernelPageSize', 4) + field('MMUPageSize', 4) + usageFields(usageOf(k, mm, vma)) +
    `THPeligible:           0\nVmFlags: ${flags}\n`;
}

defineGenerator(GEN.smaps, {
  mode: 0o100444,
  text: (k, pid) => {
    const mm = procProcess(k, pid)?.mm ?? null;
    const parts: string[] = [];
    if (mm !== null) visitVmas(k, pid, (vma) => parts.push(smapsOf(k, mm, vma)));
    return parts.join('');
  },
});

defineGenerator(GEN.smapsRollup, {
  mode: 0o100444,
  text: (k, pid) => {
    const mm = procProcess(k, pid)?.mm ?? null;
    if (mm === null) return '';
    const total: Usage = { resident: 0, anonymous: 0, clean: 0 };
    let start = 0;
    let end = 0;
    visitVmas(k, pid, (vma) => {
      const usage = usageOf(k, mm, vma);
      total.resident += usage.resident;
      total.anonymous += usage.anonymous;
      total.clean += usage.clean;
      if (start === 0) start = vma.start;
      end = vma.end;
    });
    const head = `${hex(start, 8)}-${hex(end, 8)} ---p 00000000 00:00 0 `.padEnd(NAME_COLUMN);
    return `${head}[rollup]\n${usageFields(total)}`;
  },
});
