// node scripts/make-code-cache.cjs BUNDLE CACHE arguments… : runs the bundled command with these
// arguments, then writes V8's code cache for the bundle, with the functions that this run compiled.

'use strict';

const { readFileSync, renameSync, writeFileSync } = require('node:fs');
const { dirname } = require('node:path');
const { Script, constants } = require('node:vm');

const [filename, cache, ...args] = process.argv.slice(2);
const importModuleDynamically = constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER;
// The name goes into the cache; it must not be a path of the machine that builds.
const options = { filename: 'catavmm.cjs', importModuleDynamically };
const script = new Script(readFileSync(filename, 'utf8'), options);
const bundle = { exports: {}, filename };
script.runInThisContext()(bundle.exports, require, bundle, filename, dirname(filename));

bundle.exports.runCli(args, process.env).then((code) => {
  writeFileSync(`${cache}.partial`, script.createCachedData());
  renameSync(`${cache}.partial`, cache);
  process.exit(code);
});
