/* Looking at what a broker holds, without a pipeline: records, topics, groups and their lag.
 * Nothing is acknowledged and no group is joined. */
#ifndef STRID_READER_H
#define STRID_READER_H

#include <strid/error.h>
#include <strid/pipeline.h>
#include <strid/source.h>

STRID_BEGIN_DECLS

typedef struct strid_reader_options {
    uint32_t struct_size;
    const char *url;          /* of a source, as in a pipeline file, ${NAME} and ${file:PATH} too */
    strid_pipeline *pipeline; /* instead of a URL: its source */
    const char *name;         /* what brokers are told who reads; NULL: "strid" */
    strid_log_fn log;         /* NULL: silent */
    void *log_user;
} strid_reader_options;

#define STRID_READER_OPTIONS_INIT .struct_size = sizeof(strid_reader_options)

/**
 * @brief Calls `fn` for each record of the range, in order within each partition.
 * @return STRID_OK also where `fn` ended it. STRID_ECONFIG a bad URL or option; STRID_EUNREACHABLE;
 * STRID_ENOTFOUND no such topic; STRID_EUNSUPPORTED a source that cannot be looked at like this.
 * Thread safety: any thread.
 */
STRID_API STRID_NODISCARD strid_status strid_read(const strid_reader_options *options,
                                                  const strid_read_range *range, strid_read_fn fn,
                                                  void *user, strid_error *err);

/** @brief Calls `fn` for each topic or stream: those of the URL, or all where it names none.
 * @return As strid_read(). Thread safety: any thread. */
STRID_API STRID_NODISCARD strid_status strid_list_topics(const strid_reader_options *options,
                                                         strid_topic_fn fn, void *user,
                                                         strid_error *err);

/**
 * @brief Calls `fn` for each group and partition that have to do with each other, of the URL's
 * `group` or of all; for Redis also for each consumer of the group.
 * @return As strid_read(). Thread safety: any thread.
 */
STRID_API STRID_NODISCARD strid_status strid_list_groups(const strid_reader_options *options,
                                                         strid_group_fn fn, void *user,
                                                         strid_error *err);

STRID_END_DECLS

#endif
