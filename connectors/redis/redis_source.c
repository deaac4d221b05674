/* The Redis sources: an array of streams, each with a connection and a reader's whole attention. */
#include "redis_source.h"

#include "base/assert.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"

#include "redis_hand_back.h"
#include "redis_inspect.h"
#include "redis_reset.h"
#include "redis_stream.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define COMPONENT "redis"

enum {
    HOST_CHARACTERS = 40,
    /* Of an entry that was given to the engine and is not acknowledged: its place in the set of
     * what was applied, twice while that grows, in a batch, and among the acknowledgements here. */
    ENTRY_KEPT_BYTES = 128,
    UNACKNOWLEDGED_PARTS = 2, /* of the memory for all streams: a half */
    REPLY_PARTS = 8           /* one reply, and what it is parsed from */
};

static const uint64_t memory_default = UINT64_C(128) << 20; /* where the host names none */

struct redis_source {
    const struct redis_source_options *options;
    struct redis_address address;
    struct redis_stream *streams;
    char **identities;
    char consumer[REDIS_STREAM_NAME_MAX + 1]; /* unless the state directory remembers another */
};

static struct redis_source *of(strid_source *self) { return (struct redis_source *)self; }

static struct redis_stream *stream_of(strid_source *self, uint32_t partition)
{
    STRID_ASSERT(partition < of(self)->address.stream_count);
    return &of(self)->streams[partition];
}

static void source_close(strid_source *self)
{
    struct redis_source *source = of(self);
    for (uint32_t i = 0; source->streams != NULL && i < source->address.stream_count; i++) {
        redis_stream_fini(&source->streams[i]);
        memory_free(source->identities[i]);
    }
    memory_free(source->streams);
    memory_free(source->identities);
    redis_address_fini(&source->address);
    source->streams = NULL;
    source->identities = NULL;
}

static strid_status check_options(const struct redis_source_options *options, strid_error *err)
{
    if (options->group == NULL || options->group[0] == '\0')
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "the source names no \"group\": add ?group=NAME to the URL");
    if (options->consumer != NULL && strlen(options->consumer) > REDIS_STREAM_NAME_MAX)
        return error_set(err, STRID_ECONFIG, COMPONENT, "\"consumer\" is longer than %d bytes",
                         (int)REDIS_STREAM_NAME_MAX);
    if (options->block_ms >= options->server.timeout_ms)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "\"block\" is not shorter than \"timeout\": a server that waits would "
                         "count as silent");
    return STRID_OK;
}

/* The same for the same stream in every run, and without secrets. */
static char *make_identity(const struct redis_source *source, const char *stream)
{
    struct buffer text = {0};
    buffer_printf(&text, "%s/%" PRId64 "/%s group %s", source->address.identity,
                  source->options->server.database, stream, source->options->group);
    buffer_put_u8(&text, 0);
    char *identity = memory_copy_text((const char *)text.data);
    buffer_fini(&text);
    return identity;
}

/* Stable where it can be: the fingerprint keeps it in the state directory. Two processes must never
 * have the same name, for each would take the other's entries for its own. */
static strid_status make_consumer(struct redis_source *source, strid_error *err)
{
    uint64_t random = 0;
    char host[HOST_CHARACTERS + 1] = "";
    if (source->options->consumer != NULL) {
        (void)snprintf(source->consumer, sizeof source->consumer, "%s", source->options->consumer);
        return STRID_OK;
    }
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return error_set(err, STRID_EIO, COMPONENT, "the system gives no random bytes");
    if (gethostname(host, sizeof host - 1) != 0)
        (void)snprintf(host, sizeof host, "strid");
    (void)snprintf(source->consumer, sizeof source->consumer, "%.*s-%016" PRIx64,
                   (int)HOST_CHARACTERS, host, random);
    return STRID_OK;
}

static struct redis_stream_share share_of(const struct redis_source *source, uint64_t memory)
{
    const uint64_t each = (memory == 0 ? memory_default : memory) / source->address.stream_count;
    return (struct redis_stream_share){.reply_bytes = each / REPLY_PARTS,
                                       .unacknowledged =
                                           each / UNACKNOWLEDGED_PARTS / ENTRY_KEPT_BYTES + 1};
}

static strid_status parse(const strid_connector_args *args, struct redis_address *address,
                          strid_error *err)
{
    const struct redis_source_options *options = args->options;
    STRID_TRY(check_options(options, err));
    return redis_address_parse(address, args->scheme, args->target, &options->server, err);
}

