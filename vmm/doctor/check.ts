// The result of a probe: one row of `catavmm doctor`.

/**
 * `bad`: sandboxes cannot run here. `warn`: they run, but something is slow, small or unwise.
 * `info`: good to know in a bug report.
 */
export type CheckState = 'ok' | 'bad' | 'warn' | 'info';

export interface Check {
  group: 'runtime' | 'kvm' | 'speed' | 'host';
  name: string;
  state: CheckState;
  /** What was found. */
  value: string;
  /** One sentence on what to do about it; empty when there is nothing to do. */
  hint: string;
}

/** Rows of one group. */
export type MakeCheck = (name: string, state: CheckState, value: string, hint?: string) => Check;

export function makeChecks(group: Check['group']): MakeCheck {
  return (name, state, value, hint = '') => ({ group, name, state, value, hint });
}
