/* spike_state LIBRARY [ROUNDS]: kills the cycle of a state directory (spike_cycle.h) at each of its
 * steps, by a kill and by a loss of power, whole and torn, and checks what is left: state and
 * progress agree, nothing that was synced is missing, after a mere kill nothing that was applied.
 * Then the same directory goes on. Last, a cycle that loads what no sync covers has to be found
 * wrong, or the checks would prove nothing. */
#include "faults_child.h"
#include "powerloss/powerloss_image.h"
#include "spike_cycle.h"
#include "support/support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RECORDS = 4000, CRASHES_PER_DIRECTORY = 3 };

static const char *const points[] = {
    "store_before_apply", "store_after_apply",  "store_before_sync",   "store_after_sync",
    "store_sst_written",  "store_after_ingest", "spike_before_delete", "spike_after_delete"};

enum { POINTS = sizeof points / sizeof points[0] };

enum loss { LOSS_KILL, LOSS_POWER, LOSS_TORN, LOSSES };

static const char *const losses[LOSSES] = {"kill", "power loss", "torn power loss"};

struct place {
    struct support_directory directory;
    char state[SUPPORT_PATH_MAX];
    char report_path[SUPPORT_PATH_MAX];
    struct spike_report *report;
    const char *library;
};

static struct spike_report *map_report(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct spike_report)) != 0)
        return NULL;
    void *at = mmap(NULL, sizeof(struct spike_report), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    (void)close(fd);
    return at == MAP_FAILED ? NULL : at;
}

static int fail(const char *what, const char *detail)
{
    fprintf(stderr, "spike_state: %s: %s\n", what, detail);
    return 1;
}

static struct store *open_state(const char *path, strid_error *err)
{
    struct store *store = NULL;
    struct store_config config = {.path = path, .create = true, .write_buffer = 8u << 20};
    return store_rocksdb.open(&config, &store, err) == STRID_OK ? store : NULL;
}

/* child DIR REPORT safe|unsafe: recovers and goes on until it is killed or all is done. */
static int run_child(const char *path, const char *report_path, bool unsafe)
{
    strid_error err = STRID_ERROR_INIT;
    struct spike_cycle cycle;
    struct spike_report *report = map_report(report_path);
    struct store *store = open_state(path, &err);
    if (report == NULL || store == NULL)
        return fail("cannot open", err.message);
    const char *fault = spike_cycle_recover(&cycle, store);
    if (fault != NULL)
        return fail("recovery", fault);
    cycle.unsafe = unsafe;
    if (spike_cycle_run(&cycle, RECORDS, report, &err) != STRID_OK)
        return fail("the cycle", err.message);
    store_rocksdb.close(store);
    return 0;
}

static bool crash(struct place *place, const char *point, unsigned at, enum loss loss,
                  uint64_t seed, bool unsafe)
{
    char crash_point[64];
    bool killed = false;
    const char *args[] = {"child", place->state, place->report_path, unsafe ? "unsafe" : "safe",
                          NULL};
    (void)snprintf(crash_point, sizeof crash_point, "%s:%u", point == NULL ? "none" : point, at);
    struct faults_child child = {args, point == NULL ? NULL : crash_point,
                                 loss == LOSS_KILL ? NULL : place->library, place->state};
    int status = faults_child_run(&child, &killed);
    if (!killed && status != 0)
        exit(fail("a child failed", point == NULL ? "at the end" : crash_point));
    if (killed && loss != LOSS_KILL &&
        !powerloss_image_restore(place->state, loss == LOSS_TORN ? seed : 0))
        exit(2);
    return killed;
}

/* NULL: all is right. */
static const char *check(struct place *place, enum loss loss, uint64_t *recovered)
{
    strid_error err = STRID_ERROR_INIT;
    struct spike_cycle cycle;
    struct store *store = open_state(place->state, &err);
    if (store == NULL) {
        (void)fail("cannot open what is left", err.message);
        return "it cannot be opened";
    }
    const char *fault = spike_cycle_recover(&cycle, store);
    store_rocksdb.close(store);
    *recovered = cycle.record;
    if (fault != NULL)
        return fault;
    if (cycle.record < atomic_load(&place->report->synced))
        return "a synced record is lost";
    if (loss == LOSS_KILL && cycle.record < atomic_load(&place->report->applied))
        return "an applied record is lost by a mere kill";
    return NULL;
}

static void place_create(struct place *place, const char *library)
{
    *place = (struct place){.library = library};
    support_directory_create(&place->directory);
    support_path(&place->directory, "state", place->state);
    support_path(&place->directory, "report", place->report_path);
    place->report = map_report(place->report_path);
    if (place->report == NULL)
        exit(2);
}

static void place_remove(struct place *place)
{
    (void)munmap(place->report, sizeof *place->report);
    support_directory_remove(&place->directory);
}

/* One directory, crashed several times at a point, then run to its end. Returns its crashes. */
static unsigned ordeal(const char *library, size_t point, enum loss loss, uint64_t seed)
{
    struct place place;
    unsigned crashes = 0;
    uint64_t recovered = 0;
    place_create(&place, library);
    for (unsigned i = 0; i < CRASHES_PER_DIRECTORY; i++) {
        unsigned at = 1 + (unsigned)((seed * 7 + i * 5) % 9);
        if (!crash(&place, points[point], at, loss, seed + i + 1, false))
            break;
        const char *fault = check(&place, loss, &recovered);
        if (fault != NULL) {
            fprintf(stderr, "%s at %s:%u, seed %llu, directory %s: %s\n", losses[loss],
                    points[point], at, (unsigned long long)seed, place.state, fault);
            exit(1);
        }
        crashes++;
    }
    (void)crash(&place, NULL, 0, LOSS_KILL, 0, false);
    const char *fault = check(&place, LOSS_KILL, &recovered);
    if (fault != NULL || recovered < RECORDS || atomic_load(&place.report->loads) == 0)
        exit(fail("at the end", fault != NULL ? fault : "not all records, or nothing loaded"));
    place_remove(&place);
    return crashes;
}

/* Whether a loss of power right after an unsafe ingest is noticed. */
static bool unsafe_is_noticed(const char *library)
{
    struct place place;
    uint64_t recovered = 0;
    place_create(&place, library);
    bool killed = crash(&place, "store_after_ingest", 2, LOSS_POWER, 0, true);
    const char *fault = killed ? check(&place, LOSS_POWER, &recovered) : NULL;
    if (fault != NULL)
        printf("loading what no sync covers: noticed: %s\n", fault);
    place_remove(&place);
    return fault != NULL;
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "child") == 0)
        return run_child(argv[2], argv[3], strcmp(argv[4], "unsafe") == 0);
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: spike_state LIBRARY [ROUNDS]\n");
        return 2;
    }
    unsigned long rounds = argc == 3 ? strtoul(argv[2], NULL, 10) : 1;
    unsigned crashes[LOSSES] = {0};
    for (unsigned long round = 0; round < rounds; round++)
        for (size_t point = 0; point < POINTS; point++)
            for (int loss = 0; loss < LOSSES; loss++)
                crashes[loss] += ordeal(argv[1], point, (enum loss)loss, round * POINTS + point);
    for (int loss = 0; loss < LOSSES; loss++) {
        printf("%s: %u crashes at %d points, all right\n", losses[loss], crashes[loss], POINTS);
        if (crashes[loss] < rounds * POINTS)
            return fail("too few crashes", losses[loss]);
    }
    return unsafe_is_noticed(argv[1]) ? 0 : fail("not noticed", "loading what no sync covers");
}
