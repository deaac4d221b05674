#include <criterion/criterion.h>

#include <stdio.h>
#include <string.h>

#include "pipeline/definition.h"

#include "fake_connectors.h"

static struct definition *definition;
static strid_error err;

static void setup(void) { definition = definition_create("totals", &err); }
static void teardown(void) { definition_destroy(definition); }

TestSuite(definition, .init = setup, .fini = teardown);

static void refused(strid_status status, strid_status expected, const char *message)
{
    cr_assert_eq(status, expected, "%s: %s", strid_status_name(status), err.message);
    cr_assert_str_eq(err.message, message);
    cr_assert_eq(err.status, expected);
}

static void accepted(strid_status status) { cr_assert_eq(status, STRID_OK, "%s", err.message); }

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    (void)ctx, (void)record, (void)user;
    return STRID_DONE;
}

static void note_destroyed(void *user) { ++*(int *)user; }

Test(definition, begins_with_the_documented_defaults)
{
    cr_assert_not_null(definition);
    cr_assert_str_eq(definition->name, "totals");
    cr_assert_str_eq(definition->state_url, "memory:");
    cr_assert_eq(definition->decode.format, DECODE_JSONL);
    cr_assert_null(definition->decode.key);
    cr_assert_null(definition->decode.type);
    cr_assert_null(definition->dlq_url);
    cr_assert_eq(definition->max_attempts, 3);
    cr_assert_eq(definition->workers, 0);
    cr_assert_eq(definition->memory_bytes, 0);
    cr_assert_eq(definition->watchdog_ms, 30000);
    cr_assert_eq(definition->drain_timeout_ms, 30000);
}

Test(definition, a_name_has_1_to_64_plain_characters)
{
    char longest[66];
    memset(longest, 'a', sizeof longest);
    longest[65] = '\0';
    static const char *const bad[] = {"", "a b", "a/b", "\xc3\xa4", "a."};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[STRID_ERROR_MESSAGE_MAX];
        (void)snprintf(message, sizeof message,
                       "\"%s\" cannot be the name of a pipeline: expected 1 to 64 of the "
                       "characters A-Z a-z 0-9 _ -",
                       bad[i]);
        cr_assert_null(definition_create(bad[i], &err), "%s", bad[i]);
        cr_assert_str_eq(err.message, message);
        cr_assert_eq(err.status, STRID_ECONFIG);
    }
    cr_assert_null(definition_create(NULL, &err));
    cr_assert_null(definition_create(longest, &err));
    longest[64] = '\0';
    struct definition *other = definition_create(longest, &err);
    cr_assert_not_null(other);
    definition_destroy(other);
    other = definition_create("A-z_09", &err);
    cr_assert_not_null(other);
    definition_destroy(other);
}

Test(definition, a_source_takes_its_options_from_the_url)
{
    accepted(definition_set_source(definition, "fake:a/b?number=5&secret=s%26t&word=first", &err));
    const struct source_definition *source = &definition->source;
    const struct fake_options *values = source->options;
    cr_assert_eq(source->ops, &fake_source);
    cr_assert_str_eq(source->target, "a/b");
    cr_assert_str_eq(source->url, "fake:a/b?number=5&secret=***&word=first");
    cr_assert_eq(values->number, 5);
    cr_assert_eq(values->word, 0);
    cr_assert_str_eq(values->secret, "s&t");
    cr_assert_str_eq(values->text, "none");
}

Test(definition, a_second_source_takes_the_place_of_the_first)
{
    accepted(definition_set_source(definition, "fake:a", &err));
    accepted(definition_set_source(definition, "fake:b", &err));
    cr_assert_str_eq(definition->source.target, "b");
    refused(definition_set_source(definition, "fake:c?number=0", &err), STRID_ECONFIG,
            "in the URL of \"fake:\": \"number\": 0 is out of bounds, expected 1 to 100");
    cr_assert_str_eq(definition->source.target, "b");
}

Test(definition, bad_source_urls_are_refused)
{
    refused(definition_set_source(definition, "orders.jsonl", &err), STRID_ECONFIG,
            "expected a URL such as file:orders.jsonl, got \"orders.jsonl\"");
    refused(definition_set_source(definition, "fkae:x", &err), STRID_ECONFIG,
            "\"fkae:x\": there is no source \"fkae:\"; did you mean \"fake\"?");
    refused(definition_set_source(definition, "sunk:x", &err), STRID_ECONFIG,
            "\"sunk:x\": there is no source \"sunk:\"; known are fake");
    refused(definition_set_source(definition, "fake:x?nubmer=5", &err), STRID_ECONFIG,
            "in the URL of \"fake:\": unknown option \"nubmer\"; did you mean \"number\"?");
    refused(definition_set_source(definition, "fake:x?number=5&number=6", &err), STRID_ECONFIG,
            "in the URL of \"fake:\": \"number\" is given twice");
    cr_assert_null(definition->source.ops);
}

