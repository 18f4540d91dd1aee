// Extended attributes of lower files, over a tree in memory.
import { assert, suite } from '../../../harness.ts';
import { lowerFile } from '../../../helpers/lower-tree.ts';
import { type Guest, makeGuest } from './guest.ts';

const test = suite('vmm/kernel/vfs/xattr');

const attributes = {
  'user.one': 'first',
  'trusted.hidden': 'x',
  'security.capability': 'cap',
  'system.posix_acl_access': 'acl',
  [`user.${'n'.repeat(300)}`]: 'name too long',
};

function names(g: Guest, path: string): string[] {
  const count = g.call('listxattr', path, g.out, 4096);
  const text = new TextDecoder().decode(g.peek(g.out, Math.max(count, 0)));
  return text.split('\0').filter((name) => name !== '').sort();
}

test('attributes of a lower file are read once, and changed in the upper layer', () => {
  const g = makeGuest({ f: lowerFile('content', { attributes }) });
  assert.equal(names(g, '/f'), ['security.capability', 'trusted.hidden', 'user.one']);
  assert.is(g.call('removexattr', '/f', 'user.one'), 0);
  assert.is(g.call('setxattr', '/f', 'user.two', 'v', 1, 0), 0);
  assert.equal(names(g, '/f'), ['security.capability', 'trusted.hidden', 'user.two']);
  assert.is(g.try('getxattr', '/f', 'user.one', g.out, 16), 'ENODATA');
  assert.is(g.t.lower.node('f')?.attributes, attributes);
  g.close();
});

test('trusted attributes are root\'s', () => {
  const g = makeGuest({ f: lowerFile('content', { attributes }) });
  g.process.uid = 1000;
  assert.equal(names(g, '/f'), ['security.capability', 'user.one']);
  assert.is(g.try('getxattr', '/f', 'trusted.hidden', g.out, 16), 'ENODATA');
  assert.is(g.try('setxattr', '/f', 'user.two', 'v', 1, 0), 'EPERM');
  g.close();
});

test('a lower file that is gone has no attributes, and one with too many neither', () => {
  const g = makeGuest({
    f: lowerFile('content', { attributes }),
    many: lowerFile('', {
      attributes: { 'user.a': 'x'.repeat(60_000), 'user.b': 'x'.repeat(90_000) },
    }),
  });
  g.stat('/f');
  g.t.lower.remove('f');
  assert.equal(names(g, '/f'), []);
  assert.equal(names(g, '/many'), []);
  g.close();
});

test.run();
