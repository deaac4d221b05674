/* Looks up the addresses of a host, within a time: getaddrinfo() has no limit of its own, and with
 * name servers that are silent takes half a minute and more. So a thread of its own asks; where the
 * time is over it is left behind, and ends when getaddrinfo() does. Addresses in digits need none.
 * @thread any */
#ifndef REDIS_LOOKUP_H
#define REDIS_LOOKUP_H

#include <stdint.h>

#include <netdb.h>

/* Returns NULL and addresses for freeaddrinfo(), or what went wrong. */
const char *redis_lookup(const char *host, const char *port, int64_t timeout_ms,
                         struct addrinfo **found);

#endif
