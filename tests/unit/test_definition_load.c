#include <criterion/criterion.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
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

TestSuite(definition_load, .init = setup, .fini = teardown);

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

Test(definition_load, a_small_file_gets_the_documented_defaults)
{
    struct definition *definition = load(WHOLE);
    cr_assert_str_eq(definition->name, "totals");
    cr_assert_str_eq(definition->source.url, "fake:x");
    cr_assert_str_eq(definition->state_url, "memory:");
    cr_assert_eq(definition->decode.format, DECODE_JSONL);
    cr_assert_null(definition->decode.key);
    cr_assert_null(definition->decode.type);
    cr_assert_eq(definition->workers, 0);
    cr_assert_eq(definition->max_attempts, 3);
    cr_assert_eq(definition->memory_bytes, 0);
    cr_assert_eq(definition->watchdog_ms, 30000);
    cr_assert_eq(definition->drain_timeout_ms, 30000);
    cr_assert_eq(definition->unrouted, DEFINITION_UNROUTED_SKIP);
    cr_assert_eq(definition->timeout_ms, 0);
    cr_assert_eq(definition->on_timeout, DEFINITION_ON_TIMEOUT_RETRY);
    cr_assert_lt(definition->routes[0].timeout_ms, 0, "the pipeline's");
    cr_assert_null(definition->dlq_url);
    cr_assert_eq(definition->sink_count, 0);
    cr_assert_eq(definition->route_count, 1);
    cr_assert_str_eq(definition->routes[0].type_glob, "*");
    cr_assert_str_eq(definition->routes[0].name, "count n");
    definition_destroy(definition);
}

static const char whole[] = "name: all\n"
                            "delivery: at_least_once\n"
                            "memory: 64MiB\n"
                            "watchdog: 5m\n"
                            "drain_timeout: 1500ms\n"
                            "unrouted: dlq\n"
                            "timeout: 90s\n"
                            "on_timeout: abort\n"
                            "workers: 3\n"
                            "source:\n"
                            "  url: fake:a/b?number=9\n"
                            "  text: \"x y\"\n"
                            "  flag: True\n"
                            "  size: 2KiB\n"
                            "  time: 20ms\n"
                            "  real: 1.5\n"
                            "  word: first\n"
                            "  format: text\n"
                            "  key: k\n"
                            "  type: t\n"
                            "  pattern: '(?<k>\\w+) (?<t>\\w+) (?<n>\\d+)'\n"
                            "  unmatched: skip\n"
                            "state: { url: \"rocksdb:./state\" }\n"
                            "sink:\n"
                            "  one: sunk:first\n"
                            "  two: { url: sunk:second, number: 4 }\n"
                            "handlers:\n"
                            "  - { on: 'a*', timeout: 2s, count: { store: counts } }\n"
                            "  - { sum: { store: sums, field: n } }\n"
                            "  - { filter: { field: k, equals: 5, exists: true } }\n"
                            "  - { on: b, forward: { to: two } }\n"
                            "dlq: { url: sunk:dead, to: 'a&b' }\n"
                            "retry: { max_attempts: 7, backoff: [1s, 0, 2m], max_parked: 9,\n"
                            "         max_parked_bytes: 1MiB }\n"
                            "ordering: none\n";

