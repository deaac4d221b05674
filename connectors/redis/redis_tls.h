/* TLS over a socket of our own, so that no write raises SIGPIPE. @thread the socket's owner */
#ifndef REDIS_TLS_H
#define REDIS_TLS_H

#include <stdbool.h>

#include "redis_address.h"

struct redis_tls;

/* Loads the certificates; nothing goes over `fd` yet. NULL with an error: STRID_ECONFIG. */
struct redis_tls *redis_tls_create(int fd, const struct redis_address *address, strid_error *err);
void redis_tls_destroy(struct redis_tls *tls); /* NULL is fine; the socket stays open */

/* STRID_AGAIN: wait until the socket can be read, or written where redis_tls_wants_write, and call
 * again. A certificate that cannot be trusted is STRID_ECONFIG. */
strid_status redis_tls_handshake(struct redis_tls *tls, strid_error *err);
strid_status redis_tls_send(struct redis_tls *tls, const void *data, size_t len, size_t *sent,
                            strid_error *err);
strid_status redis_tls_receive(struct redis_tls *tls, void *data, size_t room, size_t *received,
                               strid_error *err);
bool redis_tls_wants_write(const struct redis_tls *tls);
/* Decrypted bytes wait that no poll of the socket tells about. */
bool redis_tls_has_pending(const struct redis_tls *tls);

#endif
