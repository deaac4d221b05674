/* The end of handles of librdkafka: at times its destroy hangs, and the program must not.
 * @thread any */
#ifndef KAFKA_END_H
#define KAFKA_END_H

#include "kafka_client.h"

/* Calls `end(what)`, which destroys handles, `last` as the last of them, in a thread of its own.
 * Waits some seconds; what has not ended then is given up, and said. `what` is all that `end` may
 * touch. */
void kafka_end(void (*end)(void *what), void *what, rd_kafka_t *last, const struct log *log);

#endif
