#include "command.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dlq.h"
#include "help.h"
#include "run.h"
#include "state.h"
#include "talk.h"

enum { NEAREST_LENGTH_MAX = 32 };

#define MEMBER(name) offsetof(struct command_call, name)

static const char *const log_levels[] = {"debug", "info", "warn", "error", NULL};
static const char *const log_formats[] = {"text", "logfmt", "json", NULL};
static const char *const help_formats[] = {"text", "markdown", "man", NULL};

const strid_option command_common_flags[] = {
    {"json", STRID_OPTION_BOOL, NULL, 0, 0, NULL, MEMBER(json), 0,
     "Print data as JSON on standard output, one object a line.", NULL},
    {"log-level", STRID_OPTION_ENUM, "info", 0, 0, log_levels, MEMBER(log_level), 0,
     "The least level of messages that are shown.", NULL},
    {"log-format", STRID_OPTION_ENUM, "text", 0, 0, log_formats, MEMBER(log_format), 0,
     "How messages are written on standard error.", NULL},
    {"help", STRID_OPTION_BOOL, NULL, 0, 0, NULL, MEMBER(help), 0, "Show help for the command.",
     NULL},
    {0}};

static const strid_option run_flags[] = {
    {"workers", STRID_OPTION_INT, NULL, 1, 64, NULL, MEMBER(workers), 0,
     "How many workers run handlers; wins over the pipeline file. Default: one per core.", NULL},
    {0}};

static const strid_option get_flags[] = {
    {"store", STRID_OPTION_STRING, NULL, 0, 0, NULL, MEMBER(store), STRID_OPTION_REQUIRED,
     "The store to read.", NULL},
    {"key", STRID_OPTION_STRING, NULL, 0, 0, NULL, MEMBER(key), STRID_OPTION_REQUIRED,
     "The key to look up.", NULL},
    {"subkey", STRID_OPTION_STRING, NULL, 0, 0, NULL, MEMBER(subkey), 0,
     "The subkey to look up, in a store that is ordered.", NULL},
    {0}};

static const strid_option scan_flags[] = {
    {"store", STRID_OPTION_STRING, NULL, 0, 0, NULL, MEMBER(store), 0,
     "Only this store. Without it all stores are listed, each entry with its store's name.", NULL},
    {0}};

static const strid_option help_flags[] = {
    {"format", STRID_OPTION_ENUM, "text", 0, 0, help_formats, MEMBER(help_format), 0,
     "markdown and man print the whole manual, from which docs/cli.md and strid(1) are made.",
     NULL},
    {0}};

#define FILTER(name, member, doc)                                                                  \
    {                                                                                              \
        name, STRID_OPTION_STRING, NULL, 0, 0, NULL, MEMBER(member), 0, doc, NULL                  \
    }
#define SWITCH(name, member, doc)                                                                  \
    {                                                                                              \
        name, STRID_OPTION_BOOL, NULL, 0, 0, NULL, MEMBER(member), 0, doc, NULL                    \
    }
#define DLQ_FILTERS                                                                                \
    FILTER("since", since,                                                                         \
           "Only what failed last at this time or later: 2026-11-21, 2026-11-21T14:30:00 (UTC), "  \
           "an age such as 2h, or milliseconds since 1970."),                                      \
        FILTER("until", until, "Only what failed last before this time."),                         \
        FILTER("reason", reason, "Only this reason; rejected means each \"rejected: why\", too."), \
        FILTER("type", type, "Only records of this type."),                                        \
        FILTER("key", key, "Only records with this key."),                                         \
        FILTER("position", position, "Only this position, or id."),                                \
    {                                                                                              \
        "limit", STRID_OPTION_INT, NULL, 1, INT64_MAX, NULL, MEMBER(limit), 0,                     \
            "At most so many, the oldest first.", NULL                                             \
    }

static const strid_option dlq_flags[] = {DLQ_FILTERS, {0}};

static const strid_option purge_flags[] = {
    DLQ_FILTERS,
    SWITCH("all", all, "All dead letters, instead of a filter."),
    SWITCH("yes", yes, "Really: without it nothing is deleted."),
    SWITCH("dry-run", dry_run, "List what would be deleted, and delete nothing."),
    {0}};

