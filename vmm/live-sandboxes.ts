// The sandboxes that were started from something that can be closed: closing it ends them first.
import type { Sandbox } from './sandbox.ts';

export class LiveSandboxes {
  readonly #live: Set<Sandbox> = new Set();

  /** Notes a sandbox until it has ended. */
  keep(sandbox: Sandbox): Sandbox {
    this.#live.add(sandbox);
    const forget = (): void => { this.#live.delete(sandbox); };
    sandbox.status.then(forget, forget);
    return sandbox;
  }

  /** Kills those that still run, and waits until all they held is given back. */
  async close(): Promise<void> {
    await Promise.all([...this.#live].map((sandbox) => sandbox.close()));
  }
}
