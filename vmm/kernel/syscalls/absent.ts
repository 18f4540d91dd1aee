// System calls that the guest kernel does not have, each with the errno that Linux gives when the
// feature is not built in (ENOSYS), or when the caller may not do it (EPERM: the guest's root is
// not the host's). Programs know both and go on; a success that does nothing would mislead them.
//
// Invariant: a name here is in no family (a test checks), and every other name is in one.
import { EACCES, ENOSYS, EOPNOTSUPP, EPERM } from '../../abi/errno.ts';
import { type Family, missing } from './define.ts';

/** Names that share an errno and a note. */
type Group = readonly [names: string, errno: number, note: string];

const GROUPS: readonly Group[] = [
  // Linux: sys_ni_syscall and calls that have been removed.
  [
    '_sysctl create_module get_kernel_syms query_module nfsservctl uselib lookup_dcookie ' +
      'epoll_ctl_old epoll_wait_old',
    ENOSYS,
    'Removed from Linux.',
  ],
  [
    'getpmsg putpmsg afs_syscall tuxcall security vserver',
    ENOSYS,
    'Reserved; Linux has never implemented it.',
  ],
  ['sysfs', ENOSYS, 'As without CONFIG_SYSFS_SYSCALL.'],
  ['ustat', ENOSYS, 'Obsolete; statfs(2) answers.'],
  ['remap_file_pages', ENOSYS, 'Obsolete; mmap(2) does it.'],

  // Interprocess communication between processes that do not exist here.
  [
    'shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl',
    ENOSYS,
    'As without CONFIG_SYSVIPC.',
  ],
  [
    'mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr',
    ENOSYS,
    'As without CONFIG_POSIX_MQUEUE.',
  ],
  ['add_key request_key keyctl', ENOSYS, 'As without CONFIG_KEYS.'],

  // Asynchronous input and output: programs fall back on threads.
  [
    'io_setup io_destroy io_getevents io_submit io_cancel io_pgetevents',
    ENOSYS,
    'As without CONFIG_AIO.',
  ],
  [
    'io_uring_setup io_uring_enter io_uring_register',
    ENOSYS,
    'As without CONFIG_IO_URING.',
  ],

  // Notification and handles of file systems.
  ['fanotify_init fanotify_mark', ENOSYS, 'As without CONFIG_FANOTIFY.'],
  ['name_to_handle_at', EOPNOTSUPP, 'No file system here has handles.'],
  ['open_by_handle_at', EPERM, 'Needs CAP_DAC_READ_SEARCH of the host.'],
  ['cachestat', ENOSYS, 'As without CONFIG_CACHESTAT_SYSCALL.'],
  ['file_getattr file_setattr', EOPNOTSUPP, 'No file system here has such attributes.'],
  [
    'setxattrat getxattrat listxattrat removexattrat',
    ENOSYS,
    'As before Linux 6.13: callers use setxattr(2) and its relatives.',
  ],

  // Mounts and namespaces.
  [
    'mount umount2 pivot_root open_tree open_tree_attr move_mount fsopen fsconfig fsmount ' +
      'fspick mount_setattr',
    EPERM,
    'Needs CAP_SYS_ADMIN of the host.',
  ],
  ['statmount listmount', ENOSYS, 'As before Linux 6.8; /proc/self/mountinfo answers.'],
  ['quotactl quotactl_fd', ENOSYS, 'As without CONFIG_QUOTACTL.'],

  // What only the administrator of a host does.
  [
    'acct swapon swapoff reboot iopl ioperm init_module finit_module ' +
      'delete_module kexec_load kexec_file_load vhangup',
    EPERM,
    'Needs a capability of the host.',
  ],

  // Tracing, profiling, programs for the kernel.
  ['perf_event_open', EACCES, 'As with kernel.perf_event_paranoid = 3.'],
  ['bpf', EPERM, 'As with kernel.unprivileged_bpf_disabled.'],
  ['userfaultfd', ENOSYS, 'As without CONFIG_USERFAULTFD.'],
  ['uretprobe uprobe', ENOSYS, 'Only probes call it.'],
  [
    'process_vm_readv process_vm_writev',
    ENOSYS,
    'As without CONFIG_CROSS_MEMORY_ATTACH.',
  ],

  // Other processes.
  ['process_mrelease', ENOSYS, 'As before Linux 5.15: memory goes with its process.'],

  // Security modules and self-restriction.
  [
    'landlock_create_ruleset landlock_add_rule landlock_restrict_self',
    ENOSYS,
    'As without CONFIG_SECURITY_LANDLOCK.',
  ],
  [
    'lsm_get_self_attr lsm_set_self_attr lsm_list_modules',
    ENOSYS,
    'As without CONFIG_SECURITY.',
  ],

  // Memory that this machine does not have.
  ['memfd_secret', ENOSYS, 'As without CONFIG_SECRETMEM.'],
  ['map_shadow_stack', EOPNOTSUPP, 'As on a CPU without shadow stacks.'],
  ['pkey_mprotect pkey_alloc pkey_free', ENOSYS, 'As without protection keys.'],
  ['mseal', ENOSYS, 'As before Linux 6.10.'],
  [
    'mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node',
    ENOSYS,
    'As without CONFIG_NUMA.',
  ],
];

let calls: Family | null = null;

/** All of them, made when they are first asked for. */
export function absentCalls(): Family {
  calls ??= Object.fromEntries(GROUPS.flatMap(([names, errno, note]) =>
    names.split(' ').map((name) => [name, missing(errno, note)] as const)));
  return calls;
}
