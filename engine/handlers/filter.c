#include "filter.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "pipeline/pattern.h"

enum { WORKERS_MAX = 64 };

struct filter_options {
    const char *field;
    const char *equals;
    const char *not_equals;
    double above;
    double below;
    const char *matches;
    int32_t exists;
};

/* A value to compare with: as a number where both sides are numbers, else as text. */
struct operand {
    char *text; /* NULL: no such condition */
    bool is_number;
    strid_field number;
};

struct filter {
    uint32_t field;
    bool text_numbers;
    char *field_name;
    struct operand equals;
    struct operand not_equals;
    double above; /* NaN: no such condition */
    double below;
    struct pattern *matches;
    enum { EXISTS_ANY = 0, EXISTS_YES, EXISTS_NO } exists;
};

static bool equal(const struct operand *operand, const strid_field *field,
                  const strid_field *number)
{
    if (field->kind == STRID_FIELD_ABSENT)
        return false;
    if (operand->is_number && number != NULL) {
        bool integers = number->kind == STRID_FIELD_INT && operand->number.kind == STRID_FIELD_INT;
        return integers ? number->integer == operand->number.integer
                        : number->real == operand->number.real;
    }
    return strid_bytes_equal(field->text, strid_bytes_of_text(operand->text));
}

/* Comparisons with NaN are false, so !(a > b) would let through what is no number. */
static bool passes(const struct filter *filter, const strid_field *field, const strid_field *number)
{
    bool there = field->kind != STRID_FIELD_ABSENT;
    if (filter->exists != EXISTS_ANY && there != (filter->exists == EXISTS_YES))
        return false;
    if (filter->equals.text != NULL && !equal(&filter->equals, field, number))
        return false;
    if (filter->not_equals.text != NULL && equal(&filter->not_equals, field, number))
        return false;
    if (!isnan(filter->above) && (number == NULL || !(number->real > filter->above)))
        return false;
    return isnan(filter->below) || (number != NULL && number->real < filter->below);
}

static strid_outcome handle(strid_context *ctx, const strid_record *record, void *user)
{
    const struct filter *filter = user;
    const strid_field *field = &record->fields[filter->field];
    const strid_field *number = NULL;
    strid_field parsed;
    if (field->kind == STRID_FIELD_INT || field->kind == STRID_FIELD_REAL)
        number = field;
    else if (filter->text_numbers && field->kind == STRID_FIELD_STRING &&
             json_parse_number(field->text, &parsed))
        number = &parsed;
    if (!passes(filter, field, number))
        return STRID_SKIP;
    if (filter->matches == NULL)
        return STRID_DONE;
    if (field->kind == STRID_FIELD_ABSENT)
        return STRID_SKIP;
    enum pattern_result result = pattern_match(filter->matches, field->text, NULL, NULL, 0);
    if (result != PATTERN_LIMIT)
        return result == PATTERN_MATCH ? STRID_DONE : STRID_SKIP;
    char reason[200];
    (void)snprintf(reason, sizeof reason, "pattern_limit: %s", filter->field_name);
    strid_set_reason(ctx, reason);
    return STRID_REJECT;
}

static void destroy(void *user)
{
    struct filter *filter = user;
    pattern_destroy(filter->matches);
    memory_free(filter->equals.text);
    memory_free(filter->not_equals.text);
    memory_free(filter->field_name);
    memory_free(filter);
}

static void set_operand(struct operand *operand, const char *text)
{
    operand->text = memory_copy_text(text);
    operand->is_number =
        text != NULL && json_parse_number(strid_bytes_of_text(operand->text), &operand->number);
}

static strid_status fill(struct filter *filter, struct definition *definition,
                         const struct filter_options *given, strid_error *err)
{
    filter->text_numbers = definition_has_text_numbers(definition);
    filter->field_name = memory_copy_text(given->field);
    filter->above = given->above;
    filter->below = given->below;
    filter->exists = given->exists == 0 ? EXISTS_ANY : given->exists == 1 ? EXISTS_YES : EXISTS_NO;
    set_operand(&filter->equals, given->equals);
    set_operand(&filter->not_equals, given->not_equals);
    if (given->matches != NULL)
        STRID_TRY(pattern_create(given->matches, WORKERS_MAX, &filter->matches, err));
    bool any = given->equals != NULL || given->not_equals != NULL || given->matches != NULL ||
               !isnan(given->above) || !isnan(given->below) || filter->exists != EXISTS_ANY;
    if (!any)
        return error_set(err, STRID_ECONFIG, "config",
                         "a filter needs a condition: equals, not_equals, above, below, matches or "
                         "exists");
    return definition_add_field(definition, given->field, &filter->field, err);
}

static strid_status add(struct definition *definition, const char *type_glob, const void *options,
                        strid_error *err)
{
    const struct filter_options *given = options;
    struct filter *filter = memory_alloc_zeroed(sizeof *filter);
    char name[DEFINITION_NAME_MAX + 16];
    (void)snprintf(name, sizeof name, "filter %.64s", given->field);
    strid_status status = fill(filter, definition, given, err);
    if (status == STRID_OK)
        status = definition_add_route(definition, type_glob, name, handle, filter, destroy, err);
    if (status != STRID_OK)
        destroy(filter);
    return status;
}

#define MEMBER(name) offsetof(struct filter_options, name)

static const char *const exists_words[] = {"any", "true", "false", NULL};

static const strid_option filter_table[] = {
    {.name = "field",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_REQUIRED,
     .offset = MEMBER(field),
     .doc = "Field that is looked at. At least one condition is given beside it; a record passes "
            "if all of them hold."},
    {.name = "equals",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_SCALAR,
     .offset = MEMBER(equals),
     .doc = "The field is this: compared as a number where both are numbers, else as text. A field "
            "that is absent equals nothing."},
    {.name = "not_equals",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_SCALAR,
     .offset = MEMBER(not_equals),
     .doc = "The field is not this; it may be absent."},
    {.name = "above",
     .type = STRID_OPTION_FLOAT,
     .offset = MEMBER(above),
     .doc = "The field is a number greater than this."},
    {.name = "below",
     .type = STRID_OPTION_FLOAT,
     .offset = MEMBER(below),
     .doc = "The field is a number less than this."},
    {.name = "matches",
     .type = STRID_OPTION_STRING,
     .offset = MEMBER(matches),
     .doc = "The field's text holds a match of this PCRE2 pattern."},
    {.name = "exists",
     .type = STRID_OPTION_ENUM,
     .fallback = "any",
     .choices = exists_words,
     .offset = MEMBER(exists),
     .doc = "The field is there (true; null counts as there) or absent (false)."},
    {0},
};

const struct builtin filter_builtin = {
    .name = "filter",
    .summary = "Skips records of which a field does not fulfil all conditions; nothing that other "
               "handlers did with them takes effect.",
    .options = filter_table,
    .options_size = sizeof(struct filter_options),
    .add = add,
};
