// The guest's /proc/cpuinfo: one CPU, with the flags that it may use.

import { adaptCpuInfo, readCpuInfo } from '../../../vmm/host/cpu-info.ts';
import { assert, suite } from '../../harness.ts';

const test = suite('vmm/host/cpu-info');

const host = ['0', '1'].map((number) => [
  `processor\t: ${number}`, 'vendor_id\t: SomeVendor', 'model name\t: A: CPU',
  'cpu MHz\t\t: 1234.567', 'siblings\t: 2', 'core id\t\t: 1', 'cpu cores\t: 2',
  'flags\t\t: fpu sse2 avx avx2 avx512f vmx fsgsbase', 'vmx flags\t: vnmi', 'bogomips\t: 4890.80',
  'power management:', '', '',
].join('\n')).join('');

test('adaptCpuInfo() shows the first CPU as the only one', () => {
  const text = adaptCpuInfo(host, 0xe7);
  assert.is(text, [
    'processor\t: 0', 'vendor_id\t: SomeVendor', 'model name\t: A: CPU', 'cpu MHz\t\t: 2445.400',
    'siblings\t: 1', 'core id\t\t: 0', 'cpu cores\t: 1',
    'flags\t\t: fpu sse2 avx avx2 avx512f fsgsbase', 'bogomips\t: 4890.80', 'power management:',
    '', '',
  ].join('\n'));
});

test('adaptCpuInfo() leaves out what the guest may not use', () => {
  assert.match(adaptCpuInfo(host, 7), 'flags\t\t: fpu sse2 avx avx2 fsgsbase\n');
  assert.match(adaptCpuInfo(host, 3), 'flags\t\t: fpu sse2 fsgsbase\n');
  assert.is(adaptCpuInfo('', 3), '');
});

test('readCpuInfo() is about one CPU', () => {
  assert.is(readCpuInfo(3).match(/^processor/gm)?.length ?? 1, 1);
});

test.run();
