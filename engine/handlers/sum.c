#include "sum.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

struct sum_options {
    const char *store;
    const char *field;
};

struct sum {
    strid_store store;
    uint32_t field;
    bool text_numbers; /* strings that are numbers count as such */
    char *field_name;
};

static strid_outcome reject(strid_context *ctx, const char *reason, const char *name)
{
    char text[200];
    (void)snprintf(text, sizeof text, "%s%s%s", reason, name == NULL ? "" : ": ",
                   name == NULL ? "" : name);
    strid_set_reason(ctx, text);
    return STRID_REJECT;
}

static strid_outcome add_integer(strid_context *ctx, const struct sum *sum, int64_t value)
{
    int64_t total = strid_state_get_i64(ctx, sum->store, 0);
    if (__builtin_add_overflow(total, value, &total))
        return reject(ctx, "overflow", NULL);
    strid_state_put_i64(ctx, sum->store, total);
    return STRID_DONE;
}

static strid_outcome add_real(strid_context *ctx, const struct sum *sum, double value)
{
    double total = strid_state_get_f64(ctx, sum->store, 0.0) + value;
    if (!isfinite(total))
        return reject(ctx, "overflow", NULL);
    strid_state_put_f64(ctx, sum->store, total);
    return STRID_DONE;
}

/* Once a key's sum is a double it stays one: integers are added to it as doubles. */
static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct sum *sum = user;
    const strid_field *field = &record->fields[sum->field];
    strid_field number;
    strid_bytes held;
    if (sum->text_numbers && field->kind == STRID_FIELD_STRING &&
        json_parse_number(field->text, &number))
        field = &number;
    if (field->kind != STRID_FIELD_INT && field->kind != STRID_FIELD_REAL)
        return reject(ctx, "not_a_number", sum->field_name);
    strid_state_kind kind = strid_state_get(ctx, sum->store, &held);
    if (kind == STRID_STATE_BYTES)
        return reject(ctx, "the state of this key is not a number", NULL);
    return field->kind == STRID_FIELD_INT && kind != STRID_STATE_F64
               ? add_integer(ctx, sum, field->integer)
               : add_real(ctx, sum, field->real);
}

static void destroy(void *user)
{
    struct sum *sum = user;
    memory_free(sum->field_name);
    memory_free(sum);
}

static strid_status add(struct definition *definition, const char *type_glob, const void *options,
                        strid_error *err)
{
    const struct sum_options *given = options;
    struct sum made = {.text_numbers = definition_has_text_numbers(definition)};
    char name[DEFINITION_NAME_MAX + 16];
    STRID_TRY(definition_add_store(definition, given->store, &made.store, err));
    STRID_TRY(definition_add_field(definition, given->field, &made.field, err));
    struct sum *sum = memory_alloc_zeroed(sizeof *sum);
    *sum = made;
    sum->field_name = memory_copy_text(given->field);
    (void)snprintf(name, sizeof name, "sum %s", given->store);
    strid_status status =
        definition_add_route(definition, type_glob, name, handle, sum, destroy, err);
    if (status != STRID_OK)
        destroy(sum);
    return status;
}

static const strid_option sum_table[] = {
    {.name = "store",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_REQUIRED,
     .offset = offsetof(struct sum_options, store),
     .doc = "Store that holds the sum of each key: a 64-bit integer while all that was added was "
            "integers, else a double."},
    {.name = "field",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_REQUIRED,
     .offset = offsetof(struct sum_options, field),
     .doc =
         "Field that is added: a JSON number; with `format: text` and from Redis, whose fields are "
         "texts, also a text that is one. Anything else is rejected (not_a_number), and so is a "
         "sum that overflows (overflow)."},
    {0},
};

const struct builtin sum_builtin = {
    .name = "sum",
    .summary = "Adds up a field over the records of each key.",
    .options = sum_table,
    .options_size = sizeof(struct sum_options),
    .add = add,
};
