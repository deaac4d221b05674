#include "kafka_end.h"

#include "base/log.h"
#include "base/memory.h"

#include <pthread.h>
#include <time.h>

#define COMPONENT "kafka"

enum { END_S = 15 };

struct ending {
    void (*end)(void *what);
    void *what;
};

static void *end_main(void *self)
{
    struct ending ending = *(struct ending *)self;
    memory_free(self);
    pthread_setname_np(pthread_self(), "strid-kafka-end");
    ending.end(ending.what);
    return NULL;
}

void kafka_end(void (*end)(void *what), void *what, rd_kafka_t *last, const struct log *log)
{
    pthread_t thread;
    struct timespec until;
    struct ending *ending = memory_alloc_zeroed(sizeof *ending);
    *ending = (struct ending){.end = end, .what = what};
    if (pthread_create(&thread, NULL, end_main, ending) != 0) {
        memory_free(ending);
        end(what);
        return;
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += END_S;
    if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &until) == 0)
        return;
    /* The last one is still there, for something does not end; its log will not be. */
    rd_kafka_set_log_level(last, -1);
    (void)pthread_detach(thread);
    log_error(log, COMPONENT,
              "librdkafka %s did not end within %d s and is given up; all progress is safe",
              rd_kafka_version_str(), END_S);
}
