// Structs of sockets. Ports and flow labels are in network order and read as the number they mean.
// Source: <linux/socket.h>, <linux/un.h>, <linux/in.h>, <linux/in6.h>, <linux/netlink.h>.
import { blob, type Codec, i32, type Layout, pad, struct, u16, u32, usize } from './layout.ts';

const u16be: Codec<number> = {
  bytes: 2,
  align: 2,
  read: (view, offset) => view.getUint16(offset),
  write: (view, offset, value) => view.setUint16(offset, value),
};

/** `struct msghdr` (user_msghdr). */
export const Msghdr: Layout<
  | 'msg_name' | 'msg_namelen' | 'msg_iov' | 'msg_iovlen' | 'msg_control' | 'msg_controllen'
  | 'msg_flags'
> = struct('msghdr', 56, {
  msg_name: usize,
  msg_namelen: i32,
  msg_iov: usize,
  msg_iovlen: usize,
  msg_control: usize,
  msg_controllen: usize,
  msg_flags: u32,
});

/** `struct mmsghdr`: a Msghdr and what it transferred. */
export const Mmsghdr: Layout<'msg_hdr' | 'msg_len'> =
  struct('mmsghdr', 64, { msg_hdr: blob(56, 8), msg_len: u32 });

/** `struct cmsghdr`: data follows; each message is padded to 8 bytes. */
export const Cmsghdr: Layout<'cmsg_len' | 'cmsg_level' | 'cmsg_type'> =
  struct('cmsghdr', 16, { cmsg_len: usize, cmsg_level: i32, cmsg_type: i32 });

/** `struct ucred` */
export const Ucred: Layout<'pid' | 'uid' | 'gid'> =
  struct('ucred', 12, { pid: i32, uid: u32, gid: u32 });

/** `struct linger` */
export const Linger: Layout<'l_onoff' | 'l_linger'> =
  struct('linger', 8, { l_onoff: i32, l_linger: i32 });

/** `struct sockaddr_un` */
export const SockaddrUn: Layout<'sun_family' | 'sun_path'> =
  struct('sockaddr_un', 110, { sun_family: u16, sun_path: blob(108) });

/** `struct sockaddr_in` */
export const SockaddrIn: Layout<'sin_family' | 'sin_port' | 'sin_addr'> =
  struct('sockaddr_in', 16, {
    sin_family: u16,
    sin_port: u16be,
    sin_addr: blob(4, 4),
    _zero: pad(8),
  });

/** `struct sockaddr_in6` */
export const SockaddrIn6: Layout<
  'sin6_family' | 'sin6_port' | 'sin6_flowinfo' | 'sin6_addr' | 'sin6_scope_id'
> = struct('sockaddr_in6', 28, {
  sin6_family: u16,
  sin6_port: u16be,
  sin6_flowinfo: u32,
  sin6_addr: blob(16, 4),
  sin6_scope_id: u32,
});

/** `struct sockaddr_nl` */
export const SockaddrNl: Layout<'nl_family' | 'nl_pid' | 'nl_groups'> =
  struct('sockaddr_nl', 12, { nl_family: u16, _pad: u16, nl_pid: u32, nl_groups: u32 });

/** `struct nlmsghdr` */
export const Nlmsghdr: Layout<
  'nlmsg_len' | 'nlmsg_type' | 'nlmsg_flags' | 'nlmsg_seq' | 'nlmsg_pid'
> = struct('nlmsghdr', 16, {
  nlmsg_len: u32,
  nlmsg_type: u16,
  nlmsg_flags: u16,
  nlmsg_seq: u32,
  nlmsg_pid: u32,
});
