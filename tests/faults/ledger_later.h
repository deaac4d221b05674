/* A thread that says the outcomes which the ledger's handler deferred: soon, the newest first, so
 * that they come in another order than their records. What is never to be completed is not given
 * to it. */
#ifndef FAULTS_LEDGER_LATER_H
#define FAULTS_LEDGER_LATER_H

#include <pthread.h>
#include <stdbool.h>

#include <strid/strid.h>

enum { LEDGER_LATER_MAX = 8192 }; /* more than all workers of a run may have open */

struct ledger_later {
    strid_completer *completer;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;
    bool ended;
    uint32_t count;
    struct {
        strid_token token;
        strid_outcome outcome;
    } queue[LEDGER_LATER_MAX];
};

/* Begins and ends the thread; 0, or -1 with a message on stderr. @thread one */
int ledger_later_start(struct ledger_later *later, strid_pipeline *pipeline);
void ledger_later_stop(struct ledger_later *later);

/* Defers the record in hand, to be completed with `outcome`. @thread any worker */
strid_outcome ledger_later_defer(struct ledger_later *later, strid_context *ctx,
                                 strid_outcome outcome);

#endif
