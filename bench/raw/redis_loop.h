/* The bare loop behind redis_read_ack: hiredis alone, reading a stream to its end as a consumer of
 * group "g" and acknowledging every entry. @thread one */
#ifndef RAW_REDIS_LOOP_H
#define RAW_REDIS_LOOP_H

#include "measure.h"

/* Several reads on the way and the acknowledgements between them, or each answer awaited. */
enum redis_loop_form { REDIS_LOOP_PIPELINED, REDIS_LOOP_WAITING };

int redis_loop_read(const char *socket, const char *stream, enum redis_loop_form form,
                    struct bench_run *out);

#endif
