// The flags of `run` and `build` that describe a program, as options of the API.
//
// A guest does not inherit the caller's environment: what a run or an image contains must not
// depend on who started it. It gets PATH and HOME, TERM on a terminal, and what -e and
// --env-file say.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import process from 'node:process';
import type {
  AutosaveOptions, LogFile, ProgramOptions, PublishedPort, SandboxOptions, Volume,
} from '../vmm/options.ts';
import type { Arguments, Environment } from './args.ts';
import { UsageError } from './errors.ts';
import type { Output } from './output.ts';
import { parseCount, parseDuration, parseSize } from './sizes.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const variableName = /^[^=\0]+$/;

/** What the caller's process has that a guest may get. */
export interface Surroundings {
  env: Environment;
  cwd: string;
  isTerminal: boolean;
}

/** Adds `K=V`, or the caller's value of `K` if it has one. `given` is where it was found. */
function addVariable(
  variables: Record<string, string>, text: string, env: Environment, given: string,
): void {
  const equals = text.indexOf('=');
  const name = equals < 0 ? text : text.slice(0, equals);
  if (!variableName.test(name)) {
    throw new UsageError(`${given}: "${text}" names no variable.`, 'Write it as NAME=VALUE.');
  }
  const value = equals < 0 ? env[name] : text.slice(equals + 1);
  if (value !== undefined) variables[name] = value;
}

/** Lines `K=V` or `K`; empty lines and lines that begin with # do not count. */
function addFile(variables: Record<string, string>, path: string, env: Environment): void {
  const lines = readFileSync(path, 'utf8').split(/\r?\n/);
  lines.forEach((line, index) => {
    if (line.trim() === '' || line.startsWith('#')) return;
    addVariable(variables, line, env, `${path}:${index + 1}`);
  });
}

/** The guest's environment. @throws UsageError */
export function makeGuestEnvironment(
  args: Arguments, surroundings: Surroundings,
): Record<string, string> {
  const { env, isTerminal } = surroundings;
  const variables: Record<string, string> = { PATH: defaultPath, HOME: '/root' };
  const term = env['TERM'];
  if (isTerminal && term !== undefined) variables['TERM'] = term;
  for (const path of args.list('env-file')) addFile(variables, path, env);
  for (const text of args.list('env')) addVariable(variables, text, env, '--env');
  return variables;
}

/** `SRC:DST[:ro]`; a relative SRC is relative to `cwd`. @throws UsageError */
export function parseVolume(text: string, cwd: string): Volume {
  const match = /^(.+?):(\/[^:]*)(?::(ro|rw))?$/.exec(text);
  if (match === null) {
    throw new UsageError(
      `--volume: "${text}" is not SRC:DST or SRC:DST:ro with an absolute DST.`,
      'For example: --volume ./data:/data:ro',
    );
  }
  const [, source, target, mode] = match as unknown as [string, string, string, string?];
  return { source: resolve(cwd, source), target, readOnly: mode === 'ro' };
}

/** `FILE[:DST]`; without DST the guest sees it under the host's path. @throws UsageError */
export function parseLog(text: string, cwd: string): LogFile {
  const [, source = text, target] = /^(.+):(\/[^:]*)$/.exec(text) ?? [];
  if (source === '') throw new UsageError('--log needs a file.');
  const file = resolve(cwd, source);
  return { source: file, target: target ?? file };
}

const portMost = 65_535;
const callsMost = 1_000_000_000;

/** `[ADDR:]HOST:GUEST`, an IPv6 address in brackets. @throws UsageError */
export function parsePublish(text: string): PublishedPort {
  const match = /^(?:(\[[0-9a-fA-F:.]+\]|[^:]+):)?(\d{1,5}):(\d{1,5})$/.exec(text);
  const [, address, host = '', guest = ''] = match ?? [];
  const [hostPort, guestPort] = [Number(host), Number(guest)];
  if (match === null || hostPort > portMost || guestPort > portMost || guestPort === 0) {
    throw new UsageError(
      `--publish: "${text}" is not HOST:GUEST or ADDR:HOST:GUEST.`,
      'For example: --publish 8080:80');
  }
  const plain = address?.replace(/^\[|\]$/g, '');
  return { ...(plain === undefined ? {} : { address: plain }), hostPort, guestPort };
}

