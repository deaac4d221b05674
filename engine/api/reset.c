/* Moving the place where a group, and the node that reads for it, go on.
 *
 *   state opened, its run begun ──> place found ──> group moved ──> node's place moved: one write
 *
 * The group goes first: what can fail is at the broker, and then nothing has changed here. A
 * process that ends between the two leaves a node that goes on where it was (a source with an
 * order is read from the node's own place) or knows what it had applied (one without), so nothing
 * is left out; the same reset again completes it.
 * @thread the caller's */
#include <strid/reset.h>

#include <string.h>

#include "api/look.h"
#include "api/reset_block.h"
#include "base/crash_point.h"
#include "base/error.h"
#include "base/memory.h"

#define COMPONENT "reset"

struct reset {
    const strid_reset_options *options;
    strid_pipeline *pipeline; /* NULL: a URL */
    const struct log *log;
    const char *url;
    const strid_source_ops *ops;
    strid_source *source;
    struct directory *directory; /* NULL: no state of a node */
    strid_relocation *relocations;
    uint32_t count;
    bool has_group;
    strid_reset_result result;
};

/* Adds it if it is wanted; false: it is of a topic that is not. */
static bool add_partition(struct reset *reset, uint32_t partition)
{
    const strid_reset_options *options = reset->options;
    strid_partition_info info = {0};
    reset->ops->describe(reset->source, partition, &info);
    if (options->topic != NULL && strcmp(options->topic, info.topic) != 0)
        return false;
    uint32_t number = info.has_number ? info.number : partition;
    if (!options->one_partition || options->partition == number)
        reset->relocations[reset->count++] = (strid_relocation){.partition = partition};
    return true;
}

static strid_status choose_partitions(struct reset *reset, strid_error *err)
{
    const strid_reset_options *options = reset->options;
    uint32_t count = reset->ops->partition_count(reset->source);
    bool any_topic = false;
    reset->relocations = memory_alloc_zeroed((count + 1) * sizeof *reset->relocations);
    for (uint32_t p = 0; p < count; p++)
        any_topic = add_partition(reset, p) || any_topic;
    if (reset->count > 0)
        return STRID_OK;
    if (!any_topic && options->topic != NULL)
        return error_set(err, STRID_ENOTFOUND, COMPONENT, "%s does not read \"%s\"", reset->url,
                         options->topic);
    if (!options->one_partition)
        return error_set(err, STRID_ENOTFOUND, COMPONENT, "%s has no partitions", reset->url);
    return error_set(err, STRID_ENOTFOUND, COMPONENT, "%s%s%s has no partition %u", reset->url,
                     options->topic == NULL ? "" : ": ",
                     options->topic == NULL ? "" : options->topic, options->partition);
}

static struct directory_partition *find_stored(const struct directory *directory,
                                               const char *identity)
{
    for (uint32_t i = 0; i < directory->partition_count; i++)
        if (strcmp(directory->partitions[i]->identity, identity) == 0)
            return directory->partitions[i];
    return NULL;
}

/* State of one pipeline and source is not moved by the places of another. */
static strid_status check_owner(const struct reset *reset, strid_error *err)
{
    const struct directory *directory = reset->directory;
    const char *name = reset->pipeline->definition->name;
    if (directory->pipeline != NULL && strcmp(directory->pipeline, name) != 0)
        return error_set(err, STRID_ESTATE, COMPONENT,
                         "%s holds the state of pipeline \"%s\", not of \"%s\"", directory->url,
                         directory->pipeline, name);
    for (uint32_t p = 0; p < reset->ops->partition_count(reset->source); p++) {
        strid_partition_info info = {0};
        reset->ops->describe(reset->source, p, &info);
        if (find_stored(directory, info.identity) != NULL)
            return STRID_OK;
    }
    for (uint32_t i = 0; reset->ops->reads != NULL && i < directory->partition_count; i++)
        if (reset->ops->reads(reset->source, directory->partitions[i]->identity))
            return STRID_OK; /* gone, but from a place where this source reads */
    if (directory->partition_count == 0)
        return STRID_OK;
    return error_set(err, STRID_ESTATE, COMPONENT,
                     "%s holds the state of another source (%s), not of %s", directory->url,
                     directory->partitions[0]->identity, reset->url);
}

