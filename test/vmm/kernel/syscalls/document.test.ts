// The rendered document, and whether the committed one is up to date.
import { assert, suite } from '../../../harness.ts';
import { readText } from '../../../helpers/repository.ts';
import { ENOSYS } from '../../../../vmm/abi/errno.ts';
import { full, missing, partial } from '../../../../vmm/kernel/syscalls/define.ts';
import { renderSyscalls } from '../../../../vmm/kernel/syscalls/document.ts';
import { SyscallTable } from '../../../../vmm/kernel/syscalls/table.ts';

const test = suite('vmm/kernel/syscalls/document');

test('docs/syscalls.md is what the table says', () => {
  const fresh = readText('docs/syscalls.md') === renderSyscalls();
  assert.ok(fresh, 'stale: run scripts/generate-syscalls-doc.mjs');
});

test('renderSyscalls() shows support, errno and notes by family', () => {
  const handler = (): number => 0;
  const text = renderSyscalls(new SyscallTable(
    { files: { read: full(handler), write: partial(handler, 'Not a|b.') } },
    { getpid: missing(ENOSYS, 'Nobody is here.') },
  ));
  assert.match(text, '## files');
  assert.match(text, '| 0 | read | full | handled |  |');
  assert.match(text, '| 1 | write | partial | handled | Not a\\|b. |');
  assert.match(text, '| 39 | getpid | ENOSYS | allowed | Nobody is here. |');
  assert.match(text, /385 calls: 1 full, 1 partial, 383 missing/);
  assert.match(text, /In templates 383 allowed, 2 handled, 0 denied/);
  assert.match(text, /\| handled \| Standard streams .* \| read, write \|/);
});

test.run();
