#include "sim_check.h"

#include "runtime/committer.h"
#include "runtime/materialiser.h"
#include "runtime/reader.h"
#include "runtime/storage.h"
#include "runtime/worker.h"

#include "sim_handler.h"
#include "sim_outbox.h"
#include "sim_step.h"
#include "sim_store.h"
#include "sim_waiting.h"

enum { SWEPT_STEPS_MAX = 20000 };

/* Chunks that are home, and those on their way through the rings. */
static void count_chunks(struct run *run, uint32_t *home, uint32_t *away, uint32_t *all)
{
    *home = *away = *all = 0;
    for (uint32_t r = 0; r < run->reader_count; r++) {
        struct reader *reader = &run->readers[r];
        *all += reader->chunk_count;
        *home += reader->free_count + ring_size(reader->from_committer_chunks);
        for (uint32_t w = 0; w < run->worker_count; w++)
            *away += ring_size(reader->to_workers[w]);
    }
    for (uint32_t w = 0; w < run->worker_count; w++)
        *away +=
            ring_size(committer_from_worker(run->committer, w)) + (run->workers[w].held != NULL);
}

/* What waits is counted for one partition each. */
static void check_accounts(struct sim_world *world)
{
    struct run *run = world->run;
    uint64_t records = 0, bytes = 0;
    bool above = false;
    for (uint32_t p = 0; p < run->known_count; p++) {
        uint64_t own =
            atomic_load_explicit(&run->partitions[p].waiting_records, memory_order_relaxed);
        records += own;
        bytes += atomic_load_explicit(&run->partitions[p].waiting_bytes, memory_order_relaxed);
        above = above || own >= world->definition->retry.max_parked;
    }
    for (uint32_t w = 0; w < run->worker_count; w++) {
        records -= run->workers[w].retry.waiting.records;
        bytes -= run->workers[w].retry.waiting.bytes;
    }
    SIM_CHECK("waiting_is_counted", records == 0 && bytes == 0,
              "partitions count %lld records and %lld bytes more than wait", (long long)records,
              (long long)bytes);
    world->figures.bounded += above;
}

void sim_check_step(struct sim_world *world, bool moved)
{
    struct run *run = world->run;
    uint32_t home, away, all;
    uint64_t synced = storage_synced_number(run->storage);
    SIM_CHECK("synced_is_synced", synced <= world->audit.synced_number,
              "storage says %llu, the disk has %llu", (unsigned long long)synced,
              (unsigned long long)world->audit.synced_number);
    SIM_CHECK("materialised_is_synced", materialiser_through(run->materialiser) <= synced,
              "through %llu, synced %llu",
              (unsigned long long)materialiser_through(run->materialiser),
              (unsigned long long)synced);
    if (!moved || run_failed(run) || run_stop(run) == RUN_HALT || world->busy != 0)
        return; /* a chunk may be left where it was */
    count_chunks(run, &home, &away, &all);
    SIM_CHECK("chunk_owner", home + away == all, "%u home and %u away of %u", home, away, all);
    check_accounts(world);
}

static void cover(sim_coverage applied, uint32_t p, uint32_t vshard, strid_position position)
{
    const struct sim_input *input = &sim_world->input;
    struct sim_covered *last = &sim_world->covered[p];
    uint64_t place = sim_input_place(input, position);
    if (last->place != place + 1) /* most vshards have the same */
        *last = (struct sim_covered){.place = place + 1,
                                     .records = sim_input_before(&input->partitions[p], place + 1)};
    if (applied[vshard][p] < last->records)
        applied[vshard][p] = last->records;
}

