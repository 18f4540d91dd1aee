// Debian's Python, unmodified: the modules of fixtures/python/imports.py imported and used.

import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { fixturePath } from './compile.ts';
import { compareWithHost } from './oracle.ts';
import type { Comparison } from './oracle.ts';
import { textOf } from './process.ts';
import { pythonMissing } from './python-missing.ts';

const rows: readonly (Omit<Comparison, 'argv'> & { name: string; args: readonly string[] })[] = [
  { name: 'imports all modules and uses them', args: [fixturePath('python/imports.py')] },
  {
    name: 'answers a request',
    args: [fixturePath('python/server_stdin.py')],
    stdin: '{"n": 6, "zone": "Asia/Tokyo"}\n',
  },
  { name: 'reports a bad request', args: [fixturePath('python/server_stdin.py')], stdin: 'x\n' },
  { name: 'raises exceptions', args: [fixturePath('python/exceptions.py')] },
  { name: 'exits with a message', args: [fixturePath('python/exceptions.py'), 'exit'] },
  { name: 'sits at pseudo-terminals', args: [fixturePath('python/pseudo_terminal.py')] },
  { name: 'dies of a fault', args: [fixturePath('python/exceptions.py'), 'segfault'] },
  { name: 'has a helper', args: [fixturePath('python/entry_helper.py')], stdin: '3\n99999\n' },
  { name: 'runs one line', args: ['-c', 'import sys; print(6 * 7, sys.argv)', 'a', 'b'] },
  { name: 'reads a program from stdin', args: ['-'], stdin: 'print(sum(range(10)))\n' },
  { name: 'runs in isolated mode', args: ['-I', '-S', '-c', 'print(__import__("os").getcwd())'] },
  {
    name: 'walks and writes files',
    args: ['-c', [
      'import os, pathlib, shutil, tempfile, glob',
      'root = pathlib.Path("tree"); root.mkdir()',
      '[(root / f"d{i}").mkdir() for i in range(5)]',
      '[(root / f"d{i}" / f"f{j}").write_text(str(i * j)) for i in range(5) for j in range(20)]',
      'print(sum(int(p.read_text()) for p in root.rglob("f*")))',
      'shutil.copytree(root, "copy"); os.rename("copy", "moved"); shutil.rmtree("tree")',
      'print(sorted(glob.glob("**/f1", recursive=True)))',
      'with tempfile.TemporaryDirectory() as d: print(os.path.isdir(d))',
      'print(os.path.exists(d), os.stat("moved/d1/f3").st_size)',
    ].join('\n')],
  },
  {
    name: 'computes with many objects',
    args: ['-c', [
      'import gc, random, decimal, collections',
      'random.seed(1)',
      'data = [random.random() for _ in range(100000)]',
      'print(f"{sum(sorted(data)[::1000]):.6f}", len(set(map(str, data))))',
      'print(collections.Counter(int(x * 10) for x in data).most_common(3))',
      'print(decimal.Decimal(2).sqrt(), 3 ** 200 % 10 ** 20)',
      'del data; print(gc.collect() >= 0)',
    ].join('\n')],
  },
];

const test = suite('test/oracle/python');
const testPython = needs(test, kvmMissing() ?? pythonMissing());

for (const { name, args, ...rest } of rows) {
  testPython(`python3 ${name} as on the host`, () => {
    compareWithHost({ argv: ['python3', ...args], retries: 1, ...rest });
  }, { timeoutMs: 120_000 });
}

testPython('python3 draws another hash seed in each run', () => {
  const argv = ['python3', '-c', 'print(hash("text"))'];
  const seen = new Set<string>();
  for (let i = 0; i < 2; i++) {
    const { guest } = compareWithHost({ argv, normalise: (text) => text.replace(/-?\d+/, 'N') });
    seen.add(textOf(guest.stdout));
  }
  assert.is(seen.size, 2);
});

test.run();
