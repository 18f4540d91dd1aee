// Prints facts about every TypeScript source file as JSON, for test/tidy.test.ts to judge.
//
// It reads the syntax trees of the compiler that builds the package. Its programming interface
// (typescript/unstable) speaks to a process of its own in a way that works on Node only, so the
// test starts this program with Node wherever the test itself runs.
//
//   [{ path, imports, functions, unsafeCalls }]

import { join, relative } from 'node:path';
import { SyntaxKind } from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';
import { root } from './install.mjs';

const safetyLinesAbove = 6;
const functionKinds = new Set([
  SyntaxKind.FunctionDeclaration, SyntaxKind.FunctionExpression, SyntaxKind.ArrowFunction,
  SyntaxKind.MethodDeclaration, SyntaxKind.Constructor, SyntaxKind.GetAccessor,
  SyntaxKind.SetAccessor,
]);

/** Line numbers from 1 by position. */
function makeLineOf(text) {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return (position) => {
    let low = 0;
    let high = starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (starts[middle] <= position) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}

/** True for `import type …` and for an import whose every name is marked `type`. */
function isTypeOnly(node) {
  const clause = node.importClause ?? node.exportClause;
  if (node.isTypeOnly || clause?.isTypeOnly || clause?.phaseModifier === SyntaxKind.TypeKeyword) {
    return true;
  }
  const named = node.importClause?.namedBindings ?? node.exportClause;
  const elements = named?.elements;
  if (elements === undefined || elements.length === 0 || node.importClause?.name) return false;
  return [...elements].every((element) => element.isTypeOnly);
}

function readImport(node, lineOf, file) {
  const isStatic = node.kind === SyntaxKind.ImportDeclaration ||
    node.kind === SyntaxKind.ExportDeclaration;
  if (isStatic && node.moduleSpecifier) {
    const line = lineOf(node.getStart(file));
    const specifier = node.moduleSpecifier.text;
    return { specifier, line, typeOnly: isTypeOnly(node), lazy: false };
  }
  const isImportCall = node.kind === SyntaxKind.CallExpression &&
    node.expression.kind === SyntaxKind.ImportKeyword;
  const argument = isImportCall ? node.arguments[0] : undefined;
  if (argument?.kind !== SyntaxKind.StringLiteral) return undefined;
  const line = lineOf(node.getStart(file));
  return { specifier: argument.text, line, typeOnly: false, lazy: true };
}

/** Names that stand for the C library in a file: `libc` of a namespace import, or functions. */
function findNativeNames(file, path) {
  const names = { namespaces: new Set(), functions: new Set() };
  for (const statement of file.statements) {
    if (path === 'vmm/host/libc.ts' && statement.kind === SyntaxKind.VariableStatement) {
      for (const declaration of statement.declarationList.declarations) {
        const callee = declaration.initializer?.expression?.text;
        if (callee === 'bind') names.functions.add(declaration.name.text);
      }
    }
    if (statement.kind !== SyntaxKind.ImportDeclaration) continue;
    if (!/(^|\/)libc\.ts$/.test(statement.moduleSpecifier.text) || isTypeOnly(statement)) continue;
    const bindings = statement.importClause?.namedBindings;
    if (bindings?.kind === SyntaxKind.NamespaceImport) names.namespaces.add(bindings.name.text);
    for (const element of bindings?.elements ?? []) names.functions.add(element.name.text);
  }
  return names;
}

/** The C function a call reaches, if it is one; reading errno is harmless. */
function nativeCallee(node, names) {
  if (node.kind !== SyntaxKind.CallExpression) return undefined;
  const callee = node.expression;
  const isMember = callee.kind === SyntaxKind.PropertyAccessExpression &&
    names.namespaces.has(callee.expression.text);
  const name = isMember ? callee.name.text : callee.text;
  if (!isMember && !names.functions.has(name)) return undefined;
  return name === 'lastErrno' ? undefined : name;
}

/** True when a comment with SAFETY: is close above the call or in front of its function. */
function hasSafety(line, holders, textLines, lineOf) {
  const above = textLines.slice(Math.max(0, line - 1 - safetyLinesAbove), line).join('\n');
  if (above.includes('SAFETY:')) return true;
  return holders.some((holder) => {
    const from = lineOf(holder.pos) - 1;
    const to = lineOf(holder.body?.pos ?? holder.end);
    return textLines.slice(from, to).join('\n').includes('SAFETY:');
  });
}

function readFacts(path, file) {
  const { text } = file;
  const textLines = text.split('\n');
  const lineOf = makeLineOf(text);
  const names = findNativeNames(file, path);
  const facts = { imports: [], functions: [], unsafeCalls: [] };
  function visit(node, holders) {
    const found = readImport(node, lineOf, file);
    if (found) facts.imports.push(found);
    const callee = nativeCallee(node, names);
    if (callee !== undefined) {
      const line = lineOf(node.getStart(file));
      if (!hasSafety(line, holders, textLines, lineOf)) facts.unsafeCalls.push({ callee, line });
    }
    const isFunction = functionKinds.has(node.kind);
    if (isFunction && node.body) {
      const line = lineOf(node.getStart(file));
      const name = node.name?.text ?? node.parent?.name?.text ?? '(anonymous)';
      facts.functions.push({ name, line, lines: lineOf(node.end) - line + 1 });
    }
    node.forEachChild((child) => visit(child, isFunction ? [...holders, node] : holders));
  }
  visit(file, []);
  return { path, ...facts };
}

const api = new API({ cwd: root });
try {
  const config = join(root, 'tsconfig.json');
  const snapshot = api.updateSnapshot({ openProjects: [config] });
  const { program } = snapshot.getProjects()[0];
  const paths = program.getSourceFileNames()
    .map((name) => ({ name, path: relative(root, name) }))
    .filter(({ path }) => !path.startsWith('..') && !path.startsWith('node_modules'));
  const facts = paths.map(({ name, path }) => readFacts(path, program.getSourceFile(name)));
  process.stdout.write(JSON.stringify(facts.sort((a, b) => (a.path < b.path ? -1 : 1))));
} finally {
  api.close();
}
