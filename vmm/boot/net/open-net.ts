// Connects a sandbox with the host's network. Loaded only for those that want one.
import type { SandboxOptions } from '../../options.ts';
import { CatavmmError } from '../../errors.ts';
import { closeInstance, type Instance } from '../run/instance.ts';
import { HostNet } from './host-net.ts';

const PORT_MOST = 65_535;

/** @throws CatavmmError when a port cannot be published; the instance is closed then */
export async function openNet(instance: Instance, options: SandboxOptions): Promise<void> {
  const { k, console } = instance;
  const wake = (): void => (console as { interrupt?: () => void }).interrupt?.();
  const net = new HostNet(k, options.network === 'host', wake);
  try {
    for (const port of options.publish ?? []) {
      requirePort(port.hostPort, 0);
      requirePort(port.guestPort, 1);
      const hostPort = await net.publish(port);
      const { address = '127.0.0.1', guestPort } = port;
      if (port.hostPort === 0) {
        options.onEvent?.('published', `${address}:${hostPort} leads to port ${guestPort}`);
      }
    }
  } catch (error) {
    await net.close();
    closeInstance(instance);
    throw error;
  }
  k.ports.net = net;
  instance.closeNet = () => net.close();
}

function requirePort(port: number, least: number): void {
  if (Number.isInteger(port) && port >= least && port <= PORT_MOST) return;
  throw new CatavmmError('CATAVMM_OPTION', `${port} is not a port.`, `Give ${least} to 65535.`);
}
