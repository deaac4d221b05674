#include "layout.h"

#include "definition.h"

#define PIPELINE(member) offsetof(struct layout_pipeline_values, member)
#define SOURCE(member) offsetof(struct layout_source_values, member)

enum { DAY_MS = 24 * 60 * 60 * 1000 };

const char *const layout_formats[] = {"jsonl", "text", "raw", NULL};

static const char *const deliveries[] = {"at_least_once", "exactly_once", NULL};
static const char *const durabilities[] = {"durable", "strict", "replay", NULL};
static const char *const unmatched_words[] = {"dlq", "skip", NULL};
static const char *const unrouted_words[] = {"skip", "dlq", NULL};
static const char *const ordering_words[] = {"key", "partition", "none", NULL};
static const char *const on_timeout_words[] = {"retry", "abort", NULL};

static const strid_option pipeline_options[] = {
    {.name = "name",
     .type = STRID_OPTION_STRING,
     .flags = STRID_OPTION_REQUIRED,
     .offset = PIPELINE(name),
     .doc = "Name of the pipeline: 1 to 64 of the characters A-Z a-z 0-9 _ -. It is part of the id "
            "of every output."},
    {.name = "delivery",
     .type = STRID_OPTION_ENUM,
     .fallback = "at_least_once",
     .choices = deliveries,
     .offset = PIPELINE(delivery),
     .doc = "What is promised about outputs. exactly_once is not supported yet and refused."},
    {.name = "memory",
     .type = STRID_OPTION_SIZE,
     .min = 40 << 20,
     .max = INT64_C(1) << 46,
     .offset = PIPELINE(memory),
     .doc = "How much memory the process may use. Default: a quarter of the machine's, at least "
            "256MiB."},
    {.name = "watchdog",
     .type = STRID_OPTION_DURATION,
     .fallback = "30s",
     .min = 0,
     .max = DAY_MS,
     .offset = PIPELINE(watchdog),
     .doc = "A handler that runs longer than this is reported with its name and its record. 0: "
            "never."},
    {.name = "drain_timeout",
     .type = STRID_OPTION_DURATION,
     .fallback = "30s",
     .min = 0,
     .max = DAY_MS,
     .offset = PIPELINE(drain_timeout),
     .doc = "How long a pipeline that was asked to stop may take to finish what it has read, "
            "before it stops at once. 0: as long as it takes."},
    {.name = "unrouted",
     .type = STRID_OPTION_ENUM,
     .fallback = "skip",
     .choices = unrouted_words,
     .offset = PIPELINE(unrouted),
     .doc = "What becomes of records whose type no handler wants: skip, counted and passed over; "
            "dlq, dead-lettered (unrouted)."},
    {.name = "timeout",
     .type = STRID_OPTION_DURATION,
     .min = 0,
     .max = DAY_MS,
     .offset = PIPELINE(timeout),
     .doc = "How long a handler may take for a record; see on_timeout. It is looked at every 10 "
            "ms. 0 or not given: as long as it wants."},
    {.name = "on_timeout",
     .type = STRID_OPTION_ENUM,
     .fallback = "retry",
     .choices = on_timeout_words,
     .offset = PIPELINE(on_timeout),
     .doc = "What happens when a handler takes longer than its timeout. It cannot be stopped. "
            "retry: it is reported, and when it returns its changes and outputs are dropped and "
            "the attempt has failed; abort: it is reported and the process ends at once."},
    {.name = "ordering",
     .type = STRID_OPTION_ENUM,
     .fallback = "key",
     .choices = ordering_words,
     .offset = PIPELINE(ordering),
     .doc = "What may pass a record that waits for its next attempt. key: records of other keys, "
            "while those of its own are parked behind it; partition: records of other partitions "
            "only, by one worker (workers: auto is 1 then); none: every record."},
    {0},
};

static const struct layout_key pipeline_keys[] = {
    {"source", "a map", true, "Where records come from; see source."},
    {"state", "a URL or a map", false, "Where state is kept; see state."},
    {"handlers", "a list of maps", false,
     "What is done with the records; see handlers. strid run and check need one; a program may "
     "register its own."},
    {"sink", "a map of names", false, "Where outputs go; see sink."},
    {"dlq", "a URL or a map", false, "Where dead letters go; see dlq."},
    {"retry", "a map", false, "How often and when a record is tried again; see retry."},
    {"workers", "auto, or a whole number from 1 to 64", false,
     "How many threads run handlers. Default: auto, one a core."},
    {0},
};

