// /proc/net: the loopback interface, and no routes to anywhere else.
import { directoryWith } from './constants.ts';
import { defineGenerator } from './generated.ts';
import { GEN } from './ids.ts';
import './net-sockets.ts';

const SOCKETS = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   ' +
  'uid  timeout inode ref pointer drops\n';
const SOCKETS_6 = '  sl  local_address                         remote_address' +
  '                        st tx_queue rx_queue tr tm->when retrnsmt   ' +
  'uid  timeout inode ref pointer drops\n';
const ROUTES = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\t' +
  'Window\tIRTT';
const DEVICES = 'Inter-|   Receive                                                |  Transmit\n' +
  ' face |bytes    packets errs drop fifo frame compressed multicast|' +
  'bytes    packets errs drop fifo colls carrier compressed\n' +
  '    lo:       0       0    0    0    0     0          0         0' +
  '        0       0    0    0    0     0       0          0\n';

defineGenerator(GEN.netLink, { mode: 0o120777, link: () => 'self/net' });
const files = directoryWith({
  tcp: GEN.netTcp, tcp6: GEN.netTcp6, udp: GEN.netUdp, udp6: GEN.netUdp6, unix: GEN.netUnix,
}, GEN.constant, [
  [1, 'arp', 'IP address       HW type     Flags       HW address            Mask     Device\n'],
  [2, 'dev', DEVICES],
  [3, 'if_inet6', '00000000000000000000000000000001 01 80 10 80       lo\n'],
  [4, 'raw', SOCKETS],
  [5, 'raw6', SOCKETS_6],
  [6, 'route', `${ROUTES.padEnd(127)}\n`],
  [7, 'udplite', SOCKETS],
  [8, 'udplite6', SOCKETS_6],
]);

/** The same for all processes, whose one directory it is in. */
defineGenerator(GEN.netDir, {
  mode: files.mode,
  child: (k, _pid, name) => files.child?.(k, 0, name) ?? null,
  list: (k) => files.list?.(k, 0) ?? [],
});
