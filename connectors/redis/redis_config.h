/* What the Redis connectors can be configured with. */
#ifndef REDIS_CONFIG_H
#define REDIS_CONFIG_H

#include <stdbool.h>

#include <strid/config.h>

/* How a server is reached: the same for reading and writing. */
struct redis_server_config {
    const char *socket; /* path of a Unix socket, or NULL */
    const char *user;
    const char *password;
    const char *client;
    const char *ca;
    const char *cert;
    const char *key;
    const char *sentinel_user;
    const char *sentinel_password;
    int64_t database;
    int64_t timeout_ms;
    uint64_t max_reply;
    bool verify;
};

enum redis_mode { REDIS_MODE_STREAM = 0, REDIS_MODE_REPLY };

struct redis_sink_options {
    struct redis_server_config server;
    const char *field;
    const char *key_field;
    const char *id_field;
    const char *move_from; /* group from which dead letters are moved, or NULL */
    int64_t maxlen;
    int64_t keep_ms;
    int64_t ttl_ms;
    int32_t mode; /* enum redis_mode */
    bool flat;
};

enum redis_start { REDIS_START_EARLIEST = 0, REDIS_START_LATEST };

struct redis_source_options {
    struct redis_server_config server;
    const char *group;
    const char *consumer; /* NULL: one that the state directory remembers */
    const char *field;    /* NULL: all fields, as a JSON object */
    const char *key_field;
    int64_t count;
    int64_t block_ms;
    int64_t claim_idle_ms;
    int64_t max_deliveries; /* 0: any number */
    int64_t attempts;
    int64_t attempt_delay_ms;
    int64_t trim_ms;         /* 0: never */
    const char *trim_groups; /* names with commas between them, or NULL */
    int32_t start;           /* enum redis_start */
    int32_t mode;            /* how nodes share a stream: competing consumers */
};

extern const strid_option redis_sink_config[];
extern const strid_option redis_source_config[];

#endif
