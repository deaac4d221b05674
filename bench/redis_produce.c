/* Entries added to a stream by a producer, beside hiredis alone with pipelined XADDs. Each run
 * begins with no stream and ends when the server has answered for every entry, which is checked. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

#include "raw/keys.h"
#include "raw/redis_add.h"
#include "redis_host.h"
#include "report.h"
#include "workload.h"

enum { ENTRIES_PER_SECOND = 100000, ENTRIES_MIN = 2000, FIELD_BYTES = 80, KEY_MAX = 32 };

static const char stream_name[] = "made";

struct made {
    const struct workload *workload;
    struct redis_host host;
    uint64_t count;
    uint64_t keys;
    char url[MEASURE_PATH_MAX + 128];
};

static int send_all(const struct made *made, strid_producer *producer, strid_error *err)
{
    char key[KEY_MAX], value[FIELD_BYTES];
    struct keys keys;
    keys_init(&keys, 3, made->keys, false);
    memset(value, 'v', sizeof value);
    for (uint64_t i = 0; i < made->count; i++) {
        int len = snprintf(key, sizeof key, "c%011" PRIu64, keys_next(&keys));
        const strid_output output = {.key = strid_bytes_of(key, (size_t)len),
                                     .value = strid_bytes_of(value, sizeof value),
                                     .timestamp_ms = STRID_TIMESTAMP_NONE};
        if (strid_producer_send(producer, &output, i, err) != STRID_OK)
            return -1;
    }
    return strid_producer_flush(producer, err) == STRID_OK ? 0 : -1;
}

static int run_producer(const struct made *made, struct bench_run *out)
{
    strid_error err = STRID_ERROR_INIT;
    strid_producer *producer = strid_producer_create(
        &(strid_producer_options){STRID_PRODUCER_OPTIONS_INIT, .url = made->url}, &err);
    if (producer == NULL)
        return measure_failed(made->workload->name, err.message);
    double cpu_s = measure_cpu_s();
    double wall_s = measure_wall_s();
    int result = send_all(made, producer, &err);
    out->wall_s = measure_wall_s() - wall_s;
    out->cpu_s = measure_cpu_s() - cpu_s;
    out->records = made->count;
    strid_producer_destroy(producer);
    return result == 0 ? 0 : measure_failed(made->workload->name, err.message);
}

static int run_side(void *user, uint32_t side, double seconds, struct bench_run *out)
{
    const struct made *made = user;
    (void)seconds;
    if (redis_host_delete(&made->host, stream_name) != 0)
        return -1;
    int result = side == 0 ? run_producer(made, out)
                           : redis_add_loop(made->host.socket, stream_name, made->count, made->keys,
                                            FIELD_BYTES, out);
    return result != 0 ? -1 : redis_host_check_length(&made->host, stream_name, made->count);
}

int redis_produce(const struct workload *workload, const struct bench_settings *settings)
{
    struct made made = {.workload = workload,
                        .keys = settings->keys != 0 ? settings->keys : workload->keys};
    struct measure_figures figures[MEASURE_SIDES_MAX];
    made.count = (uint64_t)(settings->seconds * ENTRIES_PER_SECOND) + ENTRIES_MIN;
    if (redis_host_start(&made.host, settings->directory) != 0)
        return -1;
    (void)snprintf(made.url, sizeof made.url, "redis:///%s?field=v&key_field=k&socket=%s",
                   stream_name, made.host.socket);
    const struct measure_plan plan = {.user = &made, .run = run_side, .side_count = 2};
    int result = measure(&plan, settings, figures);
    redis_host_stop(&made.host);
    if (result != 0)
        return -1;
    const struct report_line line = {.name = workload->name,
                                     .baseline_name = "raw_hiredis_xadd",
                                     .unit = "records/s",
                                     .engine = figures[0],
                                     .baseline = figures[1]};
    report_line(settings, &line);
    return 0;
}
