// Applets of busybox over a small tree that the script itself makes.

import type { Script } from './suites.ts';

const tree = `set -e
b=/usr/bin/busybox
mkdir -p t/a/b t/c && cd t
i=0; while [ $i -lt 40 ]; do echo "line $i of many" >> a/lines; i=$((i + 1)); done
printf 'b\\na\\nc\\na\\n' > a/b/letters
printf 'one,1\\ntwo,2\\nthree,3\\n' > c/table
: > c/empty; ln -s ../a/lines c/link; ln a/lines c/hard; chmod 600 c/table
find . -exec touch -h -d '2024-05-06 07:08:09' {} +
`;

const commands: Readonly<Record<string, string>> = {
  ash: '$b ash -c \'for x in 1 2 3; do echo $((x * x)); done | ' +
    'while read y; do echo "<$y>"; done\'',
  awk: '$b awk -F, \'{ sum += $2; print $1 } END { print sum }\' c/table',
  basename: '$b basename /a/b/c.txt .txt',
  bunzip2: '$b bzip2 -k a/lines && $b bunzip2 -c a/lines.bz2 | $b md5sum',
  cat: '$b cat -n a/b/letters c/table',
  chmod: '$b chmod -R u=rwX,go= a && $b stat -c "%a %n" a a/lines a/b',
  chown: '$b chown 12:34 c/table && $b stat -c "%u %g" c/table',
  cal: '$b cal 2 2024',
  cmp: '$b cmp a/lines c/hard && ! $b cmp a/lines a/b/letters',
  clear: 'TERM=vt100 $b clear | $b od -c',
  cp: '$b cp -a . ../copy && cd ../copy && $b find . | $b sort && $b md5sum a/lines',
  cpio: '$b find . | $b sort | $b cpio -o -H newc 2>/dev/null | $b cpio -t 2>/dev/null',
  cut: '$b cut -d, -f2 c/table',
  date: '$b date -u -r a/lines +%FT%T',
  dd: '$b dd if=a/lines of=d bs=7 count=9 skip=3 seek=2 2>/dev/null && $b od -c d',
  diff: '! $b diff -u a/b/letters c/table',
  dirname: '$b dirname /a/b/c',
  du: '$b du -a c | $b sort -k2',
  env: 'A=1 $b env -u HOME | $b grep "^A="',
  expr: '$b expr 3 \\* 4 + 1',
  factor: '$b factor 1234567890',
  find: '$b find . -type f -size -4k -mtime +3 | $b sort',
  fold: '$b fold -w 5 a/b/letters c/table',
  grep: '$b grep -rn "line 3[0-9]" . | $b sort',
  gzip: '$b gzip -c a/lines | $b gunzip -c | $b cmp - a/lines',
  head: '$b head -n 3 a/lines && $b tail -n 2 a/lines',
  id: '$b id -u && $b id -gn',
  hexdump: '$b hexdump -C c/table',
  kill: '$b sleep 100 & $b kill -TERM $!; wait $! || echo $?',
  ln: '$b ln -sf c/table l && $b readlink l && $b readlink -f l | $b grep -c t/c/table',
  ls: '$b ls -lRn . | $b grep -v ^total',
  mkfifo: '$b mkfifo p && { $b cat a/b/letters > p & $b cat p; wait; }',
  mktemp: 'f=$($b mktemp ./x.XXXXXX) && $b stat -c "%a %s" $f',
  mv: '$b mv a moved && $b mv -n c/table moved/ && $b find . | $b sort',
  nl: '$b nl a/b/letters',
  paste: '$b paste a/b/letters c/table',
  printf: '$b printf "%05d|%-6s|%x\\n" 42 ab 255',
  rm: '$b rm -rf a && $b find . | $b sort',
  rmdir: '$b mkdir -p x/y/z && $b rmdir -p x/y/z && ! $b test -e x',
  sed: '$b sed -n -e "s/line \\([0-9]*\\)/<\\1>/p" a/lines && ' +
    '$b sed -i 1d c/table && $b cat c/table',
  seq: '$b seq 1 3 20',
  setsid: '$b setsid $b sh -c "echo ok"',
  sha256sum: '$b sha256sum a/lines > sums && $b sha256sum -c sums',
  sort: '$b sort -u a/b/letters && $b sort -t, -k2 -rn c/table',
  sum: '$b md5sum a/lines && $b sha1sum a/lines && $b sha512sum c/table',
  stat: '$b stat -c "%n %s %a %h %F %Y" a a/lines c/link c/empty',
  tar: '$b tar -cf - . | $b tar -tvf - | $b sort -k6',
  'tar -z': '$b tar -czf ../x.tgz . && mkdir ../y && $b tar -xzf ../x.tgz -C ../y && $b ls -1 ../y',
  tee: 'echo x | $b tee one two && $b cat one two',
  timeout: '($b timeout 1 $b sleep 20; echo $?) 2>/dev/null; echo done',
  touch: '$b touch -d "2020-01-01 00:00:00" n && $b stat -c %Y n',
  tr: '$b tr a-z A-Z < a/b/letters',
  truncate: '$b truncate -s 5000 big && $b stat -c %s big && $b truncate -s 3 big && $b od -x big',
  uniq: '$b sort a/b/letters | $b uniq -c',
  unzip: '$b echo "not a zip" > z.zip; ! $b unzip -l z.zip 2>/dev/null',
  usleep: '$b usleep 1000 && echo done',
  vi: '! $b vi -c q </dev/null >/dev/null 2>&1 || echo ended',
  wc: '$b wc a/lines c/table',
  which: '$b which sh',
  xargs: '$b find . -type f | $b sort | $b xargs -n 2 echo',
  xxd: '$b xxd a/b/letters',
  yes: '$b yes | $b head -n 1000 | $b md5sum',
};

export const busyboxScripts: readonly Script[] = Object.entries(commands)
  .map(([id, command]) => ({ id, code: `${tree}${command}` }));
