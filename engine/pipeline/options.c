#include "options.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"

enum { TABLE_MAX = 64 };

void options_init(struct options *options, const strid_option *table, size_t size)
{
    *options = (struct options){.table = table, .values = memory_alloc_zeroed(size > 0 ? size : 1)};
}

void options_fini(struct options *options)
{
    options_free(options->table, options->values);
    *options = (struct options){0};
}

void *options_take(struct options *options)
{
    void *values = options->values;
    options->values = NULL;
    return values;
}

static void free_properties(strid_property *property)
{
    while (property != NULL) {
        strid_property *next = property->next;
        memory_free(property->name);
        memory_free(property->value);
        memory_free(property);
        property = next;
    }
}

void options_free(const strid_option *table, void *values)
{
    if (values == NULL)
        return;
    for (const strid_option *option = table; option != NULL && option->name != NULL; option++)
        if (option->type == STRID_OPTION_STRING)
            memory_free(*(char **)(void *)((char *)values + option->offset));
        else if (option->type == STRID_OPTION_PROPERTIES)
            free_properties(*(strid_property **)(void *)((char *)values + option->offset));
    memory_free(values);
}

static bool has_name(const strid_option *option, const char *name)
{
    if (option->type != STRID_OPTION_PROPERTIES)
        return strcmp(option->name, name) == 0;
    size_t len = strlen(option->name);
    return strncmp(option->name, name, len) == 0 && name[len] != '\0';
}

const strid_option *options_find(const strid_option *table, const char *name)
{
    for (const strid_option *option = table; option != NULL && option->name != NULL; option++)
        if (has_name(option, name))
            return option;
    return NULL;
}

void options_add_names(const strid_option *table, struct spelling *spelling)
{
    for (const strid_option *option = table; option != NULL && option->name != NULL; option++)
        spelling_add(spelling, option->name);
}

const char *options_expected(strid_option_type type)
{
    switch (type) {
    case STRID_OPTION_STRING:
        return "a string";
    case STRID_OPTION_INT:
        return "a whole number";
    case STRID_OPTION_BOOL:
        return "true or false";
    case STRID_OPTION_SIZE:
        return "a size such as 512, 64KiB or 1GiB";
    case STRID_OPTION_DURATION:
        return "a duration such as 100ms, 30s, 5m, 1h or 7d";
    case STRID_OPTION_FLOAT:
        return "a number such as 2 or 0.5";
    case STRID_OPTION_ENUM:
        return "one of the listed words";
    case STRID_OPTION_PROPERTIES:
        return "a plain value";
    }
    STRID_ASSERT(false && "an option type");
    return "";
}

static strid_status refuse_type(const strid_option *option, const char *value, strid_error *err)
{
    bool secret = (option->flags & STRID_OPTION_SECRET) != 0;
    return error_set(err, STRID_ECONFIG, "config", "\"%s\": expected %s, got \"%s\"", option->name,
                     options_expected(option->type), secret ? "***" : value);
}

/* As the option is written: a size, a duration or a number. */
static void put_bound(const strid_option *option, int64_t bound, char out[UNITS_TEXT_MAX])
{
    if (option->type == STRID_OPTION_SIZE)
        units_format_size((uint64_t)bound, out);
    else if (option->type == STRID_OPTION_DURATION)
        units_format_duration(bound, out);
    else
        (void)snprintf(out, UNITS_TEXT_MAX, "%" PRId64, bound);
}

static strid_status check_bounds(const strid_option *option, const char *value, int64_t number,
                                 strid_error *err)
{
    char least[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];
    if ((option->min == 0 && option->max == 0) || (number >= option->min && number <= option->max))
        return STRID_OK;
    put_bound(option, option->min, least);
    put_bound(option, option->max, most);
    return error_set(err, STRID_ECONFIG, "config", "\"%s\": %s is out of bounds, expected %s to %s",
                     option->name, value, least, most);
}

static bool parse_int(const char *text, int64_t *out)
{
    const char *digits = text[0] == '-' || text[0] == '+' ? text + 1 : text;
    int64_t value = 0;
    if (*digits == '\0')
        return false;
    for (const char *at = digits; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value))
            return false;
        int64_t digit = text[0] == '-' ? '0' - *at : *at - '0';
        if (__builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

/* What takes the place of options_expected() where the words are known. */
void options_words(const strid_option *option, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "one of ");
    for (uint32_t i = 0; option->choices[i] != NULL && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ",
                                 option->choices[i]);
}

static strid_status put_enum(const strid_option *option, const char *value, int32_t *out,
                             strid_error *err)
{
    struct spelling words = {.count = 0};
    char list[256];
    for (int32_t i = 0; option->choices[i] != NULL; i++) {
        if (strcmp(option->choices[i], value) == 0) {
            *out = i;
            return STRID_OK;
        }
        spelling_add(&words, option->choices[i]);
    }
    options_words(option, list, sizeof list);
    const char *nearest = spelling_nearest(&words, value);
    return error_set(err, STRID_ECONFIG, "config", "\"%s\": expected %s, got \"%s\"%s%s%s",
                     option->name, list, value, nearest == NULL ? "" : "; did you mean \"",
                     nearest == NULL ? "" : nearest, nearest == NULL ? "" : "\"?");
}

