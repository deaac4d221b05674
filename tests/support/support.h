/* Shared by all tests: temporary directories, waiting on a condition with a deadline, short checks.
 * @thread any; a directory belongs to the test that made it. */
#ifndef SUPPORT_SUPPORT_H
#define SUPPORT_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <strid/status.h>

enum { SUPPORT_PATH_MAX = 512 };

/* Evaluates `expression` once; a failure ends the test (Criterion) with the status and the message
 * of `err`. */
#define STRID_CHECK_OK(expression, err)                                                            \
    do {                                                                                           \
        strid_status check_status = (expression);                                                  \
        cr_assert(check_status == STRID_OK, "%s: %s: %s", #expression,                             \
                  strid_status_name(check_status), (err).message);                                 \
    } while (0)

struct support_directory {
    char path[SUPPORT_PATH_MAX];
};

/* Makes an empty directory below $TMPDIR or /tmp; ends the program where that is impossible. */
void support_directory_create(struct support_directory *directory);
/* Removes it with all it holds. Safe on a zeroed struct and when called twice. */
void support_directory_remove(struct support_directory *directory);
/* Writes "<directory>/<name>" to `out`; ends the program if it does not fit. */
void support_path(const struct support_directory *directory, const char *name,
                  char out[SUPPORT_PATH_MAX]);

/* Replaces the file; ends the program on failure. */
void support_write_file(const char *path, const void *data, size_t len);
/* The whole file with a terminator behind it, to be freed by the caller; NULL where there is none.
 */
char *support_read_file(const char *path, size_t *len);

typedef bool (*support_condition)(void *user);

/* Asks `condition` until it holds or `deadline_ms` went by, yielding the processor between two
 * looks. Returns whether it held. Waits for something that another thread or process does; never
 * use it to let time pass. */
bool support_wait(support_condition condition, void *user, int64_t deadline_ms);

#endif
