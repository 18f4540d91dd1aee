// /proc and /sys: that programs can parse them as they parse the host's.
import { readFileSync } from 'node:fs';
import { assert, suite } from '../../../harness.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED } from '../../../../vmm/abi/mman.ts';
import { mapRegion } from '../../../../vmm/kernel/mm/map.ts';
import { VMA_HEAP, VMA_STACK } from '../../../../vmm/kernel/records/mm.ts';
import { makeBytes } from '../../../../vmm/kernel/state/containers.ts';
import { holdDentry } from '../../../../vmm/kernel/vfs/dentry.ts';
import { lookupPath } from '../../../../vmm/kernel/vfs/lookup.ts';
import { checkVfs } from '../../../../vmm/kernel/vfs/check.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/proc');

const encoder = new TextEncoder();

/** A guest whose process runs /bin/prog with two arguments. */
function running(): Guest {
  const g = makeGuest({ bin: { prog: 'ELF' }, tmp: {} });
  const { process, k } = g;
  const exe = lookupPath(k, process, encoder.encode('/bin/prog'));
  if (typeof exe === 'number') throw new Error('no /bin/prog');
  process.exe = holdDentry(k, exe);
  process.cmdline = makeBytes(k.arena, encoder.encode('prog\0one\0'));
  process.environ = makeBytes(k.arena, encoder.encode('A=1\0B=2\0'));
  g.task.name = encoder.encode('prog');
  return g;
}

/** Names before the first colon or blank of each line, in order. */
function keysOf(text: string): string[] {
  const lines = text.split('\n').filter((line) => line !== '');
  return lines.map((line) => /^[^:\s]+/.exec(line)?.[0] ?? '');
}

/** Asserts that `part` occurs in `whole` in the same order. */
function isSubsequence(part: readonly string[], whole: readonly string[]): void {
  let at = 0;
  for (const key of part) {
    const found = whole.indexOf(key, at);
    assert.ok(found >= at, `${key} is not where the host has it`);
    at = found + 1;
  }
}

test('/proc/self leads to the process, its program, directory and root', () => {
  const g = running();
  const { pid } = g.process;
  assert.is(g.readlink('/proc/self'), String(pid));
  assert.is(g.readlink('/proc/thread-self'), `${pid}/task/${g.task.tid}`);
  assert.is(g.readlink('/proc/self/exe'), '/bin/prog');
  assert.is(g.file('/proc/self/exe'), 'ELF');
  g.call('chdir', '/tmp');
  assert.is(g.readlink('/proc/self/cwd'), '/tmp');
  assert.is(g.readlink('/proc/self/root'), '/');
  assert.is(g.mustStat('/proc/self/cwd/../bin/prog').size, 3);
  g.call('unlink', '/bin/prog');
  assert.is(g.readlink(`/proc/${pid}/exe`), '/bin/prog (deleted)');
  assert.is(g.file('/proc/self/exe'), 'ELF');
  assert.is(g.stat(`/proc/${pid + 100}`), 'ENOENT');
  checkVfs(g.k);
  g.close();
});

test('/proc/self/fd lists the open descriptors and opens them again', () => {
  const g = running();
  g.write('/tmp/f', 'content');
  const fd = g.open('/tmp/f', 2);
  assert.ok(g.list('/proc/self/fd').includes(String(fd)));
  assert.is(g.readlink(`/proc/self/fd/${fd}`), '/tmp/f');
  assert.is(g.mustStat(`/proc/self/fd/${fd}`).mode, 0o120700);
  assert.is(g.mustStat(`/proc/self/fd/${g.open('/tmp/f', 0)}`).mode, 0o120500);
  const again = g.open(`/dev/fd/${fd}`, 0);
  assert.is(g.text(again), 'content');
  assert.is(g.fstat(again).ino, g.fstat(fd).ino);
  g.call('close', fd);
  assert.is(g.readlink(`/proc/self/fd/${fd}`), 'ENOENT');
  assert.is(g.try('openat', -100, `/proc/self/fd/${fd}`, 0, 0), 'ENOENT');
  g.close();
});

test('/proc/self/fd names pipes and opens their ends', () => {
  const g = running();
  g.call('pipe', g.out);
  const ends = new Int32Array(g.peek(g.out, 8).buffer);
  const [reader, writer] = [ends[0] as number, ends[1] as number];
  const { ino } = g.fstat(reader);
  assert.is(g.readlink(`/proc/self/fd/${reader}`), `pipe:[${ino}]`);
  assert.is(g.mustStat(`/proc/self/fd/${reader}`, 0).mode & 0o170000, 0o010000);
  const again = g.open(`/proc/self/fd/${writer}`, 1);
  assert.is(g.call('write', again, 'through', 7), 7);
  assert.is(g.call('read', reader, g.out, 100), 7);
  assert.is(g.try('openat', -100, `/proc/self/fd/${writer}/x`, 0, 0), 'ENOTDIR');
  g.close();
});

