// Loads every generator of /proc and /sys, so that they are registered.
import './process-dir.ts';
import './process-maps.ts';
import './process-stat.ts';
import './process-files.ts';
import './mounts.ts';
import './net.ts';
import './system.ts';
import './sysctl.ts';
import './sysfs.ts';
