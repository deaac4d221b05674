#include <criterion/criterion.h>

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "pipeline/builtin.h"
#include "pipeline/options.h"

#include "fake_connectors.h"

enum { STORES = 4 };

/* What handlers see of the engine, in place of the real one: state of one key, outputs and reason.
 */
struct strid_context {
    struct {
        strid_state_kind kind;
        int64_t integer;
        double real;
    } stores[STORES];
    char reason[256];
    char sink[64];
    strid_bytes key, value;
    uint32_t outputs;
    strid_status refusal; /* of strid_emit */
};

strid_state_kind strid_state_get(strid_context *ctx, strid_store store, strid_bytes *value)
{
    if (ctx->stores[store].kind == STRID_STATE_I64)
        *value = strid_bytes_of(&ctx->stores[store].integer, 8);
    if (ctx->stores[store].kind == STRID_STATE_F64)
        *value = strid_bytes_of(&ctx->stores[store].real, 8);
    if (ctx->stores[store].kind == STRID_STATE_BYTES)
        *value = strid_bytes_of("bytes", 5);
    return ctx->stores[store].kind;
}

int64_t strid_state_get_i64(strid_context *ctx, strid_store store, int64_t fallback)
{
    return ctx->stores[store].kind == STRID_STATE_I64 ? ctx->stores[store].integer : fallback;
}

double strid_state_get_f64(strid_context *ctx, strid_store store, double fallback)
{
    if (ctx->stores[store].kind == STRID_STATE_I64)
        return (double)ctx->stores[store].integer;
    return ctx->stores[store].kind == STRID_STATE_F64 ? ctx->stores[store].real : fallback;
}

void strid_state_put_i64(strid_context *ctx, strid_store store, int64_t value)
{
    ctx->stores[store].kind = STRID_STATE_I64;
    ctx->stores[store].integer = value;
}

void strid_state_put_f64(strid_context *ctx, strid_store store, double value)
{
    ctx->stores[store].kind = STRID_STATE_F64;
    ctx->stores[store].real = value;
}

strid_status strid_emit(strid_context *ctx, const char *sink, strid_bytes key, strid_bytes value)
{
    (void)snprintf(ctx->sink, sizeof ctx->sink, "%s", sink);
    ctx->key = key;
    ctx->value = value;
    ctx->outputs++;
    return ctx->refusal;
}

void strid_set_reason(strid_context *ctx, const char *reason)
{
    (void)snprintf(ctx->reason, sizeof ctx->reason, "%s", reason);
}

static struct definition *definition;
static strid_context context;
static strid_error err;

static void setup(void)
{
    definition = definition_create("case", &err);
    cr_assert_eq(definition_add_sink(definition, "out", "sunk:x", &err), STRID_OK);
}
static void teardown(void) { definition_destroy(definition); }

TestSuite(handlers, .init = setup, .fini = teardown);

/* Adds the built-in `name` with "option=value" words up to NULL, as the pipeline file would. */
static void add(const char *name, const char *const *words)
{
    const struct builtin *builtin = NULL;
    struct options options;
    for (size_t i = 0; builtin_table[i] != NULL; i++)
        if (strcmp(builtin_table[i]->name, name) == 0)
            builtin = builtin_table[i];
    cr_assert_not_null(builtin, "%s", name);
    options_init(&options, builtin->options, builtin->options_size);
    for (; *words != NULL; words++) {
        char option[64];
        const char *equals = strchr(*words, '=');
        (void)snprintf(option, sizeof option, "%.*s", (int)(equals - *words), *words);
        cr_assert_eq(options_put(&options, option, equals + 1, &err), STRID_OK, "%s", err.message);
    }
    cr_assert_eq(options_finish(&options, &err), STRID_OK, "%s", err.message);
    strid_status status = builtin->add(definition, "*", options.values, &err);
    options_fini(&options); /* nothing of the options is kept */
    cr_assert_eq(status, STRID_OK, "%s", err.message);
}