static const strid_option replay_flags[] = {
    DLQ_FILTERS,
    SWITCH("all", all, "All dead letters, instead of a filter."),
    SWITCH("again", again, "Also those that were handed back before."),
    SWITCH("yes", yes, "Really: without it nothing is handed back."),
    SWITCH("dry-run", dry_run, "List what would be handed back, and hand nothing back."),
    {0}};

static const strid_option no_flags[] = {{0}};

const struct command command_table[] = {
    {"run", "FILE", 1, 1, run_flags, "Run the pipeline that a file describes.",
     "Runs until a bounded source has ended; a second run handles what was appended since. "
     "SIGINT or SIGTERM drains: reading stops, what was read is handled and made durable, exit 0. "
     "A second signal stops at once, exit 1; nothing that was durable is lost. "
     "Shows a progress bar when standard error is a terminal and ends with a summary there; "
     "with --json the summary is one object on standard output.",
     "strid run totals.yaml", run_pipeline},
    {"check", "FILE", 1, 1, no_flags, "Check a pipeline file without running it.",
     "Finds what `run` would refuse. Nothing is opened, started or made.",
     "strid check totals.yaml", run_check},
    {"state get", "URL", 1, 1, get_flags, "Print what a store holds for one key.",
     "Reads the state of a node that does not run. Exit 1 where the key is absent.",
     "strid state get rocksdb:./state --store orders --key a --json", state_get},
    {"state scan", "URL", 1, 1, scan_flags, "Print all entries of a store.",
     "Reads the state of a node that does not run, each key once, in no meaningful order. "
     "Bytes that are no UTF-8 are printed as base64 (`key_base64`, `value_base64`).",
     "strid state scan rocksdb:./state --store orders --json", state_scan},
    {"state export", "URL", 1, 1, scan_flags, "Print state as JSON lines, to keep or to move.",
     "Reads the state of a node that does not run. One object a line, each key once, of one store "
     "or "
     "of all: `store`, `key` (or `key_base64`; neither for the state of records without a key), "
     "`kind` (bytes, integer, double), `value` (or `value_base64`), and `expires_ms` where there "
     "is "
     "a time to live.",
     "strid state export rocksdb:./state > state.jsonl", state_export},
    {"state stats", "URL", 1, 1, no_flags, "Print figures of a state directory.",
     "Stores with their keys and bytes, where each partition goes on, blocks that still wait to be "
     "materialised, files by level. Counts by a whole scan.",
     "strid state stats rocksdb:./state", state_stats},
    {"dlq list", "FILE", 1, 1, dlq_flags, "List the dead letters of a pipeline.",
     "FILE is the pipeline file. Oldest first; the pipeline may be running. Each has `source`, "
     "`topic`, `partition`, `position`, `reason`, `attempts` and the original `value` (or "
     "`value_base64`).",
     "strid dlq list totals.yaml --since 2h --json", dlq_list},
    {"dlq show", "FILE [ID]", 1, 2, dlq_flags, "Show dead letters whole.",
     "ID is the dead letter's id or its position, as `dlq list` prints them; without it all that "
     "the filters leave. Exit 1 where there is none.",
     "strid dlq show totals.yaml 1048576", dlq_show},
    {"dlq replay", "FILE", 1, 1, replay_flags, "Hand dead letters back to the pipeline.",
     "The pipeline must not be running; its next run handles the original bytes as if they had "
     "never been tried. Which ones is said by filters or by --all. Each letter is handed back once "
     "(but for --again), and `dlq list` then shows it as replayed. For sources of files; nothing "
     "is written to the source or to the dead-letter file.",
     "strid dlq replay totals.yaml --reason rejected --yes", dlq_replay},
    {"dlq purge", "FILE", 1, 1, purge_flags, "Delete dead letters for good.",
     "The pipeline must not be running. Which ones is said by filters or by --all. A crash leaves "
     "each dead-letter file as it was or without them.",
     "strid dlq purge totals.yaml --reason not_json --yes", dlq_purge},
    {"version", "", 0, 0, no_flags, "Print the version.", "", "strid version", run_version},
    {"help", "[COMMAND]", 0, 2, help_flags, "Show help, for all commands or one.", "",
     "strid help run", help_run},
    {0}};

enum command_exit command_exit_of(strid_status status)
{
    if (status == STRID_OK)
        return COMMAND_FINE;
    if (status == STRID_ECONFIG || status == STRID_EINVAL)
        return COMMAND_USAGE;
    return status == STRID_EUNREACHABLE ? COMMAND_UNREACHABLE : COMMAND_FAILED;
}

