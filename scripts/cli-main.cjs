#!/usr/bin/env node
// Starts the command `catavmm` from its bundle, as fast as each runtime can:
// Bun finds bytecode next to the bundle, Node gets V8's code cache if it fits this version (it is
// refused, not wrong, if it does not), Deno keeps its own cache of ES modules.
// One cold boot that is not traced has a bundle of its own, half the size.
// The build copies this file to dist/cli/main.cjs and fills in the bundle's directory. It is
// CommonJS, for on Node an ES module as entry costs 8 ms more.

'use strict';

const directory = `${__dirname}/BUNDLE_DIRECTORY`;

/** Words and variables that boot.cjs has no code for. */
const long = /^--(strace|verify|version|help|mode|count|eager|without|checkpoint)/;
const isFull = (word) => long.test(word) || /^-[a-zA-Z]*[hVcn]/.test(word);
const variables = ['STRACE', 'STRACE_SUMMARY', 'VERIFY', 'MODE', 'COUNT', 'EAGER', 'WITHOUT',
  'CHECKPOINT'];
const isSet = (variable) => process.env[`CATAVMM_${variable}`] !== undefined;
const words = process.argv.slice(2);
const isSmall = words[0] === 'boot' && !words.some(isFull) && !variables.some(isSet);
const name = isSmall ? 'boot.cjs' : 'catavmm.cjs';

function loadOnNode() {
  const { readFileSync } = require('node:fs');
  const { Script, constants } = require('node:vm');
  const filename = `${directory}/${name}`;
  let cachedData;
  try {
    cachedData = readFileSync(`${filename}.${process.versions.v8}.cache`);
  } catch {
    cachedData = undefined;
  }
  const importModuleDynamically = constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  const options = { filename, cachedData, importModuleDynamically };
  const script = new Script(readFileSync(filename, 'utf8'), options);
  const bundle = { exports: {}, filename };
  script.runInThisContext()(bundle.exports, require, bundle, filename, directory);
  return bundle.exports;
}

function load() {
  if (process.versions.bun) return require(`${directory}/${name}`);
  if (process.versions.deno) return import(`${directory}/catavmm.mjs`);
  return loadOnNode();
}

async function main() {
  const { runCli } = await load();
  process.exit(await runCli(words, process.env));
}

main();
