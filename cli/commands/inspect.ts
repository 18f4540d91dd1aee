// `catavmm inspect`: what is in an image, what several share, or how two differ. Exit code 1 when
// two differ, as diff(1) has it.

import { ImageChain } from '../../vmm/boot/image/image-chain.ts';
import { ImageFile } from '../../vmm/boot/image/image-file.ts';
import type { Command, Context } from '../context.ts';
import { UsageError } from '../errors.ts';
import { EXIT_NO } from '../exit-codes.ts';
import { diffImages, inspectImage, inspectionToJson } from '../inspect.ts';
import type { Inspection } from '../inspect.ts';
import { inspectSharing } from '../inspect-layers.ts';
import type { Output } from '../output.ts';
import { formatTable, printable, printableBytes } from '../output.ts';
import { formatBytes, formatCount } from '../sizes.ts';

/** O_ACCMODE, as the I/O table's flags have it. */
const accessNames: readonly string[] = ['r', 'w', 'rw', '?'];
const differencesShown = 40;
const pageBytes = 4096;

function indent(text: string): string {
  return text.replaceAll(/^/gm, '  ');
}

function hex(bytes: Uint8Array, shown: number = bytes.length): string {
  return Buffer.from(bytes).toString('hex').slice(0, shown * 2);
}

/** `argv` as a shell would take it. */
function formatCommand(argv: readonly Uint8Array[]): string {
  return argv.map((bytes) => {
    const text = printableBytes(bytes);
    return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
  }).join(' ');
}

function describeParent({ header, layers }: Inspection): string[][] {
  if (header.parent === null) return [['parent', 'none']];
  const { parent, own, shared, below } = layers;
  if (parent === null || shared === null || below === null) {
    return [['parent', `${hex(header.parent)}, which is not beside it`]];
  }
  return [
    ['parent', `${printable(parent)}, ${hex(header.parent, 6)}…`],
    ['frames', `${formatCount(own)} own, ${formatCount(shared)} shared ` +
      `of its parents' ${formatCount(below)}`],
  ];
}

function listProgram(inspection: Inspection): string[][] {
  const { header } = inspection;
  const { program, entry, rootfs, cpu, clock, memory } = header;
  const line = entry.line === undefined ? '' : `, "${printableBytes(entry.line)}"`;
  return [
    ['program', formatCommand(program.argv)],
    ['directory', printableBytes(program.cwd)],
    ['environment', program.env.map(printableBytes).join(' ')],
    ['rootfs', printable(rootfs.path) + (rootfs.selfContained ? ', self-contained' : '')],
    ...(rootfs.volumes ?? []).map(({ source, target, readOnly }) => [
      'volume', `${printable(source)} as ${printable(target)}${readOnly ? ', read-only' : ''}`,
    ]),
    ['entry', entry.kind + line],
    ['memory', `${formatBytes(memory.limitBytes)} limit, ${formatCount(memory.frames)} frames ` +
      `(${formatCount(memory.hotFrames)} touched first), ${formatCount(memory.tables)} tables`],
    ['cpu', `${cpu.baseline}, XCR0 0x${cpu.xcr0.toString(16)}, ` +
      `${cpu.features.length} CPUID leaves, ${cpu.xsaveBytes} bytes of state per thread`],
    ['clock', clock.deterministic ? 'deterministic' : 'of the host'],
    ['kernel', `ABI ${header.kernelAbi}, schema ${hex(header.kernelSchema, 6)}…`],
    ...describeParent(inspection),
    ['made by', `catavmm ${printable(header.createdBy.catavmm)}`],
  ];
}

function formatSections({ sections }: Inspection): string {
  const rows = sections.map(({ kind, offset, bytes, sha256 }) => [
    kind, `0x${offset.toString(16)}`, formatBytes(bytes), `${hex(sha256, 6)}…`,
  ]);
  return formatTable([['section', 'offset', 'size', 'sha256'], ...rows], [1, 2]);
}

function formatObjects({ objects, relations }: Inspection): string {
  const count = objects.reduce((sum, kind) => sum + kind.count, 0);
  const bytes = objects.reduce((sum, kind) => sum + kind.bytes, 0);
  const rows = objects.map((kind) => [
    kind.kind, formatCount(kind.count), formatBytes(kind.bytes),
  ]);
  const total = ['total', formatCount(count), formatBytes(bytes)];
  const table = formatTable([['objects', 'count', 'size'], ...rows, total], [1, 2]);
  return `${table}\n${formatCount(relations)} relations`;
}

