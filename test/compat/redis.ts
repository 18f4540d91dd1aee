// redis-server on a socket of the file system, and redis-benchmark against it.

import type { Script } from './suites.ts';

function withServer(flags: string, client: string): string {
  return `redis-server --port 0 --unixsocket $PWD/r.sock --dir . ${flags} > log 2>&1 &
i=0; until redis-cli -s r.sock ping >/dev/null 2>&1 || [ $i -gt 100 ]; do
  sleep 0.1; i=$((i + 1)); done
c="redis-cli -s r.sock"
${client}
r=$?; $c shutdown nosave 2>/dev/null; wait; [ $r = 0 ] || { cat log >&2; exit $r; }`;
}

function benchmark(id: string, flags: string): Script {
  return {
    id: `benchmark ${id}`,
    code: withServer('--save ""', `redis-benchmark -s r.sock -q ${flags} > b && grep -c second b`),
    quiet: true,
  };
}

export const redisScripts: readonly Script[] = [
  { id: 'commands', code: withServer('--save ""', `$c set a 1; $c incr a; $c lpush l x y z
$c lrange l 0 -1; $c hset h f v; $c hgetall h; $c zadd z 2 b 1 a; $c zrange z 0 -1
$c eval 'return redis.call("get", KEYS[1])' 1 a; $c expire a 100; $c ttl a`) },
  { id: 'save in a child', code: withServer('', `$c set a 1; $c bgsave; sleep 1
ls dump.rdb; $c debug reload 2>&1; $c get a`) },
  { id: 'append-only file', code: withServer('--appendonly yes', `$c set a 1
$c bgrewriteaof; sleep 1
$c set b 2; ls -d appendonly*; $c info persistence | grep -c aof_enabled:1`) },
  { id: 'publish', code: withServer('', `timeout 3 $c subscribe ch > got & sleep 1
$c publish ch hello; wait $!; cat got`) },
  benchmark('get and set', '-n 2000 -c 10 -t get,set'),
  benchmark('lists', '-n 2000 -c 10 -t lpush,lpop,lrange_100'),
  benchmark('pipelined', '-n 5000 -c 10 -P 16 -t set,get,incr'),
];
