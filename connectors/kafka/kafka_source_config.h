/* What the Kafka source can be configured with, and the settings of librdkafka that follow from it.
 * @thread any @locks none */
#ifndef KAFKA_SOURCE_CONFIG_H
#define KAFKA_SOURCE_CONFIG_H

#include "kafka_config.h"

enum kafka_gap { KAFKA_GAP_STOP = 0, KAFKA_GAP_SKIP };
enum kafka_assign { KAFKA_ASSIGN_STATIC = 0, KAFKA_ASSIGN_GROUP };

struct kafka_source_options {
    const char *group; /* NULL: nothing is told to the brokers */
    const char *start; /* NULL: nothing is said */
    int32_t assign;    /* enum kafka_assign */
    bool follow;
    int32_t on_gap; /* enum kafka_gap */
    int64_t hand_over_ms;
    int64_t commit_interval_ms;
    int64_t refresh_ms;
    strid_property *properties;
};

extern const strid_option kafka_source_config[];

/* Where reading begins when nothing is known here. */
enum kafka_start_kind {
    KAFKA_START_UNSAID = 0, /* at the beginning, unless the group has been somewhere */
    KAFKA_START_EARLIEST,
    KAFKA_START_LATEST,
    KAFKA_START_GROUP,
    KAFKA_START_TIMESTAMP
};

struct kafka_start {
    enum kafka_start_kind kind;
    int64_t timestamp_ms;
};

strid_status kafka_source_config_start(const struct kafka_source_options *options,
                                       struct kafka_start *out, strid_error *err);

/* What of the memory goes where. Fetching pauses while a queue holds `messages` or `bytes`. */
struct kafka_prefetch {
    uint64_t fetch_bytes; /* of one answer of a broker */
    uint64_t bytes;       /* of a queue */
    uint64_t messages;    /* of a queue */
};

struct kafka_prefetch kafka_source_config_divide(uint64_t memory_bytes, uint32_t queues);

/* A configuration for reading. The caller destroys it unless rd_kafka_new took it. */
strid_status kafka_source_config_make(const char *brokers, const char *client,
                                      const struct kafka_source_options *options,
                                      const struct kafka_prefetch *prefetch, rd_kafka_conf_t **out,
                                      strid_error *err);

/* The same for looking at single records, and for a member of the group that fetches nothing. */
strid_status kafka_source_config_make_probe(const char *brokers,
                                            const struct kafka_source_options *options,
                                            const struct kafka_prefetch *prefetch,
                                            rd_kafka_conf_t **out, strid_error *err);
strid_status kafka_source_config_make_member(const char *brokers, const char *client,
                                             const struct kafka_source_options *options,
                                             const struct kafka_prefetch *prefetch,
                                             rd_kafka_conf_t **out, strid_error *err);

/* STRID_ECONFIG: options that do not go together. */
strid_status kafka_source_config_check(const struct kafka_source_options *options,
                                       strid_error *err);

/* Where dead letters go unless something is said: "{topic}-dlq" on the same brokers, reached the
 * same way; to be listed are those of `topics`. STRID_ELIMIT: longer than `size`. */
strid_status kafka_source_config_dlq(const char *brokers, const char *topics,
                                     const struct kafka_source_options *options, char *out,
                                     size_t size);

#endif