#define ADD(name, ...) add(name, (const char *const[]){__VA_ARGS__, NULL})

/* Calls the handler that was added last, with field 0. */
static strid_outcome call(strid_field field)
{
    const struct route_definition *route = &definition->routes[definition->route_count - 1];
    strid_record record = {.key = strid_bytes_of_text("k"),
                           .value = strid_bytes_of_text("v"),
                           .fields = &field,
                           .field_count = 1};
    context.reason[0] = '\0';
    return route->handler(&context, &record, route->user);
}

static strid_field number(const char *text)
{
    strid_field field;
    cr_assert(json_parse_number(strid_bytes_of_text(text), &field), "%s", text);
    return field;
}

static strid_field other(strid_field_kind kind, const char *text)
{
    return (strid_field){.kind = kind, .text = strid_bytes_of_text(text)};
}

static const strid_field absent = {.kind = STRID_FIELD_ABSENT};

static void check_rejected(strid_field field, const char *reason)
{
    strid_context before = context;
    cr_assert_eq(call(field), STRID_REJECT);
    cr_assert_str_eq(context.reason, reason);
    cr_assert(memcmp(before.stores, context.stores, sizeof before.stores) == 0);
}

static void check_integer(int64_t expected)
{
    cr_assert_eq(context.stores[1].kind, STRID_STATE_I64);
    cr_assert_eq(context.stores[1].integer, expected);
}

static void check_real(double expected)
{
    cr_assert_eq(context.stores[1].kind, STRID_STATE_F64);
    cr_assert_eq(context.stores[1].real, expected);
}

Test(handlers, are_all_documented)
{
    static const char *const names[] = {"count", "sum", "filter", "forward"};
    for (size_t i = 0; i < 4; i++) {
        cr_assert_str_eq(builtin_table[i]->name, names[i]);
        cr_assert_not_null(builtin_table[i]->summary);
        for (const strid_option *option = builtin_table[i]->options; option->name != NULL; option++)
            cr_assert_not_null(option->doc, "%s.%s", names[i], option->name);
    }
    cr_assert_null(builtin_table[4]);
}

Test(handlers, count_counts)
{
    ADD("count", "store=orders");
    cr_assert_str_eq(definition->stores[1], "orders");
    cr_assert_str_eq(definition->routes[0].name, "count orders");
    for (int64_t i = 1; i <= 3; i++) {
        cr_assert_eq(call(absent), STRID_DONE);
        check_integer(i);
    }
}

Test(handlers, count_rejects_an_overflow)
{
    ADD("count", "store=orders");
    strid_state_put_i64(&context, 1, INT64_MAX - 1);
    cr_assert_eq(call(absent), STRID_DONE);
    check_integer(INT64_MAX);
    check_rejected(absent, "overflow");
}

/* Nothing that another handler keeps in the same store is overwritten. */
Test(handlers, count_rejects_state_that_is_no_count)
{
    ADD("count", "store=orders");
    strid_state_put_f64(&context, 1, 2.5);
    check_rejected(absent, "the state of this key is not a count");
    context.stores[1].kind = STRID_STATE_BYTES;
    check_rejected(absent, "the state of this key is not a count");
}

Test(handlers, sum_adds_integers)
{
    ADD("sum", "store=spent", "field=amount");
    cr_assert_str_eq(definition->decode.fields[0], "amount");
    cr_assert_str_eq(definition->routes[0].name, "sum spent");
    cr_assert_eq(call(number("5")), STRID_DONE);
    cr_assert_eq(call(number("-12")), STRID_DONE);
    check_integer(-7);
    cr_assert_eq(call(number("9223372036854775807")), STRID_DONE);
    check_integer(INT64_MAX - 7);
}

Test(handlers, sum_rejects_an_overflow)
{
    ADD("sum", "store=spent", "field=amount");
    strid_state_put_i64(&context, 1, INT64_MAX);
    check_rejected(number("1"), "overflow");
    strid_state_put_i64(&context, 1, INT64_MIN);
    check_rejected(number("-1"), "overflow");
    strid_state_put_f64(&context, 1, DBL_MAX);
    check_rejected(number("1.7e308"), "overflow");
    check_rejected(number("1e999"), "overflow");
}

