#define XXH_INLINE_ALL
#include "runtime/run_open.h"

#include <unistd.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"
#include "pipeline/outline.h"
#include "runtime/budget.h"

enum {
    ENTRY_ESTIMATE = 80, /* bytes of a small entry with its share of the index */
    LOAD_TRY_FACTOR = 4,
    /* The records of a chunk, the first ones of a run above all, must not wait until all of a large
     * state is loaded. */
    LOAD_BYTES = 8 << 20,
    OUTBOX_ENTRIES_MAX = 1000000, /* of all workers; docs/dlq.md says so */
    KEY_SHOWN_MAX = 200           /* of a message */
};
static const uint64_t outbox_bytes_max = UINT64_C(1) << 30; /* the same, on disk */
static const int64_t ttl_left_ms = 8 * 3600000; /* swept by it where no store has a shorter one */
static const int64_t seal_interval_default_ns = 200000000;

/* Options that are given (the simulator's) stand; the rest follows from the memory. */
static void set_shares(struct run_options *options, const struct budget *budget)
{
    if (options->chunks_per_reader == 0)
        options->chunks_per_reader = budget->chunks_per_reader;
    if (options->grown_bytes == 0)
        options->grown_bytes = budget->grown_bytes;
    if (options->cache_bytes == 0)
        options->cache_bytes = budget->cache_bytes;
    if (options->load_bytes == 0)
        options->load_bytes = LOAD_BYTES;
    if (options->redo_bytes == 0)
        options->redo_bytes = budget->redo_bytes;
    if (options->block_bytes == 0)
        options->block_bytes = options->redo_bytes < budget->redo_bytes
                                   ? options->redo_bytes * budget->block_bytes / budget->redo_bytes
                                   : budget->block_bytes;
    if (options->output_bytes == 0)
        options->output_bytes = budget->output_bytes;
    if (options->outbox_refs == 0)
        options->outbox_refs = budget->outbox_refs;
    if (options->write_buffer == 0)
        options->write_buffer = 2 * options->redo_bytes;
    if (options->block_cache == 0)
        options->block_cache = budget->block_cache;
}

uint32_t run_readers_max(void) { return (uint32_t)sysconf(_SC_NPROCESSORS_ONLN) / 4 + 1; }

uint64_t run_memory(const struct definition *definition, uint32_t readers)
{
    uint32_t cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
    if (definition->memory_bytes != 0)
        return definition->memory_bytes;
    return budget_default(machine, definition->workers == 0 ? cores : definition->workers, readers);
}

void run_set_defaults(struct run *run)
{
    struct run_options *options = &run->options;
    uint32_t cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    run->worker_count = run->definition->workers == 0 ? cores : run->definition->workers;
    if (run->definition->retry.ordering == STRID_ORDERING_PARTITION)
        run->worker_count = 1;
    if (options->readers == 0)
        options->readers = run_readers_max();
    uint32_t partitions = run->source_ops->partition_count(run->source);
    uint32_t readers = options->readers < partitions ? options->readers : partitions;
    readers = readers == 0 ? 1 : readers;
    uint64_t memory = run_memory(run->definition, readers);
    if ((run->source_ops->flags & STRID_SOURCE_BUFFERED) != 0)
        memory -= budget_source(memory);
    struct budget budget;
    budget_divide(memory, run->worker_count, readers, &budget);
    set_shares(options, &budget);
    if (options->chunk_records == 0)
        options->chunk_records = CHUNK_RECORDS_MAX;
    if (options->outbox_entries == 0)
        options->outbox_entries = OUTBOX_ENTRIES_MAX / run->worker_count + 1;
    if (options->outbox_bytes == 0)
        options->outbox_bytes = outbox_bytes_max / run->worker_count;
    if (options->seal_interval_ns == 0)
        options->seal_interval_ns = seal_interval_default_ns;
}

