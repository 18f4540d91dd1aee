// Log files on the host's side: a host without room, places that are one, images that lie, and what
// stays open.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { grantLogs } from '../../../../vmm/boot/files/logs.ts';
import type { LogFile } from '../../../../vmm/options.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { WorkerPool } from '../../../../vmm/worker-pool.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { countDescriptors } from '../../../helpers/process-holdings.ts';
import { setLimit } from '../../../helpers/process-limits.ts';
import { type Guest, makeGuest } from '../../kernel/vfs/guest.ts';

const test = suite('vmm/boot/files/logs');
const testKvm = needsKvm(test);
const slow = { timeoutMs: 120_000 };
const folder = mkdtempSync(join(tmpdir(), 'catavmm-logs-'));
test.after(() => rmSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
const read = (name: string): string => readFileSync(at(name), 'utf8');

const RLIMIT_FSIZE = 1;
const O_WRONLY = 1;

function logAt(name: string, target: string = '/log'): LogFile {
  return { source: at(name), target };
}

function guestWith(logs: LogFile[]): Guest {
  const g = makeGuest();
  g.k.root.process = g.process;
  grantLogs(g.k, logs);
  return g;
}

test('a host without room is ENOSPC for the guest, and this process lives on', () => {
  const g = guestWith([logAt('full')]);
  const fd = g.open('/log', O_WRONLY);
  const restore = setLimit(RLIMIT_FSIZE, 6);
  try {
    assert.is(g.call('write', fd, '1234', 4), 4);
    assert.is(g.call('write', fd, '5678', 4), 2);
    assert.is(g.try('write', fd, '7', 1), 'ENOSPC');
  } finally {
    restore();
  }
  assert.is(g.call('fsync', fd), 0);
  assert.is(read('full'), '123456');
  g.k.ports.logs?.close();
});

test('two logs cannot be at one place, by way of a link or of a forged number', () => {
  const before = countDescriptors();
  const g = makeGuest();
  g.k.root.process = g.process;
  g.call('mkdir', '/a', 0o755);
  g.call('symlink', '/a', '/b');
  const logs = [logAt('1', '/a/log'), logAt('2', '/b/log')];
  assert.throws(() => grantLogs(g.k, logs), /\/b\/log is the place of another log, too\./);
  g.k.ports.logs?.close();
  const forged = guestWith([logAt('1', '/x'), logAt('2', '/y')]);
  forged.k.ports.logs?.close();
  const inodeOf = (path: string): { rdev: number } =>
    forged.process.fds.slots.get(forged.open(path, O_WRONLY))?.inode as { rdev: number };
  inodeOf('/y').rdev = inodeOf('/x').rdev;
  const both = [logAt('1', '/x'), logAt('2', '/y')];
  assert.throws(() => grantLogs(forged.k, both), /\/y is the place/);
  forged.k.ports.logs?.close();
  assert.is(countDescriptors(), before);
});

testKvm('the trial of a build logs nothing, and goes as far as a boot with a log', async () => {
  const script = 'set -e; echo built >> /log; read line; echo "$line" >> /log; exit 0';
  const output = at('image.cfi');
  await Sandbox.build({
    command: ['/bin/sh', '-c', script], output, entry: { kind: 'stdin' }, logs: [logAt('build')],
  });
  assert.is(read('build'), 'built\n');
  const events: string[] = [];
  const refused = await Sandbox.boot(output, {
    stdin: 'a\n', onEvent: (kind, detail) => { events.push(`${kind} ${detail}`); },
  });
  assert.ok((await refused.output()).code !== 0);
  assert.equal(events, ['log-not-granted /log']);
  const boot = await Sandbox.boot(output, { stdin: 'b\n', logs: [logAt('l')] });
  const { code } = await boot.output();
  assert.equal([code, read('l'), read('build')], [0, 'b\n', 'built\n']);
}, slow);

const LINES = 200;
const MANY = `read name; i=0
while [ $i -lt ${LINES} ]; do echo "$name $i ----------------------------------------" >> /log
i=$((i + 1)); done; exit 0`;

testKvm('forks in several processes lose no line of each other', async () => {
  const output = at('many.cfi');
  await Sandbox.build({ command: ['/bin/sh', '-c', MANY], output, entry: { kind: 'stdin' } });
  const pool = await WorkerPool.open(output, { workers: 2 });
  const names = ['a', 'b', 'c', 'd'];
  const logs = [logAt('shared')];
  await Promise.all(names.map((name) => pool.fork({ stdin: `${name}\n`, logs })));
  await pool.close();
  const lines = read('shared').split('\n');
  assert.is(lines.pop(), '');
  assert.is(lines.length, names.length * LINES);
  for (const name of names) {
    const wanted = Array.from({ length: LINES }, (_unused, i) => `${name} ${i} ${'-'.repeat(40)}`);
    assert.equal(lines.filter((line) => line.startsWith(`${name} `)), wanted);
  }
}, slow);

testKvm('a boot that is refused for a log leaves nothing open', async () => {
  const output = at('image.cfi');
  const refuse = async (logs: LogFile[]): Promise<void> => {
    await assert.rejects(Sandbox.boot(output, { logs }), /log/);
    await assert.rejects(Sandbox.run({ command: ['/bin/true'], logs }), /log/);
  };
  const cases = [
    [logAt('good'), logAt('none/log', '/other')], [logAt('good'), logAt('x', '/proc/x')],
    [logAt('good'), logAt('x', '/etc')], [logAt('good'), logAt('x', '/log')],
  ];
  for (const logs of cases) await refuse(logs);
  const before = countDescriptors();
  for (const logs of cases) await refuse(logs);
  assert.is(countDescriptors(), before);
}, slow);

test.run();