Test(handlers, sum_of_reals_stays_a_real)
{
    ADD("sum", "store=spent", "field=amount");
    cr_assert_eq(call(number("2")), STRID_DONE);
    check_integer(2);
    cr_assert_eq(call(number("0.5")), STRID_DONE);
    check_real(2.5);
    cr_assert_eq(call(number("4")), STRID_DONE);
    check_real(6.5);
    cr_assert_eq(call(number("18446744073709551616")), STRID_DONE);
    check_real(6.5 + 18446744073709551616.0);
}

Test(handlers, sum_rejects_what_is_no_number)
{
    ADD("sum", "store=spent", "field=amount");
    cr_assert_eq(call(number("5")), STRID_DONE);
    check_rejected(absent, "not_a_number: amount");
    check_rejected(other(STRID_FIELD_STRING, "5"), "not_a_number: amount");
    check_rejected(other(STRID_FIELD_NULL, "null"), "not_a_number: amount");
    check_rejected(other(STRID_FIELD_BOOL, "true"), "not_a_number: amount");
    check_rejected(other(STRID_FIELD_OTHER, "[5]"), "not_a_number: amount");
    check_integer(5);
    context.stores[1].kind = STRID_STATE_BYTES;
    check_rejected(number("5"), "the state of this key is not a number");
}

Test(handlers, sum_reads_numbers_of_text_lines)
{
    cr_assert_eq(definition_set_decode(definition, "text", NULL, NULL, &err), STRID_OK);
    ADD("sum", "store=spent", "field=amount");
    cr_assert_eq(call(other(STRID_FIELD_STRING, "5")), STRID_DONE);
    check_integer(5);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "2.5")), STRID_DONE);
    check_real(7.5);
    check_rejected(other(STRID_FIELD_STRING, "5 "), "not_a_number: amount");
    check_rejected(other(STRID_FIELD_STRING, "+5"), "not_a_number: amount");
    check_rejected(other(STRID_FIELD_STRING, ""), "not_a_number: amount");
    check_rejected(absent, "not_a_number: amount");
}

Test(handlers, sum_and_filter_read_numbers_of_a_source_that_has_texts_alone)
{
    static const strid_source_ops texts = {.flags = STRID_SOURCE_TEXTS};
    definition->source.ops = &texts;
    ADD("sum", "store=spent", "field=amount");
    cr_assert_eq(call(other(STRID_FIELD_STRING, "5")), STRID_DONE);
    cr_assert_eq(call(number("2")), STRID_DONE);
    check_integer(7);
    check_rejected(other(STRID_FIELD_STRING, "5 "), "not_a_number: amount");
    definition->source.ops = NULL;
}

Test(handlers, filter_equals)
{
    ADD("filter", "field=f", "equals=5");
    cr_assert_str_eq(definition->routes[0].name, "filter f");
    cr_assert_eq(call(number("5")), STRID_DONE);
    cr_assert_eq(call(number("5.0")), STRID_DONE);
    cr_assert_eq(call(number("6")), STRID_SKIP);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "5")), STRID_DONE);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "5.0")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_SKIP);
    ADD("filter", "field=f", "equals=true");
    cr_assert_eq(call(other(STRID_FIELD_BOOL, "true")), STRID_DONE);
    cr_assert_eq(call(other(STRID_FIELD_BOOL, "false")), STRID_SKIP);
    cr_assert_eq(call(number("1")), STRID_SKIP);
    ADD("filter", "field=f", "equals=9007199254740993");
    cr_assert_eq(call(number("9007199254740993")), STRID_DONE);
    cr_assert_eq(call(number("9007199254740992")), STRID_SKIP); /* one and the same as doubles */
}

