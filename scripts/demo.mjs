// `npm run demo`: a C program and the host's python3, each run natively, run in a sandbox, saved
// as a func-image, and booted from it; what they print and how long each takes.
//
// Needs Node >= 20.19, npm and a usable /dev/kvm; installs and builds what is missing.
// Every output is compared with the native one: a difference fails the demo.

import { spawnSync } from 'node:child_process';
import {
  closeSync, existsSync, mkdirSync, openSync, readFileSync, readSync, readdirSync, realpathSync,
  statSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '');
const command = join(root, 'dist/cli/main.js');
const images = join(root, '.cache/demo');
const bootsInProcess = 10;

const kvmHints = {
  ENOENT: 'Load its module (sudo modprobe kvm_intel, or kvm_amd). In a virtual machine, turn on ' +
    'nested virtualisation; in a container, pass the device in (docker run --device /dev/kvm).',
  EACCES: 'Add yourself to the group that owns it: sudo usermod -aG kvm $USER, then log in again.',
  EPERM: 'Pass the device into the container: docker run --device /dev/kvm …',
  EBUSY: 'Another hypervisor has the CPU for itself; stop it.',
  ENODEV: 'Turn on virtualisation in the firmware, or nested virtualisation in the outer host.',
};

/** A sentence on what is missing, with what to do, or undefined. */
function findMissing() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    return `Node ${process.versions.node} is too old.\n  Install Node 20.19 or later.`;
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    return `This is ${process.platform} ${process.arch}.\n  catavmm needs Linux on x86-64.`;
  }
  try {
    closeSync(openSync('/dev/kvm', 'r+'));
    return undefined;
  } catch (error) {
    const what = error.code === 'ENOENT' ? 'There is no /dev/kvm.' : '/dev/kvm cannot be opened ' +
      `(${error.code}).`;
    return `${what}\n  ${kvmHints[error.code] ?? 'See `npx catavmm doctor`.'}`;
  }
}

/** When the newest source below a folder was changed, in ms. */
function newestMs(folder) {
  const items = readdirSync(join(root, folder), { withFileTypes: true });
  return Math.max(0, ...items.map((item) => {
    const path = `${folder}/${item.name}`;
    if (item.isDirectory()) return newestMs(path);
    return /\.ts$/.test(item.name) ? statSync(join(root, path)).mtimeMs : 0;
  }));
}

/** Installs packages and builds dist, if that was not done yet. */
async function prepare() {
  const { ensureInstalled } = await import('./install.mjs');
  ensureInstalled();
  const builtMs = existsSync(command) ? statSync(command).mtimeMs : 0;
  const sources = ['vmm', 'formats', 'wasm', 'cli'].map(newestMs);
  if (builtMs > Math.max(...sources)) return;
  const { build } = await import('./build.mjs');
  build();
}

/** Runs a program to its end. */
function run([program, ...args], input) {
  const started = performance.now();
  const result = spawnSync(program, args, { input, encoding: 'utf8', timeout: 120_000, cwd: root });
  const ms = performance.now() - started;
  if (result.error !== undefined) throw result.error;
  return { ms, code: result.status, stdout: result.stdout, stderr: result.stderr };
}

function catavmm(args, input) {
  const result = run([process.execPath, command, '--quiet', ...args], input);
  if (result.code === 0) return result;
  throw new Error(`catavmm ${args.join(' ')}\nexited with ${result.code}: ${result.stderr}`);
}

function formatMs(ms) {
  return `${ms.toFixed(ms < 100 ? 1 : 0)} ms`.padStart(9);
}

