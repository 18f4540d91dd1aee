// Files in the making: what is in their directory before they are finished, and a build that is
// killed.
import { spawn } from 'node:child_process';
import {
  closeSync, existsSync, fstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync,
  rmSync, statSync, writeFileSync, writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { NewFile, openUnnamed } from '../../../../vmm/boot/image/new-file.ts';
import { nameHidden, openHidden } from '../../../../vmm/host/hidden-file.ts';
import { HostError } from '../../../../vmm/host/errors.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { catavmmCommand, currentRuntimeName, getRuntime } from '../../../helpers/runtimes.ts';

const test = suite('vmm/boot/image/new-file');
const testKvm = needsKvm(test);
const folder = mkdtempSync(join(tmpdir(), 'catavmm-new-file-'));
test.after(() => rmSync(folder, { recursive: true }));
const bytes = new TextEncoder().encode('new\n');

const probe = openHidden(folder, 0o600);
if (probe !== null) closeSync(probe);

/** Where the file system has no files without names, new ones have names of their own. */
function isSeen(name: string): boolean {
  return probe !== null || !name.endsWith('.tmp');
}

/** A folder that is empty. */
function emptyFolder(name: string): string {
  const made = join(folder, name);
  mkdirSync(made);
  return made;
}

test('NewFile takes the place of a file in one step, or not at all', () => {
  const directory = emptyFolder('steps');
  const target = join(directory, 'file');
  writeFileSync(target, 'old\n', { mode: 0o600 });
  const abandoned = new NewFile(target);
  writeSync(abandoned.fd, bytes);
  assert.equal(readdirSync(directory).filter(isSeen), ['file'], 'nothing is seen of it');
  abandoned.abandon();
  const made = new NewFile(target);
  writeSync(made.fd, bytes);
  assert.is(readFileSync(target, 'utf8'), 'old\n');
  made.finish();
  assert.equal(readdirSync(directory), ['file']);
  assert.is(readFileSync(target, 'utf8'), 'new\n');
  assert.is(statSync(target).mode & 0o777, 0o644 & ~process.umask());
  const refused = new NewFile(join(directory, 'sub'));
  mkdirSync(join(directory, 'sub'));
  assert.throws(() => refused.finish());
  refused.abandon();
  assert.equal(readdirSync(directory).sort(), ['file', 'sub']);
  assert.throws(() => new NewFile(join(directory, 'none', 'file')), /ENOENT/);
});

test('openUnnamed() makes a file that nobody sees', () => {
  const directory = emptyFolder('unnamed');
  const fd = openUnnamed(join(directory, 'file'));
  writeSync(fd, bytes);
  assert.is(fstatSync(fd).nlink, 0);
  assert.is(readFileSync(`/proc/self/fd/${fd}`, 'utf8'), 'new\n');
  assert.equal(readdirSync(directory), []);
  assert.throws(() => nameHidden(fd, join(directory, 'none', 'x')), HostError);
  assert.throws(() => nameHidden(fd, `/${'x'.repeat(5000)}`), HostError);
  closeSync(fd);
});

/** Whether a process has a file open below a directory. */
function hasOpen(pid: number, directory: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) =>
      readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith(`${directory}/`));
  } catch {
    return false;
  }
}

testKvm('a build that is killed while it tries its image leaves nothing behind', async () => {
  const directory = emptyFolder('killed');
  const [program = '', ...args] = catavmmCommand(getRuntime(currentRuntimeName()), [
    'build', '--quiet', '-o', join(directory, 'x.cfi'), '--entry', 'stdin', '--',
    'sh', '-c', 'read a; while :; do :; done',
  ]);
  const child = spawn(program, args, { stdio: 'ignore' });
  const ended = new Promise((resolve) => { child.on('exit', resolve); });
  const untilMs = performance.now() + 20_000;
  while (!hasOpen(child.pid as number, directory)) {
    assert.ok(performance.now() < untilMs, 'the trial did not begin');
    await new Promise((resolve) => { setTimeout(resolve, 5); });
  }
  assert.equal(readdirSync(directory), []);
  child.kill('SIGKILL');
  await ended;
  assert.equal(readdirSync(directory), []);
  assert.not(existsSync(join(directory, 'x.cfi')));
}, { timeoutMs: 60_000 });

test.run();