/* From the tables, and of a directory that was opened to be read from the blocks, too. */
static void read_progress(const struct sim_world *world, const struct directory *directory,
                          sim_coverage applied)
{
    memset(applied, 0, sizeof(sim_coverage));
    for (uint32_t i = 0; i < directory->partition_count; i++) {
        const struct directory_table *table = directory->partitions[i]->table;
        for (uint32_t v = 0; table != NULL && v < SIM_INPUT_VSHARDS; v++)
            if ((table->known[v / 8] >> (v & 7) & 1) != 0)
                cover(applied, directory->partitions[i]->number, v, table->applied[v]);
    }
    uint32_t count = directory->fold == NULL ? 0 : fold_progress_count(directory->fold);
    for (uint32_t i = 0; i < count; i++) {
        const struct fold_progress *progress = fold_progress_at(directory->fold, i);
        for (uint32_t r = 0; r < directory->run_count; r++)
            for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++)
                if (directory->runs[r].run == progress->run &&
                    directory->runs[r].worker_of[v] == progress->worker)
                    cover(applied, progress->partition, v, progress->position);
    }
    for (uint32_t p = 0; p < world->input.partition_count; p++)
        for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++)
            SIM_CHECK("durable_is_kept", applied[v][p] >= world->audit.durable[p][v],
                      "partition %u, vshard %u: %u records were durable, %u are found", p, v,
                      world->audit.durable[p][v], applied[v][p]);
}

static void cover_all(const struct sim_world *world, sim_coverage applied)
{
    for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++)
        for (uint32_t p = 0; p < world->input.partition_count; p++)
            applied[v][p] = world->input.partitions[p].count;
}

/* Outputs and dead letters of every record that progress covers have arrived. */
static void check_arrived(struct sim_world *world, sim_coverage applied, bool complete)
{
    const struct sim_input *input = &world->input;
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            const struct sim_record *record = &input->partitions[p].records[i];
            bool covered = record->elsewhere || applied[sim_input_vshard(input, record)][p] > i;
            SIM_CHECK("all_is_handled", covered || !complete,
                      "partition %u: progress does not cover record %u at the end", p, i);
            SIM_CHECK("dead_letter_is_kept", covered || !record->waits,
                      "partition %u, record %u: its dead letter waits, and progress does not cover "
                      "it",
                      p, i);
            SIM_CHECK("all_is_handled", !record->parked || !complete,
                      "partition %u: record %u still waits at the end", p, i);
            if (!covered || record->parked)
                continue;
            if (sim_input_is_done(input, record))
                SIM_CHECK("output_is_delivered", record->arrived == (1u << record->outputs) - 1,
                          "partition %u, record %u: progress covers it, and an output is missing",
                          p, i);
            if (sim_input_is_dead(input, record))
                SIM_CHECK("dead_letter_is_delivered",
                          record->arrived == 1 || (record->waits && !complete),
                          "partition %u, record %u: progress covers it, and its dead letter is "
                          "missing",
                          p, i);
            SIM_CHECK("outbox_is_empty", !record->waits || !complete,
                      "partition %u, record %u: its dead letter is left at the end", p, i);
        }
}

/* Of a source without order no number says what is applied; what waits is whole all the same. */
static void look_at_waiting(const struct sim_world *world, const struct directory *directory,
                            sim_coverage applied)
{
    cover_all(world, applied);
    sim_waiting_check_positions(directory, sim_waiting_look(directory, applied));
    sim_unordered_check_kept();
}

void sim_check_stopped(struct sim_world *world)
{
    static sim_coverage applied;
    struct directory *directory = NULL;
    struct directory_options options = {.read_only = true, .log = &world->log};
    strid_error err = STRID_ERROR_INIT;
    bool faults = world->faults;
    world->faults = false;
    strid_status status = directory_open("sim:", &sim_store, &options, &directory, &err);
    SIM_CHECK("tools_can_read", status == STRID_OK || status == STRID_ENOTFOUND, "%s", err.message);
    if (status == STRID_OK && !world->input.unordered)
        read_progress(world, directory, applied);
    if (status == STRID_OK) {
        if (!world->input.unordered)
            (void)sim_keys_check(&world->keys, directory, applied);
        else
            look_at_waiting(world, directory, applied);
        directory_close(directory);
    }
    world->faults = faults;
}

