// System calls that the guest kernel does not have, each with the errno that Linux gives when the
// feature is not built in (ENOSYS), or when the caller may not do it (EPERM: the guest's root is
// not the host's). Programs know both and go on; a success that does nothing would mislead them.
//
// Invariant: a name here is in no family (a test checks), and every other name is in one.
import { EACCES, ENOSYS, EOPNOTSUPP, EPERM } from '../../abi/errno.ts';
import { type Family, missing, type Row } from './define.ts';

/** One note for several names. */
function rows(names: string, errno: number, note: string): Record<string, Row> {
  return Object.fromEntries(names.split(' ').map((name) => [name, missing(errno, note)]));
}

let calls: Family | null = null;

/** All of them, made when they are first asked for. */
export function absentCalls(): Family {
  calls ??= listCalls();
  return calls;
}

const listCalls = (): Family => ({
  // Linux: sys_ni_syscall and calls that have been removed.
  ...rows(
    '_sysctl create_module get_kernel_syms query_module nfsservctl uselib lookup_dcookie ' +
      'epoll_ctl_old epoll_wait_old',
    ENOSYS,
    'Removed from Linux.',
  ),
  ...rows(
    'getpmsg putpmsg afs_syscall tuxcall security vserver',
    ENOSYS,
    'Reserved; Linux has never implemented it.',
  ),
  ...rows('sysfs', ENOSYS, 'As without CONFIG_SYSFS_SYSCALL.'),
  ...rows('ustat', ENOSYS, 'Obsolete; statfs(2) answers.'),
  ...rows('remap_file_pages', ENOSYS, 'Obsolete; mmap(2) does it.'),

  // Interprocess communication between processes that do not exist here.
  ...rows(
    'shmget shmat shmctl shmdt semget semop semctl semtimedop msgget msgsnd msgrcv msgctl',
    ENOSYS,
    'As without CONFIG_SYSVIPC.',
  ),
  ...rows(
    'mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr',
    ENOSYS,
    'As without CONFIG_POSIX_MQUEUE.',
  ),
  ...rows('add_key request_key keyctl', ENOSYS, 'As without CONFIG_KEYS.'),

  // Asynchronous input and output: programs fall back on threads.
  ...rows(
    'io_setup io_destroy io_getevents io_submit io_cancel io_pgetevents',
    ENOSYS,
    'As without CONFIG_AIO.',
  ),
  ...rows(
    'io_uring_setup io_uring_enter io_uring_register',
    ENOSYS,
    'As without CONFIG_IO_URING.',
  ),

  // Notification and handles of file systems.
  ...rows(
    'inotify_init inotify_init1 inotify_add_watch inotify_rm_watch',
    ENOSYS,
    'As without CONFIG_INOTIFY_USER: watchers poll instead.',
  ),
  ...rows('fanotify_init fanotify_mark', ENOSYS, 'As without CONFIG_FANOTIFY.'),
  ...rows('name_to_handle_at', EOPNOTSUPP, 'No file system here has handles.'),
  ...rows('open_by_handle_at', EPERM, 'Needs CAP_DAC_READ_SEARCH of the host.'),
  ...rows('cachestat', ENOSYS, 'As without CONFIG_CACHESTAT_SYSCALL.'),
  ...rows('file_getattr file_setattr', EOPNOTSUPP, 'No file system here has such attributes.'),
  ...rows(
    'setxattrat getxattrat listxattrat removexattrat',
    EOPNOTSUPP,
    'No file system here has extended attributes.',
  ),

  // Mounts and namespaces.
  ...rows(
    'mount umount2 pivot_root open_tree open_tree_attr move_mount fsopen fsconfig fsmount ' +
      'fspick mount_setattr',
    EPERM,
    'Needs CAP_SYS_ADMIN of the host.',
  ),
  ...rows('statmount listmount', ENOSYS, 'As before Linux 6.8; /proc/self/mountinfo answers.'),
  ...rows('quotactl quotactl_fd', ENOSYS, 'As without CONFIG_QUOTACTL.'),

  // What only the administrator of a host does.
  ...rows(
    'acct swapon swapoff reboot iopl ioperm init_module finit_module ' +
      'delete_module kexec_load kexec_file_load vhangup',
    EPERM,
    'Needs a capability of the host.',
  ),

  // Tracing, profiling, programs for the kernel.
  ...rows('perf_event_open', EACCES, 'As with kernel.perf_event_paranoid = 3.'),
  ...rows('bpf', EPERM, 'As with kernel.unprivileged_bpf_disabled.'),
  ...rows('userfaultfd', ENOSYS, 'As without CONFIG_USERFAULTFD.'),
  ...rows('uretprobe uprobe', ENOSYS, 'Only probes call it.'),
  ...rows(
    'process_vm_readv process_vm_writev',
    ENOSYS,
    'As without CONFIG_CROSS_MEMORY_ATTACH.',
  ),

  // Other processes.
  ...rows('process_mrelease', ENOSYS, 'There are no pidfds.'),

  // Security modules and self-restriction.
  ...rows(
    'landlock_create_ruleset landlock_add_rule landlock_restrict_self',
    ENOSYS,
    'As without CONFIG_SECURITY_LANDLOCK.',
  ),
  ...rows(
    'lsm_get_self_attr lsm_set_self_attr lsm_list_modules',
    ENOSYS,
    'As without CONFIG_SECURITY.',
  ),

  // Memory that this machine does not have.
  ...rows('memfd_secret', ENOSYS, 'As without CONFIG_SECRETMEM.'),
  ...rows('map_shadow_stack', EOPNOTSUPP, 'As on a CPU without shadow stacks.'),
  ...rows('pkey_mprotect pkey_alloc pkey_free', ENOSYS, 'As without protection keys.'),
  ...rows('mseal', ENOSYS, 'As before Linux 6.10.'),
  ...rows(
    'mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node',
    ENOSYS,
    'As without CONFIG_NUMA.',
  ),
});
