// Loads the file kinds of this folder, which register their operations (vfs/file-ops.ts). Whoever
// restores a kernel without making such files imports this.
import './pipe.ts';
import './eventfd.ts';
import './epoll.ts';
import './socket-file.ts';
import './timerfd.ts';
import './signalfd.ts';
import './inotify.ts';
import './pidfd.ts';
import './pty.ts';
import './console.ts';
