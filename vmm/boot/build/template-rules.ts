// Whether an image or a template may be made of a sandbox: not of one that made a call which the
// table denies in templates (kernel/syscalls/template-classes.ts), nor, unless that is wanted, of
// one that was given secrets, which every boot and fork would have too.
import { CatavmmError } from '../../errors.ts';
import type { Kernel } from '../../kernel/kernel.ts';
import { syscallTable } from '../../kernel/syscalls/table.ts';
import { templateRuleOf } from '../../kernel/syscalls/template-classes.ts';

/** Whether it made a denied call; cheap enough for each exit of a build. */
export function hasDeniedCall(k: Kernel): boolean {
  return k.root.deniedCall !== 0;
}

/** @throws CatavmmError CATAVMM_TEMPLATE_DENIED when it made a denied call */
export function requireTemplatable(k: Kernel): void {
  if (!hasDeniedCall(k)) return;
  const row = syscallTable.rowOf(k.root.deniedCall - 1);
  const { name } = row;
  const { templateNote } = templateRuleOf(name, row);
  throw new CatavmmError(
    'CATAVMM_TEMPLATE_DENIED',
    `The program called ${name}(), after which it cannot be saved or forked. ${templateNote}`,
    'Let it make that call after its func-entry point, for example after catavmm_entry().',
  );
}

/** The end of a word of a variable's name: DB_PASSWORD, apiKey, AWS_SECRET_ACCESS_KEY. */
const SECRET_WORD = /(TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIAL|KEY)S?$/i;

/** The names of variables that look like secrets and are not empty. */
export function secretNames(env: Readonly<Record<string, string>> = {}): string[] {
  return Object.keys(env).filter((name) => {
    const words = name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').split(/[^A-Za-z0-9]+/);
    return env[name] !== '' && words.some((word) => SECRET_WORD.test(word));
  });
}

/** @throws CatavmmError CATAVMM_SECRETS when a variable looks like a secret */
export function requireNoSecrets(env: Readonly<Record<string, string>> | undefined): void {
  const names = secretNames(env);
  if (names.length === 0) return;
  const [what, it] = names.length === 1
    ? ['variable', 'looks like a secret'] : ['variables', 'look like secrets'];
  throw new CatavmmError(
    'CATAVMM_SECRETS',
    `The ${what} ${names.join(', ')} ${it}, which every boot and fork of the program would have.`,
    'Give secrets to boots, on stdin or in a volume; or allow this with --allow-secrets ' +
      '(option allowSecrets).',
  );
}
