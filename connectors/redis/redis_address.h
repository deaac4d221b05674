/* "//user:password@host:port/STREAM" and the options beside it taken apart: where a server is and
 * which key is meant. Nothing here is ever shown but `shown`. @thread the owner */
#ifndef REDIS_ADDRESS_H
#define REDIS_ADDRESS_H

#include <strid/error.h>

#include "redis_config.h"

struct redis_address {
    const struct redis_server_config *config;
    char *host;
    char *port;
    char *user;     /* NULL: the default user */
    char *password; /* NULL: none */
    char **streams; /* percent-decoded; several are separated by ',' */
    uint32_t stream_count;
    char *stream; /* the first of them */
    char *shown;  /* scheme, host and port, or the path of the Unix socket: for messages */
    bool is_tls;
};

/* `scheme` is "redis" or "rediss". STRID_ECONFIG, naming what is wrong without its secrets. On
 * failure nothing is left to be freed. `config` has to outlive the address. */
strid_status redis_address_parse(struct redis_address *address, const char *scheme,
                                 const char *target, const struct redis_server_config *config,
                                 strid_error *err);
/* Overwrites the password. Idempotent. */
void redis_address_fini(struct redis_address *address);

#endif
