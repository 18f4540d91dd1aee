// bun scripts/bundle-boot.mjs DIRECTORY: bundles cli/boot-cli.ts into DIRECTORY/boot.cjs with
// bytecode, without what one cold boot that is not traced never loads (bundle.mjs says what it is
// for).

const left = new RegExp(`/(${[
  'boot/build/[a-z-]+', 'boot/image/(verify|baseline-image)', 'boot/restore/(baseline|template)',
  'boot/run/strace-hook', 'template', 'boot-many', 'save-guest', 'help', 'show-version',
].join('|')})\\.ts$`);

const result = await Bun.build({
  entrypoints: ['cli/boot-cli.ts'],
  outdir: process.argv[2],
  external: ['koffi'],
  target: 'bun',
  format: 'cjs',
  bytecode: true,
  naming: 'boot.cjs',
  minify: { whitespace: true, syntax: true, identifiers: false },
  // Without it, import.meta.url would be the path of the source on this machine.
  define: { 'import.meta.url': 'module.filename' },
  plugins: [{
    name: 'leave out',
    setup(build) {
      build.onResolve({ filter: left }, ({ kind, path }) => {
        return kind === 'dynamic-import' ? { path, external: true } : undefined;
      });
    },
  }],
});
if (!result.success) throw new AggregateError(result.logs, 'the bundle for boots failed');
