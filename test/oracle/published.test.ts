// Ports of a sandbox on the host, and what guests reach outside: --publish and --net.
import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { FuncImage } from '../../vmm/func-image.ts';
import { CatavmmError } from '../../vmm/errors.ts';
import { Sandbox } from '../../vmm/sandbox.ts';
import { Template } from '../../vmm/template.ts';
import { assert, kvmMissing, needs, suite } from '../harness.ts';
import { compileFixture, compilerMissing } from './compile.ts';
import { waitForText, withImage, withTemplate } from './forks.ts';
import { textOf } from './process.ts';

const test = suite('test/oracle/published');
const testBoth = needs(test, kvmMissing() ?? compilerMissing());
/** An address of this host that is not the loopback's. */
const ownAddress = Object.values(networkInterfaces()).flatMap((all) => all ?? [])
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
const testOutbound = needs(test, kvmMissing() ?? compilerMissing() ??
  (ownAddress === undefined ? 'an IPv4 address beside 127.0.0.1' : undefined));

const server = (): { command: string[]; entry: { kind: 'listen' } } =>
  ({ command: [compileFixture('serve', 'static')], entry: { kind: 'listen' } });

/** Takes the port from the event that tells of it. */
class Port {
  #tell: (port: number) => void = () => {};
  readonly known: Promise<number> = new Promise((resolve) => { this.#tell = resolve; });
  readonly options = {
    publish: [{ hostPort: 0, guestPort: 7000 }],
    onEvent: (kind: string, detail: string): void => {
      if (kind === 'published') this.#tell(Number(/:(\d+)/.exec(detail)?.[1]));
    },
  };
}

function open(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.once('connect', () => { resolve(socket); });
    socket.once('error', reject);
  });
}

/** Sends text and collects `bytes` bytes of the answer, all until the end unless given. */
function exchange(socket: Socket, text: string, bytes: number = Infinity): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const onData = (data: Uint8Array): void => {
      answer += textOf(data);
      if (answer.length >= bytes) finish();
    };
    const finish = (): void => {
      socket.off('data', onData);
      resolve(answer);
    };
    socket.on('data', onData);
    socket.once('end', finish);
    socket.once('error', reject);
    socket.write(text);
  });
}

async function ask(port: number, text: string): Promise<string> {
  const socket = await open(port);
  const answer = await exchange(socket, text, text.length);
  socket.destroy();
  return answer;
}

testBoth('a run answers at a port of the host', async () => {
  const port = new Port();
  await using sandbox = await Sandbox.run({ command: server().command, ...port.options });
  const reader = sandbox.stdout.getReader();
  await waitForText(reader, 'listens');
  const first = await open(await port.known);
  const second = await open(await port.known);
  assert.is(await exchange(first, 'one', 3), 'ONE');
  assert.is(await exchange(second, 'two', 3), 'TWO');
  first.end();
  await waitForText(reader, 'end');
  assert.is(await exchange(second, 'three', 5), 'THREE');
  second.destroy();
}, { timeoutMs: 60_000 });

testBoth('an image answers after a boot and after forks, several at a time', async () => {
  await withTemplate(server(), async (template: Template, image: FuncImage) => {
    const ports = [new Port(), new Port(), new Port()] as const;
    const sandboxes = [
      await image.boot(ports[0].options), await template.fork(ports[1].options),
      await template.fork(ports[2].options),
    ];
    const answers = await Promise.all(ports.map(async (port, index) =>
      await ask(await port.known, `number ${index}`)));
    assert.equal(answers, ['NUMBER 0', 'NUMBER 1', 'NUMBER 2']);
    for (const sandbox of sandboxes) await sandbox.close();
  });
}, { timeoutMs: 60_000 });

testBoth('what a guest has sent arrives although it has ended', async () => {
  await withImage(server(), async (image) => {
    const port = new Port();
    const sandbox = await image.boot(port.options);
    const socket = await open(await port.known);
    const answer = exchange(socket, 'flood 3000000');
    assert.is((await sandbox.status).code, 0);
    assert.is((await answer).length, 3_000_000);
    await sandbox.close();
  });
}, { timeoutMs: 60_000 });

testBoth('connections are reset in a fork, and the listener is there', async () => {
  const [port, forked] = [new Port(), new Port()];
  await using sandbox = await Sandbox.run({ command: server().command, ...port.options });
  await waitForText(sandbox.stdout.getReader(), 'listens');
  const socket = await open(await port.known);
  assert.is(await exchange(socket, 'before', 6), 'BEFORE');
  const fork = await sandbox.fork(forked.options);
  await waitForText(fork.stdout.getReader(), 'ECONNRESET');
  assert.is(await ask(await forked.known, 'fork'), 'FORK');
  assert.is(await exchange(socket, 'still', 5), 'STILL');
  socket.destroy();
  await fork.close();
}, { timeoutMs: 60_000 });

testBoth('connections to a port at which nobody listens end at once', async () => {
  const port = new Port();
  await using sandbox = await Sandbox.run({ command: ['sleep', '100'], ...port.options });
  const socket = connect(await port.known, '127.0.0.1');
  socket.on('error', () => {});
  await new Promise((resolve) => { socket.once('close', resolve); });
  sandbox.kill();
}, { timeoutMs: 60_000 });

testBoth('a port that is taken is an error in a sentence', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => { taken.listen(0, '127.0.0.1', resolve); });
  const { port } = taken.address() as AddressInfo;
  try {
    const publish = [{ hostPort: port, guestPort: 7000 }];
    const error = await Sandbox.run({ command: ['true'], publish }).then(() => null, (e) => e);
    assert.ok(CatavmmError.is(error), String(error));
    assert.match((error as Error).message, /cannot be published: EADDRINUSE/);
    const wrong = await Sandbox.run({ command: ['true'], publish: [{ hostPort: 0, guestPort: 0 }] })
      .then(() => null, (e) => e);
    assert.match(String(wrong), /0 is not a port/);
  } finally {
    taken.close();
  }
}, { timeoutMs: 60_000 });

testOutbound('with the host\'s network a guest reaches what the host does', async () => {
  const echo = createServer({ allowHalfOpen: true }, (socket) => { socket.pipe(socket); });
  const datagrams = createSocket('udp4', (data, { address, port }) => {
    datagrams.send(textOf(data).toUpperCase(), port, address);
  });
  await new Promise<void>((resolve) => { echo.listen(0, '0.0.0.0', resolve); });
  await new Promise<void>((resolve) => { datagrams.bind(0, '0.0.0.0', resolve); });
  const ports = [echo.address() as AddressInfo, datagrams.address()].map(({ port }) => `${port}`);
  const command = [compileFixture('reach', 'static'), ownAddress ?? '', ...ports];
  try {
    await using inside = await Sandbox.run({ command, network: 'host' });
    const { code, stdout } = await inside.output();
    assert.is(code, 0);
    assert.match(textOf(stdout), /<by stream\n>/);
    assert.match(textOf(stdout), /<BY DATAGRAM> from there/);
    assert.match(textOf(stdout), /= -ECONNREFUSED/);
    await using without = await Sandbox.run({ command, timeoutMs: 2000 });
    assert.match(textOf((await without.output()).stdout), /= -ENETUNREACH/);
  } finally {
    echo.close();
    datagrams.close();
  }
}, { timeoutMs: 60_000 });

test.run();
