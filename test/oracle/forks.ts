// Images, templates and forks in tests: made in this process, and closed whatever happens.

import { join } from 'node:path';
import { FuncImage } from '../../vmm/func-image.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { Template } from '../../vmm/template.ts';
import type { BuildOptions } from '../../vmm/options.ts';
import { withScratchAsync } from './images.ts';
import { textOf } from './process.ts';

const environment = { PATH: '/usr/bin:/bin', HOME: '/root' };

/** What a test builds: options without the image's path. */
export type ForkedProgram = Omit<BuildOptions, 'output'>;

/** Builds an image of a program and opens it for `body`. */
export async function withImage(
  program: ForkedProgram, body: (image: FuncImage) => Promise<void>,
): Promise<void> {
  await withScratchAsync(async (folder) => {
    const output = join(folder, 'a.cfi');
    await Sandbox.build({ env: environment, cwd: folder, ...program, output });
    const image = await FuncImage.open(output);
    try {
      await body(image);
    } finally {
      await image.close();
    }
  });
}

/** Makes a template of a program at its func-entry point. */
export async function withTemplate(
  program: ForkedProgram, body: (template: Template, image: FuncImage) => Promise<void>,
): Promise<void> {
  await withImage(program, async (image) => {
    const template = await Template.from(image);
    try {
      await body(template, image);
    } finally {
      await template.close();
    }
  });
}

/** Forks (or boots) once and collects what it prints. @throws when it does not end with 0 */
export async function runFork(source: Template | FuncImage, stdin: string = ''): Promise<string> {
  const sandbox = source instanceof Template
    ? await source.fork({ stdin }) : await source.boot({ stdin });
  const { code, stdout, stderr, message } = await sandbox.output();
  await sandbox.close();
  if (code === 0) return textOf(stdout);
  throw new Error(`ended with ${code}: ${message ?? ''} ${textOf(stdout)} ${textOf(stderr)}`);
}

/** Waits until a sandbox has printed `text`; returns what it has printed. */
export async function waitForText(
  reader: ReadableStreamDefaultReader<Uint8Array>, text: string,
): Promise<string> {
  let seen = '';
  while (!seen.includes(text)) {
    const { done, value } = await reader.read();
    if (done) throw new Error(`it ended before "${text}": ${seen}`);
    seen += textOf(value);
  }
  return seen;
}

/** A sandbox that is given one order after the other and answers each with a line. */
export class Dialogue {
  readonly sandbox: Sandbox;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;
  #seen: string = '';

  private constructor(sandbox: Sandbox, writer: WritableStreamDefaultWriter<Uint8Array>) {
    this.sandbox = sandbox;
    this.#writer = writer;
    this.#reader = sandbox.stdout.getReader();
  }

  /** Starts a sandbox with what `start` makes of a stdin. */
  static async begin(
    start: (stdin: ReadableStream<Uint8Array>) => Promise<Sandbox>,
  ): Promise<Dialogue> {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    return new Dialogue(await start(readable), writable.getWriter());
  }

  /** The next line it prints. */
  async line(): Promise<string> {
    while (!this.#seen.includes('\n')) {
      const { done, value } = await this.#reader.read();
      if (done) throw new Error(`it ended: ${(await this.sandbox.status).code} ${this.#seen}`);
      this.#seen += textOf(value);
    }
    const end = this.#seen.indexOf('\n');
    const line = this.#seen.slice(0, end);
    this.#seen = this.#seen.slice(end + 1);
    return line;
  }

  /** Gives it a line and returns its answer. */
  async ask(order: string): Promise<string> {
    await this.#writer.write(new TextEncoder().encode(`${order}\n`));
    return this.line();
  }

  /** Ends its stdin and waits for a good end. */
  async end(): Promise<void> {
    // It may have ended already, and closed its side.
    await this.#writer.close().catch(() => {});
    const { code, message } = await this.sandbox.status;
    await this.sandbox.close();
    if (code !== 0) throw new Error(`ended with ${code} ${message ?? ''}`);
  }
}