/* Levenshtein distance; texts longer than any name of ours count as far. */
static size_t distance(const char *a, const char *b)
{
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);
    if (a_len > NEAREST_LENGTH_MAX || b_len > NEAREST_LENGTH_MAX)
        return NEAREST_LENGTH_MAX;
    size_t row[NEAREST_LENGTH_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = diagonal + (a[i - 1] != b[j - 1]);
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[b_len];
}

struct nearest {
    const char *word;
    const char *name; /* NULL: nothing is near */
    size_t distance;
};

static void nearest_offer(struct nearest *nearest, const char *name)
{
    size_t far = distance(nearest->word, name);
    if (far < nearest->distance) {
        nearest->distance = far;
        nearest->name = name;
    }
}

static struct nearest nearest_to(const char *word)
{
    size_t len = strlen(word);
    return (struct nearest){.word = word, .distance = len < 3 ? 2 : len / 2 + 1};
}

static const struct command *find_command(int count, char **words, int *used)
{
    for (const struct command *command = command_table; command->name != NULL; command++) {
        const char *space = strchr(command->name, ' ');
        size_t first = space == NULL ? strlen(command->name) : (size_t)(space - command->name);
        if (strlen(words[0]) != first || strncmp(words[0], command->name, first) != 0)
            continue;
        *used = space == NULL ? 1 : 2;
        if (space == NULL || (count > 1 && strcmp(words[1], space + 1) == 0))
            return command;
    }
    return NULL;
}

static void say_unknown_command(int count, char **words)
{
    char joined[2 * NEAREST_LENGTH_MAX + 2];
    bool group = false;
    for (const struct command *command = command_table; command->name != NULL; command++) {
        size_t len = strlen(words[0]);
        group = group || (strncmp(command->name, words[0], len) == 0 && command->name[len] == ' ');
    }
    bool two = group && count > 1 && words[1][0] != '-';
    (void)snprintf(joined, sizeof joined, "%.32s%s%.32s", words[0], two ? " " : "",
                   two ? words[1] : "");
    if (group && !two) {
        talk_error("'%s' needs to be told what to do: see 'strid help %s'", words[0], words[0]);
        return;
    }
    struct nearest nearest = nearest_to(joined);
    for (const struct command *command = command_table; command->name != NULL; command++)
        nearest_offer(&nearest, command->name);
    if (nearest.name != NULL)
        talk_error("there is no command '%s'; did you mean 'strid %s'?", joined, nearest.name);
    else
        talk_error("there is no command '%s': 'strid help' lists them", joined);
}

static const strid_option *find_flag(const strid_option *flags, const char *name, size_t len)
{
    for (; flags->name != NULL; flags++)
        if (strlen(flags->name) == len && strncmp(flags->name, name, len) == 0)
            return flags;
    return NULL;
}

static void say_unknown_flag(const struct command *command, const char *name, size_t len)
{
    char given[NEAREST_LENGTH_MAX + 1];
    (void)snprintf(given, sizeof given, "%.*s", (int)(len > 32 ? 32 : len), name);
    struct nearest nearest = nearest_to(given);
    for (const strid_option *flag = command->flags; flag->name != NULL; flag++)
        nearest_offer(&nearest, flag->name);
    for (const strid_option *flag = command_common_flags; flag->name != NULL; flag++)
        nearest_offer(&nearest, flag->name);
    if (nearest.name != NULL)
        talk_error("'%s' has no flag --%s; did you mean --%s?", command->name, given, nearest.name);
    else
        talk_error("'%s' has no flag --%s: see 'strid help %s'", command->name, given,
                   command->name);
}

static bool set_int(const strid_option *flag, const char *value, int64_t *to)
{
    char *end = NULL;
    errno = 0;
    long long number = strtoll(value, &end, 10);
    if (errno != 0 || end == value || *end != '\0' || number < flag->min || number > flag->max) {
        talk_error("--%s needs a whole number from %lld to %lld, not '%s'", flag->name,
                   (long long)flag->min, (long long)flag->max, value);
        return false;
    }
    *to = number;
    return true;
}