test('/proc/self/fdinfo tells position and flags in octal', () => {
  const g = running();
  g.write('/tmp/f', 'content');
  const fd = g.open('/tmp/f', 0o2000002);
  g.call('read', fd, g.out, 3);
  const text = g.file(`/proc/self/fdinfo/${fd}`);
  assert.match(text, /^pos:\t3\nflags:\t02100002\nmnt_id:\t\d+\nino:\t\d+\n$/);
  g.close();
});

test('/proc/self/task lists the threads', () => {
  const g = running();
  const other = g.t.addTask();
  other.name = encoder.encode('worker');
  assert.equal(g.list('/proc/self/task'), [String(g.task.tid), String(other.tid)].sort());
  assert.is(g.file(`/proc/self/task/${other.tid}/comm`), 'worker\n');
  assert.is(g.file(`/proc/${other.tid}/comm`), 'worker\n');
  assert.is(g.stat('/proc/self/task/9999'), 'ENOENT');
  g.close();
});

test('cmdline, environ and comm are the strings of the process', () => {
  const g = running();
  assert.is(g.file('/proc/self/cmdline'), 'prog\0one\0');
  assert.is(g.file('/proc/self/environ'), 'A=1\0B=2\0');
  assert.is(g.file('/proc/self/comm'), 'prog\n');
  assert.is(g.write('/proc/self/comm', 'a-name-that-is-too-long', 1), 23);
  assert.is(g.file('/proc/self/comm'), 'a-name-that-is-\n');
  g.close();
});

test('maps has a line for each mapping, in the columns that Linux uses', () => {
  const g = running();
  const { k } = g;
  const file = lookupPath(k, g.process, encoder.encode('/bin/prog'));
  if (typeof file === 'number' || file.inode === null) throw new Error('no /bin/prog');
  const fixed = 0x10;
  mapRegion(k, {
    gva: 0x5555_0000_0000, bytes: 8192, prot: 5, flags: MAP_PRIVATE | fixed, inode: file.inode,
    dentry: file, fileOffset: 0x1000,
  });
  const page = { bytes: 4096, prot: 3, flags: MAP_PRIVATE | MAP_ANONYMOUS | fixed };
  mapRegion(k, { ...page, gva: 0x5555_1000_0000, role: VMA_HEAP });
  mapRegion(k, { ...page, gva: 0x5555_2000_0000, flags: MAP_SHARED | MAP_ANONYMOUS | fixed });
  mapRegion(k, { ...page, gva: 0x7ffc_0000_0000, role: VMA_STACK });
  const lines = g.file('/proc/self/maps').split('\n').filter((line) => line !== '');
  const hex = '[0-9a-f]';
  const shape = new RegExp(
    `^${hex}{8,}-${hex}{8,} [r-][w-][x-][ps] ${hex}{8} ${hex}{2,}:${hex}{2,} \\d+ *( \\S.*)?$`,
  );
  for (const line of lines) {
    assert.match(line, shape);
    const name = /[/[].*$/.exec(line)?.[0];
    if (name !== undefined) assert.is(line.indexOf(name), 73, line);
  }
  const wanted = [
    /^555500000000-555500002000 r-xp 00001000 .*\/bin\/prog$/,
    /^555510000000-555510001000 rw-p 00000000 00:00 0 +\[heap\]$/,
    /^555520000000-.* rw-s .*\/dev\/zero \(deleted\)$/,
    /^7ffc00000000-.*\[stack\]$/,
  ];
  for (const line of wanted) assert.ok(lines.some((one) => line.test(one)), String(line));
  const smaps = g.file('/proc/self/smaps');
  assert.is(smaps.split('\n').filter((line) => line.startsWith('Rss:')).length, lines.length);
  const rollup = g.file('/proc/self/smaps_rollup');
  assert.match(rollup, /^[0-9a-f]+-[0-9a-f]+ ---p 0{8} 00:00 0 +\[rollup\]\nRss: /);
  g.close();
});

test('stat has 52 fields and status the keys of the host, in its order', () => {
  const g = running();
  const stat = g.file('/proc/self/stat');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).trim().split(' ');
  assert.is(fields.length + 2, 52);
  assert.match(stat, new RegExp(`^${g.process.pid} \\(prog\\) R `));
  assert.is(readFileSync('/proc/self/stat', 'latin1').split(') ')[1]?.trim().split(' ').length, 50);
  const status = g.file('/proc/self/status');
  isSubsequence(keysOf(status), keysOf(readFileSync('/proc/self/status', 'latin1')));
  assert.match(status, /^Name:\tprog\nUmask:\t0022\nState:\tR \(running\)\nTgid:\t\d+\n/);
  assert.match(status, /\nUid:\t0\t0\t0\t0\n/);
  assert.match(status, /\nVmRSS:\t +\d+ kB\n/);
  assert.match(status, /\nThreads:\t1\n/);
  assert.match(status, /\nSigBlk:\t[0-9a-f]{16}\n/);
  assert.match(status, /\nCpus_allowed_list:\t0\n/);
  assert.match(g.file('/proc/self/statm'), /^\d+ \d+ \d+ \d+ 0 \d+ 0\n$/);
  g.close();
});

