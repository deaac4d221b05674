/* "//user:password@host:port/STREAM", or with sentinels
 * "//user:password@h1:p1,h2:p2/MASTER/STREAM", and the options beside it taken apart: where a
 * server is and which key is meant. Nothing here is ever shown but `shown`. @thread the owner */
#ifndef REDIS_ADDRESS_H
#define REDIS_ADDRESS_H

#include <strid/error.h>

#include "redis_config.h"

struct redis_address {
    const struct redis_server_config *config;
    const char *scheme;
    char *host; /* NULL: the sentinels know where it is */
    char *port;
    char *user;     /* NULL: the default user */
    char *password; /* NULL: none */
    char *master;   /* its name at the sentinels; NULL: there are none */
    struct redis_address *sentinels;
    uint32_t sentinel_count;
    char **streams; /* percent-decoded; several are separated by ',' */
    uint32_t stream_count;
    char *stream;   /* the first of them */
    char *shown;    /* scheme, hosts and ports, or the path of the Unix socket: for messages */
    char *identity; /* the same wherever the master is and whichever sentinels are named */
    bool is_tls;
    bool is_sentinel; /* it is one itself, and knows neither databases nor streams */
};

/* Whether a URL of that scheme names sentinels and a master. */
bool redis_address_has_sentinels(const char *scheme);
/* `scheme` is a connector's name and outlives the address, as `config` does. STRID_ECONFIG, naming
 * what is wrong without its secrets. On failure nothing is left to be freed. */
strid_status redis_address_parse(struct redis_address *address, const char *scheme,
                                 const char *target, const struct redis_server_config *config,
                                 strid_error *err);
/* Overwrites the passwords. Idempotent. */
void redis_address_fini(struct redis_address *address);

#endif
