/* A handle of librdkafka, and the part of a kafka: URL that says where the brokers are.
 * @thread the owner, but for the log, which any thread of librdkafka writes to */
#ifndef KAFKA_CLIENT_H
#define KAFKA_CLIENT_H

#include "kafka_config.h"

struct log;

/* "//BROKER,BROKER/TOPIC" taken apart. */
struct kafka_target {
    char *brokers;
    char *topic;
};

/* STRID_ECONFIG: not of that form, or a user name in it. On failure nothing is left. */
strid_status kafka_target_parse(const char *target, struct kafka_target *out, strid_error *err);
void kafka_target_fini(struct kafka_target *target);

/* Takes `conf` in any case. `log` may be NULL and outlives the handle. The handle's opaque is
 * taken; it is ended by kafka_client_destroy alone. */
strid_status kafka_client_create(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct log *log,
                                 rd_kafka_t **out, strid_error *err);

void kafka_client_destroy(rd_kafka_t *client);

/* What stands on the brokers about `topic`, NULL for all topics. STRID_EUNREACHABLE: nobody
 * answers; STRID_ECONFIG: login or TLS fails. Both in librdkafka's words. Give it back with
 * rd_kafka_metadata_destroy. */
strid_status kafka_client_metadata(rd_kafka_t *client, const char *brokers, rd_kafka_topic_t *topic,
                                   const rd_kafka_metadata_t **out, strid_error *err);

/* Right after a broker, a group or a topic came up some answers are wrong for a while: whether to
 * ask again, then after a pause, 15 s in all. `*tries` begins with 0. */
bool kafka_client_try_again(rd_kafka_resp_err_t code, int *tries);

#endif