/* What is known here of the partitions; of those that were never read nothing. */
static void take_node(struct reset *reset)
{
    for (uint32_t i = 0; i < reset->count; i++) {
        strid_relocation *relocation = &reset->relocations[i];
        strid_partition_info info = {0};
        reset->ops->describe(reset->source, relocation->partition, &info);
        const struct directory_partition *stored = find_stored(reset->directory, info.identity);
        relocation->is_held = true;
        if (stored == NULL)
            continue;
        relocation->has_node = stored->has_low;
        relocation->node = stored->low;
        relocation->fingerprint = strid_bytes_of(stored->fingerprint, stored->fingerprint_len);
    }
}

static bool is_durable(const char *url)
{
    const char *path = NULL;
    const struct store_ops *ops = url == NULL ? NULL : store_find(url, &path);
    return ops != NULL && (ops->flags & STORE_DURABLE) != 0;
}

/* The lock of the directory is held until the end: no node runs meanwhile. */
static strid_status open_state(struct reset *reset, strid_error *err)
{
    const char *url = reset->pipeline == NULL ? NULL : reset->pipeline->definition->state_url;
    struct directory_options options = {.read_only = reset->options->dry_run, .log = reset->log};
    if (!is_durable(url))
        return STRID_OK;
    strid_status status = directory_open(url, NULL, &options, &reset->directory, err);
    if (status == STRID_ENOTFOUND) /* it has never run */
        return STRID_OK;
    if (status == STRID_OK)
        status = check_owner(reset, err);
    if (status == STRID_OK)
        take_node(reset);
    return status;
}

static strid_status check_movable(const struct reset *reset, strid_error *err)
{
    if (reset->directory != NULL || reset->ops->move_group != NULL)
        return STRID_OK;
    if (reset->pipeline == NULL)
        return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                         "%s has no group that could be moved: name the pipeline file, so that the "
                         "place of its node is",
                         reset->url);
    const char *state = reset->pipeline->definition->state_url;
    return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                     "nothing can be moved: %s has no group, and %s%s", reset->url,
                     state == NULL ? "there is no state on disk" : state,
                     state == NULL ? "" : " holds no state");
}

static void show(const struct reset *reset, strid_reset_fn fn, void *user)
{
    for (uint32_t i = 0; i < reset->count; i++) {
        const strid_relocation *relocation = &reset->relocations[i];
        strid_partition_info info = {0};
        reset->ops->describe(reset->source, relocation->partition, &info);
        strid_reset_row row = {.group = relocation->group,
                               .topic = info.topic,
                               .partition = info.has_number ? info.number : relocation->partition,
                               .is_pair = relocation->is_pair,
                               .has_current = relocation->has_current,
                               .current = relocation->current,
                               .has_node = relocation->has_node,
                               .node = relocation->node,
                               .wanted = relocation->wanted};
        fn(user, &row);
    }
}

/* Everything that waits in blocks is materialised, so that progress is in the tables. */
static strid_status begin_run(struct reset *reset, strid_error *err)
{
    static const uint8_t all_of_one_worker[KEY_VSHARDS];
    for (uint32_t i = 0; i < reset->count; i++) {
        strid_partition_info info = {0};
        reset->ops->describe(reset->source, reset->relocations[i].partition, &info);
        (void)directory_partition(reset->directory, info.identity);
    }
    STRID_TRY(directory_begin_run(reset->directory, 1, all_of_one_worker, err));
    CRASH_POINT("reset_begun");
    return STRID_OK;
}

static strid_status move_node(struct reset *reset, strid_error *err)
{
    const bool is_ordered = (reset->ops->flags & STRID_SOURCE_UNORDERED) == 0;
    struct directory_move *moves = memory_alloc_zeroed(reset->count * sizeof *moves);
    struct buffer block = {0};
    for (uint32_t i = 0; i < reset->count; i++) {
        strid_partition_info info = {0};
        reset->ops->describe(reset->source, reset->relocations[i].partition, &info);
        moves[i] =
            (struct directory_move){.partition = find_stored(reset->directory, info.identity),
                                    .low = reset->relocations[i].wanted};
    }
    /* Where there is no order the fingerprint says who reads, not what was read. */
    strid_status status =
        is_ordered ? STRID_OK
                   : reset_block_make(reset->directory, moves, reset->count, &block, err);
    if (status == STRID_OK)
        status = directory_move(reset->directory, moves, reset->count, is_ordered, &block, err);
    buffer_fini(&block);
    memory_free(moves);
    return status;
}

