#include "file_config.h"

const strid_option file_source_config[] = {
    {
        .name = "match",
        .type = STRID_OPTION_STRING,
        .fallback = "*",
        .offset = offsetof(struct file_source_options, match),
        .doc = "Which files of a directory are read, as a shell glob over their names; names that "
               "end in .dlq or begin with a dot are never read.",
    },
    {
        .name = "max_line",
        .type = STRID_OPTION_SIZE,
        .fallback = "1MiB",
        .min = 1,
        .max = INT64_C(1) << 30,
        .offset = offsetof(struct file_source_options, max_line),
        .doc = "The longest line that is a record. A longer one is dead-lettered in pieces of at "
               "most this size, reason line_too_long.",
    },
    {
        .name = "read_size",
        .type = STRID_OPTION_SIZE,
        .fallback = "1MiB",
        .min = 1,
        .max = INT64_C(1) << 28,
        .offset = offsetof(struct file_source_options, read_size),
        .doc = "How much is read from a file at a time.",
    },
    {0},
};

static const char *const format_words[] = {"envelope", "value", NULL};

const strid_option file_sink_config[] = {
    {
        .name = "format",
        .type = STRID_OPTION_ENUM,
        .fallback = "envelope",
        .choices = format_words,
        .offset = offsetof(struct file_sink_options, format),
        .doc = "What a line holds: envelope, an object with id, key and value; or value, the value "
               "alone. Dead letters have a form of their own.",
    },
    {
        .name = "per_source",
        .type = STRID_OPTION_BOOL,
        .fallback = "false",
        .offset = offsetof(struct file_sink_options, per_source),
        .doc = "Dead letters go to a file beside the one they were read from, its path with .dlq "
               "behind it; the path of the URL is then the directory to list them from.",
    },
    {0},
};