test('limits has the rows of the host in its columns', () => {
  const g = running();
  const lines = g.file('/proc/self/limits').split('\n');
  const host = readFileSync('/proc/self/limits', 'latin1').split('\n');
  assert.equal(lines.map((line) => line.slice(0, 26)), host.map((line) => line.slice(0, 26)));
  assert.equal(lines.map((line) => line.slice(68)), host.map((line) => line.slice(68)));
  assert.match(lines[8] ?? '', /^Max open files {12}1024 {17}65536 {16}files {5}$/);
  assert.match(lines[4] ?? '', /^Max stack size {12}8388608 {14}unlimited {12}bytes {5}$/);
  g.close();
});

test('meminfo and cpuinfo are read like the host\'s', () => {
  const g = running();
  const meminfo = g.file('/proc/meminfo');
  isSubsequence(keysOf(meminfo), keysOf(readFileSync('/proc/meminfo', 'latin1')));
  assert.match(meminfo, /^MemTotal: {9}524288 kB\nMemFree: +\d+ kB\nMemAvailable: +\d+ kB\n/);
  const cpuinfo = g.file('/proc/cpuinfo');
  assert.is(cpuinfo.match(/^processor\t: /gm)?.length, 1);
  assert.match(cpuinfo, /^model name\t: /m);
  assert.match(cpuinfo, /^flags\t\t: .*sse2/m);
  g.close();
});

test('mounts and mountinfo tell of the four file systems', () => {
  const g = running();
  const mounts = g.file('/proc/mounts').split('\n').filter((line) => line !== '');
  const places = mounts.map((line) => line.split(' ').slice(1, 3).join(' ')).sort();
  assert.equal(places, ['/ overlay', '/dev tmpfs', '/proc proc', '/sys sysfs']);
  for (const line of mounts) assert.match(line, /^\S+ \S+ \S+ r[wo](,\S+)? 0 0$/);
  const device = g.mustStat('/proc').dev;
  const major = (device >>> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >>> 12) & 0xfff00);
  const lines = g.file('/proc/self/mountinfo').split('\n').filter((line) => line !== '');
  const shape = /^\d+ \d+ \d+:\d+ \/ \/\S* r[wo]\S* - \S+ \S+ r[wo]\S*$/;
  for (const line of lines) assert.match(line, shape);
  assert.ok(lines.some((line) => line.includes(` ${major}:${minor} / /proc `)));
  g.close();
});

/** Every file and directory below `path`. */
function walk(g: Guest, path: string): string[] {
  return g.list(path).flatMap((name) => {
    const below = `${path}/${name}`;
    const { mode } = g.mustStat(below);
    return (mode & 0o170000) === 0o040000 ? [below, ...walk(g, below)] : [below];
  });
}

test('everything that /proc and /sys list can be read, and is root\'s', () => {
  const g = running();
  g.process.uid = 1000;
  const paths = [...walk(g, '/proc/sys'), ...walk(g, '/proc/net/'), ...walk(g, '/sys')];
  assert.ok(paths.length > 100);
  for (const path of paths) {
    const { mode, uid } = g.mustStat(path);
    assert.is(uid, 0, path);
    if ((mode & 0o170000) === 0o100000) assert.not(/^E[A-Z]+$/.test(g.file(path)), path);
  }
  assert.match(g.file('/proc/net/dev'), '    lo:');
  assert.is(g.readlink('/proc/self/ns/pid'), 'pid:[4026531836]');
  assert.is(g.file('/proc/self/coredump_filter'), '00000033\n');
  assert.is(g.file('/proc/self/task/1/children'), '');
  assert.match(g.file('/proc/vmstat'), 'pgfault 0\n');
  g.close();
});

