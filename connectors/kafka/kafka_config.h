/* What the Kafka sink can be configured with, and how it becomes librdkafka's configuration.
 * @thread any @locks none */
#ifndef KAFKA_CONFIG_H
#define KAFKA_CONFIG_H

#include <stdbool.h>

#include <librdkafka/rdkafka.h>
#include <strid/config.h>

struct kafka_sink_options {
    int32_t partitioner; /* index into the words of the table */
    uint64_t buffer;
    const char *topics; /* NULL: any */
    strid_property *properties;
};

extern const strid_option kafka_sink_config[];

/* librdkafka's name of a sink option's choice. */
const char *kafka_config_partitioner(int32_t index);

struct kafka_setting {
    const char *name; /* NULL ends a list */
    const char *value;
};

/* A property of librdkafka as a user may give it. STRID_ECONFIG: it is denied, and why; else what
 * librdkafka says. */
strid_status kafka_config_check(const char *name, const char *value, strid_error *err);

/* A configuration of `defaults`, then the user's properties, then `fixed`, for `brokers`. The
 * caller destroys it with rd_kafka_conf_destroy unless rd_kafka_new took it. */
strid_status kafka_config_make(const char *brokers, const struct kafka_setting *defaults,
                               const strid_property *properties, const struct kafka_setting *fixed,
                               rd_kafka_conf_t **out, strid_error *err);
/* The same for all that writes, sinks and producers: what was acknowledged lies on all replicas,
 * once and in order. */
strid_status kafka_config_make_producer(const char *brokers,
                                        const struct kafka_sink_options *options,
                                        rd_kafka_conf_t **out, strid_error *err);

#endif
