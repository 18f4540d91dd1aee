// Signals by name, as kill(1) and strsignal(3) spell them.

const NAMES: readonly string[] = [
  '', 'SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGILL', 'SIGTRAP', 'SIGABRT', 'SIGBUS', 'SIGFPE', 'SIGKILL',
  'SIGUSR1', 'SIGSEGV', 'SIGUSR2', 'SIGPIPE', 'SIGALRM', 'SIGTERM', 'SIGSTKFLT', 'SIGCHLD',
  'SIGCONT', 'SIGSTOP', 'SIGTSTP', 'SIGTTIN', 'SIGTTOU', 'SIGURG', 'SIGXCPU', 'SIGXFSZ',
  'SIGVTALRM', 'SIGPROF', 'SIGWINCH', 'SIGIO', 'SIGPWR', 'SIGSYS',
];

/** 'SIGTERM' for 15; real-time signals by number: 'SIG40'. */
export function signalName(signal: number): string {
  return NAMES[signal] ?? `SIG${signal}`;
}

/** 15 for 'SIGTERM' or 'TERM'; NaN when there is no such signal. */
export function signalNumber(name: string): number {
  const upper = name.toUpperCase();
  const index = NAMES.indexOf(upper.startsWith('SIG') ? upper : `SIG${upper}`);
  return index > 0 ? index : NaN;
}