static strid_status move(struct reset *reset, strid_error *err)
{
    if (reset->directory != NULL)
        STRID_TRY(begin_run(reset, err));
    if (reset->has_group)
        STRID_TRY(reset->ops->move_group(reset->source, reset->relocations, reset->count, err));
    reset->result.group_moved = reset->has_group;
    CRASH_POINT("reset_group_moved");
    if (reset->directory == NULL)
        return STRID_OK;
    STRID_TRY(move_node(reset, err));
    reset->result.node_moved = true;
    return STRID_OK;
}

static strid_status work(struct reset *reset, strid_reset_fn fn, void *user, strid_error *err)
{
    if (reset->ops->locate == NULL)
        return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                         "%s: a source of kind \"%s:\" has no places to go to; file:, redis:, "
                         "rediss: and kafka: have",
                         reset->url, reset->ops->name);
    STRID_TRY(choose_partitions(reset, err));
    STRID_TRY(open_state(reset, err));
    STRID_TRY(check_movable(reset, err));
    STRID_TRY(reset->ops->locate(reset->source, &reset->options->to, reset->relocations,
                                 reset->count, err));
    reset->result.partitions = reset->count;
    reset->has_group = reset->ops->move_group != NULL && reset->relocations[0].group != NULL;
    if (!reset->has_group && reset->directory == NULL)
        return error_set(err, STRID_EUNSUPPORTED, COMPONENT,
                         "nothing can be moved: %s names no group, and there is no state of a node",
                         reset->url);
    show(reset, fn, user);
    if (!reset->options->dry_run)
        return move(reset, err);
    reset->result.group_moved = reset->has_group;
    reset->result.node_moved = reset->directory != NULL;
    return STRID_OK;
}

static strid_status work_on_url(struct reset *reset, strid_reset_fn fn, void *user,
                                strid_error *err)
{
    struct look look;
    strid_reader_options options = {STRID_READER_OPTIONS_INIT, .url = reset->options->url,
                                    .name = "strid-reset", .log = reset->options->log,
                                    .log_user = reset->options->log_user};
    strid_status status = look_begin(&look, &options, err);
    if (status == STRID_OK) {
        reset->url = look.url;
        reset->ops = look.ops;
        reset->log = &look.log;
        reset->source = memory_alloc_zeroed(look.ops->instance_size);
        status = look.ops->open(reset->source, &look.args, err);
        if (status == STRID_OK) {
            status = work(reset, fn, user, err);
            look.ops->close(reset->source);
        }
        memory_free(reset->source);
    }
    look_end(&look);
    return status;
}

static strid_status work_on_pipeline(struct reset *reset, strid_reset_fn fn, void *user,
                                     strid_error *err)
{
    strid_pipeline *pipeline = reset->options->pipeline;
    reset->pipeline = pipeline;
    reset->url = pipeline->definition->source.url;
    reset->ops = pipeline->definition->source.ops;
    reset->log = &pipeline->log;
    pthread_mutex_lock(&pipeline->lock);
    strid_status status = STRID_OK;
    if (pipeline->run != NULL)
        status = error_set(err, STRID_EBUSY, COMPONENT, "%s is running in this process",
                           pipeline->definition->name);
    if (status == STRID_OK)
        status = pipeline_open_source(pipeline, err);
    if (status == STRID_OK) {
        reset->source = pipeline->source;
        status = work(reset, fn, user, err);
        directory_close(reset->directory);
        reset->directory = NULL;
        pipeline_close(pipeline, false);
    }
    pthread_mutex_unlock(&pipeline->lock);
    return status;
}

strid_status strid_reset(const strid_reset_options *options, strid_reset_fn fn, void *user,
                         strid_reset_result *result, strid_error *err)
{
    struct reset reset = {.options = options};
    *result = (strid_reset_result){0};
    if (options == NULL || options->struct_size < sizeof *options ||
        (options->url == NULL) == (options->pipeline == NULL))
        return error_set(
            err, STRID_EINVAL, COMPONENT,
            "a reset needs options with STRID_RESET_OPTIONS_INIT and a URL or a pipeline");
    strid_status status = options->url != NULL ? work_on_url(&reset, fn, user, err)
                                               : work_on_pipeline(&reset, fn, user, err);
    memory_free(reset.relocations);
    *result = reset.result;
    return status;
}