Test(definition_load, every_key_arrives)
{
    struct definition *definition = load(whole);
    cr_assert_str_eq(definition->name, "all");
    cr_assert_eq(definition->memory_bytes, 64u << 20);
    cr_assert_eq(definition->watchdog_ms, 300000);
    cr_assert_eq(definition->drain_timeout_ms, 1500);
    cr_assert_eq(definition->unrouted, DEFINITION_UNROUTED_DLQ);
    cr_assert_eq(definition->timeout_ms, 90000);
    cr_assert_eq(definition->on_timeout, DEFINITION_ON_TIMEOUT_ABORT);
    cr_assert_eq(definition->routes[0].timeout_ms, 2000);
    cr_assert_lt(definition->routes[1].timeout_ms, 0);
    cr_assert_eq(definition->workers, 3);
    const struct retry_definition *retry = &definition->retry;
    cr_assert_eq(definition->max_attempts, 7);
    cr_assert(retry->step_count == 3 && retry->steps_ms[0] == 1000 && retry->steps_ms[1] == 0 &&
              retry->steps_ms[2] == 120000);
    cr_assert(retry->max_parked == 9 && retry->max_parked_bytes == 1 << 20);
    cr_assert_eq(retry->ordering, STRID_ORDERING_NONE);
    cr_assert_str_eq(definition->state_url, "rocksdb:./state");
    cr_assert_eq(definition->max_attempts, 7);
    cr_assert_str_eq(definition->dlq_url, "sunk:dead?to=a%26b");
    const struct source_definition *source = &definition->source;
    const struct fake_options *values = source->options;
    cr_assert_eq(source->ops, &fake_source);
    cr_assert_str_eq(source->url, "fake:a/b?number=9");
    cr_assert_str_eq(source->target, "a/b");
    cr_assert_str_eq(values->text, "x y");
    cr_assert(values->flag && values->number == 9 && values->size == 2048);
    cr_assert(values->time == 20 && values->real == 1.5 && values->word == 0);
    const struct decode_definition *decode = &definition->decode;
    cr_assert_eq(decode->format, DECODE_TEXT);
    cr_assert_str_eq(decode->key, "k");
    cr_assert_str_eq(decode->type, "t");
    cr_assert_str_eq(decode->pattern, "(?<k>\\w+) (?<t>\\w+) (?<n>\\d+)");
    cr_assert_eq(decode->unmatched, DECODE_UNMATCHED_SKIP);
    cr_assert_eq(decode->field_count, 2);
    cr_assert_str_eq(decode->fields[0], "n");
    cr_assert_str_eq(decode->fields[1], "k");
    cr_assert_eq(definition->store_count, 2);
    cr_assert_str_eq(definition->stores[1], "counts");
    cr_assert_str_eq(definition->stores[2], "sums");
    definition_destroy(definition);
}

Test(definition_load, options_beside_the_url_of_the_queue_are_read_as_everywhere)
{
    struct definition *definition =
        load(WHOLE "dlq: { url: 'sunk:dead?to=x', flag: TRUE, number: +7 }\n");
    cr_assert_str_eq(definition->dlq_url, "sunk:dead?to=x&flag=true&number=%2B7");
    definition_destroy(definition);
    definition = load(WHOLE "dlq: { url: 'sunk:dead', flag: False }\n");
    cr_assert_str_eq(definition->dlq_url, "sunk:dead?flag=false");
    definition_destroy(definition);
}

Test(definition_load, a_file_may_have_no_handlers)
{
    static const char *const texts[] = {NAME SOURCE, NAME SOURCE "handlers: []\n"};
    for (size_t i = 0; i < 2; i++) {
        struct definition *definition = load(texts[i]);
        cr_assert_eq(definition->route_count, 0);
        definition_destroy(definition);
    }
}