static strid_status source_check(const strid_connector_args *args, strid_error *err)
{
    struct redis_address address = {.config = NULL};
    strid_status status = parse(args, &address, err);
    redis_address_fini(&address);
    return status;
}

static strid_status source_open(strid_source *self, const strid_connector_args *args,
                                strid_error *err)
{
    struct redis_source *source = of(self);
    source->options = args->options;
    STRID_TRY(make_consumer(source, err));
    STRID_TRY(parse(args, &source->address, err));
    uint32_t count = source->address.stream_count;
    const struct redis_stream_share share = share_of(source, args->memory_bytes);
    source->streams = memory_alloc_zeroed(count * sizeof *source->streams);
    source->identities = memory_alloc_zeroed(count * sizeof *source->identities);
    for (uint32_t i = 0; i < count; i++) {
        source->identities[i] = make_identity(source, source->address.streams[i]);
        redis_stream_init(&source->streams[i], &source->address, source->address.streams[i],
                          source->options, &share, args->pipeline, args->log);
    }
    return STRID_OK;
}

static uint32_t source_partition_count(strid_source *self)
{
    return of(self)->address.stream_count;
}

static void source_describe(strid_source *self, uint32_t partition, strid_partition_info *info)
{
    *info = (strid_partition_info){.topic = stream_of(self, partition)->name,
                                   .identity = of(self)->identities[partition],
                                   .bytes_total = UINT64_MAX};
}

static strid_status source_assign(strid_source *self, uint32_t partition,
                                  const strid_resume *resume, strid_error *err)
{
    const struct redis_source *source = of(self);
    char consumer[REDIS_STREAM_NAME_MAX + 1] = "";
    size_t len = source->options->consumer == NULL ? resume->fingerprint.len : 0;
    if (len > 0 && len <= REDIS_STREAM_NAME_MAX)
        memcpy(consumer, resume->fingerprint.data, len);
    else
        memcpy(consumer, source->consumer, sizeof consumer);
    return redis_stream_assign(stream_of(self, partition), consumer, resume, err);
}

/* What has to stay the same from run to run is the consumer's name. */
static size_t source_fingerprint(strid_source *self, uint32_t partition, uint8_t *out)
{
    const char *consumer = stream_of(self, partition)->consumer;
    size_t len = strlen(consumer);
    memcpy(out, consumer, len);
    return len;
}

static strid_status source_poll(strid_source *self, uint32_t partition, strid_intake *out,
                                uint32_t records_max, strid_error *err)
{
    return redis_stream_poll(stream_of(self, partition), out, records_max, err);
}

static void source_ack_many(strid_source *self, uint32_t partition, const strid_position *positions,
                            uint32_t count)
{
    redis_stream_ack(stream_of(self, partition), positions, count);
}

static void source_release(strid_source *self, uint32_t partition, uint32_t count)
{
    redis_stream_release(stream_of(self, partition), count);
}

static void source_recall(strid_source *self, uint32_t partition, uint32_t count)
{
    redis_stream_recall(stream_of(self, partition), count);
}

static uint64_t source_acked(strid_source *self, uint32_t partition)
{
    return redis_stream_acked(stream_of(self, partition));
}

static strid_status source_pump(strid_source *self, uint32_t partition, bool ending,
                                strid_error *err)
{
    return redis_stream_pump(stream_of(self, partition), ending, err);
}

static strid_status source_hand_back(strid_source *self, const strid_connector_args *dlq,
                                     strid_letter_fate_fn fn, void *user,
                                     struct strid_dlq_replayed *result, strid_error *err)
{
    return redis_hand_back(&of(self)->address, of(self)->options, dlq, fn, user, result, err);
}

static strid_status source_locate(strid_source *self, const strid_place *to,
                                  strid_relocation *partitions, uint32_t count, strid_error *err)
{
    return redis_reset_locate(&of(self)->address, of(self)->options, to, partitions, count, err);
}

static strid_status source_move_group(strid_source *self, const strid_relocation *partitions,
                                      uint32_t count, strid_error *err)
{
    return redis_reset_move(&of(self)->address, of(self)->options, partitions, count, err);
}

static void put_encoded(struct buffer *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    for (; *text != '\0'; text++)
        if (strchr(plain, *text) != NULL)
            buffer_put_u8(out, (uint8_t)*text);
        else
            buffer_printf(out, "%%%02x", (unsigned)(uint8_t)*text);
}

static void put_option(struct buffer *out, const char *name, const char *value)
{
    if (value == NULL)
        return;
    buffer_printf(out, "%c%s=", memchr(out->data, '?', out->len) == NULL ? '?' : '&', name);
    put_encoded(out, value);
}

