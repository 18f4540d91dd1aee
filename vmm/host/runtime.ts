// Which JavaScript runtime this is. The only place that asks.

export type RuntimeName = 'bun' | 'deno' | 'node';

interface Globals {
  Bun?: { version: string };
  Deno?: { version: { deno: string } };
}

/** Name and version of the running JavaScript runtime. */
export function getRuntime(): { name: RuntimeName; version: string } {
  const g = globalThis as Globals;
  if (g.Bun !== undefined) return { name: 'bun', version: g.Bun.version };
  if (g.Deno !== undefined) return { name: 'deno', version: g.Deno.version.deno };
  return { name: 'node', version: process.versions.node };
}