function show(name, ms, note) {
  console.log(`  ${name.padEnd(24)} ${formatMs(ms)}   ${note}`);
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

/** Boots in this process: what a server that keeps the image open and machines ready sees. */
async function bootHere(image, input, expected) {
  const { Sandbox } = await import(join(root, 'dist/mod.js'));
  const times = [];
  for (let index = 0; index < bootsInProcess; index++) {
    Sandbox.prepare(image);
    const sandbox = await Sandbox.boot(image, { stdin: input });
    const { code, stdout } = await sandbox.output();
    const text = new TextDecoder().decode(stdout);
    if (code !== 0 || text !== expected) throw new Error(`the boot gave ${code}: ${text}`);
    times.push(sandbox.report().boots[0].firstOutputUs / 1000);
  }
  return { firstMs: times[0], laterMs: median(times.slice(1)) };
}

/** What the program prints after its func-entry point: all but the first line. */
function afterEntry(stdout) {
  return stdout.slice(stdout.indexOf('\n') + 1);
}

function checkSame(what, stdout, expected) {
  if (stdout === expected) return;
  throw new Error(`${what} printed\n${stdout}instead of\n${expected}`);
}

async function demonstrate({ title, image, program, input }) {
  console.log(`\n${title}\n  $ ${program.join(' ').replaceAll(`${root}/`, '')}`);
  const native = run(program, input);
  if (native.code !== 0) throw new Error(`natively it fails: ${native.stderr}`);
  for (const line of native.stdout.trimEnd().split('\n')) console.log(`  | ${line}`);
  show('natively', native.ms, 'on the host kernel');

  const ran = catavmm(['run', '--', ...program], input);
  checkSame('catavmm run', ran.stdout, native.stdout);
  show('catavmm run', ran.ms, 'in a sandbox, from the beginning');

  const path = join(images, image);
  const built = catavmm(['build', '-o', path, '--', ...program]);
  const mib = (statSync(path).size / 2 ** 20).toFixed(1);
  show('catavmm build', built.ms, `up to where it reads its request: ${mib} MiB`);

  const answer = afterEntry(native.stdout);
  const report = join(images, `${image}.json`);
  const booted = median([0, 1, 2].map(() => {
    const result = catavmm(['boot', '--report', report, path], input);
    checkSame('catavmm boot', result.stdout, answer);
    return result.ms;
  }));
  const [{ endUs }] = JSON.parse(readFileSync(report, 'utf8')).boots;
  const insideMs = (endUs / 1000).toFixed(1);
  show('catavmm boot', booted, `a new process; ${insideMs} ms from opening the image to the end`);

  const { firstMs, laterMs } = await bootHere(path, input, answer);
  show('Sandbox.boot(), first', firstMs, 'in one process, to the first output');
  show('Sandbox.boot(), later', laterMs, `the same, median of ${bootsInProcess - 1}`);
}

function isElf(path) {
  const fd = openSync(path, 'r');
  const magic = Buffer.alloc(4);
  readSync(fd, magic);
  closeSync(fd);
  return magic.toString('latin1') === '\x7fELF';
}

/** The interpreter behind `python3`, which may be a link or a script of a version manager. */
function findPython() {
  for (const name of ['/usr/bin/python3', 'python3']) {
    const args = ['-c', 'import sys; print(sys.executable)'];
    const { status, stdout } = spawnSync(name, args, { encoding: 'utf8' });
    if (status !== 0) continue;
    const path = realpathSync(stdout.trim());
    if (isElf(path)) return path;
  }
  return undefined;
}

async function main() {
  const missing = findMissing();
  if (missing !== undefined) {
    console.error(`The demo cannot run here. ${missing}`);
    return 1;
  }
  await prepare();
  mkdirSync(images, { recursive: true });
  console.log(`catavmm on Node ${process.versions.node}; times are of whole commands, unless said`);
  await demonstrate({
    title: 'A C program: makes a table of primes, then answers one request from stdin',
    image: 'hello.cfi',
    program: [join(root, 'fixtures/hello/hello')],
    input: '104729\n',
  });
  const python = findPython();
  if (python === undefined) {
    console.log('\nThere is no python3 here; that part is left out.');
  } else {
    await demonstrate({
      title: 'Python: imports a good part of its library, then answers one request from stdin',
      image: 'python.cfi',
      program: [python, join(root, 'scripts/demo.py')],
      input: '{"text": "Initialise once, boot many times", "number": 4711}\n',
    });
  }
  const run = 'node dist/cli/main.js';
  console.log(`\nThe images are in .cache/demo. Try: ${run} inspect .cache/demo/hello.cfi`);
  console.log(`                             or: echo Ada | ${run} boot .cache/demo/hello.cfi`);
  return 0;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(`\nThe demo failed: ${error.message}`);
  process.exitCode = 1;
}
