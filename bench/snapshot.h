/* A closed database as it is, brought back before each run: all runs of a side begin with the same
 * files, and nothing has to be compacted between them. Sorted files are shared by hard links, since
 * a database only ever makes and removes them; all others are copied. @thread control */
#ifndef BENCH_SNAPSHOT_H
#define BENCH_SNAPSHOT_H

/* Each returns 0, or -1 with a message on stderr. */

/* Makes `kept` from `directory`, which nobody has open; a `kept` that was there goes. */
int snapshot_take(const char *directory, const char *kept);
/* Makes `directory` what it was; whatever it has become goes. */
int snapshot_restore(const char *kept, const char *directory);

#endif