Test(definition, sinks_are_kept_in_order_under_their_own_names)
{
    accepted(definition_add_sink(definition, "first", "sunk:a?number=4", &err));
    accepted(definition_add_sink(definition, "second", "sunk:b", &err));
    cr_assert_eq(definition->sink_count, 2);
    cr_assert_str_eq(definition->sinks[0].name, "first");
    cr_assert_str_eq(definition->sinks[0].url, "sunk:a?number=4");
    cr_assert_eq(((const struct sunk_options *)definition->sinks[0].options)->number, 4);
    cr_assert_str_eq(definition->sinks[1].target, "b");
    refused(definition_add_sink(definition, "first", "sunk:c", &err), STRID_EEXIST,
            "there is already a sink \"first\"");
    refused(definition_add_sink(definition, "dlq", "sunk:c", &err), STRID_ECONFIG,
            "a sink cannot be called \"dlq\": that is the dead-letter queue");
    refused(definition_add_sink(definition, "a b", "sunk:c", &err), STRID_ECONFIG,
            "\"a b\" cannot be the name of a sink: expected 1 to 64 of the characters A-Z a-z 0-9 "
            "_ -");
    refused(definition_add_sink(definition, "third", "skun:c", &err), STRID_ECONFIG,
            "\"skun:c\": there is no sink \"skun:\"; did you mean \"sunk\"?");
    cr_assert_eq(definition->sink_count, 2);
}

Test(definition, a_sink_of_no_definition_is_made_and_freed)
{
    struct sink_definition sink;
    accepted(definition_make_sink("dlq", "sunk:x?to=there", &sink, &err));
    cr_assert_str_eq(sink.name, "dlq");
    cr_assert_str_eq(((const struct sunk_options *)sink.options)->to, "there");
    definition_free_sink(&sink);
    definition_free_sink(&sink); /* as often as one likes */
    refused(definition_make_sink("dlq", "sunk:x?t=1", &sink, &err), STRID_ECONFIG,
            "in the URL of \"sunk:\": unknown option \"t\"; did you mean \"to\"?");
    cr_assert_null(sink.ops);
}

Test(definition, a_store_is_the_same_under_the_same_name)
{
    strid_store first = 0, second = 0, again = 0;
    accepted(definition_add_store(definition, "orders", &first, &err));
    accepted(definition_add_store(definition, "spent", &second, &err));
    accepted(definition_add_store(definition, "orders", &again, &err));
    cr_assert(first == 1 && second == 2 && again == 1);
    cr_assert_str_eq(definition->stores[2], "spent");
    refused(definition_add_store(definition, "a:b", &again, &err), STRID_ECONFIG,
            "\"a:b\" cannot be the name of a store: expected 1 to 64 of the characters A-Z a-z "
            "0-9 _ -");
}

Test(definition, stores_and_fields_are_limited)
{
    char name[16];
    strid_store store = 0;
    uint32_t index = 0;
    for (int i = 0; i < DEFINITION_STORES_MAX; i++) {
        (void)snprintf(name, sizeof name, "s%d", i);
        accepted(definition_add_store(definition, name, &store, &err));
    }
    refused(definition_add_store(definition, "more", &store, &err), STRID_ELIMIT,
            "a pipeline has at most 120 stores");
    accepted(definition_add_store(definition, "s7", &store, &err));
    cr_assert_eq(store, 8);
    for (int i = 0; i < DEFINITION_FIELDS_MAX; i++) {
        (void)snprintf(name, sizeof name, "f%d", i);
        accepted(definition_add_field(definition, name, &index, &err));
    }
    refused(definition_add_field(definition, "more", &index, &err), STRID_ELIMIT,
            "a pipeline declares at most 64 fields");
    accepted(definition_add_field(definition, "f7", &index, &err));
    cr_assert_eq(index, 7);
}

Test(definition, a_field_has_a_name)
{
    char name[258];
    uint32_t index = 9;
    memset(name, 'x', sizeof name);
    name[257] = '\0';
    refused(definition_add_field(definition, "", &index, &err), STRID_ECONFIG,
            "a field's name has 1 to 256 bytes");
    refused(definition_add_field(definition, name, &index, &err), STRID_ECONFIG,
            "a field's name has 1 to 256 bytes");
    refused(definition_add_field(definition, NULL, &index, &err), STRID_ECONFIG,
            "a field's name has 1 to 256 bytes");
    name[256] = '\0';
    accepted(definition_add_field(definition, name, &index, &err));
    accepted(definition_add_field(definition, "/a b/0", &index, &err));
    cr_assert_eq(index, 1);
}

