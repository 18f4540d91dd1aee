// Scripts for the sqlite3 shell: journals, locks between processes, big transactions, recovery.

import type { Script } from './suites.ts';

const fill = `CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, v REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000)
INSERT INTO t SELECT i, 'name ' || (i * 7919 % 5000), i / 8.0 FROM n;`;
const look = 'SELECT count(*), sum(v), min(name), max(name) FROM t; PRAGMA integrity_check;';

function sql(text: string): string {
  return `sqlite3 -batch x.db <<'SQL'\n${text}\nSQL\n`;
}

function journal(mode: string): Script {
  const code = sql(`PRAGMA journal_mode=${mode};\n${fill}\n${look}`) +
    sql('BEGIN; DELETE FROM t WHERE id % 2; ROLLBACK; SELECT count(*) FROM t;') +
    sql('DELETE FROM t WHERE id % 3; VACUUM; SELECT count(*) FROM t; PRAGMA integrity_check;');
  return { id: `journal ${mode}`, code };
}

const writers = `${sql(`PRAGMA journal_mode=MODE;\n${fill}`)}
for w in 1 2 3; do
  ( i=0; while [ $i -lt 10 ]; do
    sqlite3 -cmd '.timeout 20000' x.db "INSERT INTO t(name) VALUES('w$w $i');" || exit 1
    i=$((i + 1)); done ) &
done; wait
${sql("SELECT name FROM t WHERE name LIKE 'w%' ORDER BY name; PRAGMA integrity_check;")}`;

export const sqliteScripts: readonly Script[] = [
  ...['delete', 'truncate', 'persist', 'memory', 'wal', 'off'].map(journal),
  ...['delete', 'wal'].map((mode) =>
    ({ id: `writers ${mode}`, code: writers.replace('MODE', mode) })),
  {
    id: 'killed writer',
    code: `${sql(fill)}
{ echo 'BEGIN; PRAGMA cache_size=5; DELETE FROM t WHERE id % 2; SELECT 1;'; sleep 30; } |
  sqlite3 x.db > out & p=$!
i=0; until [ -s out ] || [ $i -gt 100 ]; do sleep 0.1; i=$((i + 1)); done
kill -9 $p; wait $p 2>/dev/null
${sql(look)}`,
  },
  { id: 'mmap', code: sql(`PRAGMA mmap_size=100000000;\n${fill}\n${look}`) },
  { id: 'attach', code: sql(`${fill} ATTACH 'y.db' AS y; CREATE TABLE y.u AS SELECT * FROM t;
SELECT count(*) FROM y.u; DETACH y;`) },
  { id: 'temporary store', code: sql(`PRAGMA temp_store=1; PRAGMA cache_size=5;\n${fill}
CREATE TEMP TABLE s AS SELECT * FROM t ORDER BY name; SELECT count(*), min(name) FROM s;`) },
  { id: 'index', code: sql(`${fill} CREATE INDEX i ON t(name); ANALYZE;
EXPLAIN QUERY PLAN SELECT * FROM t WHERE name = 'name 7';
SELECT * FROM t WHERE name = 'name 7';`) },
  { id: 'full text', code: sql(`${fill} CREATE VIRTUAL TABLE f USING fts5(name);
INSERT INTO f SELECT name FROM t; SELECT count(*) FROM f WHERE f MATCH '77';`) },
  { id: 'json', code: sql("SELECT json_extract('{\"a\":[1,2,{\"b\":3}]}', '$.a[2].b');") },
  { id: 'dump', code: `${sql(fill)}sqlite3 x.db .dump | sqlite3 y.db
sqlite3 y.db "${look}"` },
  { id: 'backup', code: `${sql(`PRAGMA journal_mode=wal;\n${fill}`)}sqlite3 x.db '.backup y.db'
sqlite3 y.db "${look}"` },
  { id: 'locked', code: `${sql(fill)}
{ echo 'BEGIN EXCLUSIVE; SELECT 1;'; sleep 3; } | sqlite3 x.db > out &
i=0; until [ -s out ] || [ $i -gt 100 ]; do sleep 0.1; i=$((i + 1)); done
sqlite3 x.db 'SELECT count(*) FROM t;' 2>&1; wait
${sql(look)}` },
];
