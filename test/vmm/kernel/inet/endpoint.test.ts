// Addresses of AF_INET and AF_INET6 in one form, and back.
import { AF_INET, AF_INET6, AF_UNSPEC } from '../../../../vmm/abi/socket.ts';
import { EAFNOSUPPORT, EINVAL } from '../../../../vmm/abi/errno.ts';
import {
  anyEndpoint, destinationOf, encodeEndpoint, isAny, isBroadcast, isLoopback, isMapped, isMulticast,
  makeEndpoint, parseDestination, parseEndpoint, portOf, sameAddress, sourceFor, withPort,
} from '../../../../vmm/kernel/inet/endpoint.ts';
import { assert, suite } from '../../../harness.ts';

const test = suite('vmm/kernel/inet/endpoint');
const v4 = (a: number, b: number, c: number, d: number, port: number = 80): Uint8Array =>
  makeEndpoint(Uint8Array.of(a, b, c, d), port);

test('an address survives the way to the guest and back, in both families', () => {
  for (const [domain, endpoint] of [
    [AF_INET, v4(127, 0, 0, 1, 65_535)],
    [AF_INET6, v4(10, 1, 2, 3, 1)],
    [AF_INET6, makeEndpoint(Uint8Array.from({ length: 16 }, (_, index) => index), 258)],
  ] as const) {
    assert.equal(parseEndpoint(domain, encodeEndpoint(domain, endpoint)), endpoint);
  }
});

test('short and foreign addresses are refused', () => {
  const raw = encodeEndpoint(AF_INET, v4(1, 2, 3, 4));
  assert.is(parseEndpoint(AF_INET, raw.subarray(0, 15)), -EINVAL);
  assert.is(parseEndpoint(AF_INET, new Uint8Array(0)), -EINVAL);
  assert.is(parseEndpoint(AF_INET6, raw), -EINVAL);
  assert.is(parseEndpoint(AF_INET6, new Uint8Array(28)), -EAFNOSUPPORT);
});

test('datagrams of AF_INET6 sockets go to AF_INET addresses, too', () => {
  const raw = encodeEndpoint(AF_INET, v4(127, 0, 0, 1));
  assert.equal(parseDestination(AF_INET6, raw), v4(127, 0, 0, 1));
  raw[0] = AF_UNSPEC;
  assert.equal(parseDestination(AF_INET, raw), v4(127, 0, 0, 1));
  assert.is(parseDestination(AF_INET6, raw), null);
});

test('kinds of addresses', () => {
  assert.ok(isLoopback(v4(127, 9, 9, 9)) && !isLoopback(v4(128, 0, 0, 1)));
  assert.ok(isLoopback(sourceFor(anyEndpoint(AF_INET6, 1), 1)));
  assert.ok(isAny(anyEndpoint(AF_INET, 5)) && isAny(anyEndpoint(AF_INET6, 5)));
  assert.ok(!isAny(v4(0, 0, 0, 1)));
  assert.ok(isBroadcast(v4(255, 255, 255, 255)) && isBroadcast(v4(127, 255, 255, 255)));
  assert.ok(!isBroadcast(v4(255, 255, 255, 0)));
  assert.ok(isMulticast(v4(224, 0, 0, 1)) && !isMulticast(v4(240, 0, 0, 1)));
  assert.ok(isMapped(v4(1, 2, 3, 4)) && !isMapped(anyEndpoint(AF_INET6, 0)));
});

test('the wildcard address is the loopback address of its family', () => {
  assert.equal(destinationOf(anyEndpoint(AF_INET, 7)), v4(127, 0, 0, 1, 7));
  assert.equal(destinationOf(v4(127, 0, 0, 3)), v4(127, 0, 0, 3));
  const six = destinationOf(anyEndpoint(AF_INET6, 7));
  assert.ok(isLoopback(six) && !isMapped(six));
  assert.is(portOf(withPort(six, 9)), 9);
  assert.ok(sameAddress(six, withPort(six, 9)));
});

test.run();
