// What is run: modules of CPython's regression tests, and sets of small shell scripts.

import { existsSync } from 'node:fs';
import { busyboxScripts } from './busybox.ts';
import { redisScripts } from './redis.ts';
import { sqliteScripts } from './sqlite.ts';
import { stressScripts } from './stress.ts';

/** A shell script; passes where it ends with 0, and in the sandbox prints what it did natively. */
export interface Script {
  id: string;
  code: string;
  /** What differs between two native runs as well: only the exit code counts. */
  quiet?: boolean;
}

export interface Suite {
  name: string;
  kind: 'python' | 'scripts';
  scripts: readonly Script[];
  /** A file that has to be there, and the package that brings it. */
  needs: readonly [string, string];
}

const pythonModules: readonly string[] = [
  'test_os', 'test_posix', 'test_io', 'test_fileio', 'test_pathlib', 'test_shutil',
  'test_tempfile', 'test_stat', 'test_select', 'test_selectors', 'test_poll', 'test_epoll',
  'test_threading', 'test_thread', 'test_signal', 'test_subprocess', 'test_mmap', 'test_time',
  'test_fcntl', 'test_resource', 'test_zipfile', 'test_hashlib', 'test_json', 'test_re',
  'test_socket', 'test_asyncio', 'test_multiprocessing_fork', 'test_pty', 'test_ssl',
  'test_eintr', 'test_wait3', 'test_wait4', 'test_fork1', 'test_openpty', 'test_ioctl',
  'test_popen', 'test_posixpath', 'test_glob', 'test_largefile', 'test_file', 'test_filecmp',
  'test_tarfile', 'test_gzip', 'test_mailbox', 'test_dbm', 'test_shelve', 'test_queue',
  'test_concurrent_futures', 'test_faulthandler', 'test_cmd_line', 'test_sys', 'test_import',
  'test_threadsignals', 'test_threadedtempfile', 'test_ctypes', 'test_compileall', 'test_runpy',
  'test_socketserver', 'test_pwd', 'test_grp',
];

function pythonSuite(name: string): Suite {
  const folder = '/usr/lib/python3.11/test';
  const isFolder = existsSync(`${folder}/${name}/__init__.py`);
  const file = isFolder ? `${folder}/${name}/__init__.py` : `${folder}/${name}.py`;
  return { name, kind: 'python', scripts: [], needs: [file, 'libpython3.11-testsuite'] };
}

function scriptSuite(
  name: string, scripts: readonly Script[], needs: readonly [string, string],
): Suite {
  return { name, kind: 'scripts', scripts, needs };
}

/** All suites, in the order in which they run. */
export const suites: readonly Suite[] = [
  ...pythonModules.map(pythonSuite),
  scriptSuite('busybox', busyboxScripts, ['/usr/bin/busybox', 'busybox']),
  scriptSuite('sqlite3', sqliteScripts, ['/usr/bin/sqlite3', 'sqlite3']),
  scriptSuite('redis', redisScripts, ['/usr/bin/redis-server', 'redis-server']),
  scriptSuite('stress-ng', stressScripts, ['/usr/bin/stress-ng', 'stress-ng']),
];
