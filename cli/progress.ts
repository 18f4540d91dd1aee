// A line on the terminal that says how far long work has come. Shown only on a terminal, and only
// for work that takes longer than a moment.

import type { Output } from './output.ts';

const showAfterMs = 300;
const redrawMs = 80;
const barColumns = 24;
const clearLine = '\r\x1b[K';

/** `hashing  ━━━━━━━━──────── 50%`; without a total only the stage. */
export function formatProgress(stage: string, done: number, total: number): string {
  if (!(total > 0)) return stage;
  const share = Math.min(1, Math.max(0, done / total));
  const full = Math.round(share * barColumns);
  const bar = '━'.repeat(full) + '─'.repeat(barColumns - full);
  return `${stage}  ${bar} ${Math.round(share * 100)}%`;
}

export class Progress {
  readonly #output: Output;
  readonly #active: boolean;
  readonly #startedMs: number = performance.now();
  #drawnMs: number = 0;
  #isShown: boolean = false;

  constructor(output: Output) {
    this.#output = output;
    this.#active = output.isTerminal(2) && !output.quiet && !output.json;
  }

  /** Says how far the work is. Cheap when nothing is to be drawn. */
  update(stage: string, done: number, total: number): void {
    if (!this.#active) return;
    const nowMs = performance.now();
    if (nowMs - this.#startedMs < showAfterMs || nowMs - this.#drawnMs < redrawMs) return;
    this.#drawnMs = nowMs;
    this.#isShown = true;
    this.#output.writeRaw(`${clearLine}${formatProgress(stage, done, total)}`);
  }

  /** Takes the line away; call it before anything else is written. */
  end(): void {
    if (this.#isShown) this.#output.writeRaw(clearLine);
    this.#isShown = false;
  }
}
