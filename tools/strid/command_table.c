/* What the command can do: one table is parser, help, docs/cli.md and manual page. */
#include <stddef.h>
#include <stdint.h>

#include "command.h"
#include "consume.h"
#include "dlq.h"
#include "format.h"
#include "groups.h"
#include "help.h"
#include "produce.h"
#include "reset.h"
#include "run.h"
#include "state.h"
#include "status.h"

#include <string.h>

#define MEMBER(name) offsetof(struct command_call, name)

static const char *const inputs[] = {"lines", "json", NULL};
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
           "2026-11-21T14:30:00+02:00, an age such as 2h, or milliseconds since 1970."),           \
        FILTER("until", until, "Only what failed last before this time."),                         \
        FILTER("reason", reason, "Only this reason; rejected means each \"rejected: why\", too."), \
        FILTER("type", type, "Only records of this type."),                                        \
        FILTER("key", key, "Only records with this key."),                                         \
        FILTER("position", position, "Only this position, or id."),                                \
        SWITCH("replayed", replayed, "Only those that were handed back."),                         \
    {                                                                                              \
        "limit", STRID_OPTION_INT, NULL, 1, INT64_MAX, NULL, MEMBER(limit), 0,                     \
            "At most so many, in the order of the queue.", NULL                                    \
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

static const strid_option reset_flags[] = {
    FILTER(
        "to", to,
        "Where to go on: earliest, latest, or a position, which is the first that is read then."),
    FILTER("to-time", to_time,
           "Where to go on: with the first record of this time or later, given as --since of `dlq "
           "list` is; behind the last one where all are older."),
    FILTER("by", by,
           "Where to go on: so many records later, or earlier (-100), but not beyond the ends. For "
           "Kafka offsets are counted, from the node's place where there is one."),
    FILTER("topic", topic, "Only this topic, stream or file."),
    FILTER("partition", partition, "Only the partition of this number."),
    SWITCH("yes", yes, "Really: without it nothing is moved."),
    SWITCH("dry-run", dry_run, "Show where everything would go on, and move nothing."),
    {0}};

static const strid_option produce_flags[] = {
    {"input", STRID_OPTION_ENUM, "lines", 0, 0, inputs, MEMBER(input), 0,
     "What a line of standard input is: a value, or a JSON object with `value` (or `payload`), "
     "`key`, `headers`, `timestamp`, as `consume --json` and `dlq show --json` write them.",
     NULL},
    {"key-delimiter", STRID_OPTION_STRING, NULL, 0, 0, NULL, MEMBER(key_delimiter), 0,
     "Lines: what stands between key and value. A line without it has no key.", NULL},
    SWITCH("empty-is-null", empty_is_null, "Lines: an empty value is none at all, a tombstone."),
    SWITCH("dry-run", dry_run, "Read and check the input; connect to nothing, send nothing."),
    {0}};

#define READ_FLAGS(begin)                                                                          \
    {"format",                                                                                     \
     STRID_OPTION_STRING,                                                                          \
     NULL,                                                                                         \
     0,                                                                                            \
     0,                                                                                            \
     NULL,                                                                                         \
     MEMBER(format),                                                                               \
     0,                                                                                            \
     "How a record is printed: " FORMAT_HELP ". Default: %s\\n.",                                  \
     NULL},                                                                                        \
        {"offset",                                                                                 \
         STRID_OPTION_STRING,                                                                      \
         NULL,                                                                                     \
         0,                                                                                        \
         0,                                                                                        \
         NULL,                                                                                     \
         MEMBER(offset),                                                                           \
         COMMAND_TWICE,                                                                            \
         "Where to begin: beginning, end, stored (where the group of the URL stands), a "          \
         "position, "                                                                              \
         "-N (the last N of each partition), s@MS (from that time on); and e@MS (up to that "      \
         "time, "                                                                                  \
         "without it), given beside it. Default: " begin ".",                                      \
         NULL},                                                                                    \
        {"count",                                                                                  \
         STRID_OPTION_INT,                                                                         \
         NULL,                                                                                     \
         1,                                                                                        \
         INT64_MAX,                                                                                \
         NULL,                                                                                     \
         MEMBER(count),                                                                            \
         0,                                                                                        \
         "End after so many records.",                                                             \
         NULL},                                                                                    \
        SWITCH("exit", exit_at_end, "End where the partitions end, instead of waiting for more."), \
    {                                                                                              \
        0                                                                                          \
    }

static const strid_option consume_flags[] = {READ_FLAGS("beginning")};
static const strid_option tap_flags[] = {READ_FLAGS("end")};

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
     "Finds what `run` would refuse, as far as the file tells. Nothing is opened, started or made.",
     "strid check totals.yaml", run_check},
    {"produce", "URL", 1, 1, produce_flags, "Send records from standard input.",
     "URL is one of a sink: redis://HOST/STREAM, kafka://BROKER/TOPIC, file:PATH. ${NAME} and "
     "${file:PATH} in it are replaced, so that a password need not stand in the command line. Each "
     "line is a record. One that is refused is told with its line, the others are sent, and the "
     "exit code is 1. What was sent is durable there when the command ends with 0; a pause of the "
     "input sends what there is.",
     "strid produce 'kafka://localhost:9092/orders' -K : < orders.txt", produce_run},
    {"consume", "URL", 1, 1, consume_flags, "Print the records of topics or streams.",
     "URL is one of a source: redis://HOST/STREAM, kafka://BROKER/TOPIC (several with commas, for "
     "Kafka also ^REGEX). Reads beside whoever else reads: it joins no group and acknowledges "
     "nothing, also with -o stored. -f and -J are those of kcat; any bytes are printed as they "
     "are, with -J as NAME_base64 where they are no UTF-8; a tombstone is NULL. Goes on until "
     "SIGINT, -c or -e.",
     "strid consume 'kafka://localhost:9092/orders' -o -10 -e -f '%p %o %k: %s\\n'", consume_run},
    {"tap", "URL", 1, 1, tap_flags, "Print records as they come.",
     "As `consume`, but from the end on.", "strid tap 'redis://localhost/orders' -J", consume_tap},
    {"status", "FILE", 1, 1, no_flags, "Tell where a node stands.",
     "FILE is the pipeline file. Whether the node runs; of one that does not, where each partition "
     "goes on and what waits, by a whole scan of its state; and how far its group is behind at the "
     "broker.",
     "strid status orders.yaml --json", status_run},
    {"topics", "URL", 1, 1, no_flags, "List topics or streams.",
     "URL is one of a source, or names only the broker (kafka://BROKER, redis://HOST): then all, "
     "but for the brokers' own. Of Kafka's records those in offsets that hold none are counted, "
     "too.",
     "strid topics kafka://localhost:9092", groups_topics},
    {"groups", "URL|FILE", 1, 1, no_flags,
     "List consumer groups: how far each is, and its members.",
     "URL is one of a source; with ?group=G only that group; without a topic or stream all of "
     "them. FILE is a pipeline file: its source, and its group. For Kafka in the columns of "
     "kafka-consumer-groups. For Redis each group has a line, "
     "and each of its consumers. A lag that Redis does not know, or has wrong after deletions, is "
     "`unknown` (with --json it is left out).",
     "strid groups 'redis://localhost/orders?group=billing'", groups_list},
    {"lag", "URL|FILE", 1, 1, no_flags, "Tell how far groups are behind.",
     "As `groups`, without the members.", "strid lag orders.yaml --json", groups_lag},
    {"reset", "URL|FILE", 1, 1, reset_flags, "Move where a group and its node go on.",
     "URL is one of a source with ?group=G: its group is moved. FILE is a pipeline file: the group "
     "of its source is moved and with it the place of its node, which must not be running. One of "
     "--to, --to-time and --by says where to. Prints where each partition stood (the group, the "
     "node) and where it goes on; a position is always the first that is read. From there on every "
     "record is handled, also one that was handled before: state keeps what it holds. Records that "
     "wait for another attempt, and dead letters to be sent, stay and are handled. Other members "
     "of the group have to be stopped. If it is interrupted, run it again.",
     "strid reset orders.yaml --to earliest --dry-run", reset_run},
    {"state get", "URL|FILE", 1, 1, get_flags, "Print what a store holds for one key.",
     "Reads the state of a node that does not run: rocksdb:DIR, or that of a pipeline file. Exit 1 "
     "where the key is absent.",
     "strid state get rocksdb:./state --store orders --key a --json", state_get},
    {"state scan", "URL|FILE", 1, 1, scan_flags, "Print all entries of a store.",
     "Reads the state of a node that does not run: rocksdb:DIR, or that of a pipeline file. Each "
     "key once, in no meaningful order. "
     "Bytes that are no UTF-8 are printed as base64 (`key_base64`, `value_base64`).",
     "strid state scan rocksdb:./state --store orders --json", state_scan},
    {"state export", "URL|FILE", 1, 1, scan_flags, "Print state as JSON lines, to keep or to move.",
     "Reads the state of a node that does not run: rocksdb:DIR, or that of a pipeline file. One "
     "object a line, each key once, of one store "
     "or "
     "of all: `store`, `key` (or `key_base64`; neither for the state of records without a key), "
     "`kind` (bytes, integer, double), `value` (or `value_base64`), and `expires_ms` where there "
     "is "
     "a time to live.",
     "strid state export rocksdb:./state > state.jsonl", state_export},
    {"state stats", "URL|FILE", 1, 1, no_flags, "Print figures of a state directory.",
     "Of rocksdb:DIR, or of a pipeline file: stores with their keys and bytes, where each "
     "partition goes on, blocks that still wait to be "
     "materialised, files by level. Counts by a whole scan.",
     "strid state stats rocksdb:./state", state_stats},
    {"dlq list", "FILE", 1, 1, dlq_flags, "List the dead letters of a pipeline.",
     "FILE is the pipeline file. In the order of the queue; the pipeline may be running. Each has "
     "`source`, "
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
     "is written to the source or to the dead-letter file. Letters of a source of Redis go back to "
     "their stream and out of the queue instead, those of Kafka to their topic, marked in the "
     "queue; both also while nodes run.",
     "strid dlq replay totals.yaml --reason rejected --yes", dlq_replay},
    {"dlq purge", "FILE", 1, 1, purge_flags, "Delete dead letters for good.",
     "The pipeline must not be running. Which ones is said by filters or by --all. A crash leaves "
     "each dead-letter file as it was or without them. In Redis and Kafka also while nodes run. A "
     "topic of Kafka loses its beginning, up to the first letter that stays; what goes behind that "
     "is marked, and seen by no command any more.",
     "strid dlq purge totals.yaml --reason not_json --yes", dlq_purge},
    {"version", "", 0, 0, no_flags, "Print the version.", "", "strid version", run_version},
    {"help", "[COMMAND]", 0, 2, help_flags, "Show help, for all commands or one.", "",
     "strid help run", help_run},
    {0}};

char command_letter_of(const strid_option *flag)
{
    static const struct {
        const char *name;
        char letter;
    } letters[] = {{"key-delimiter", 'K'}, {"empty-is-null", 'Z'}, {"format", 'f'}, {"offset", 'o'},
                   {"count", 'c'},         {"exit", 'e'},          {"json", 'J'},   {"help", 'h'}};
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        if (strcmp(letters[i].name, flag->name) == 0)
            return letters[i].letter;
    return '\0';
}
