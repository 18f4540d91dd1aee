// A process of its own in which the host gives no more descriptors or address space: boots until it
// is refused, sees what was there before live on, and boots again when there is more.
//
//   argv   descriptors | memory, an image
//   stdout JSON: how many sandboxes lived, what the refusal was, and what happened afterwards

import { readdirSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { zygoteOptionsOf } from '../../vmm/boot/run/launch.ts';
import { openImage } from '../../vmm/boot/image/image-open.ts';
import { countReady } from '../../vmm/boot/pool/zygote-pool.ts';
import { FuncImage } from '../../vmm/func-image.ts';
import { HostError } from '../../vmm/host/errors.ts';
import type { Sandbox } from '../../vmm/sandbox.ts';
import { setLimit } from './process-limits.ts';

const RLIMIT_NOFILE = 7;
const RLIMIT_AS = 9;
const BANK_BYTES = 2 * 1024 ** 3;
const SANDBOXES_MOST = 64;

interface Held {
  sandbox: Sandbox;
  feed: () => void;
}

const [kind, path = ''] = process.argv.slice(2);

async function hold(image: FuncImage): Promise<Held> {
  let controller!: ReadableStreamDefaultController<Uint8Array>;
  const stdin = new ReadableStream<Uint8Array>({ start: (given) => { controller = given; } });
  const memory = kind === 'memory' ? { memory: BANK_BYTES } : {};
  const sandbox = await image.boot({ stdin, ...memory });
  const feed = (): void => {
    controller.enqueue(new TextEncoder().encode('104729\n'));
    controller.close();
  };
  return { sandbox, feed };
}

function addressSpace(): number {
  const size = /^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return Number(size) * 1024;
}

/** Boots until it is refused. */
async function fill(image: FuncImage): Promise<{ held: Held[]; refusal: unknown }> {
  const held: Held[] = [];
  try {
    while (held.length < SANDBOXES_MOST) held.push(await hold(image));
  } catch (error) {
    return { held, refusal: error };
  }
  return { held, refusal: null };
}

async function finish({ sandbox, feed }: Held): Promise<number> {
  feed();
  const { code } = await sandbox.output();
  await sandbox.close();
  return code;
}

const image = await FuncImage.open(path, { pool: { low: 1, high: 2 } });
const options = zygoteOptionsOf(openImage(path));
const before = countReady(options);
const lift = kind === 'memory'
  ? setLimit(RLIMIT_AS, addressSpace() + 3 * BANK_BYTES)
  : setLimit(RLIMIT_NOFILE, readdirSync('/proc/self/fd').length + 24);
const { held, refusal } = await fill(image);
const codes: number[] = [];
for (const one of held) codes.push(await finish(one));
const again = await finish(await hold(image));
lift();
await new Promise((resolve) => { setTimeout(resolve, 100); });
const { code, message, hint } = refusal as HostError;
process.stdout.write(`${JSON.stringify({
  lived: held.length, isHostError: HostError.is(refusal), code, message, hint,
  before, codes, again, after: countReady(options),
})}\n`);
await image.close();
process.exit(0);
