// Loads everything that registers itself: the operations of our file kinds, the generators of /proc
// and /sys. Whoever restores a kernel without mounting imports this.
import './regular-file.ts';
import './directory-file.ts';
import './generated-file.ts';
import './device-file.ts';
import './log-file.ts';
import './path-file.ts';
import './proc/index.ts';
