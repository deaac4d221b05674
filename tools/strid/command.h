/* The commands of `strid`: one table is parser, help, docs/cli.md and manual page. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include <strid/config.h>
#include <strid/status.h>

enum command_exit {
    COMMAND_FINE = 0,
    COMMAND_FAILED = 1,
    COMMAND_USAGE = 2, /* wrong usage or configuration */
    COMMAND_UNREACHABLE = 3
};

enum { COMMAND_ARGUMENTS_MAX = 4 };

/* What a call was given: every flag of every command, zero where it was not. */
struct command_call {
    const struct command *command;
    const char *arguments[COMMAND_ARGUMENTS_MAX]; /* not flags; NULL behind the last */
    int argument_count;
    uint64_t given; /* bit n: flag n of the command's, then of the common ones, has its value */
    bool json;
    bool help;
    bool all, yes, dry_run, again, replayed;
    const char *since, *until, *reason, *type, *position; /* dlq_filter.h */
    int64_t limit;                                        /* 0: none */
    int32_t log_level;                                    /* strid_log_level */
    int32_t log_format;                                   /* enum talk_format */
    int64_t workers;
    const char *store;
    const char *key;
    const char *subkey;
    int32_t help_format; /* enum help_format */
    int32_t input;       /* enum produce_input */
    const char *key_delimiter;
    bool empty_is_null;
    const char *format;
    const char *offset[2]; /* start and end, as given */
    int64_t count;         /* 0: all */
    bool exit_at_end;
    const char *to, *to_time, *by, *topic, *partition; /* reset.h */
};

struct command {
    const char *name;      /* one or two words; NULL ends the table */
    const char *arguments; /* as shown in the usage line */
    int argument_min, argument_max;
    const strid_option *flags; /* its own; the common ones come on top */
    const char *summary;       /* one line */
    const char *details;       /* sentences */
    const char *example;
    enum command_exit (*run)(const struct command_call *call);
};

extern const struct command command_table[];
extern const strid_option command_common_flags[];

/* Of a flag of type STRING: a second value goes into the member behind its own. */
enum { COMMAND_TWICE = 1 << 16 };

/* The letter that a flag may be given by, too; 0: none. */
char command_letter_of(const strid_option *flag);

/* What a word of PSPF's pspfctl stands for that is no word of ours; NULL: it is none. */
const struct command *command_find_alias(const char *word);

/* Fills `call` from the words behind the program's name. Returns false when they are wrong; talk.h
 * has then said why. */
bool command_parse(int count, char **words, struct command_call *call);

/* The exit code that stands for a status of the library. */
enum command_exit command_exit_of(strid_status status);

#endif
