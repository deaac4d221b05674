#include <criterion/criterion.h>

#include <string.h>

#include "pipeline/definition.h"
#include "support/support.h"

#include "fake_connectors.h"

#define NAME "name: totals\n"
#define SOURCE "source: fake:x\n"
#define HANDLERS "handlers: [ { count: { store: n } } ]\n"
#define WHOLE NAME SOURCE HANDLERS

static struct support_directory directory;
static char path[SUPPORT_PATH_MAX];
static strid_error err;

static void setup(void)
{
    support_directory_create(&directory);
    support_path(&directory, "p.yaml", path);
}
static void teardown(void) { support_directory_remove(&directory); }

TestSuite(definition_retry, .init = setup, .fini = teardown);

static struct definition *load(const char *text)
{
    struct definition *definition = NULL;
    support_write_file(path, text, strlen(text));
    STRID_CHECK_OK(definition_load(path, &definition, &err), err);
    return definition;
}

struct refusal {
    const char *text;
    const char *message; /* behind the path, which is followed by line and column */
};

static void check_refused(const struct refusal *refusals, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct definition *definition = NULL;
        size_t len = strlen(path);
        support_write_file(path, refusals[i].text, strlen(refusals[i].text));
        cr_expect_eq(definition_load(path, &definition, &err), STRID_ECONFIG, "%s",
                     refusals[i].text);
        cr_expect(strncmp(err.message, path, len) == 0 && err.message[len] == ':' &&
                      strcmp(err.message + len + 1, refusals[i].message) == 0,
                  "%s\n%s\nis not\n%s", refusals[i].text, err.message, refusals[i].message);
        cr_expect_eq(err.status, STRID_ECONFIG);
        cr_expect_null(definition);
    }
}

#define CHECK_REFUSED(refusals) check_refused(refusals, sizeof(refusals) / sizeof(refusals)[0])

Test(definition_retry, backoff_has_defaults_and_bounds)
{
    struct definition *definition =
        load(WHOLE "ordering: partition\nretry: { backoff: { min: 5ms, max: 1h } }\n");
    cr_assert(definition->retry.min_ms == 5 && definition->retry.max_ms == 3600000 &&
              definition->retry.step_count == 0);
    cr_assert_eq(definition->retry.ordering, STRID_ORDERING_PARTITION);
    definition_destroy(definition);
    definition = load(WHOLE);
    cr_assert(definition->retry.min_ms == 100 && definition->retry.max_ms == 30000 &&
              definition->retry.max_parked == 100000 &&
              definition->retry.max_parked_bytes == 256 << 20);
    cr_assert_eq(definition->retry.ordering, STRID_ORDERING_KEY);
    definition_destroy(definition);
}

Test(definition_retry, bad_retries_are_refused)
{
    static const struct refusal refusals[] = {
        {WHOLE "ordering: kye\n", "4:11: \"ordering\": expected one of key, partition, none, got "
                                  "\"kye\"; did you mean \"key\"?"},
        {WHOLE "ordering: partition\nworkers: 2\n",
         "4:11: \"ordering: partition\" keeps all records of a partition in order, which takes one "
         "worker, not 2; set \"workers: 1\", or use \"ordering: key\""},
        {WHOLE "retry: { backoff: 5s }\n",
         "4:19: \"backoff\": expected a map, or a list of durations, got the string \"5s\""},
        {WHOLE "retry: { backoff: [] }\n", "4:19: a backoff of 0 steps: expected 1 to 32"},
        {WHOLE "retry: { backoff: [1s, soon] }\n",
         "4:24: \"backoff\": expected durations such as 100ms, 5s or 1h, or 0, got the string "
         "\"soon\""},
        {WHOLE "retry: { backoff: [1s, {}] }\n",
         "4:24: \"backoff\": expected durations such as 100ms, 5s or 1h, or 0, got a map"},
        {WHOLE "retry: { backoff: [5] }\n",
         "4:20: \"backoff\": expected durations such as 100ms, 5s or 1h, or 0, got the number 5"},
        {WHOLE "retry: { backoff: [2d] }\n", "4:19: a backoff step of 2d: expected 0 to 1d"},
        {WHOLE "retry: { backoff: { min: 2s, max: 1s } }\n",
         "4:19: a backoff from min 2s to max 1s: expected min to be at least 1ms and at most "
         "max, and max at most 1d"},
        {WHOLE "retry: { backoff: { min: 0 } }\n",
         "4:26: \"min\": 0 is out of bounds, expected 1ms to 1d"},
        {WHOLE "retry: { backoff: { mni: 1s } }\n",
         "4:21: unknown key \"mni\" in \"backoff\"; did you mean \"min\"?"},
        {WHOLE "retry: { max_parked: 0 }\n",
         "4:22: \"max_parked\": 0 is out of bounds, expected 1 to 1099511627776"},
        {WHOLE "retry: { max_parked_bytes: 0 }\n",
         "4:28: \"max_parked_bytes\": 0 is out of bounds, expected 1 to 64TiB"},
    };
    CHECK_REFUSED(refusals);
}