static strid_status open_directory(struct run *run, strid_error *err)
{
    struct directory_options options = {.create = true,
                                        .write_buffer = run->options.write_buffer,
                                        .block_cache = run->options.block_cache,
                                        .now_ms = clock_wall_ms(run->clock),
                                        .new_seed = run->options.new_seed,
                                        .log = run->log,
                                        .kept = run->options.kept};
    memcpy(options.new_id, run->options.new_id, sizeof options.new_id);
    const char *url = run->definition->state_url;
    return directory_open(url == NULL ? "memory:" : url, run->options.store_ops, &options,
                          &run->directory, err);
}

/* State of one pipeline must not be continued by another, nor with another source: what one has
 * read would count as read for the other. */
static strid_status check_known(struct run *run, strid_error *err)
{
    struct directory *directory = run->directory;
    const char *name = run->definition->name;
    if (directory->pipeline == NULL)
        directory->pipeline = memory_copy_text(name);
    else if (strcmp(directory->pipeline, name) != 0)
        return error_set(
            err, STRID_ESTATE, "state",
            "%s holds the state of pipeline \"%s\", not of \"%s\"; give each pipeline a "
            "state directory of its own",
            directory->url, directory->pipeline, name);
    const char *known = NULL;
    const strid_source_ops *ops = run->source_ops;
    for (uint32_t i = 0; i < directory->partition_count; i++) {
        if (!directory->partitions[i]->stored)
            continue;
        known = directory->partitions[i]->identity;
        if (ops->reads != NULL && ops->reads(run->source, known))
            return STRID_OK; /* gone, but from a place where this source reads */
        for (uint32_t p = 0; p < run->partition_count; p++)
            if (run->partitions[p].stored == directory->partitions[i])
                return STRID_OK;
    }
    if (known == NULL || run->partition_count == 0)
        return STRID_OK;
    return error_set(err, STRID_ESTATE, "state",
                     "%s holds the state of another source (%s), not of %s; give this pipeline a "
                     "state directory of its own, or name the source it was made with",
                     directory->url, known, run->definition->source.url);
}

uint64_t run_hash_key(const struct run *run, strid_bytes key)
{
    return run_hash(run, XXH3_64bits_withSeed(key.data, key.len, run->directory->seed));
}

/* The key of its records without one, and of all while it waits as a whole. */
static void set_own_key(const struct run *run, struct partition *partition)
{
    uint32_t number = partition->stored->number;
    memcpy(partition->key_bytes, &number, sizeof number);
    partition->key_hash = XXH3_64bits_withSeed(&number, sizeof number, run->directory->seed);
    atomic_store_explicit(&partition->held_by, RUN_HELD_BY_NONE, memory_order_relaxed);
}

static void set_up_partition(struct run *run, uint32_t index)
{
    struct partition *partition = &run->partitions[index];
    strid_partition_info info = {0};
    run->source_ops->describe(run->source, index, &info);
    partition->index = index;
    partition->origin = (strid_origin){.source = run->definition->source.url,
                                       .topic = info.topic,
                                       .partition = info.has_number ? info.number : index};
    partition->bytes_total = info.bytes_total;
    partition->stored = directory_partition(run->directory, info.identity);
    set_own_key(run, partition);
}

/* Those that the source no longer has, behind its own: records of them may still wait. */
static void add_gone_partitions(struct run *run)
{
    const struct directory *directory = run->directory;
    run->known_count = run->partition_count;
    for (uint32_t i = 0; i < directory->partition_count; i++)
        if (directory->partitions[i]->number >= run->number_count)
            run->number_count = directory->partitions[i]->number + 1;
    run->partition_of = memory_alloc_zeroed((run->number_count + 1) * sizeof *run->partition_of);
    for (uint32_t p = 0; p < run->partition_count; p++)
        run->partition_of[run->partitions[p].stored->number] = p + 1;
    for (uint32_t i = 0; i < directory->partition_count; i++) {
        struct directory_partition *stored = directory->partitions[i];
        if (run->partition_of[stored->number] != 0)
            continue;
        run->partition_of[stored->number] = run->known_count + 1;
        struct partition *partition = &run->partitions[run->known_count];
        *partition = (struct partition){.index = run->known_count++, .stored = stored};
        partition->origin = (strid_origin){.source = run->definition->source.url,
                                           .topic = stored->identity,
                                           .partition = stored->number};
        set_own_key(run, partition);
    }
}

