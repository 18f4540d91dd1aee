// `catavmm doctor`: everything about this host that decides whether and how fast sandboxes run.
//
// Invariant: nothing of host/ or machine/ that speaks to native code is imported before the check
// of koffi has passed: a host where it does not load gets an answer too.
import type { Check } from './check.ts';
import { probeHost } from './host.ts';
import { probeRuntime } from './runtime.ts';

export type { Check, CheckState } from './check.ts';

export interface Diagnosis {
  /** False when any check is `bad`. */
  usable: boolean;
  checks: Check[];
}

/** Runs all probes; takes about a tenth of a second. Throws only what is a bug. */
export async function diagnose(): Promise<Diagnosis> {
  const runtime = await probeRuntime();
  const checks = [...runtime, ...await probeVirtualisation(runtime), ...probeHost()];
  return { usable: checks.every(({ state }) => state !== 'bad'), checks };
}

async function probeVirtualisation(runtime: readonly Check[]): Promise<Check[]> {
  if (runtime.some(({ state }) => state === 'bad')) return [];
  const { probeKvm } = await import('./kvm.ts');
  const kvm = probeKvm();
  if (kvm.some(({ state }) => state === 'bad')) return kvm;
  const { probeSpeed } = await import('./speed.ts');
  return [...kvm, ...probeSpeed()];
}
