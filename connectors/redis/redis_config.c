#include "redis_config.h"

#define SERVER(options, member) offsetof(struct options, server.member)

/* What every connector of Redis takes. */
#define SERVER_OPTIONS(options)                                                                    \
    {.name = "socket",                                                                             \
     .type = STRID_OPTION_STRING,                                                                  \
     .offset = SERVER(options, socket),                                                            \
     .doc = "Path of the server's Unix socket, instead of host and port."},                        \
        {.name = "user",                                                                           \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, user),                                                          \
         .doc = "The user to log in as, unless the URL names one; none is the default user."},     \
        {.name = "password",                                                                       \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, password),                                                      \
         .flags = STRID_OPTION_SECRET | STRID_OPTION_SCALAR,                                       \
         .doc = "The password, unless the URL holds one. Shown nowhere."},                         \
        {.name = "database",                                                                       \
         .type = STRID_OPTION_INT,                                                                 \
         .fallback = "0",                                                                          \
         .max = 1000000,                                                                           \
         .offset = SERVER(options, database),                                                      \
         .doc = "Number of the database."},                                                        \
        {.name = "client",                                                                         \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, client),                                                        \
         .doc = "The name that CLIENT LIST shows; by default that of the pipeline."},              \
        {.name = "timeout",                                                                        \
         .type = STRID_OPTION_DURATION,                                                            \
         .fallback = "10s",                                                                        \
         .min = 1,                                                                                 \
         .max = 3600000,                                                                           \
         .offset = SERVER(options, timeout_ms),                                                    \
         .doc = "How long connecting may take, and how long a server may be silent."},             \
        {.name = "max_reply",                                                                      \
         .type = STRID_OPTION_SIZE,                                                                \
         .fallback = "64MiB",                                                                      \
         .min = 1024,                                                                              \
         .max = INT64_C(1) << 32,                                                                  \
         .offset = SERVER(options, max_reply),                                                     \
         .doc = "The largest reply that is taken from a server."},                                 \
        {.name = "ca",                                                                             \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, ca),                                                            \
         .doc = "rediss: a file of the authorities that are trusted; the system's by default."},   \
        {.name = "cert",                                                                           \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, cert),                                                          \
         .doc = "rediss: a file with the client's certificate and its chain."},                    \
        {.name = "key",                                                                            \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, key),                                                           \
         .doc = "rediss: a file with the private key of the client's certificate."},               \
        {.name = "sentinel_user",                                                                  \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, sentinel_user),                                                 \
         .doc = "redis+sentinel: the user to log in as at the sentinels."},                        \
        {.name = "sentinel_password",                                                              \
         .type = STRID_OPTION_STRING,                                                              \
         .offset = SERVER(options, sentinel_password),                                             \
         .flags = STRID_OPTION_SECRET | STRID_OPTION_SCALAR,                                       \
         .doc = "redis+sentinel: the password at the sentinels; none without it. Shown nowhere."}, \
    {                                                                                              \
        .name = "verify", .type = STRID_OPTION_BOOL, .fallback = "true",                           \
        .offset = SERVER(options, verify),                                                         \
        .doc = "rediss: whether the server's certificate and name are checked."                    \
    }

static const char *const modes[] = {"stream", "reply", NULL};

const strid_option redis_sink_config[] = {
    SERVER_OPTIONS(redis_sink_options),
    {
        .name = "field",
        .type = STRID_OPTION_STRING,
        .fallback = "value",
        .offset = offsetof(struct redis_sink_options, field),
        .doc = "The field that holds the output. Dead letters have a form of their own.",
    },
    {
        .name = "flat",
        .type = STRID_OPTION_BOOL,
        .fallback = "false",
        .offset = offsetof(struct redis_sink_options, flat),
        .doc = "Whether the members of an output that is a JSON object are fields: texts as they "
               "are, all else as JSON. Any other output is the one field.",
    },
    {
        .name = "key_field",
        .type = STRID_OPTION_STRING,
        .fallback = "_key",
        .offset = offsetof(struct redis_sink_options, key_field),
        .doc = "The field that holds the output's key.",
    },
    {
        .name = "id_field",
        .type = STRID_OPTION_STRING,
        .fallback = "_id",
        .offset = offsetof(struct redis_sink_options, id_field),
        .doc = "The field that holds the output's id, which is the same when it is delivered "
               "again.",
    },
    {
        .name = "maxlen",
        .type = STRID_OPTION_INT,
        .fallback = "0",
        .max = INT64_MAX,
        .offset = offsetof(struct redis_sink_options, maxlen),
        .doc = "About how many entries the stream keeps (MAXLEN ~); 0: all.",
    },
    {
        .name = "keep",
        .type = STRID_OPTION_DURATION,
        .fallback = "0s",
        .max = INT64_MAX / 1000000,
        .offset = offsetof(struct redis_sink_options, keep_ms),
        .doc = "About how long the stream keeps an entry (MINID ~); 0: for ever.",
    },
    {
        .name = "move_from",
        .type = STRID_OPTION_STRING,
        .offset = offsetof(struct redis_sink_options, move_from),
        .doc = "The group, on the same server and database, whose entries dead letters are of: a "
               "letter is added and its entry acknowledged in one step. The queue that a source "
               "has by default is told its group.",
    },
    {
        .name = "mode",
        .type = STRID_OPTION_ENUM,
        .fallback = "stream",
        .choices = modes,
        .offset = offsetof(struct redis_sink_options, mode),
        .doc = "stream: an output is an entry. reply: an output is pushed to the list whose name "
               "is the URL's with the output's key behind it.",
    },
    {
        .name = "ttl",
        .type = STRID_OPTION_DURATION,
        .fallback = "60s",
        .min = 1,
        .max = INT64_C(1) << 40,
        .offset = offsetof(struct redis_sink_options, ttl_ms),
        .doc = "How long a list of replies lives after the last of them; mode reply.",
    },
    {0},
};