/* Nothing of any partition is durable here: what a source's own server knows may say more. */
static bool is_fresh(const struct directory *directory)
{
    for (uint32_t i = 0; i < directory->partition_count; i++)
        if (directory->partitions[i]->has_low || directory->partitions[i]->table != NULL)
            return false;
    return directory->redo_blocks == 0;
}

/* Behind the place where reading goes on a record was applied or not, which only its key tells. */
static bool is_known_by_key(const struct directory_partition *stored)
{
    const struct directory_table *table = stored->table;
    bool is_behind = false, is_uniform = true;
    for (uint32_t v = 0; table != NULL && v < KEY_VSHARDS; v++) {
        const bool is_known = (table->known[v / 8] >> (v & 7) & 1) != 0;
        is_behind |= is_known && (!stored->has_low ||
                                  strid_position_compare(table->applied[v], stored->low) >= 0);
        is_uniform &= is_known && strid_position_compare(table->applied[v], table->applied[0]) == 0;
    }
    return is_behind && !is_uniform;
}

/* A run that was not drained is made good by the next one, which has to know records as it did. */
static strid_status check_key(struct run *run, const char *now, strid_error *err)
{
    struct directory *directory = run->directory;
    bool is_needed = false;
    if (!outline_has_other_key(directory->outline, now))
        return STRID_OK;
    STRID_TRY(directory_raise_tables(directory, err));
    for (uint32_t i = 0; i < directory->partition_count; i++)
        is_needed |= is_known_by_key(directory->partitions[i]);
    if (!is_needed)
        return STRID_OK;
    struct buffer key = {0};
    outline_put_key(directory->outline, &key);
    strid_status status =
        error_set(err, STRID_ESTATE, "state",
                  "%s: the last run was not drained, and which records it had applied can only be "
                  "told by the key that it had, %.*s: run with that until it ends, or stop it with "
                  "SIGINT, and change \"key\" then",
                  directory->url, KEY_SHOWN_MAX, (const char *)key.data);
    buffer_fini(&key);
    return status;
}

/* Keys and handlers may change from run to run, and state does not follow: that is told, once. */
static strid_status compare_outlines(struct run *run, strid_error *err)
{
    strid_status status = STRID_OK;
    struct directory *directory = run->directory;
    struct buffer now = {0};
    outline_write(run->definition, &now);
    const char *text = (const char *)now.data;
    if (directory->outline != NULL)
        status = check_key(run, text, err);
    if (status == STRID_OK &&
        (directory->outline == NULL || strcmp(directory->outline, text) != 0)) {
        if (directory->outline != NULL && !is_fresh(directory))
            outline_tell(run->log, directory->url, directory->outline, text);
        memory_free(directory->outline);
        directory->outline = memory_copy_text(text);
        directory->outline_stored = false;
    }
    buffer_fini(&now);
    return status;
}

static strid_resume resume_of(const struct partition *partition, bool fresh)
{
    const struct directory_partition *stored = partition->stored;
    return (strid_resume){.resumed = stored->has_low,
                          .position = stored->low,
                          .fingerprint =
                              strid_bytes_of(stored->fingerprint, stored->fingerprint_len),
                          .fresh = fresh};
}

static strid_status assign_each(struct run *run, const strid_resume *resumes, strid_error *err)
{
    if (run->source_ops->assign_all != NULL)
        return run->source_ops->assign_all(run->source, resumes, err);
    for (uint32_t p = 0; p < run->partition_count; p++)
        STRID_TRY(run->source_ops->assign(run->source, p, &resumes[p], err));
    return STRID_OK;
}

/* Reading starts at the local low position, whatever the broker says. */
static strid_status assign_partitions(struct run *run, strid_error *err)
{
    bool fresh = is_fresh(run->directory);
    strid_resume *resumes = memory_alloc((run->partition_count + 1) * sizeof *resumes);
    for (uint32_t p = 0; p < run->partition_count; p++)
        resumes[p] = resume_of(&run->partitions[p], fresh);
    strid_status status = assign_each(run, resumes, err);
    memory_free(resumes);
    for (uint32_t p = 0; status == STRID_OK && p < run->partition_count; p++) {
        struct directory_partition *stored = run->partitions[p].stored;
        if (run->source_ops->fingerprint != NULL)
            stored->fingerprint_len =
                run->source_ops->fingerprint(run->source, p, stored->fingerprint);
        STRID_ASSERT(stored->fingerprint_len <= STRID_FINGERPRINT_MAX);
    }
    return status;
}