function formatIo({ io }: Inspection): string {
  const rows = io.map(({ fd, kind, flags, offset, cached, path }) => [
    String(fd), kind, accessNames[flags & 3] as string, String(offset),
    cached ? 'yes' : '', printableBytes(path),
  ]);
  return formatTable([['fd', 'kind', 'mode', 'offset', 'cached', 'path'], ...rows], [0, 3]);
}

function formatFeatures({ header }: Inspection): string {
  const word = (value: number): string => value.toString(16).padStart(8, '0');
  const rows = header.cpu.features.map(({ leaf, subleaf, eax, ebx, ecx, edx }) => [
    word(leaf), String(subleaf), word(eax), word(ebx), word(ecx), word(edx),
  ]);
  return formatTable([['cpuid', 'sub', 'eax', 'ebx', 'ecx', 'edx'], ...rows], [1]);
}

function showInspection(inspection: Inspection, output: Output): void {
  const { image, bytes, digest } = inspection;
  output.print(`${output.paint('bold', printable(image))}: ${formatBytes(bytes)}`);
  output.print(indent(formatTable([...listProgram(inspection), ['digest', hex(digest)]])));
  for (const part of [formatSections, formatObjects, formatIo, formatFeatures]) {
    output.print('');
    const [head = '', ...rest] = indent(part(inspection)).split('\n');
    output.print([output.paint('bold', head), ...rest].join('\n'));
  }
}

interface Closable {
  close(): void;
}

/** Runs `use` with images that are open, and closes them. */
function withImages<I extends Closable, T>(
  paths: readonly string[], open: (path: string) => I, use: (...images: I[]) => T,
): T {
  const images: I[] = [];
  try {
    for (const path of paths) images.push(open(path));
    return use(...images);
  } finally {
    for (const image of images) image.close();
  }
}

function showDifferences({ args, output }: Context): number {
  const found = withImages(args.operands, (path) => new ImageChain(path),
    (a, b) => diffImages(a as ImageChain, b as ImageChain));
  const pages = found.map(({ gva, reason }) => ({ page: `0x${gva.toString(16)}`, reason }));
  if (output.json) {
    output.printJson(pages);
    return pages.length === 0 ? 0 : EXIT_NO;
  }
  const shown = pages.slice(0, differencesShown).map(({ page, reason }) => [page, reason]);
  if (shown.length > 0) output.print(formatTable([['page', 'difference'], ...shown], [0]));
  const more = pages.length - shown.length;
  if (more > 0) output.print(`… and ${formatCount(more)} more (--json lists all)`);
  output.print(pages.length === 0
    ? 'The images have the same guest pages.'
    : `${formatCount(pages.length)} guest pages differ.`);
  return pages.length === 0 ? 0 : EXIT_NO;
}

function showSharing({ args, output }: Context): number {
  const sharing = inspectSharing(args.operands);
  if (output.json) {
    output.printJson(sharing);
    return 0;
  }
  const rows = sharing.images.map(({ image, parent, own, shared }) => [
    printable(image), parent === null ? 'none' : printable(parent),
    formatCount(own), formatCount(shared ?? 0),
  ]);
  output.print(formatTable([['image', 'parent', 'own frames', 'shared'], ...rows], [2, 3]));
  const { common } = sharing;
  output.print(common === 0
    ? 'They have no frames in common.'
    : `${formatCount(common)} frames (${formatBytes(common * pageBytes)}) ` +
      'are used by all of them and kept once.');
  return 0;
}

export const command: Command = (context) => {
  const { args, output } = context;
  const { length } = args.operands;
  if (args.has('diff')) {
    if (length === 2) return showDifferences(context);
    throw new UsageError(`inspect takes two images with --diff, not ${length}.`);
  }
  if (length > 1) return showSharing(context);
  const inspection = withImages(args.operands, (path) => new ImageFile(path),
    (file) => inspectImage(file as ImageFile));
  if (output.json) output.printJson(inspectionToJson(inspection));
  else showInspection(inspection, output);
  return 0;
};