Test(definition_load, what_a_connector_would_refuse_at_open_is_refused)
{
    static const struct refusal refusals[] = {
        {NAME "source: fake:bad\n" HANDLERS, "2:9: fake:bad can never be opened"},
        {WHOLE "sink: { a: sunk:x, b: sunk:bad }\n", "4:23: sunk:bad can never be opened"},
        {WHOLE "dlq: { url: sunk:bad, number: 8 }\n", "4:6: sunk:bad can never be opened"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, sinks_and_handlers_keep_their_order)
{
    static const char *const routes[][2] = {
        {"a*", "count counts"}, {"*", "sum sums"}, {"*", "filter k"}, {"b", "forward two"}};
    struct definition *definition = load(whole);
    cr_assert_eq(definition->sink_count, 2);
    cr_assert_str_eq(definition->sinks[0].name, "one");
    cr_assert_str_eq(definition->sinks[0].target, "first");
    cr_assert_str_eq(definition->sinks[1].name, "two");
    cr_assert_eq(((const struct sunk_options *)definition->sinks[1].options)->number, 4);
    cr_assert_eq(definition->route_count, 4);
    for (size_t i = 0; i < 4; i++) {
        cr_assert_str_eq(definition->routes[i].type_glob, routes[i][0]);
        cr_assert_str_eq(definition->routes[i].name, routes[i][1]);
    }
    definition_destroy(definition);
}

Test(definition_load, workers_are_auto_or_a_number_up_to_64)
{
    static const struct {
        const char *text;
        uint32_t workers;
    } good[] = {{"auto", 0}, {"1", 1}, {"64", 64}};
    for (size_t i = 0; i < 3; i++) {
        char text[128];
        (void)snprintf(text, sizeof text, WHOLE "workers: %s\n", good[i].text);
        struct definition *definition = load(text);
        cr_assert_eq(definition->workers, good[i].workers);
        definition_destroy(definition);
    }
    static const struct refusal refusals[] = {
        {WHOLE "workers: 0\n", "4:10: \"workers\": expected auto, or a whole number from 1 to 64, "
                               "got the number 0"},
        {WHOLE "workers: 65\n", "4:10: \"workers\": expected auto, or a whole number from 1 to 64, "
                                "got the number 65"},
        {WHOLE "workers: 1.5\n",
         "4:10: \"workers\": expected auto, or a whole number from 1 to 64, got the number 1.5"},
        {WHOLE "workers: 0x4\n",
         "4:10: \"workers\": expected auto, or a whole number from 1 to 64, got the number 0x4"},
        {WHOLE "workers: \"4\"\n",
         "4:10: \"workers\": expected auto, or a whole number from 1 to 64, got the string \"4\""},
        {WHOLE "workers: many\n", "4:10: \"workers\": expected auto, or a whole number from 1 to "
                                  "64, got the string \"many\""},
        {WHOLE "workers:\n",
         "4:9: \"workers\": expected auto, or a whole number from 1 to 64, got nothing"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, an_unknown_key_names_the_nearest)
{
    static const struct refusal refusals[] = {
        {NAME "sorce: fake:x\n" HANDLERS, "2:1: unknown key \"sorce\"; did you mean \"source\"?"},
        {WHOLE "  \n# a comment\nrety: {}\n", "6:1: unknown key \"rety\"; did you mean \"retry\"?"},
        {"zzzzzz: 1\n" WHOLE,
         "1:1: unknown key \"zzzzzz\"; known are name, delivery, memory, watchdog, drain_timeout, "
         "unrouted, timeout, on_timeout, ordering, source, state, handlers, sink, dlq, retry, "
         "workers"},
        {NAME "source: { url: fake:x, fromat: raw }\n" HANDLERS,
         "2:24: unknown key \"fromat\" in \"source\"; did you mean \"format\"?"},
        {NAME "source:\n  url: fake:x\n  nubmer: 4\n" HANDLERS,
         "4:3: unknown key \"nubmer\" in \"source\"; did you mean \"number\"?"},
        {WHOLE "state: { url: 'memory:', sink: 1 }\n",
         "4:26: unknown key \"sink\" in \"state\"; it belongs to the file itself, in no section"},
        {WHOLE "durability: strict\n", "4:1: unknown key \"durability\"; it belongs in \"state\""},
        {NAME "source: { url: fake:x, max_attempts: 3 }\n" HANDLERS,
         "2:24: unknown key \"max_attempts\" in \"source\"; it belongs in \"retry\""},
        {WHOLE "sink: { a: { url: sunk:x, nunber: 1 } }\n",
         "4:27: unknown key \"nunber\" in \"sink\"; did you mean \"number\"?"},
        {WHOLE "dlq: { url: sunk:x, nunber: 1 }\n",
         "4:21: unknown key \"nunber\" in \"dlq\"; did you mean \"number\"?"},
        {WHOLE "retry: { max_atempts: 1 }\n",
         "4:10: unknown key \"max_atempts\" in \"retry\"; did you mean \"max_attempts\"?"},
        {NAME SOURCE "handlers:\n  - { on: a, cuont: { store: n } }\n",
         "4:14: unknown key \"cuont\" in \"handlers\"; did you mean \"count\"?"},
        {NAME SOURCE "handlers:\n  - { count: { stor: n } }\n",
         "4:16: unknown key \"stor\" in \"count\"; did you mean \"store\"?"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, wrong_types_are_refused)
{
    static const struct refusal refusals[] = {
        {"- a\n", "1:1: \"pipeline file\": expected a map, got a list"},
        {"name: 5\n" SOURCE HANDLERS, "1:7: \"name\": expected a string, got the number 5"},
        {"name: [a]\n" SOURCE HANDLERS, "1:7: \"name\": expected a string, got a list"},
        {"name:\n" SOURCE HANDLERS, "1:6: \"name\": expected a string, got nothing"},
        {NAME "source: 5\n" HANDLERS,
         "2:9: \"source\": expected a URL, or a map with a url, got the number 5"},
        {NAME "source: { url: [a] }\n" HANDLERS, "2:16: \"url\": expected a URL, got a list"},
        {NAME "source: { url: fake:x, key: 5 }\n" HANDLERS,
         "2:29: \"key\": expected a string, got the number 5"},
        {NAME "source: { url: fake:x, flag: 'true' }\n" HANDLERS,
         "2:30: \"flag\": expected true or false, got the string \"true\""},
        {NAME "source: { url: fake:x, number: 1.5 }\n" HANDLERS,
         "2:32: \"number\": expected a whole number, got the number 1.5"},
        {NAME "source: { url: fake:x, real: much }\n" HANDLERS,
         "2:30: \"real\": expected a number such as 2 or 0.5, got the string \"much\""},
        {NAME "source: { url: fake:x, word: {} }\n" HANDLERS,
         "2:30: \"word\": expected one of first, second, got a map"},
        {WHOLE "memory: true\n",
         "4:9: \"memory\": expected a size such as 512, 64KiB or 1GiB, got true"},
        {WHOLE "watchdog: []\n",
         "4:11: \"watchdog\": expected a duration such as 100ms, 30s, 5m, 1h or 7d, got a list"},
        {WHOLE "state: []\n", "4:8: \"state\": expected a URL, or a map with a url, got a list"},
        {WHOLE "sink: sunk:x\n", "4:7: \"sink\": expected a map, got the string \"sunk:x\""},
        {WHOLE "sink: { a: 5 }\n",
         "4:12: \"a\": expected a URL, or a map with a url, got the number 5"},
        {WHOLE "dlq: no\n", "4:6: expected a URL such as file:orders.jsonl, got \"no\""},
        {WHOLE "dlq: false\n", "4:6: \"dlq\": expected a URL, or a map with a url, got false"},
        {WHOLE "retry: 3\n", "4:8: \"retry\": expected a map, got the number 3"},
        {WHOLE "retry: { max_attempts: many }\n",
         "4:24: \"max_attempts\": expected a whole number, got the string \"many\""},
        {NAME SOURCE "handlers: {}\n",
         "3:11: \"handlers\": expected a list of handlers, got a map"},
        {NAME SOURCE "handlers: [ count ]\n",
         "3:13: \"handlers\": expected a map, got the string \"count\""},
        {NAME SOURCE "handlers: [ { count: n } ]\n",
         "3:22: \"count\": expected a map, got the string \"n\""},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, bad_values_are_refused)
{
    static const struct refusal refusals[] = {
        {"name: a b\n" SOURCE HANDLERS,
         "1:7: \"a b\" cannot be the name of a pipeline: expected 1 to 64 of the characters A-Z "
         "a-z 0-9 _ -"},
        {WHOLE "delivery: exactly_once\n",
         "4:11: not supported yet: \"delivery: exactly_once\"; use at_least_once"},
        {WHOLE "delivery: exactly_onec\n",
         "4:11: \"delivery\": expected one of at_least_once, exactly_once, got \"exactly_onec\"; "
         "did you mean \"exactly_once\"?"},
        {WHOLE "memory: 1KiB\n", "4:9: \"memory\": 1KiB is out of bounds, expected 40MiB to 64TiB"},
        {WHOLE "memory: lots\n",
         "4:9: \"memory\": expected a size such as 512, 64KiB or 1GiB, got \"lots\""},
        {WHOLE "watchdog: 2d\n", "4:11: \"watchdog\": 2d is out of bounds, expected 0 to 1d"},
        {WHOLE "unrouted: drop\n", "4:11: \"unrouted\": expected one of skip, dlq, got \"drop\""},
        {WHOLE "timeout: 2d\n", "4:10: \"timeout\": 2d is out of bounds, expected 0 to 1d"},
        {WHOLE "on_timeout: stop\n",
         "4:13: \"on_timeout\": expected one of retry, abort, got \"stop\""},
        {WHOLE "drain_timeout: soon\n", "4:16: \"drain_timeout\": expected a duration such as "
                                        "100ms, 30s, 5m, 1h or 7d, got \"soon\""},
        {WHOLE "retry: { max_attempts: 0 }\n",
         "4:24: \"max_attempts\": 0 is out of bounds, expected 1 to 1000"},
        {NAME "source: { url: fake:x, format: xml }\n" HANDLERS,
         "2:32: \"format\": expected one of jsonl, text, raw, got \"xml\""},
        {NAME "source: { url: fake:x, unmatched: drop }\n" HANDLERS,
         "2:35: \"unmatched\": expected one of dlq, skip, got \"drop\""},
        {NAME "source: { url: fake:x, number: 101 }\n" HANDLERS,
         "2:32: \"number\": 101 is out of bounds, expected 1 to 100"},
        {NAME "source: { url: 'fake:x?number=5', number: 6 }\n" HANDLERS,
         "2:35: \"number\" is given both in the URL and as a key"},
        {NAME "source: { url: fake:x, key: '' }\n" HANDLERS,
         "2:9: \"key\": expected the name of a field, got \"\""},
        {NAME SOURCE "handlers: [ { on: '', count: { store: n } } ]\n",
         "3:30: a handler's type has 1 to 256 bytes; \"*\" is every type"},
        {NAME SOURCE "handlers: [ { count: { store: a b } } ]\n",
         "3:22: \"a b\" cannot be the name of a store: expected 1 to 64 of the characters A-Z a-z "
         "0-9 _ -"},
        {WHOLE "sink: { dlq: sunk:x }\n",
         "4:14: a sink cannot be called \"dlq\": that is the dead-letter queue"},
        {WHOLE "state: 'rocksdb:'\n",
         "4:8: \"rocksdb:\": expected a place behind the colon, such as rocksdb:./state"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, unknown_connectors_are_refused)
{
    static const struct refusal refusals[] = {
        {NAME "source: fkae:x\n" HANDLERS,
         "2:9: \"fkae:x\": there is no source \"fkae:\"; did you mean \"fake\"?"},
        {NAME "source: { format: raw, url: kafka:x }\n" HANDLERS,
         "2:29: \"kafka:x\": there is no source \"kafka:\"; known are fake"},
        {NAME "source: sunk:x\n" HANDLERS,
         "2:9: \"sunk:x\": there is no source \"sunk:\"; known are fake"},
        {NAME "source: orders.jsonl\n" HANDLERS,
         "2:9: expected a URL such as file:orders.jsonl, got \"orders.jsonl\""},
        {NAME "source: 'fake:x?nubmer=5'\n" HANDLERS,
         "2:9: in the URL of \"fake:\": unknown option \"nubmer\"; did you mean \"number\"?"},
        {WHOLE "state: sql:x\n",
         "4:8: there is no state store \"sql:x\"; expected rocksdb:DIR or memory:"},
        {WHOLE "sink:\n  a: sunk:x\n  b: { url: fake:x }\n",
         "6:13: \"fake:x\": there is no sink \"fake:\"; known are sunk"},
        {WHOLE "dlq: skun:x\n",
         "4:6: \"skun:x\": there is no sink \"skun:\"; did you mean \"sunk\"?"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, names_that_patterns_do_not_have_are_refused)
{
#define TEXT(more) NAME "source: { url: fake:x, format: text" more " }\n"
    static const struct refusal refusals[] = {
        {TEXT(", pattern: 'a(b'") HANDLERS,
         "2:47: the pattern is no PCRE2 pattern: missing closing parenthesis at its end"},
        {TEXT(", key: k") HANDLERS, "2:9: key \"k\" needs a \"pattern\" with a group (?<k>...)"},
        {TEXT(", key: k, pattern: '(?<j>.)'") HANDLERS,
         "2:9: the pattern has no group (?<k>...), which key \"k\" needs"},
        {TEXT(", pattern: '(?<j>.)'") "handlers: [ { sum: { store: n, field: f } } ]\n",
         "2:9: the pattern has no group (?<f>...), which field \"f\" needs"},
        {NAME "source: { url: fake:x, pattern: '(?<j>.)' }\n" HANDLERS,
         "2:9: \"pattern\" needs \"format: text\", not jsonl"},
        {NAME "source: { url: fake:x, format: raw, key: k }\n" HANDLERS,
         "2:9: \"format: raw\" has no fields, but \"k\" is asked for; use jsonl or text"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, handlers_that_cannot_be_made_are_refused)
{
    static const struct refusal refusals[] = {
        {NAME SOURCE "handlers: [ { on: a } ]\n",
         "3:13: a handler has exactly one of its kinds, this one has 0; known are count, sum, "
         "filter, forward"},
        {NAME SOURCE "handlers:\n  - { count: { store: n } }\n"
                     "  - { count: { store: n }, forward: { to: a } }\n",
         "5:5: a handler has exactly one of its kinds, this one has 2; known are count, sum, "
         "filter, forward"},
        {NAME SOURCE "handlers: [ { count: {} } ]\n",
         "3:22: \"store\" is missing: expected a string"},
        {NAME SOURCE "handlers: [ { sum: { store: n } } ]\n",
         "3:20: \"field\" is missing: expected a string"},
        {NAME SOURCE "handlers: [ { forward: { to: a } } ]\n",
         "3:24: there is no sink \"a\"; there are none"},
        {NAME SOURCE "handlers: [ { forward: { to: totls } } ]\nsink: { totals: sunk:x }\n",
         "3:24: there is no sink \"totls\"; did you mean \"totals\"?"},
        {NAME SOURCE "handlers: [ { filter: { field: f } } ]\n",
         "3:23: a filter needs a condition: equals, not_equals, above, below, matches or exists"},
        {NAME SOURCE "handlers: [ { filter: { field: f, matches: '[' } } ]\n",
         "3:23: the pattern is no PCRE2 pattern: missing terminating ] for character class at "
         "its end"},
        {NAME SOURCE "handlers: [ { filter: { field: f, exists: maybe } } ]\n",
         "3:43: \"exists\": expected one of any, true, false, got \"maybe\""},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, what_is_missing_is_named)
{
    static const struct refusal refusals[] = {
        {SOURCE HANDLERS, "1:1: \"name\" is missing: expected a string"},
        {NAME HANDLERS, "1:1: \"source\" is missing: expected a map with a url"},
        {NAME "source: { format: raw }\n" HANDLERS,
         "2:9: \"url\" is missing: expected a URL such as file:orders.jsonl"},
        {WHOLE "sink: { a: {} }\n",
         "4:12: \"url\" is missing: expected a URL such as file:orders.jsonl"},
        {"", "1:1: the file is empty, expected name, source and handlers"},
    };
    CHECK_REFUSED(refusals);
    struct definition *definition = NULL;
    cr_assert_eq(definition_load("/nonexistent/p.yaml", &definition, &err), STRID_EIO);
    cr_assert_str_eq(err.message, "the pipeline file /nonexistent/p.yaml cannot be opened: No such "
                                  "file or directory");
}

Test(definition_load, what_is_not_simple_yaml_is_refused)
{
    (void)unsetenv("STRID_TEST_NONE");
    static const struct refusal refusals[] = {
        {WHOLE "name: other\n", "4:1: the key \"name\" is given twice, first in line 1"},
        {NAME SOURCE "handlers: [ { count: { store: n, store: m } } ]\n",
         "3:34: the key \"store\" is given twice, first in line 3"},
        {WHOLE "---\n" WHOLE, "4:1: a pipeline file holds one document"},
        {NAME "source: &s fake:x\n" HANDLERS, "2:9: anchors and aliases are not supported"},
        {NAME "source: ${STRID_TEST_NONE}\n" HANDLERS,
         "2:9: the environment variable STRID_TEST_NONE is not set; set it or write "
         "${STRID_TEST_NONE:-default}"},
        {NAME "source: \"fake:${file:/nonexistent}\"\n" HANDLERS,
         "2:9: ${file:/nonexistent} cannot be read: No such file or directory"},
        {NAME "source: [\n", "3:1: not valid YAML: did not find expected node content while "
                             "parsing a flow node"},
    };
    CHECK_REFUSED(refusals);
}

Test(definition_load, variables_and_files_are_put_in)
{
    char secret[SUPPORT_PATH_MAX], text[SUPPORT_PATH_MAX + 256];
    (void)setenv("STRID_TEST_WORKERS", "5", 1);
    (void)unsetenv("STRID_TEST_NONE");
    support_path(&directory, "secret", secret);
    support_write_file(secret, "pass\n", 5);
    (void)snprintf(text, sizeof text,
                   "name: ${STRID_TEST_NONE:-totals}\n"
                   "workers: ${STRID_TEST_WORKERS}\n"
                   "source: { url: 'fake:x', secret: \"${file:%s}\" }\n" HANDLERS,
                   secret);
    struct definition *definition = load(text);
    const struct fake_options *values = definition->source.options;
    cr_assert_str_eq(definition->name, "totals");
    cr_assert_eq(definition->workers, 5);
    cr_assert_str_eq(values->secret, "pass");
    cr_assert_str_eq(definition->source.url, "fake:x");
    definition_destroy(definition);
}
