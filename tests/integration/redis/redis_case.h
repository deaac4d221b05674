/* Sources of Redis as the engine drives them, on a real server behind a proxy: what the suites of
 * the source share. One case at a time. @thread the test's */
#ifndef INTEGRATION_REDIS_CASE_H
#define INTEGRATION_REDIS_CASE_H

#include "conformance/connector_case.h"
#include "support/fault_proxy.h"
#include "support/redis_server.h"

enum { REDIS_CASE_SOURCES = 3, REDIS_CASE_DEADLINE_MS = 20000 };

struct redis_case {
    struct redis_server server;
    char base[128], options[SUPPORT_PATH_MAX + 16]; /* of the URL, around what a test gives */
    struct fault_proxy *proxy;
    struct opened_source sources[REDIS_CASE_SOURCES];
    struct strid_intake intakes[REDIS_CASE_SOURCES];
    uint64_t memory_bytes; /* of the sources that are opened from now on; 0: nothing is said */
    struct log log;
    struct buffer logged; /* what was logged as an error or a warning, a line each */
    strid_error err;
    bool has_told_password; /* in a message of any level: passwords of tests begin with "canary" */
};

extern struct redis_case redis_case;

/* The environment's STRID_REDIS_KIND may ask for another kind of server and login: "tls_everysec"
 * (TLS; append-only file), "acl_always" (append-only file, synced always; a user with the rights
 * that the page names and no others). */
void redis_case_start(const struct redis_server_options *options);
/* Whether it is that kind. */
bool redis_case_is(const char *kind);
void redis_case_stop(void);

/* Source `index` of "redis://PROXY/REST", or of what the kind of server makes of it. */
strid_status redis_case_try_open(int index, const char *rest);
void redis_case_open(int index, const char *rest); /* and assigned from the beginning */
void redis_case_assign(int index, const strid_position *position);

#define ASK(...) redis_case_ask((const char *const[]){__VA_ARGS__, NULL})
/* What the server answers, until the next call. */
const char *redis_case_ask(const char *const *words);
/* Entries "5-<first + 1>" and so on with the values "v<first>" and so on. */
void redis_case_add(const char *stream, int first, int count);

void redis_case_poll(int index);
void redis_case_poll_until(int index, size_t count);
/* Polls until "v0" to "v<count - 1>" have come at least once. */
void redis_case_poll_all(int index, size_t count);
/* The first of "v0" to "v<count - 1>" that was not taken, or `count`. */
size_t redis_case_missing(int index, size_t count);
/* Everything that was taken from `first` on. */
void redis_case_ack(int index, size_t first);
/* As a drain does, until `count` acknowledgements are confirmed. */
void redis_case_confirm(int index, uint64_t count);
/* As a drain does, until nothing is left to do. */
void redis_case_drain(int index);

bool redis_case_has_logged(const char *text);
size_t redis_case_count_logged(const char *text);
/* Polls until it was logged. */
void redis_case_poll_logged(int index, const char *text);

#endif