static const strid_option source_options[] = {
    {.name = "format",
     .type = STRID_OPTION_ENUM,
     .fallback = "jsonl",
     .choices = layout_formats,
     .offset = SOURCE(format),
     .doc = "What a record's value is: jsonl, a JSON object; text, a line taken apart by pattern; "
            "raw, bytes that are not looked into."},
    {.name = "key",
     .type = STRID_OPTION_STRING,
     .offset = SOURCE(key),
     .doc = "Field that holds the record's key: a member of the object, a JSON Pointer if it "
            "begins with /, or a group of pattern. A value that is no string is its text as "
            "written. A record without the field, or with null in it, is dead-lettered "
            "(key_missing). Default: the key that the source gives, or else none; records without "
            "a key share the state of their partition."},
    {.name = "type",
     .type = STRID_OPTION_STRING,
     .offset = SOURCE(type),
     .doc = "Field that handlers are chosen by. A record without it has the empty type. Default: "
            "type."},
    {.name = "pattern",
     .type = STRID_OPTION_STRING,
     .offset = SOURCE(pattern),
     .doc = "With format: text, a PCRE2 pattern searched for in every line, over bytes. Its named "
            "groups (?<name>...) are the record's fields."},
    {.name = "unmatched",
     .type = STRID_OPTION_ENUM,
     .fallback = "dlq",
     .choices = unmatched_words,
     .offset = SOURCE(unmatched),
     .doc = "What becomes of lines that pattern does not match: dlq, dead-lettered (unmatched); "
            "skip, passed over."},
    {0},
};

static const struct layout_key source_keys[] = {
    {"url", "a URL", true,
     "The connector and what it reads. The connector's own options stand in the query of the URL "
     "or beside it as keys."},
    {0},
};

static const strid_option state_options[] = {
    {.name = "durability",
     .type = STRID_OPTION_ENUM,
     .fallback = "durable",
     .choices = durabilities,
     .offset = offsetof(struct layout_state_values, durability),
     .doc = "When state is synced to disk. durable: many blocks a sync, while workers go on; "
            "strict: a worker takes its next records when what it handled is synced; replay: only "
            "before state is materialised, at the end of a run and after a pause, for which the "
            "source has to keep more records. The source is never told of what is not synced, and "
            "each record counts once in all three."},
    {.name = "ttl",
     .type = STRID_OPTION_DURATION,
     .min = 0,
     .max = DEFINITION_TTL_MAX_MS,
     .offset = offsetof(struct layout_state_values, ttl),
     .doc = "Time to live of entries, for stores without their own: so long after its last write "
            "an entry is gone. 0 or not given: entries stay."},
    {0},
};

static const struct layout_key state_keys[] = {
    {"stores", "a map of names", false,
     "Options of single stores, which handlers name; see stores."},
    {"url", "a URL", true,
     "rocksdb:DIR, a directory that is made where it is missing, or memory:, forgotten at the "
     "end. Without state: memory:."},
    {0},
};

static const strid_option store_options[] = {
    {.name = "ttl",
     .type = STRID_OPTION_DURATION,
     .min = 0,
     .max = DEFINITION_TTL_MAX_MS,
     .offset = offsetof(struct layout_store_values, ttl),
     .doc = "Time to live of this store's entries. 0: they stay. Not given: that of state."},
    {.name = "ordered",
     .type = STRID_OPTION_BOOL,
     .offset = offsetof(struct layout_store_values, ordered),
     .doc = "Whether a key of this store has subkeys, which handlers scan in order. It stays as it "
            "was when the store's state was made."},
    {0},
};

static const struct layout_key sink_keys[] = {
    {"url", "a URL", true,
     "The connector and where it writes. The connector's own options stand in the query of the "
     "URL or beside it as keys."},
    {0},
};

static const struct layout_key dlq_keys[] = {
    {"url", "a URL", true,
     "A sink for records that cannot be read or handled, with its options. Default: the source's "
     "own place, for a file PATH.dlq."},
    {0},
};

