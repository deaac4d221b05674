/* Sending records to where a sink's URL points, without a pipeline: each one is durable there or is
 * told to have been refused, and why. */
#ifndef STRID_PRODUCER_H
#define STRID_PRODUCER_H

#include <strid/error.h>
#include <strid/pipeline.h>
#include <strid/sink.h>

STRID_BEGIN_DECLS

typedef struct strid_producer strid_producer;

typedef struct strid_producer_options {
    uint32_t struct_size;
    const char *url;          /* of a sink, as in a pipeline file, ${NAME} and ${file:PATH} too */
    const char *name;         /* what brokers are told who writes; NULL: "strid" */
    strid_refused_fn refused; /* called within send, flush and destroy; NULL: nobody asks */
    void *user;
    strid_log_fn log; /* NULL: silent */
    void *log_user;
} strid_producer_options;

#define STRID_PRODUCER_OPTIONS_INIT .struct_size = sizeof(strid_producer_options)

/**
 * @brief Opens what the URL points to.
 * @return NULL on failure: STRID_ECONFIG a bad URL or option; STRID_EUNREACHABLE; STRID_ENOTFOUND
 * no such topic. Ownership: the caller. Thread safety: one thread.
 */
STRID_API strid_producer *strid_producer_create(const strid_producer_options *options,
                                                strid_error *err);

/**
 * @brief Sends a record, which is copied. It may be on its way until strid_producer_flush(). Kafka:
 * the key chooses the partition as the URL's `partitioner` says. Redis: the key is a field, each
 * header too; the timestamp is the server's.
 * @param[in] output `dead_letter` has to be NULL.
 * @param[in] number what `refused` is told it by.
 * @return On error what was sent since the last flush that succeeded may have arrived or not.
 * @retval STRID_EUNREACHABLE the broker went away.
 */
STRID_API STRID_NODISCARD strid_status strid_producer_send(strid_producer *producer,
                                                           const strid_output *output,
                                                           uint64_t number, strid_error *err);

/**
 * @brief Waits until each record that was sent is durable where it went or was refused.
 * @return On error as strid_producer_send().
 */
STRID_API STRID_NODISCARD strid_status strid_producer_flush(strid_producer *producer,
                                                            strid_error *err);

/** @brief The URL as it may be shown, without secrets; lives as long as the producer. */
STRID_API const char *strid_producer_url(const strid_producer *producer);

/** @brief Closes it; what was not flushed may be lost. NULL is allowed. */
STRID_API void strid_producer_destroy(strid_producer *producer);

STRID_END_DECLS

#endif
