// The programs that are measured: the C demo and a Python service.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { projectFile } from './places.ts';

/** A program that initialises itself and then answers one line from stdin. */
export interface Program {
  name: string;
  command: string[];
  /** What it is asked. */
  input: string;
  /** What it prints on stdout when it runs on the host's kernel. */
  expected: string;
}

/** The same surroundings natively and in sandboxes: what a guest gets by default. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
};
export const HELLO_NAME = 'hello (static C)';
/** The program that the claims are about, as it ends by itself. */
export const PYTHON_NAME = 'python3';
/** The same, leaving with os._exit() when it has answered. */
export const LEAVING_NAME = 'python3, os._exit';
const INPUT = 'Ada\n';
/** The system's own Python: one that a version manager provides starts through a shell script. */
const PYTHON = '/usr/bin/python3';

const SERVICE = `# Imports what services import, initialises it, and answers one request from stdin.
import asyncio, ctypes, hashlib, json, re, sqlite3, ssl, sys, threading, zoneinfo

context = ssl.create_default_context()
database = sqlite3.connect(":memory:")
database.execute("create table greeting (word text)")
database.execute("insert into greeting values ('hello')")
words = re.compile(r"\\w+")
process_id = ctypes.CDLL(None).getpid()
zones = zoneinfo.TZPATH


async def warm_up():
    await asyncio.sleep(0)


asyncio.run(warm_up())
worker = threading.Thread(target=lambda: hashlib.sha256(b"warm").digest())
worker.start()
worker.join()


def answer(line):
    (word,) = database.execute("select word from greeting").fetchone()
    name = " ".join(words.findall(line))
    digest = hashlib.sha256(name.encode()).hexdigest()
    return json.dumps({word: name, "sha256": digest[:16]})


print(answer(sys.stdin.readline()), flush=True)
`;
/** What services end with that do not wait until Python has taken everything apart. */
const LEAVE = `import os
os._exit(0)
`;

function runNatively(command: readonly string[]): string {
  const [program = '', ...rest] = command;
  const { status, stdout, stderr } = spawnSync(program, rest, {
    input: INPUT, encoding: 'utf8', env: { ...ENVIRONMENT }, timeout: 30_000,
  });
  if (status === 0) return stdout;
  const reason = (stderr ?? '').trim().split('\n').at(-1) ?? '';
  throw new Error(`${command.join(' ')} fails on this host: ${reason}`);
}

function findHello(): Program | string {
  const file = projectFile('fixtures/hello/hello');
  if (file === undefined) return 'fixtures/hello/hello is missing';
  return makeProgram(HELLO_NAME, [file]);
}

/** A Python service, written to `directory`. */
function findPython(directory: string, name: string, source: string): Program | string {
  if (!existsSync(PYTHON)) return `${PYTHON} is missing: apt-get install python3`;
  const file = join(directory, `${name.replace(/\W+/g, '-')}.py`);
  writeFileSync(file, source);
  return makeProgram(name, [PYTHON, file]);
}

/** The programs to measure, each as it is or as the reason why it cannot be had. */
export function listPrograms(directory: string): { name: string; program: Program | string }[] {
  return [
    { name: HELLO_NAME, program: findHello() },
    { name: PYTHON_NAME, program: findPython(directory, PYTHON_NAME, SERVICE) },
    { name: LEAVING_NAME, program: findPython(directory, LEAVING_NAME, SERVICE + LEAVE) },
  ];
}

/** A program with what it prints natively, or why it cannot be had. */
export function makeProgram(name: string, command: string[]): Program | string {
  try {
    return { name, command, input: INPUT, expected: runNatively(command) };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