/* The tables are complete once the run has begun. */
static void set_replay(struct partition *partition)
{
    const struct directory_table *table = partition->stored->table;
    for (uint32_t v = 0; table != NULL && v < KEY_VSHARDS; v++)
        if ((table->known[v / 8] >> (v & 7) & 1) != 0 &&
            (!partition->replays ||
             strid_position_compare(table->applied[v], partition->replay_to) > 0)) {
            partition->replays = true;
            partition->replay_to = table->applied[v];
        }
}

/* Whether it is worth trying: tables that were not yet merged count a key several times, and the
 * workers see how large state really is as they load it. */
static bool may_fit_caches(const struct run *run)
{
    struct store_figures figures = {0};
    run->directory->ops->figures(run->directory->store, &figures);
    return figures.estimated_keys / LOAD_TRY_FACTOR * ENTRY_ESTIMATE <=
           run->options.cache_bytes * run->worker_count;
}

static void set_ttls(struct run *run)
{
    const struct definition *definition = run->definition;
    for (uint32_t s = 1; s <= definition->store_count; s++) {
        int64_t ttl = definition->store_ttl_ms[s];
        ttl = ttl == 0 ? definition->ttl_ms : ttl;
        ttl = ttl < 0 ? 0 : ttl; /* DEFINITION_TTL_NEVER */
        run->ttl_ms[run->store_numbers[s]] = ttl;
        if (ttl > 0)
            directory_set_expires(run->directory, run->store_numbers[s]);
        if (ttl > 0 && (run->ttl_min_ms == 0 || ttl < run->ttl_min_ms))
            run->ttl_min_ms = ttl;
    }
    /* What was written with a time to live keeps it, whatever the store now has. */
    for (uint32_t i = 1; i <= DIRECTORY_STORES_MAX; i++) {
        run->ttl_left[i] = run->directory->store_expires[i] && run->ttl_ms[i] == 0;
        if (run->ttl_left[i] && run->ttl_min_ms == 0)
            run->ttl_min_ms = ttl_left_ms;
    }
}

strid_status run_open(struct run *run, strid_error *err)
{
    const struct definition *definition = run->definition;
    strid_status status = open_directory(run, err);
    if (status != STRID_OK)
        return status;
    run->partition_count = run->source_ops->partition_count(run->source);
    run->partitions = memory_alloc_zeroed(
        (run->partition_count + run->directory->partition_count + 1) * sizeof *run->partitions);
    for (uint32_t p = 0; p < run->partition_count; p++)
        set_up_partition(run, p);
    status = check_known(run, err);
    add_gone_partitions(run);
    if (status == STRID_OK)
        status = assign_partitions(run, err);
    for (uint32_t s = 1; status == STRID_OK && s <= definition->store_count; s++) {
        status =
            directory_store(run->directory, definition->stores[s], &run->store_numbers[s], err);
        if (status == STRID_OK)
            status = directory_set_ordered(run->directory, run->store_numbers[s],
                                           definition->store_ordered[s], err);
    }
    if (status == STRID_OK) {
        set_ttls(run);
        status = compare_outlines(run, err);
    }
    for (uint32_t v = 0; v < KEY_VSHARDS; v++)
        run->worker_of[v] = (uint8_t)(v % run->worker_count);
    if (status == STRID_OK)
        status = directory_begin_run(run->directory, run->worker_count, run->worker_of, err);
    for (uint32_t p = 0; status == STRID_OK && p < run->partition_count; p++)
        set_replay(&run->partitions[p]);
    if (status == STRID_OK)
        status = suspect_open(run, err);
    run->state_may_fit = status == STRID_OK && may_fit_caches(run);
    return status;
}