Test(definition, a_field_that_begins_as_a_json_pointer_is_one)
{
    static const char *const bad[] = {"/a~", "/~2", "/a/~b~0"};
    uint32_t index = 9;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char message[STRID_ERROR_MESSAGE_MAX];
        (void)snprintf(message, sizeof message,
                       "\"%s\" is no JSON Pointer, since it begins with / and has a ~ without 0 or "
                       "1 behind it; ~0 stands for ~ and ~1 for /",
                       bad[i]);
        refused(definition_add_field(definition, bad[i], &index, &err), STRID_ECONFIG, message);
        refused(definition_set_decode(definition, NULL, bad[i], NULL, &err), STRID_ECONFIG,
                message);
        refused(definition_set_decode(definition, NULL, NULL, bad[i], &err), STRID_ECONFIG,
                message);
    }
    accepted(definition_add_field(definition, "/~0~1/~01", &index, &err));
    accepted(definition_add_field(definition, "a~", &index, &err));
    accepted(definition_set_decode(definition, NULL, "/~1", "~", &err));
}

Test(definition, routes_are_kept_in_order_and_let_go_of_what_is_theirs)
{
    int destroyed = 0;
    struct definition *other = definition_create("other", &err);
    accepted(
        definition_add_route(other, "order.*", "first", handle, &destroyed, note_destroyed, &err));
    accepted(definition_add_route(other, "*", "second", handle, &destroyed, NULL, &err));
    cr_assert_eq(other->route_count, 2);
    cr_assert_str_eq(other->routes[0].type_glob, "order.*");
    cr_assert_str_eq(other->routes[0].name, "first");
    cr_assert_eq(other->routes[0].user, &destroyed);
    cr_assert_str_eq(other->routes[1].name, "second");
    cr_assert_eq(destroyed, 0);
    definition_destroy(other);
    cr_assert_eq(destroyed, 1);
}

Test(definition, a_route_has_a_type_and_a_handler)
{
    static const char message[] = "a handler's type has 1 to 256 bytes; \"*\" is every type";
    int destroyed = 0;
    char glob[258];
    memset(glob, '?', sizeof glob);
    glob[257] = '\0';
    const char *const bad[] = {NULL, "", glob};
    for (size_t i = 0; i < 3; i++)
        refused(
            definition_add_route(definition, bad[i], "n", handle, &destroyed, note_destroyed, &err),
            STRID_ECONFIG, message);
    refused(definition_add_route(definition, "*", "n", NULL, &destroyed, note_destroyed, &err),
            STRID_EINVAL, "a handler is NULL");
    cr_assert_eq(definition->route_count, 0);
    cr_assert_eq(destroyed, 0); /* still the caller's */
    glob[256] = '\0';
    accepted(definition_add_route(definition, glob, "n", handle, NULL, NULL, &err));
}

Test(definition, formats_are_chosen_by_name)
{
    accepted(definition_set_decode(definition, "text", "k", "t", &err));
    cr_assert_eq(definition->decode.format, DECODE_TEXT);
    cr_assert_str_eq(definition->decode.key, "k");
    cr_assert_str_eq(definition->decode.type, "t");
    accepted(definition_set_decode(definition, "raw", NULL, NULL, &err));
    cr_assert_eq(definition->decode.format, DECODE_RAW);
    cr_assert_null(definition->decode.key);
    accepted(definition_set_decode(definition, NULL, NULL, NULL, &err));
    cr_assert_eq(definition->decode.format, DECODE_JSONL);
    refused(definition_set_decode(definition, "xml", NULL, NULL, &err), STRID_ECONFIG,
            "\"format\": expected one of jsonl, text, raw, got \"xml\"");
    refused(definition_set_decode(definition, NULL, "", NULL, &err), STRID_ECONFIG,
            "\"key\": expected the name of a field, got \"\"");
    refused(definition_set_decode(definition, NULL, NULL, "", &err), STRID_ECONFIG,
            "\"type\": expected the name of a field, got \"\"");
}

Test(definition, a_pattern_is_compiled_where_it_is_given)
{
    accepted(definition_set_pattern(definition, "(?<a>x)", DECODE_UNMATCHED_SKIP, &err));
    cr_assert_str_eq(definition->decode.pattern, "(?<a>x)");
    cr_assert_eq(definition->decode.unmatched, DECODE_UNMATCHED_SKIP);
    refused(definition_set_pattern(definition, "a(b", DECODE_UNMATCHED_DLQ, &err), STRID_ECONFIG,
            "the pattern is no PCRE2 pattern: missing closing parenthesis at its end");
    cr_assert_str_eq(definition->decode.pattern, "(?<a>x)");
    accepted(definition_set_pattern(definition, NULL, DECODE_UNMATCHED_DLQ, &err));
    cr_assert_null(definition->decode.pattern);
}