void sim_check_recovered(struct sim_world *world, bool complete)
{
    static sim_coverage applied;
    if (world->input.unordered && !complete)
        return; /* no number says what is applied: at the end all of it has to be, once */
    if (world->input.unordered)
        cover_all(world, applied);
    else
        read_progress(world, world->run->directory, applied);
    size_t expected = sim_keys_check(&world->keys, world->run->directory, applied);
    SIM_CHECK("state_is_progress", world->keys.entries == expected,
              "%zu entries, and %zu should be there", world->keys.entries, expected);
    (void)sim_outbox_look(world);
    check_arrived(world, applied, complete);
    if (complete)
        sim_waiting_check_none();
}

/* Whether each worker has all of its blocks, or could take them. */
static bool blocks_are_back(const struct run *run)
{
    bool all = true;
    for (uint32_t w = 0; w < run->worker_count; w++) {
        const struct worker *worker = &run->workers[w];
        uint32_t blocks = worker->free_count + (worker->block != NULL) +
                          ring_size(storage_to_worker(run->storage, w));
        all = all && blocks == WORKER_BLOCKS;
        SIM_CHECK("block_owner", blocks <= WORKER_BLOCKS, "worker %u: %u blocks", w, blocks);
    }
    return all;
}

/* Nobody waits for a block that only deletes what is over, or was acknowledged: it is under way for
 * a while. */
static void check_blocks(struct sim_world *world)
{
    struct run *run = world->run;
    uint32_t left = world->knobs.ttl_ms > 0 || world->input.unordered ? SWEPT_STEPS_MAX : 0;
    for (; left > 0 && !world->crash.dead && !blocks_are_back(run) && !run_failed(run); left--)
        (void)sim_step(world);
    SIM_CHECK("block_owner", world->crash.dead || run_failed(run) || blocks_are_back(run),
              "a worker's block does not come back");
}

void sim_check_finished(struct sim_world *world)
{
    struct run *run = world->run;
    uint32_t home, away, all;
    count_chunks(run, &home, &away, &all);
    SIM_CHECK("chunk_owner", home == all && away == 0, "%u of %u chunks are back", home, all);
    for (uint32_t r = 0; r < run->reader_count; r++)
        for (uint32_t i = 0; i < run->readers[r].free_count; i++)
            for (uint32_t j = 0; j < i; j++)
                SIM_CHECK("chunk_owner",
                          run->readers[r].free_chunks[i] != run->readers[r].free_chunks[j],
                          "reader %u holds a chunk twice", r);
    check_blocks(world);
    if (world->crash.dead)
        return;
    strid_pipeline_stats stats = {0};
    run_add_stats(run, &stats);
    SIM_CHECK("one_outcome",
              world->input.unordered /* where nobody has counted what waited before */ ||
                  stats.records + world->keys.waiting ==
                      stats.done + stats.skipped + stats.dead_lettered + stats.unrouted +
                          stats.handed_over + stats.waiting + stats.parked,
              "%llu records have another number of outcomes", (unsigned long long)stats.records);
    SIM_CHECK("outbox_is_empty", stats.outbox_entries == 0, "%llu dead letters wait at the end",
              (unsigned long long)stats.outbox_entries);
    if (world->input.unordered)
        sim_unordered_check_told();
    for (uint32_t p = 0; p < world->input.partition_count && !world->input.unordered; p++) {
        strid_position low = {0, 0};
        bool any = sim_disk_low(world->disk.durable, p, &low.high, &low.low);
        /* Where another node was before, and nothing came since, it is what that one told. */
        uint64_t place = sim_source_told(p);
        if (any)
            place = sim_input_place(&world->input, low);
        uint32_t before = sim_input_before(&world->input.partitions[p], place);
        SIM_CHECK("all_is_told", before == world->source.partitions[p].cursor,
                  "partition %u: %u records were read, the low position covers %u", p,
                  world->source.partitions[p].cursor, before);
    }
}

void sim_check_acknowledged(struct sim_world *world)
{
    for (uint32_t p = 0; p < world->input.partition_count && !world->input.unordered; p++) {
        strid_position low = {0, 0};
        if (!sim_disk_low(world->disk.durable, p, &low.high, &low.low))
            continue;
        SIM_CHECK("all_is_acked",
                  world->source.partitions[p].acknowledged &&
                      world->source.partitions[p].acked == sim_input_place(&world->input, low),
                  "partition %u: the source does not know its low position", p);
    }
}