static void put_login(struct buffer *out, const struct redis_address *address)
{
    if (address->password == NULL)
        return;
    put_encoded(out, address->user == NULL ? "" : address->user);
    buffer_put_u8(out, ':');
    put_encoded(out, address->password);
    buffer_put_u8(out, '@');
}

static void put_host(struct buffer *out, const struct redis_address *address)
{
    const bool is_numeric = strchr(address->host, ':') != NULL; /* IPv6 */
    buffer_printf(out, is_numeric ? "[%s]:%s" : "%s:%s", address->host, address->port);
}

/* Scheme, login and where the server is, up to the stream. */
static void put_server(struct buffer *out, const struct redis_address *address)
{
    buffer_printf(out, "%s://", address->scheme);
    put_login(out, address);
    for (uint32_t i = 0; i < address->sentinel_count; i++) {
        if (i > 0)
            buffer_put_u8(out, ',');
        put_host(out, &address->sentinels[i]);
    }
    if (address->sentinel_count == 0)
        put_host(out, address);
    buffer_put_u8(out, '/');
    if (address->sentinel_count == 0)
        return;
    put_encoded(out, address->master);
    buffer_put_u8(out, '/');
}

static void put_server_options(struct buffer *out, const struct redis_server_config *config)
{
    char database[24], timeout[24];
    (void)snprintf(database, sizeof database, "%" PRId64, config->database);
    (void)snprintf(timeout, sizeof timeout, "%" PRId64 "ms", config->timeout_ms);
    put_option(out, "database", database);
    put_option(out, "timeout", timeout);
    put_option(out, "socket", config->socket);
    put_option(out, "client", config->client);
    put_option(out, "ca", config->ca);
    put_option(out, "cert", config->cert);
    put_option(out, "key", config->key);
    put_option(out, "verify", config->verify ? "true" : "false");
    put_option(out, "sentinel_user", config->sentinel_user);
    put_option(out, "sentinel_password", config->sentinel_password);
}

/* "STREAM-dlq" beside the stream, "GROUP-dlq" where there are several; reached as they are. */
static strid_status source_dlq_url(strid_source *self, char *out, size_t size)
{
    const struct redis_address *address = &of(self)->address;
    struct buffer text = {0};
    put_server(&text, address);
    put_encoded(&text, address->stream_count == 1 ? address->stream : of(self)->options->group);
    buffer_printf(&text, "-dlq");
    put_server_options(&text, address->config);
    put_option(&text, "move_from", of(self)->options->group);
    strid_status status = text.len < size ? STRID_OK : STRID_ELIMIT;
    if (status == STRID_OK) {
        memcpy(out, text.data, text.len);
        out[text.len] = '\0';
    }
    explicit_bzero(text.data, text.len);
    buffer_fini(&text);
    return status;
}

#define REDIS_SOURCE_OPS(scheme, how)                                                              \
    {                                                                                              \
        .abi_version = STRID_SOURCE_ABI_VERSION,                                                   \
        .flags = STRID_SOURCE_UNORDERED | STRID_SOURCE_PADDED | STRID_SOURCE_BUFFERED |            \
                 STRID_SOURCE_TEXTS,                                                               \
        .name = scheme,                                                                            \
        .summary = "Reads streams of Redis or Valkey as a consumer of a group" how,                \
        .options = redis_source_config, .options_size = sizeof(struct redis_source_options),       \
        .instance_size = sizeof(struct redis_source), .open = source_open,                         \
        .partition_count = source_partition_count, .describe = source_describe,                    \
        .assign = source_assign, .fingerprint = source_fingerprint, .poll = source_poll,           \
        .close = source_close, .dlq_url = source_dlq_url, .ack_many = source_ack_many,             \
        .acked = source_acked, .pump = source_pump, .hand_back = source_hand_back,                 \
        .inspect = &redis_inspect_ops, .locate = source_locate, .move_group = source_move_group,   \
        .release = source_release, .recall = source_recall, .check = source_check                  \
    }

const strid_source_ops redis_source_ops = REDIS_SOURCE_OPS("redis", "");
const strid_source_ops redis_source_tls_ops = REDIS_SOURCE_OPS("rediss", ", over TLS");
const strid_source_ops redis_source_sentinel_ops =
    REDIS_SOURCE_OPS("redis+sentinel", ", at the master that sentinels name");
const strid_source_ops redis_source_sentinel_tls_ops =
    REDIS_SOURCE_OPS("rediss+sentinel", ", at the master that sentinels name, over TLS");
