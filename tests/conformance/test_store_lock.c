/* Who may open a directory of a durable store: one that writes, or several that read. */
#include <criterion/criterion.h>

#include "store_case.h"

#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static struct store_case at;

static void setup(void) { store_case_open(&at, 0); }
static void teardown(void) { store_case_close(&at); }

TestSuite(store_lock, .init = setup, .fini = teardown);

static strid_status try_open(const char *path, bool create, bool read_only, struct store **out,
                             strid_error *err)
{
    struct store_config config = {.path = path, .create = create, .read_only = read_only};
    return store_rocksdb.open(&config, out, err);
}

static void close_store(void)
{
    store_rocksdb.close(at.store);
    at.store = NULL;
}

static void check_busy(strid_status status, const strid_error *err, pid_t pid)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%ld", (long)pid);
    cr_assert_eq(status, STRID_EBUSY, "%s", err->message);
    cr_assert_not_null(strstr(err->message, text), "%s", err->message);
    cr_assert_not_null(strstr(err->message, at.path), "%s", err->message);
}

Test(store_lock, second_open_in_this_process_is_refused)
{
    strid_error err = STRID_ERROR_INIT;
    struct store *second = NULL;
    store_case_put(&at, "k", "v");
    for (int read_only = 0; read_only < 2; read_only++) {
        check_busy(try_open(at.path, true, read_only != 0, &second, &err), &err, getpid());
        cr_assert_null(second);
    }
    char roundabout[SUPPORT_PATH_MAX + 32];
    (void)snprintf(roundabout, sizeof roundabout, "%s/../state/", at.path);
    cr_assert_eq(try_open(roundabout, true, false, &second, &err), STRID_EBUSY);
    store_case_put(&at, "k", "w"); /* the first goes on */
    store_case_sync(&at);
    close_store();
    cr_assert_eq(try_open(at.path, false, true, &at.store, &err), STRID_OK, "%s", err.message);
    check_busy(try_open(at.path, true, false, &second, &err), &err, getpid());
}

/* A child holds the directory until it is told to end. */
struct holder {
    pid_t pid;
    int ready;   /* gives the status of its opening */
    int release; /* a byte ends the child, as its closing does */
};

static struct holder begin_hold(bool read_only)
{
    int ready[2], release[2];
    cr_assert(pipe(ready) == 0 && pipe(release) == 0);
    struct holder holder = {.pid = fork(), .ready = ready[0], .release = release[1]};
    cr_assert_geq(holder.pid, 0);
    if (holder.pid == 0) {
        struct store *store = NULL;
        (void)close(release[1]);
        char byte = (char)try_open(at.path, true, read_only, &store, NULL);
        if (write(ready[1], &byte, 1) != 1)
            _exit(1);
        (void)!read(release[0], &byte, 1);
        _exit(0);
    }
    (void)close(ready[1]);
    (void)close(release[0]);
    return holder;
}

static void expect_held(const struct holder *holder)
{
    char status = 1;
    cr_assert_eq(read(holder->ready, &status, 1), 1);
    cr_assert_eq(status, 0);
}

static struct holder hold(bool read_only)
{
    struct holder holder = begin_hold(read_only);
    expect_held(&holder);
    return holder;
}

static void let_go(struct holder *holder)
{
    int status = 0;
    cr_assert_eq(write(holder->release, "", 1), 1); /* a later child has the pipe open, too */
    (void)close(holder->release);
    (void)close(holder->ready);
    cr_assert_eq(waitpid(holder->pid, &status, 0), holder->pid);
}

Test(store_lock, another_process_is_refused_and_told_which_one_holds_it)
{
    store_case_put(&at, "k", "v");
    close_store();
    for (int mode = 0; mode < 3; mode++) {
        strid_error err = STRID_ERROR_INIT;
        struct holder holder = hold(mode % 2 != 0);
        check_busy(try_open(at.path, true, mode / 2 != 0, &at.store, &err), &err, holder.pid);
        cr_assert_null(at.store);
        let_go(&holder);
        STRID_CHECK_OK(try_open(at.path, false, mode / 2 != 0, &at.store, &err), err);
        cr_assert(store_case_has_text(&at, "k", "v"));
        close_store();
    }
}

Test(store_lock, several_processes_may_read)
{
    strid_error err = STRID_ERROR_INIT;
    store_case_put(&at, "k", "v");
    close_store();
    struct holder holder = hold(true);
    STRID_CHECK_OK(try_open(at.path, false, true, &at.store, &err), err);
    cr_assert(store_case_has_text(&at, "k", "v"));
    let_go(&holder);
}

/* It opens no file meanwhile: it waits for a time to go by, or has ended. */
static bool is_asleep(void *user)
{
    char path[64], text[512] = "";
    (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)*(const pid_t *)user);
    FILE *file = fopen(path, "re");
    cr_assert_not_null(file);
    (void)!fread(text, 1, sizeof text - 1, file);
    (void)fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && (name_end[2] == 'S' || name_end[2] == 'Z');
}

/* A tool that looks at the state for a moment does not keep a node from starting. */
Test(store_lock, reader_is_waited_out_by_who_comes_to_write)
{
    store_case_put(&at, "k", "v");
    close_store();
    struct holder reader = hold(true);
    struct holder writer = begin_hold(false);
    cr_assert(support_wait(is_asleep, &writer.pid, 20000));
    let_go(&reader);
    expect_held(&writer);
    let_go(&writer);
}

static void (*meanwhile)(void); /* in the next fsync, once */

int fsync(int fd)
{
    void (*between)(void) = meanwhile;
    meanwhile = NULL;
    if (between != NULL)
        between();
    return (int)syscall(SYS_fsync, fd);
}

static struct holder other;

static void hold_by_another(void) { other = hold(false); }

static void hold_here(void)
{
    strid_error err = STRID_ERROR_INIT;
    STRID_CHECK_OK(try_open(at.path, true, false, &at.store, &err), err);
}

/* Two come to make the same directory. The one that made it syncs its name, and meanwhile the other
 * makes the database in it: what it has is not taken away again. */
static void check_made_by_two(void (*hold_it)(void))
{
    strid_error err = STRID_ERROR_INIT;
    struct store *late = NULL;
    close_store();
    support_path(&at.directory, "by two", at.path);
    meanwhile = hold_it;
    const strid_status status = try_open(at.path, true, false, &late, &err);
    check_busy(status, &err, hold_it == hold_here ? getpid() : other.pid);
    if (hold_it == hold_here) {
        store_case_put(&at, "k", "v");
        store_case_sync(&at);
        close_store();
    } else {
        let_go(&other);
    }
    STRID_CHECK_OK(try_open(at.path, false, false, &at.store, &err), err);
    cr_assert_eq(store_case_has_text(&at, "k", "v"), hold_it == hold_here);
}

Test(store_lock, directory_that_another_process_uses_is_not_taken_away)
{
    check_made_by_two(hold_by_another);
}

Test(store_lock, directory_that_is_used_here_is_not_taken_away) { check_made_by_two(hold_here); }