Test(definition, state_is_in_a_store_that_there_is)
{
    accepted(definition_set_state(definition, "rocksdb:./state", &err));
    cr_assert_str_eq(definition->state_url, "rocksdb:./state");
    refused(definition_set_state(definition, "rocksdb:", &err), STRID_ECONFIG,
            "\"rocksdb:\": expected a place behind the colon, such as rocksdb:./state");
    refused(definition_set_state(definition, "sql:x", &err), STRID_ECONFIG,
            "there is no state store \"sql:x\"; expected rocksdb:DIR or memory:");
    cr_assert_str_eq(definition->state_url, "rocksdb:./state");
    accepted(definition_set_state(definition, "memory:", &err));
}

Test(definition, check_wants_a_source_and_numbers_in_bounds)
{
    refused(definition_check(definition, &err), STRID_ECONFIG, "the pipeline has no source");
    accepted(definition_set_source(definition, "fake:x", &err));
    accepted(definition_check(definition, &err));
    definition->workers = 65;
    refused(definition_check(definition, &err), STRID_ECONFIG,
            "\"workers\": 65 is out of bounds, expected 1 to 64, or auto");
    definition->workers = 64;
    accepted(definition_check(definition, &err));
    definition->max_attempts = 0;
    refused(definition_check(definition, &err), STRID_ECONFIG,
            "\"max_attempts\": 0 is out of bounds, expected at least 1");
}

Test(definition, a_mistyped_scheme_shows_no_secrets)
{
    refused(definition_set_source(definition, "faek://me:canary@host/x?fake.password=canary", &err),
            STRID_ECONFIG,
            "\"faek://me:***@host/x\": there is no source \"faek:\"; did you mean \"fake\"?");
}

Test(definition, check_looks_at_the_dead_letter_queue)
{
    accepted(definition_set_source(definition, "fake:x", &err));
    char bad[] = "nowhere:x", good[] = "sunk:x";
    definition->dlq_url = bad;
    refused(definition_check(definition, &err), STRID_ECONFIG,
            "\"nowhere:x\": there is no sink \"nowhere:\"; known are sunk");
    definition->dlq_url = good;
    accepted(definition_check(definition, &err));
    definition->dlq_url = NULL;
}

static void check_decode(const char *format, const char *key, const char *type, const char *pattern,
                         const char *message)
{
    accepted(definition_set_decode(definition, format, key, type, &err));
    accepted(definition_set_pattern(definition, pattern, DECODE_UNMATCHED_DLQ, &err));
    if (message == NULL)
        accepted(definition_check(definition, &err));
    else
        refused(definition_check(definition, &err), STRID_ECONFIG, message);
}

Test(definition, check_wants_a_group_for_each_name)
{
    accepted(definition_set_source(definition, "fake:x", &err));
    check_decode("text", NULL, NULL, NULL, NULL);
    check_decode("text", "k", "t", "(?<k>.)(?<t>.)", NULL);
    check_decode("text", "k", NULL, NULL, "key \"k\" needs a \"pattern\" with a group (?<k>...)");
    check_decode("text", "k", NULL, "(?<j>.)",
                 "the pattern has no group (?<k>...), which key \"k\" needs");
    check_decode("text", NULL, "t", "(?<j>.)",
                 "the pattern has no group (?<t>...), which type \"t\" needs");
    check_decode("jsonl", "k", NULL, "(?<k>.)", "\"pattern\" needs \"format: text\", not jsonl");
    check_decode("raw", NULL, NULL, "(?<k>.)", "\"pattern\" needs \"format: text\", not raw");
    uint32_t index = 0;
    accepted(definition_add_field(definition, "f", &index, &err));
    check_decode("text", NULL, NULL, "(?<j>.)",
                 "the pattern has no group (?<f>...), which field \"f\" needs");
    check_decode("text", NULL, NULL, "(?<f>.)", NULL);
}

Test(definition, check_finds_no_fields_in_raw_values)
{
    accepted(definition_set_source(definition, "fake:x", &err));
    check_decode("raw", NULL, NULL, NULL, NULL);
    check_decode("raw", "k", NULL, NULL,
                 "\"format: raw\" has no fields, but \"k\" is asked for; use jsonl or text");
    check_decode("raw", NULL, "t", NULL,
                 "\"format: raw\" has no fields, but \"t\" is asked for; use jsonl or text");
    uint32_t index = 0;
    accepted(definition_add_field(definition, "f", &index, &err));
    check_decode("raw", NULL, NULL, NULL,
                 "\"format: raw\" has no fields, but \"f\" is asked for; use jsonl or text");
}