/** `--checkpoint-every N` or `--fork-every N`. @throws UsageError */
function parseAutosave(args: Arguments): AutosaveOptions | undefined {
  const [restore, fork] = [args.text('checkpoint-every'), args.text('fork-every')];
  if (restore !== undefined && fork !== undefined) {
    throw new UsageError('--checkpoint-every and --fork-every do not go together.');
  }
  const text = restore ?? fork;
  if (text === undefined) return undefined;
  const name = fork === undefined ? '--checkpoint-every' : '--fork-every';
  const every = parseCount(text, name, callsMost);
  if (every === 0) throw new UsageError(`${name}: it is at least 1.`);
  return { every, kind: fork === undefined ? 'restore' : 'fork' };
}

/** Options that `boot` takes too. Only what was given is there. */
export function parseLimits(
  args: Arguments,
): Pick<SandboxOptions, 'memory' | 'timeoutMs' | 'logs' | 'publish' | 'network' | 'autosave'> {
  const memory = args.text('memory');
  const timeout = args.text('timeout');
  const logs = args.list('log').map((text) => parseLog(text, process.cwd()));
  const publish = args.list('publish').map(parsePublish);
  const network = args.text('net') as SandboxOptions['network'];
  const autosave = parseAutosave(args);
  return {
    ...(autosave === undefined ? {} : { autosave }),
    ...(publish.length === 0 ? {} : { publish }),
    ...(network === undefined ? {} : { network }),
    ...(logs.length === 0 ? {} : { logs }),
    ...(memory === undefined ? {} : { memory: parseSize(memory, '--memory') }),
    ...(timeout === undefined ? {} : { timeoutMs: parseDuration(timeout, '--timeout') }),
  };
}

const bootsMax = 1_000_000;

/** How many boots `--count` asks for. @throws UsageError */
export function parseBootCount(args: Arguments): number {
  const text = args.text('count');
  if (text === undefined) return 1;
  const count = parseCount(text, '--count', bootsMax);
  if (count === 0) throw new UsageError('--count: 0 boots are none.');
  return count;
}

/** The host directory a guest sees as its root; undefined when none was given. */
export function parseRootfs(args: Arguments, cwd: string): string | undefined {
  const rootfs = args.text('rootfs');
  if (rootfs === undefined) return undefined;
  if (rootfs === '') throw new UsageError('--rootfs needs a directory.');
  return resolve(cwd, rootfs);
}

/** The working directory: with the host's own root, the caller's. @throws UsageError */
function parseWorkdir(args: Arguments, rootfs: string | undefined, cwd: string): string {
  const given = args.text('workdir');
  if (given === undefined) return rootfs === undefined || rootfs === '/' ? cwd : '/';
  if (given.startsWith('/')) return given;
  throw new UsageError(
    `--workdir: "${given}" is not an absolute path.`, 'It is a directory in the guest.');
}

/** All that `run` and `build` say about the program. @throws UsageError */
export function parseProgram(args: Arguments, surroundings: Surroundings): ProgramOptions {
  const { cwd } = surroundings;
  const rootfs = parseRootfs(args, cwd);
  const cpu = args.text('cpu') as ProgramOptions['cpu'];
  return {
    command: args.operands,
    env: makeGuestEnvironment(args, surroundings),
    cwd: parseWorkdir(args, rootfs, cwd),
    volumes: args.list('volume').map((text) => parseVolume(text, cwd)),
    ...(args.has('tmpfs') ? { tmpfs: args.list('tmpfs') } : {}),
    deterministic: args.has('deterministic'),
    ...(rootfs === undefined ? {} : { rootfs }),
    ...(cpu === undefined ? {} : { cpu }),
    ...parseLimits(args),
  };
}

/** The surroundings of this process. */
export function readSurroundings(env: Environment, output: Output): Surroundings {
  return { env, cwd: process.cwd(), isTerminal: output.isTerminal(1) };
}
