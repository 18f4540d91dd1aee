// Which programs are not saved or forked: those that hold secrets, unless that is wanted.

import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { secretNames } from '../../../../vmm/boot/build/template-rules.ts';
import { Sandbox } from '../../../../vmm/sandbox.ts';
import { Template } from '../../../../vmm/template.ts';
import { assert, needsKvm, suite } from '../../../harness.ts';
import { root } from '../../../helpers/repository.ts';
import { runCatavmm, textOf } from '../../../oracle/process.ts';

const test = suite('vmm/boot/template-rules');
const testKvm = needsKvm(test);
const folder = mkdtempSync(join(tmpdir(), 'catavmm-rules-'));
test.after(() => rmSync(folder, { recursive: true }));
const hello = join(root, 'fixtures/hello/hello');

test('secretNames() finds words at the end of words, in any case', () => {
  const secret = [
    'TOKEN', 'GITHUB_TOKEN', 'DB_PASSWORD', 'PGPASSWORD', 'apiKey', 'API_KEY', 'APIKEY', 'Key2_key',
    'AWS_SECRET_ACCESS_KEY', 'GOOGLE_APPLICATION_CREDENTIALS', 'SECRET_VALUE', 'my-tokens',
  ];
  const plain = [
    'PATH', 'HOME', 'KEYBOARD', 'TOKENIZERS_PARALLELISM', 'KEYS2', 'SECRETARY', 'LANG',
  ];
  const env = Object.fromEntries([...secret, ...plain].map((name) => [name, 'x']));
  assert.equal(secretNames(env), secret);
  assert.equal(secretNames({ TOKEN: '' }), [], 'an empty one');
  assert.equal(secretNames(), []);
});

testKvm('build refuses variables that look like secrets, and takes them with the flag', () => {
  const image = join(folder, 'a.cfi');
  const build = (...flags: string[]) => runCatavmm(
    ['build', '-o', image, '-e', 'API_KEY=abc', '-e', 'USER=x', ...flags, '--', hello]);
  const refused = build();
  assert.is(refused.code, 125);
  assert.match(textOf(refused.stderr), /The variable API_KEY looks like a secret, .*\./);
  assert.match(textOf(refused.stderr), /--allow-secrets/);
  assert.not(existsSync(image));
  assert.is(build('--allow-secrets').code, 0);
  assert.ok(existsSync(image));
});

testKvm('forks of a program that was given secrets need the option', async () => {
  const env = { DB_PASSWORD: 'abc', DB_USER: 'me' };
  const sandbox = await Sandbox.run({ command: [hello], env, stdin: new ReadableStream() });
  for (const attempt of [() => Template.from(sandbox), () => sandbox.fork()]) {
    const error = await attempt().then(() => null, (reason: unknown) => reason);
    assert.is((error as { code?: string } | null)?.code, 'CATAVMM_SECRETS');
  }
  const template = await Template.from(sandbox, { allowSecrets: true });
  await template.close();
  const fork = await sandbox.fork({ allowSecrets: true, stdin: 'Ada\n' });
  assert.is((await fork.output()).code, 0);
  await fork.close();
  await sandbox.close();
});

test.run();
