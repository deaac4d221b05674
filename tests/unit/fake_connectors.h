/* A source "fake:" and a sink "sunk:" with an option of every type, in place of the real
 * connectors. A test that includes this defines the registry and links no connector. */
#ifndef FAKE_CONNECTORS_H
#define FAKE_CONNECTORS_H

#include <string.h>

#include "base/error.h"
#include "pipeline/registry.h"

struct fake_options {
    const char *text;
    int64_t number;
    bool flag;
    uint64_t size;
    int64_t time;
    double real;
    int32_t word;
    const char *secret;
};

struct sunk_options {
    const char *to;
    int64_t number;
    bool flag;
};

static const char *const fake_words[] = {"first", "second", NULL};

#define FAKE(member) offsetof(struct fake_options, member)

static const strid_option fake_table[] = {
    {.name = "text", .type = STRID_OPTION_STRING, .fallback = "none", .offset = FAKE(text)},
    {.name = "number",
     .type = STRID_OPTION_INT,
     .fallback = "7",
     .min = 1,
     .max = 100,
     .offset = FAKE(number)},
    {.name = "flag", .type = STRID_OPTION_BOOL, .offset = FAKE(flag)},
    {.name = "size",
     .type = STRID_OPTION_SIZE,
     .fallback = "1KiB",
     .min = 1,
     .max = 1 << 20,
     .offset = FAKE(size)},
    {.name = "time",
     .type = STRID_OPTION_DURATION,
     .fallback = "1s",
     .min = 10,
     .max = 60000,
     .offset = FAKE(time)},
    {.name = "real", .type = STRID_OPTION_FLOAT, .offset = FAKE(real)},
    {.name = "word",
     .type = STRID_OPTION_ENUM,
     .fallback = "second",
     .choices = fake_words,
     .offset = FAKE(word)},
    {.name = "secret",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_SECRET,
     .offset = FAKE(secret)},
    {0},
};

static const strid_option sunk_table[] = {
    {.name = "to",
     .type = STRID_OPTION_STRING,
     .fallback = "here",
     .offset = offsetof(struct sunk_options, to)},
    {.name = "number", .type = STRID_OPTION_INT, .offset = offsetof(struct sunk_options, number)},
    {.name = "flag", .type = STRID_OPTION_BOOL, .offset = offsetof(struct sunk_options, flag)},
    {0},
};

/* What both refuse without being opened: the target "bad". */
static strid_status fake_check(const strid_connector_args *args, strid_error *err)
{
    if (strcmp(args->target, "bad") != 0)
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, args->scheme, "%s can never be opened", args->url);
}

static const strid_source_ops fake_source = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .name = "fake",
    .options = fake_table,
    .options_size = sizeof(struct fake_options),
    .check = fake_check,
};

static const strid_sink_ops sunk_sink = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .name = "sunk",
    .options = sunk_table,
    .options_size = sizeof(struct sunk_options),
    .check = fake_check,
};

const strid_source_ops *const registry_sources[] = {&fake_source, NULL};
const strid_sink_ops *const registry_sinks[] = {&sunk_sink, NULL};

#endif
