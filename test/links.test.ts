// Links in the Markdown files lead somewhere: files exist, and so do headings after a `#`.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { dirname, normalize } from 'node:path/posix';
import { assert, suite } from './harness.ts';
import { listFiles, readText, root } from './helpers/repository.ts';

const test = suite('test/links');
const pages = listFiles().filter((path) => path.endsWith('.md'));

/** Markdown without code blocks and code spans, in which brackets mean nothing. */
function withoutCode(text: string): string {
  return text.replace(/^```[^]*?^```/gm, '').replace(/`[^`\n]*`/g, '');
}

/** Targets of [text](target), ![alt](target) and of src="" and href="" in HTML. */
function findTargets(text: string): string[] {
  const prose = withoutCode(text);
  const markdown = [...prose.matchAll(/\]\(\s*<?([^)\s>]+)>?[^)]*\)/g)];
  const html = [...prose.matchAll(/\b(?:src|href)="([^"]+)"/g)];
  return [...markdown, ...html].map((match) => match[1] ?? '');
}

/** The anchor that hosts of Markdown give a heading: lower case, words joined by hyphens. */
function toAnchor(heading: string): string {
  const text = heading.replace(/[`*_]|\]\([^)]*\)|\[/g, '').trim().toLowerCase();
  return text.replace(/[^\p{L}\p{N} -]/gu, '').replaceAll(' ', '-');
}

function findAnchors(text: string): Set<string> {
  const body = text.replace(/^```[^]*?^```/gm, '');
  const headings = [...body.matchAll(/^#+ +(.+)$/gm)].map((match) => toAnchor(match[1] ?? ''));
  const named = [...body.matchAll(/\b(?:id|name)="([^"]+)"/g)].map((match) => match[1] ?? '');
  return new Set([...headings, ...named]);
}

function findBroken(page: string): string[] {
  const broken: string[] = [];
  for (const target of findTargets(readText(page))) {
    if (/^(https?|mailto):/.test(target)) continue;
    const [file = '', anchor = ''] = target.split('#');
    const path = file === '' ? page : normalize(join(dirname(page), decodeURI(file)));
    const exists = existsSync(join(root, path)) && !path.startsWith('..');
    if (!exists) broken.push(`${page}: ${target}`);
    else if (anchor !== '' && path.endsWith('.md') && !findAnchors(readText(path)).has(anchor)) {
      broken.push(`${page}: ${target} (no such heading)`);
    }
  }
  return broken;
}

test('links in Markdown files lead to files and headings that exist', () => {
  assert.equal(pages.flatMap(findBroken), []);
});

test('findTargets() sees links but not code', () => {
  const text = '[a](b.md#c "t") `[x](y)`\n```\n[q](r)\n```\n<img src="p.svg">';
  assert.equal(findTargets(text), ['b.md#c', 'p.svg']);
  assert.ok(findAnchors('# The `a` & b\n').has('the-a--b'));
});

test.run();
