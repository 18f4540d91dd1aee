// Programs as distributions ship them: busybox applets and coreutils on generated inputs.

import { spawnSync } from 'node:child_process';
import { kvmMissing, needs, seededRandom, suite } from '../harness.ts';
import { compareWithHost } from './oracle.ts';
import type { Files } from './oracle.ts';
import { findProgram } from './programs.ts';

const test = suite('test/oracle/programs');

function makeFiles(): Files {
  const random = seededRandom();
  const words = ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', 'eta', 'theta'];
  const lines = Array.from({ length: 2000 }, (_, i) =>
    `${random.int(0, 9999)}\t${random.pick(words)}\t${i}`);
  return {
    'lines.txt': `${lines.join('\n')}\n`,
    'other.txt': `${lines.map((line, i) => i % 97 === 0 ? `${line} changed` : line).join('\n')}\n`,
    'random.bin': random.bytes(200_000),
    'empty': '',
    'dir/one': '1\n',
    'dir/two': '22\n',
    'dir/sub/three': '333\n',
    'script.sh': ['#!/bin/sh\necho "$0 $1 $2"\n', 0o755],
  };
}

const files = makeFiles();

/** Rows: what to run (without the path of the program), and its stdin. */
const applets: readonly (readonly [command: string, stdin?: string])[] = [
  ['sha256sum random.bin lines.txt empty'], ['md5sum random.bin'], ['cksum random.bin'],
  ['sort lines.txt'], ['sort -n -r -k1 lines.txt'], ['sort -k2,2 -k1,1n -u lines.txt'],
  ['uniq -c', 'a\na\nb\nc\nc\nc\n'], ['wc lines.txt random.bin'], ['grep -n theta lines.txt'],
  ['grep -c -v -E ^[0-4].*eta lines.txt'], ['sed -e s/alpha/ALPHA/ -e 5,10d lines.txt'],
  ['awk {s[$2]+=$1}END{for(k\u0020in\u0020s)print\u0020k,s[k]|"cat"} empty'],
  ['awk -F\t {s+=$1}END{printf("%d\u0020%.3f\\n",s,s/NR)} lines.txt'],
  ['head -n 3 lines.txt'], ['head -c 100 random.bin'], ['tail -n 4 lines.txt'],
  ['cut -f 2 lines.txt'], ['cut -c 1-3', 'abcdef\nghijkl\n'], ['tr a-z A-Z', 'Some text\n'],
  ['tr -d \\n', 'one\ntwo\n'], ['base64 random.bin'], ['base64 -d', 'aGVsbG8gd29ybGQK\n'],
  ['gzip -c -n lines.txt'], ['gzip -t empty'], ['cmp lines.txt other.txt'],
  ['diff lines.txt other.txt'], ['od -A x -t x1z -N 64 random.bin'],
  ['dd if=random.bin bs=1000 skip=3 count=2'], ['expr 6 * 7'], ['expr 1 / 0'], ['seq 5'],
  ['seq -w 8 2 14'], ['tee copy', 'tee input\n'], ['date -u -d @0'], ['find dir -type f'],
  ['find . -name *.txt -size +1k'], ['tar -c -f - empty'], ['ls dir'],
  ['cat dir/one - dir/two', 'x\n'],
  ['basename /a/b/c.txt .txt'], ['dirname /a/b/c'], ['env -i A=1 B=2'], ['printf %s-%05d\\n x 42'],
  ['true'], ['false'], ['test -d dir'], ['test 1 -gt 2'], ['sleep 0.01'], ['nl dir/one'],
  ['cat missing'], ['rm missing'], ['mkdir new'], ['cp lines.txt copy'], ['mv dir moved'],
  ['ln -s dir link'], ['rm -r dir'], ['touch new'], ['chmod 600 empty'], ['stat -c %s%F lines.txt'],
];

/** Only in busybox, or with output of its own in coreutils. */
const busyboxOnly: readonly (readonly [command: string, stdin?: string])[] = [
  ['xxd -l 40 random.bin'], ['hexdump -C -n 40 random.bin'], ['vi --help'], ['bc', '2^100\n'],
  ['sh -c echo\u0020$((6*7))'], ['ash script.sh a b'], ['nosuchapplet'],
];

/** Splits at spaces; a no-break token is written with \u0020 in the tables above. */
function split(command: string): string[] {
  return command.split(' ');
}

/** `find` and `du` may list in any order. */
function sortLines(text: string): string {
  return text.split('\n').sort().join('\n');
}

/** What dd says about its speed, and what sizes of directories are. */
function withoutRates(text: string): string {
  return text.replace(/copied, .*$/m, 'copied').replace(/\d.*(bytes|B) .*copied.*$/m, 'copied');
}

function normalise(command: string): ((text: string) => string) | undefined {
  if (command.startsWith('find')) return sortLines;
  if (command.startsWith('dd')) return withoutRates;
  return undefined;
}

function runRow(program: readonly string[], command: string, stdin: string | undefined): void {
  const change = normalise(command);
  compareWithHost({
    argv: [...program, ...split(command)],
    files,
    ...(stdin === undefined ? {} : { stdin }),
    ...(change === undefined ? {} : { normalise: change }),
  });
}

const busybox = findProgram('busybox');
const hasBusybox = busybox !== undefined && spawnSync(busybox, ['true']).status === 0;
const testBusybox = needs(
  test, kvmMissing() ?? (hasBusybox ? undefined : 'needs busybox (package busybox-static)'));
for (const [command, stdin] of [...applets, ...busyboxOnly]) {
  testBusybox(`busybox ${command}`.replace(/\s+/g, ' '), () => {
    runRow([busybox as string], command, stdin);
  });
}

const coreutils: readonly (readonly [command: string, stdin?: string])[] = applets.filter(
  ([command]) => ['sha256sum', 'sort', 'cat', 'env', 'printf', 'wc', 'cut', 'tr', 'base64', 'seq',
    'head', 'tail', 'expr', 'date', 'tee', 'cp', 'mv', 'rm', 'mkdir', 'ln', 'stat', 'cksum', 'gzip',
    'sed', 'grep', 'find', 'tar', 'diff', 'cmp', 'dd'].includes(split(command)[0] as string));

/** In the host's own programs also what looks at many attributes. */
const more: readonly (readonly [command: string, stdin?: string])[] = [
  ['ls -lan --time-style=+%s lines.txt dir/one script.sh'],
  ['ls -1 /usr/lib/os-release /etc/passwd'],
  ['ls -R dir'], ['stat -c %a%u%g%h%s%F dir/one'], ['readlink -f dir/../dir/sub'], ['pwd -P'],
  ['uname -s -m'], ['id -u'], ['nproc --all --ignore=100'], ['factor 1234567890123'],
  ['split -l 700 lines.txt part-'], ['shuf -n 0 lines.txt'], ['numfmt --to=iec 123456789'],
  ['timeout --version'], ['sha512sum random.bin'], ['truncate -s 100 empty'],
  ['du -a -b --apparent-size dir/one'],
  ['realpath --relative-to=/usr dir'], ['mktemp -u -p . fixed'], ['sync'], ['tac dir/one'],
];

for (const [command, stdin] of [...coreutils, ...more]) {
  const [name] = split(command) as [string];
  const program = findProgram(name);
  const missing = kvmMissing() ?? (program === undefined ? `needs ${name}` : undefined);
  needs(test, missing)(`${command}`.replace(/\s+/g, ' '), () => {
    runRow(['/usr/bin/env'], command, stdin);
  });
}

test.run();