Test(handlers, filter_not_equals)
{
    ADD("filter", "field=f", "not_equals=5");
    cr_assert_eq(call(number("5")), STRID_SKIP);
    cr_assert_eq(call(number("6")), STRID_DONE);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "x")), STRID_DONE);
    cr_assert_eq(call(absent), STRID_DONE);
}

Test(handlers, filter_above_and_below)
{
    ADD("filter", "field=f", "above=2", "below=5");
    cr_assert_eq(call(number("2")), STRID_SKIP);
    cr_assert_eq(call(number("2.0001")), STRID_DONE);
    cr_assert_eq(call(number("4")), STRID_DONE);
    cr_assert_eq(call(number("5")), STRID_SKIP);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "4")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_SKIP);
    ADD("filter", "field=f", "above=0");
    cr_assert_eq(call(number("0.1")), STRID_DONE);
    cr_assert_eq(call(number("-1")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_SKIP);
    ADD("filter", "field=f", "below=0");
    cr_assert_eq(call(number("-0.1")), STRID_DONE);
    cr_assert_eq(call(number("0")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_SKIP);
}

Test(handlers, filter_compares_numbers_of_text_lines)
{
    cr_assert_eq(definition_set_decode(definition, "text", NULL, NULL, &err), STRID_OK);
    ADD("filter", "field=f", "above=2", "not_equals=7");
    cr_assert_eq(call(other(STRID_FIELD_STRING, "10")), STRID_DONE);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "1")), STRID_SKIP);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "7.0")), STRID_SKIP);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "ten")), STRID_SKIP);
}

Test(handlers, filter_matches)
{
    ADD("filter", "field=f", "matches=^a+$");
    cr_assert_eq(call(other(STRID_FIELD_STRING, "aaa")), STRID_DONE);
    cr_assert_eq(call(other(STRID_FIELD_STRING, "aab")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_SKIP);
    ADD("filter", "field=f", "matches=^-?4");
    cr_assert_eq(call(number("42")), STRID_DONE);
}

Test(handlers, filter_rejects_what_is_too_costly_to_match)
{
    char text[65] = "";
    memset(text, 'a', 63);
    text[63] = 'b';
    ADD("filter", "field=f", "matches=^((a+)+)+$");
    check_rejected(other(STRID_FIELD_STRING, text), "pattern_limit: f");
}

Test(handlers, filter_exists)
{
    ADD("filter", "field=f", "exists=true");
    cr_assert_eq(call(other(STRID_FIELD_NULL, "null")), STRID_DONE);
    cr_assert_eq(call(number("1")), STRID_DONE);
    cr_assert_eq(call(absent), STRID_SKIP);
    ADD("filter", "field=f", "exists=false");
    cr_assert_eq(call(number("1")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_DONE);
}

Test(handlers, filter_wants_all_of_its_conditions)
{
    ADD("filter", "field=f", "above=2", "matches=5$", "not_equals=15", "exists=true");
    cr_assert_eq(call(number("5")), STRID_DONE);
    cr_assert_eq(call(number("1.5")), STRID_SKIP);
    cr_assert_eq(call(number("6")), STRID_SKIP);
    cr_assert_eq(call(number("15")), STRID_SKIP);
    cr_assert_eq(call(absent), STRID_SKIP);
}

Test(handlers, forward_sends_key_and_value)
{
    ADD("forward", "to=out");
    cr_assert_str_eq(definition->routes[0].name, "forward out");
    cr_assert_eq(call(absent), STRID_DONE);
    cr_assert_eq(context.outputs, 1);
    cr_assert_str_eq(context.sink, "out");
    cr_assert(strid_bytes_equal(context.key, strid_bytes_of_text("k")));
    cr_assert(strid_bytes_equal(context.value, strid_bytes_of_text("v")));
}

Test(handlers, forward_rejects_what_is_refused)
{
    ADD("forward", "to=out");
    context.refusal = STRID_ELIMIT;
    check_rejected(absent, "the output was refused");
}