static const char *const starts[] = {"earliest", "latest", NULL};
static const char *const sharings[] = {"shared", NULL};

#define SOURCE(member) offsetof(struct redis_source_options, member)

const strid_option redis_source_config[] = {
    SERVER_OPTIONS(redis_source_options),
    {
        .name = "group",
        .type = STRID_OPTION_STRING,
        .offset = SOURCE(group),
        .doc = "The consumer group, which is made where it does not exist. Required.",
    },
    {
        .name = "mode",
        .type = STRID_OPTION_ENUM,
        .fallback = "shared",
        .choices = sharings,
        .offset = SOURCE(mode),
        .doc = "How nodes share a stream. shared: as competing consumers of the group.",
    },
    {
        .name = "consumer",
        .type = STRID_OPTION_STRING,
        .offset = SOURCE(consumer),
        .doc = "The consumer's name, of this node alone and the same after a restart; by default "
               "one that the state directory remembers.",
    },
    {
        .name = "start",
        .type = STRID_OPTION_ENUM,
        .fallback = "earliest",
        .choices = starts,
        .offset = SOURCE(start),
        .doc = "Where a group begins that is made: with the entries that are there, or behind "
               "them.",
    },
    {
        .name = "field",
        .type = STRID_OPTION_STRING,
        .offset = SOURCE(field),
        .doc = "The field that is the record's value, the others are its headers; by default all "
               "fields are, as a JSON object.",
    },
    {
        .name = "key_field",
        .type = STRID_OPTION_STRING,
        .offset = SOURCE(key_field),
        .doc = "The field that is the record's key; by default none is, and the pipeline's key "
               "is a field of the value.",
    },
    {
        .name = "count",
        .type = STRID_OPTION_INT,
        .fallback = "1000",
        .min = 1,
        .max = 100000,
        .offset = SOURCE(count),
        .doc = "How many entries are asked for at a time.",
    },
    {
        .name = "block",
        .type = STRID_OPTION_DURATION,
        .fallback = "1s",
        .min = 1,
        .max = 60000,
        .offset = SOURCE(block_ms),
        .doc = "How long a read waits for entries at the server where there is nothing else to "
               "do; shorter than the timeout.",
    },
    {
        .name = "claim_idle",
        .type = STRID_OPTION_DURATION,
        .fallback = "60s",
        .max = INT64_C(1) << 40,
        .offset = SOURCE(claim_idle_ms),
        .doc = "Entries that another consumer has held for so long are claimed and handled; 0: "
               "none are. Longer than any pause of a node that lives.",
    },
    {
        .name = "max_deliveries",
        .type = STRID_OPTION_INT,
        .fallback = "5",
        .max = 1000000,
        .offset = SOURCE(max_deliveries),
        .doc = "An entry that was given to so many consumers, one after the other, and never "
               "acknowledged is dead-lettered instead of being handled once more; 0: never.",
    },
    {
        .name = "attempts",
        .type = STRID_OPTION_INT,
        .fallback = "5",
        .min = 1,
        .max = 1000000,
        .offset = SOURCE(attempts),
        .doc = "How often a server that cannot be reached is tried at the start.",
    },
    {
        .name = "attempt_delay",
        .type = STRID_OPTION_DURATION,
        .fallback = "1s",
        .max = 3600000,
        .offset = SOURCE(attempt_delay_ms),
        .doc = "The pause between two of these attempts.",
    },
    {
        .name = "trim",
        .type = STRID_OPTION_DURATION,
        .fallback = "0s",
        .max = INT64_C(1) << 40,
        .offset = SOURCE(trim_ms),
        .doc = "How often entries that all groups of the stream have done are taken out of it; 0: "
               "never.",
    },
    {
        .name = "trim_groups",
        .type = STRID_OPTION_STRING,
        .offset = SOURCE(trim_groups),
        .doc = "Groups, with commas between them, without which nothing is taken out; the own one "
               "always is such.",
    },
    {0},
};