static bool set_word(const strid_option *flag, const char *value, int32_t *to)
{
    struct nearest nearest = nearest_to(value);
    for (int32_t i = 0; flag->choices[i] != NULL; i++) {
        if (strcmp(flag->choices[i], value) == 0) {
            *to = i;
            return true;
        }
        nearest_offer(&nearest, flag->choices[i]);
    }
    char words[128];
    size_t len = 0;
    for (size_t i = 0; flag->choices[i] != NULL && len < sizeof words; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i == 0 ? "" : ", ",
                                flag->choices[i]);
    talk_error("--%s knows %s, not '%s'%s%s%s", flag->name, words, value,
               nearest.name == NULL ? "" : "; did you mean ",
               nearest.name == NULL ? "" : nearest.name, nearest.name == NULL ? "" : "?");
    return false;
}

static bool set_flag(const strid_option *flag, const char *value, struct command_call *call)
{
    char *member = (char *)call + flag->offset;
    if (flag->type == STRID_OPTION_INT)
        return set_int(flag, value, (int64_t *)(void *)member);
    if (flag->type == STRID_OPTION_ENUM)
        return set_word(flag, value, (int32_t *)(void *)member);
    memcpy(member, &value, sizeof value);
    return true;
}

/* Handles the flag words[0], whose value may be words[1]; returns how many words it took, 0: wrong.
 */
static int parse_flag(int count, char **words, struct command_call *call)
{
    const char *name = words[0] + 2;
    const char *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const strid_option *flag = find_flag(call->command->flags, name, len);
    if (flag == NULL)
        flag = find_flag(command_common_flags, name, len);
    if (flag == NULL) {
        say_unknown_flag(call->command, name, len);
        return 0;
    }
    if (flag->type == STRID_OPTION_BOOL) {
        if (equals != NULL) {
            talk_error("--%s takes no value", flag->name);
            return 0;
        }
        *(bool *)((char *)call + flag->offset) = true;
        return 1;
    }
    if (equals == NULL && count < 2) {
        talk_error("--%s needs a value: see 'strid help %s'", flag->name, call->command->name);
        return 0;
    }
    if (!set_flag(flag, equals == NULL ? words[1] : equals + 1, call))
        return 0;
    return equals == NULL ? 2 : 1;
}

static bool check_complete(const struct command_call *call)
{
    const struct command *command = call->command;
    if (call->help)
        return true;
    if (call->argument_count < command->argument_min) {
        talk_error("'%s' needs %s: see 'strid help %s'", command->name, command->arguments,
                   command->name);
        return false;
    }
    for (const strid_option *flag = command->flags; flag->name != NULL; flag++) {
        const char *value = NULL;
        memcpy(&value, (const char *)call + flag->offset, sizeof value);
        if ((flag->flags & STRID_OPTION_REQUIRED) != 0 && value == NULL) {
            talk_error("'%s' needs --%s: see 'strid help %s'", command->name, flag->name,
                       command->name);
            return false;
        }
    }
    return true;
}

bool command_parse(int count, char **words, struct command_call *call)
{
    *call = (struct command_call){.log_level = 1};
    int used = 0;
    call->command = find_command(count, words, &used);
    if (call->command == NULL) {
        say_unknown_command(count, words);
        return false;
    }
    bool flags_ended = false;
    for (int i = used; i < count;) {
        if (!flags_ended && strcmp(words[i], "--") == 0) {
            flags_ended = true;
            i++;
        } else if (!flags_ended && strcmp(words[i], "-h") == 0) {
            call->help = true;
            i++;
        } else if (!flags_ended && strncmp(words[i], "--", 2) == 0) {
            int taken = parse_flag(count - i, words + i, call);
            if (taken == 0)
                return false;
            i += taken;
        } else if (!flags_ended && words[i][0] == '-' && words[i][1] != '\0') {
            talk_error("'%s' has no flag %s: see 'strid help %s'", call->command->name, words[i],
                       call->command->name);
            return false;
        } else if (call->argument_count == call->command->argument_max) {
            talk_error("'%s' takes %s, so '%s' is too much: see 'strid help %s'",
                       call->command->name,
                       call->command->arguments[0] == '\0' ? "nothing" : call->command->arguments,
                       words[i], call->command->name);
            return false;
        } else {
            call->arguments[call->argument_count++] = words[i++];
        }
    }
    talk_configure((enum talk_format)call->log_format, (strid_log_level)call->log_level);
    return check_complete(call);
}
