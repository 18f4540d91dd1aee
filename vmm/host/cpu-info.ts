// What /proc/cpuinfo of the host says of its first CPU, as a guest with that one CPU may see it.
import { readFileSync } from 'node:fs';

const AVX = 0x4;
const AVX512 = 0xe0;
/** Flags that need the state component of AVX. */
const AVX_FLAGS: ReadonlySet<string> = new Set([
  'avx', 'avx2', 'fma', 'fma4', 'f16c', 'xop', 'vaes', 'vpclmulqdq', 'avx_vnni', 'avx_ifma',
]);
/** What a guest does not have, whatever the host's own kernel does with it. */
const HOST_FLAGS: ReadonlySet<string> = new Set([
  'vmx', 'svm', 'npt', 'ept', 'vpid', 'ept_ad', 'flexpriority', 'tpr_shadow', 'pku', 'ospke',
  'user_shstk', 'ibt', 'amx_tile', 'amx_int8', 'amx_bf16', 'monitor', 'smx',
]);
const ONE_OF_ONE: ReadonlyMap<string, string> = new Map([
  ['processor', '0'], ['physical id', '0'], ['siblings', '1'], ['core id', '0'],
  ['cpu cores', '1'], ['apicid', '0'], ['initial apicid', '0'],
]);

let hostText: string | null = null;

/**
 * The text of the guest's /proc/cpuinfo; '' where the host has none that can be read.
 * @param xcr0 state components that the guest may use: flags of others are left out
 */
export function readCpuInfo(xcr0: number): string {
  hostText ??= readHost();
  return adaptCpuInfo(hostText, xcr0);
}

function readHost(): string {
  try {
    return readFileSync('/proc/cpuinfo', 'utf8');
  } catch {
    return '';
  }
}

/** The first CPU of a /proc/cpuinfo as the only one. */
export function adaptCpuInfo(text: string, xcr0: number): string {
  const end = text.indexOf('\n\n');
  const first = end < 0 ? text.trimEnd() : text.slice(0, end);
  if (first === '') return '';
  const bogomips = Number(/^bogomips\s*: (\S+)/m.exec(first)?.[1] ?? 0);
  const lines = first.split('\n').map((line) => {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon).trim();
    const known = ONE_OF_ONE.get(name);
    if (known !== undefined) return `${line.slice(0, colon)}: ${known}`;
    // What the clock is just now differs from read to read; this is what it is meant to be.
    if (name === 'cpu MHz' && bogomips > 0) {
      return `${line.slice(0, colon)}: ${(bogomips / 2).toFixed(3)}`;
    }
    if (name !== 'flags') return line;
    const flags = line.slice(colon + 1).trim().split(' ').filter((flag) => isSeen(flag, xcr0));
    return `${line.slice(0, colon)}: ${flags.join(' ')}`;
  });
  return `${lines.filter((line) => !line.startsWith('vmx flags')).join('\n')}\n\n`;
}

function isSeen(flag: string, xcr0: number): boolean {
  if (HOST_FLAGS.has(flag)) return false;
  if (flag.startsWith('avx512')) return (xcr0 & AVX512) === AVX512;
  return (xcr0 & AVX) !== 0 || !AVX_FLAGS.has(flag);
}