static strid_status put_int(const strid_option *option, const char *value, int64_t *out,
                            strid_error *err)
{
    int64_t number = 0;
    bool ok = option->type == STRID_OPTION_INT ? parse_int(value, &number)
                                               : units_parse_duration_ms(value, &number);
    if (!ok)
        return refuse_type(option, value, err);
    strid_status status = check_bounds(option, value, number, err);
    if (status == STRID_OK)
        *out = number;
    return status;
}

static strid_status put_size(const strid_option *option, const char *value, uint64_t *out,
                             strid_error *err)
{
    uint64_t number = 0;
    if (!units_parse_size(value, &number) || number > INT64_MAX)
        return refuse_type(option, value, err);
    strid_status status = check_bounds(option, value, (int64_t)number, err);
    if (status == STRID_OK)
        *out = number;
    return status;
}

static strid_status put_float(const strid_option *option, const char *value, double *out,
                              strid_error *err)
{
    strid_field field;
    if (!json_parse_number(strid_bytes_of_text(value), &field))
        return refuse_type(option, value, err);
    *out = field.real;
    return STRID_OK;
}

static strid_status put_value(const strid_option *option, const char *value, void *member,
                              strid_error *err)
{
    switch (option->type) {
    case STRID_OPTION_STRING:
        memory_free(*(char **)member);
        *(char **)member = memory_copy_text(value);
        return STRID_OK;
    case STRID_OPTION_INT:
    case STRID_OPTION_DURATION:
        return put_int(option, value, member, err);
    case STRID_OPTION_BOOL:
        if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
            return refuse_type(option, value, err);
        *(bool *)member = value[0] == 't';
        return STRID_OK;
    case STRID_OPTION_SIZE:
        return put_size(option, value, member, err);
    case STRID_OPTION_FLOAT:
        return put_float(option, value, member, err);
    case STRID_OPTION_ENUM:
        return put_enum(option, value, member, err);
    case STRID_OPTION_PROPERTIES:
        break; /* put_property() */
    }
    STRID_ASSERT(false && "an option type");
    return STRID_EINTERNAL;
}

static strid_status put_property(const strid_option *option, const char *name, const char *value,
                                 void *member, strid_error *err)
{
    const char *rest = name + strlen(option->name);
    strid_property **end = member;
    for (; *end != NULL; end = &(*end)->next)
        if (strcmp((*end)->name, rest) == 0)
            return error_set(err, STRID_ECONFIG, "config", "\"%s\" is given twice", name);
    if (option->check != NULL)
        STRID_TRY(option->check(rest, value, err));
    *end = memory_alloc_zeroed(sizeof **end);
    (*end)->name = memory_copy_text(rest);
    (*end)->value = memory_copy_text(value);
    return STRID_OK;
}

strid_status options_put(struct options *options, const char *name, const char *value,
                         strid_error *err)
{
    const strid_option *option = options_find(options->table, name);
    if (option == NULL) {
        struct spelling known = {.count = 0};
        char hint[256];
        options_add_names(options->table, &known);
        return error_set(err, STRID_ECONFIG, "config", "unknown option \"%s\"; %s", name,
                         spelling_hint(&known, name, hint, sizeof hint));
    }
    if (option->type == STRID_OPTION_PROPERTIES)
        return put_property(option, name, value, (char *)options->values + option->offset, err);
    size_t index = (size_t)(option - options->table);
    STRID_ASSERT(index < TABLE_MAX);
    if ((options->given >> index & 1) != 0)
        return error_set(err, STRID_ECONFIG, "config", "\"%s\" is given twice", name);
    options->given |= UINT64_C(1) << index;
    return put_value(option, value, (char *)options->values + option->offset, err);
}

strid_status options_finish(struct options *options, strid_error *err)
{
    const strid_option *table = options->table;
    for (size_t i = 0; table != NULL && table[i].name != NULL; i++) {
        if ((options->given >> i & 1) != 0)
            continue;
        if ((table[i].flags & STRID_OPTION_REQUIRED) != 0)
            return error_set(err, STRID_ECONFIG, "config", "\"%s\" is missing: expected %s",
                             table[i].name, options_expected(table[i].type));
        void *member = (char *)options->values + table[i].offset;
        if (table[i].fallback == NULL && table[i].type == STRID_OPTION_FLOAT)
            *(double *)member = NAN;
        if (table[i].fallback == NULL)
            continue;
        strid_status status = put_value(&table[i], table[i].fallback, member, err);
        STRID_ASSERT(status == STRID_OK); /* a table's own fallback */
        options->given |= UINT64_C(1) << i;
    }
    return STRID_OK;
}
