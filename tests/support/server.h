/* A program that a test starts, waits for, stops, kills and starts again: brokers on free ports of
 * 127.0.0.1. It dies with the thread that started it (PR_SET_PDEATHSIG), also where that is killed,
 * so start it from one that lives as long as the test. @thread owner */
#ifndef SUPPORT_SERVER_H
#define SUPPORT_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/support.h"

enum { SERVER_ARGS_MAX = 48, SERVER_READY_MS = 30000, SERVER_STOP_MS = 30000 };

struct server {
    char log[SUPPORT_PATH_MAX]; /* standard output and standard error, appended to */
    pid_t pid;                  /* 0: it does not run */
};

/* A port that is free now. Somebody else may take it before a server does: start again then. */
uint16_t server_free_port(void);

/* Starts `args` (looked up in PATH, NULL at the end); ends the program where fork fails. */
void server_start(struct server *server, const char *const *args);
/* Waits until `ready` holds; false: the server ended before, or the deadline went by. */
bool server_wait(struct server *server, support_condition ready, void *user);
bool server_is_running(struct server *server);
/* SIGTERM, and SIGKILL for one that is not gone after SERVER_STOP_MS. Idempotent. */
void server_stop(struct server *server);
/* SIGKILL, and waits until it is gone. Idempotent. */
void server_kill(struct server *server);
/* SIGSTOP or SIGCONT. */
void server_freeze(struct server *server);
void server_thaw(struct server *server);

#endif
