/* Moving the place where a group and the node that reads for it go on. */
#ifndef STRID_RESET_H
#define STRID_RESET_H

#include <strid/error.h>
#include <strid/pipeline.h>
#include <strid/source.h>

STRID_BEGIN_DECLS

typedef struct strid_reset_options {
    uint32_t struct_size;
    const char *url;          /* of a source: its group alone is moved */
    strid_pipeline *pipeline; /* instead: the group of its source, and the state of its node */
    strid_place to;
    const char *topic;  /* only this topic, stream or file; NULL: all */
    bool one_partition; /* only `partition` of each of them */
    uint32_t partition;
    bool dry_run;     /* change nothing */
    strid_log_fn log; /* of a URL; a pipeline has its own. NULL: silent */
    void *log_user;
} strid_reset_options;

#define STRID_RESET_OPTIONS_INIT .struct_size = sizeof(strid_reset_options)

/* One partition, as it was and as it is to be. All positions are those that are read next. */
typedef struct strid_reset_row {
    const char *group; /* NULL: the source has none */
    const char *topic;
    uint32_t partition;
    bool is_pair; /* positions are HIGH-LOW */
    bool has_current;
    strid_position current; /* where the group stood */
    bool has_node;
    strid_position node; /* where the node would have gone on */
    strid_position wanted;
} strid_reset_row;

/* `row` lives until it returns. */
typedef void (*strid_reset_fn)(void *user, const strid_reset_row *row);

typedef struct strid_reset_result {
    uint32_t partitions;
    bool group_moved; /* of a dry run: it would be */
    bool node_moved;
} strid_reset_result;

/**
 * @brief Moves a group and, of a pipeline whose node does not run, the node's own place with it:
 * first the group, then, in one synced write, the place of the node and all that says what it had
 * applied there. From the new place on every record is handled, also one that was handled before.
 * State, records that wait for another attempt and dead letters that are to be sent stay.
 *
 * `fn` is called for each partition before anything is changed. Where the process ends in between,
 * the group may have been moved and the node not: it then goes on where it was, and the same call
 * completes the reset.
 * @param[out] result also after an error: what was moved until then.
 * @retval STRID_EBUSY the node is running (the message says which process), or other members of the
 * group are active. @retval STRID_ENOTFOUND no such group, topic or partition.
 * @retval STRID_EINVAL no such position. @retval STRID_EUNSUPPORTED a source that has no places to
 * go to, or nothing that could be moved. @retval STRID_ESTATE state of another pipeline or source.
 * Thread safety: any thread.
 */
STRID_API STRID_NODISCARD strid_status strid_reset(const strid_reset_options *options,
                                                   strid_reset_fn fn, void *user,
                                                   strid_reset_result *result, strid_error *err);

STRID_END_DECLS

#endif