static const strid_option handler_options[] = {
    {.name = "on",
     .type = STRID_OPTION_STRING,
     .fallback = "*",
     .offset = offsetof(struct layout_handler_values, on),
     .doc = "Type of the records that are handled, as a glob: * is any text, ? any character."},
    {.name = "timeout",
     .type = STRID_OPTION_DURATION,
     .min = 0,
     .max = DAY_MS,
     .offset = offsetof(struct layout_handler_values, timeout),
     .doc = "How long this handler may take for a record; wins over the pipeline's. 0: as long as "
            "it wants."},
    {0},
};

static const struct layout_key no_keys[] = {{0}};

static const strid_option backoff_options[] = {
    {.name = "min",
     .type = STRID_OPTION_DURATION,
     .fallback = "100ms",
     .min = 1,
     .max = DAY_MS,
     .offset = offsetof(struct layout_backoff_values, min),
     .doc = "The shortest pause."},
    {.name = "max",
     .type = STRID_OPTION_DURATION,
     .fallback = "30s",
     .min = 1,
     .max = DAY_MS,
     .offset = offsetof(struct layout_backoff_values, max),
     .doc = "The longest pause. Behind the n-th failed attempt a record waits anything from min to "
            "min times 2 to the n, never longer than this."},
    {0},
};

static const strid_option retry_options[] = {
    {.name = "max_attempts",
     .type = STRID_OPTION_INT,
     .fallback = "3",
     .min = 1,
     .max = 1000,
     .offset = offsetof(struct layout_retry_values, max_attempts),
     .doc = "How often a record is handled before it is dead-lettered."},
    {.name = "max_parked",
     .type = STRID_OPTION_INT,
     .fallback = "100000",
     .min = 1,
     .max = INT64_C(1) << 40,
     .offset = offsetof(struct layout_retry_values, max_parked),
     .doc = "So many records of a partition may wait or be parked; then it is not read until there "
            "are a quarter fewer."},
    {.name = "max_parked_bytes",
     .type = STRID_OPTION_SIZE,
     .fallback = "256MiB",
     .min = 1,
     .max = INT64_C(1) << 46,
     .offset = offsetof(struct layout_retry_values, max_parked_bytes),
     .doc = "The same for their bytes."},
    {0},
};

static const struct layout_key retry_keys[] = {
    {"backoff", "a map, or a list of durations", false,
     "How long a record waits between two attempts; see backoff. Or a list such as [1s, 5s, 1m]: "
     "exactly these pauses, the last of which goes on."},
    {0},
};

const struct layout layout_pipeline = {NULL, "The keys of the file itself.", pipeline_options,
                                       pipeline_keys};
const struct layout layout_source = {"source",
                                     "Where records come from and how their values are read.",
                                     source_options, source_keys};
const struct layout layout_state = {
    "state", "Where state is kept: a URL, or a map with these keys.", state_options, state_keys};
const struct layout layout_store = {
    "stores", "Within state, a map from the name of a store to a map with these keys.",
    store_options, no_keys};
const struct layout layout_handler = {
    "handlers",
    "A list of handlers. A record is handled by all whose type fits, in the order of the list. "
    "They share one outcome, the worst of theirs: if one skips or rejects a record, none of them "
    "changes state or sends outputs. Each is a map with exactly one handler, and:",
    handler_options, no_keys};
const struct layout layout_sink = {
    "sink", "A map from names, which handlers send to, to a URL or a map with these keys.", NULL,
    sink_keys};
const struct layout layout_dlq = {"dlq", "The dead-letter queue: a URL, or a map with these keys.",
                                  NULL, dlq_keys};
const struct layout layout_retry = {
    "retry", "What happens when a handler asks for another attempt.", retry_options, retry_keys};
const struct layout layout_backoff = {
    "backoff", "Within retry: pauses that grow exponentially, with full jitter.", backoff_options,
    no_keys};

const struct layout *const layout_sections[] = {
    &layout_pipeline, &layout_source, &layout_state, &layout_store,   &layout_handler,
    &layout_sink,     &layout_dlq,    &layout_retry, &layout_backoff, NULL};