test('/proc/sys tells what programs ask for', () => {
  const g = running();
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/;
  assert.match(g.file('/proc/sys/kernel/random/uuid'), uuid);
  assert.ok(g.file('/proc/sys/kernel/random/uuid') !== g.file('/proc/sys/kernel/random/uuid'));
  g.k.root.bootId = Uint8Array.from({ length: 16 }, (_, index) => index * 17);
  assert.is(g.file('/proc/sys/kernel/random/boot_id'), '00112233-4455-4677-8899-aabbccddeeff\n');
  assert.is(g.file('/proc/sys/kernel/ostype'), 'Linux\n');
  assert.is(g.file('/proc/sys/vm/overcommit_memory'), '0\n');
  assert.is(g.file('/proc/sys/kernel/cap_last_cap'), '40\n');
  assert.is(g.file('/proc/sys/fs/pipe-max-size'), '1048576\n');
  assert.is(g.file('/proc/sys/net/core/somaxconn'), '4096\n');
  assert.is(g.file('/sys/devices/system/cpu/online'), '0\n');
  const cpus = ['cpu0', 'isolated', 'kernel_max', 'offline', 'online', 'possible', 'present'];
  assert.equal(g.list('/sys/devices/system/cpu'), cpus);
  assert.is(g.file('/sys/devices/system/cpu/cpu0/topology/thread_siblings_list'), '0\n');
  assert.is(g.file('/sys/kernel/mm/transparent_hugepage/hpage_pmd_size'), '2097152\n');
  assert.is(g.file('/proc/sys/net/ipv4/ip_local_port_range'), '32768\t60999\n');
  assert.match(g.file('/sys/kernel/mm/transparent_hugepage/enabled'), /\[never\]/);
  g.close();
});

test('uptime, loadavg, stat and version have the host\'s shapes', () => {
  const g = running();
  assert.match(g.file('/proc/uptime'), /^\d+\.\d\d \d+\.\d\d\n$/);
  assert.match(g.file('/proc/loadavg'), /^\d+\.\d\d \d+\.\d\d \d+\.\d\d \d+\/\d+ \d+\n$/);
  const times = '(\\d+ ){9}\\d+\\n';
  const stat = new RegExp(`^cpu  ${times}cpu0 ${times}intr .*\\nctxt \\d+\\nbtime \\d+\\n`);
  assert.match(g.file('/proc/stat'), stat);
  assert.match(g.file('/proc/version'), /^Linux version \S+ .*\n$/);
  assert.match(g.file('/proc/filesystems'), /^nodev\tsysfs\n/);
  g.close();
});

test('a file of /proc stays the same while it is read and is made anew at offset 0', () => {
  const g = running();
  const fd = g.open('/proc/uptime');
  const [first] = [g.text(fd)];
  g.t.clock.advance(5_000_000_000);
  assert.is(g.call('pread64', fd, g.out, 3, 1), 3);
  assert.is(g.call('lseek', fd, 0, 0), 0);
  assert.ok(g.text(fd) !== first);
  assert.is(g.try('lseek', fd, 0, 2), 'EINVAL');
  assert.is(g.mustStat('/proc/uptime').size, 0);
  g.close();
});

test('nothing can be made or changed in /proc', () => {
  const g = running();
  assert.is(g.try('mkdir', '/proc/new', 0o755), 'ENOENT');
  assert.is(g.write('/proc/new', 'x'), -2);
  assert.is(g.try('mkdir', '/sys/new', 0o755), 'EPERM');
  assert.is(g.try('unlink', '/proc/version'), 'EPERM');
  assert.is(g.try('rename', '/proc/version', '/proc/v2'), 'ENOENT');
  assert.is(g.try('rename', '/proc/version', '/tmp/v2'), 'EXDEV');
  assert.is(g.try('chmod', '/proc/version', 0o777), 'EPERM');
  assert.is(g.try('rmdir', '/proc'), 'EBUSY');
  assert.is(g.try('rename', '/proc', '/p'), 'EBUSY');
  assert.is(g.write('/proc/version', 'x', 1), -5);
  g.close();
});

test('listing /proc names everything that can be opened there', () => {
  const g = running();
  for (const dir of ['/proc', '/proc/self', '/proc/sys/kernel', '/proc/sys/vm', '/sys']) {
    for (const name of g.list(dir)) {
      assert.is(typeof g.stat(`${dir}/${name}`), 'object', `${dir}/${name}`);
    }
  }
  for (const name of g.list('/proc/self')) {
    const found = g.mustStat(`/proc/self/${name}`);
    if ((found.mode & 0o170000) === 0o100000) g.file(`/proc/self/${name}`);
  }
  checkVfs(g.k);
  g.close();
});

test.run();
