// What the command's exit code means. Below these it is the guest's own; 128 + n says that
// signal n ended the guest, as shells have it.

/** Damaged image (`verify`), unusable host (`doctor`): the answer is no. */
export const EXIT_NO = 1;
/** The command line was not understood. */
export const EXIT_USAGE = 2;
/** `--timeout` is over (as timeout(1) says it). */
export const EXIT_TIMEOUT = 124;
/** catavmm itself failed: no KVM, a damaged image, a file that cannot be written. */
export const EXIT_FAILED = 125;
/** The program is there but cannot be executed. */
export const EXIT_NOT_EXECUTABLE = 126;
/** There is no such program. */
export const EXIT_NOT_FOUND = 127;
/** Nobody reads our output any more: 128 + SIGPIPE. */
export const EXIT_PIPE = 141;

/** For `--help` and docs/cli.md. */
export const exitCodeNotes: readonly [string, string][] = [
  ['n', "the guest's own exit code"],
  ['128+n', 'the guest was ended by signal n'],
  [`${EXIT_NO}`, '`verify`: the image is damaged; `doctor`: this host cannot be used'],
  [`${EXIT_USAGE}`, 'the command line was not understood'],
  [`${EXIT_TIMEOUT}`, '`--timeout` is over'],
  [`${EXIT_FAILED}`, 'catavmm failed'],
  [`${EXIT_NOT_EXECUTABLE}`, 'the program cannot be executed'],
  [`${EXIT_NOT_FOUND}`, 'the program was not found'],
];
