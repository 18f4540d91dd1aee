// `--checkpoint FILE`: SIGUSR1 saves the guest as it is just then, and it goes on.

import type { CheckpointOptions, CheckpointResult } from '../vmm/options.ts';
import type { Arguments } from './args.ts';
import { showError } from './dispatch.ts';
import type { Output } from './output.ts';
import { formatBytes, formatCount } from './sizes.ts';

/** The part of Sandbox that is needed here. */
export interface SavedGuest {
  checkpoint(file: string, options: CheckpointOptions): Promise<CheckpointResult>;
}

/** Saves a guest into one file, as often as it is asked to. */
export class GuestSaver {
  readonly #file: string;
  readonly #allowSecrets: boolean;
  readonly #output: Output;
  /** Saves one after another; it never rejects. */
  #saves: Promise<void> = Promise.resolve();

  private constructor(file: string, args: Arguments, output: Output) {
    this.#file = file;
    this.#allowSecrets = args.has('allow-secrets');
    this.#output = output;
  }

  /** Loads beforehand what it takes, for a guest that waits gives the event loop few turns. */
  static async prepare(file: string, args: Arguments, output: Output): Promise<GuestSaver> {
    await Promise.all([
      import('../vmm/boot/build/template-rules.ts'), import('../vmm/boot/build/checkpoint-file.ts'),
    ]);
    return new GuestSaver(file, args, output);
  }

  /** Saves `guest` as soon as may be; says on stderr what came of it. */
  save(guest: SavedGuest): void {
    this.#saves = this.#saves.then(() => this.#saveNow(guest));
  }

  /** Resolves when nothing is to be saved any more. */
  idle(): Promise<void> {
    return this.#saves;
  }

  async #saveNow(guest: SavedGuest): Promise<void> {
    try {
      const options = { allowSecrets: this.#allowSecrets };
      const { output, bytes, frames } = await guest.checkpoint(this.#file, options);
      this.#output.note(`Saved ${output}: ${formatBytes(bytes)}, ${formatCount(frames)} frames.`);
    } catch (error) {
      // The guest goes on: this is no reason to end it.
      showError(error, this.#output);
    }
  }
}
