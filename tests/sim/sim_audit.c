#include "sim_audit.h"

#include "base/assert.h"
#include "state/block.h"
#include "state/meta.h"

#include "sim_world.h"

/* Progress of one block. */
struct pending {
    uint32_t write;
    uint32_t partition;
    uint32_t applied; /* record index + 1 */
    uint32_t worker, workers;
    uint64_t number;
};

void sim_audit_init(struct sim_audit *audit) { *audit = (struct sim_audit){0}; }

void sim_audit_fini(struct sim_audit *audit)
{
    sim_held_fini(&audit->held);
    sim_stored_fini(&audit->stored);
    buffer_fini(&audit->pending);
}

void sim_audit_begin_run(struct sim_audit *audit)
{
    memset(audit->sequences, 0, sizeof audit->sequences);
    memset(audit->applied, 0, sizeof audit->applied);
    audit->last_number = 0;
}

static uint64_t number_of(strid_bytes key) { return key_get_u64(key.data + 1); }

static uint32_t applied_of(uint32_t partition, strid_position position)
{
    const struct sim_input *input = &sim_world->input;
    SIM_CHECK("progress_is_a_record", partition < input->partition_count, "partition %u",
              partition);
    const struct sim_partition *of = &input->partitions[partition];
    uint64_t place = sim_input_place(input, position);
    uint32_t index = sim_input_before(of, place);
    SIM_CHECK("progress_is_a_record", index < of->count && of->records[index].place == place,
              "partition %u has no record at %llu", partition, (unsigned long long)place);
    return index + 1;
}

static void take_progress(struct sim_audit *audit, struct block_view *view)
{
    struct block_progress progress;
    while (block_next_progress(view, &progress)) {
        struct pending pending = {.write = audit->writes,
                                  .partition = progress.partition,
                                  .applied = applied_of(progress.partition, progress.position),
                                  .worker = view->worker,
                                  .workers = sim_world->workers,
                                  .number = view->number};
        uint32_t *last = &audit->applied[view->worker][progress.partition];
        SIM_CHECK("progress_rises", *last < pending.applied,
                  "block %llu takes partition %u, worker %u from %u to %u",
                  (unsigned long long)view->number, progress.partition, view->worker, *last,
                  pending.applied);
        *last = pending.applied;
        buffer_put(&audit->pending, &pending, sizeof pending);
    }
}

/* Entries with a time to live, which say when they were written (sim_handler.c), go in time: from
 * then, or where the outcome came later from some time behind the call. */
static void check_aged(struct block_view *view)
{
    struct key_state key;
    struct key_value value;
    int64_t ttl_ms = sim_world->knobs.ttl_ms, written_ms;
    while (ttl_ms != 0 && block_next_state(view, &key, &value)) {
        if ((key.store & ~KEY_STORE_KEYLESS) != SIM_INPUT_STORE_AGED ||
            value.kind != STRID_STATE_I64)
            continue;
        memcpy(&written_ms, value.bytes.data, sizeof written_ms);
        int64_t from_ms = value.expiry_ms - ttl_ms;
        SIM_CHECK("aged_is_dated",
                  written_ms > 0
                      ? from_ms == written_ms
                      : sim_world->figures.clock_sets > 0 ||
                            (from_ms >= -written_ms && from_ms <= sim_world->wall_max_ms),
                  "an entry of %lld is dated %lld", (long long)written_ms, (long long)from_ms);
    }
}

static void check_block(struct sim_audit *audit, const struct store_op *op)
{
    struct block_view view;
    uint64_t number = number_of(op->key);
    SIM_CHECK("block_numbers", block_open(op->value, &view) && view.number == number,
              "block %llu is not whole", (unsigned long long)number);
    SIM_CHECK("block_numbers", number > audit->synced_number && number > audit->through,
              "%llu is used again", (unsigned long long)number);
    SIM_CHECK("block_numbers", audit->last_number == 0 || number == audit->last_number + 1,
              "%llu follows %llu", (unsigned long long)number,
              (unsigned long long)audit->last_number);
    SIM_CHECK("synced_is_synced", view.synced <= audit->synced_number && view.synced < number,
              "block %llu says %llu is synced, %llu is", (unsigned long long)number,
              (unsigned long long)view.synced, (unsigned long long)audit->synced_number);
    SIM_CHECK("one_owner", view.worker < sim_world->workers, "worker %u", view.worker);
    SIM_CHECK("block_numbers", view.sequence == audit->sequences[view.worker] + 1,
              "worker %u: sequence %llu", view.worker, (unsigned long long)view.sequence);
    audit->last_number = number;
    audit->sequences[view.worker] = view.sequence;
    take_progress(audit, &view);
    check_aged(&view);
}

static bool is_covered(const struct sim_audit *audit, uint32_t p, uint32_t index)
{
    const struct sim_input *input = &sim_world->input;
    const struct sim_record *record = &input->partitions[p].records[index];
    return record->elsewhere || audit->durable[p][sim_input_vshard(input, record)] > index;
}

static void check_low(struct sim_audit *audit, uint32_t p, struct cursor value)
{
    const struct sim_input *input = &sim_world->input;
    strid_position low = {cursor_u64(&value), 0};
    low.low = cursor_u64(&value);
    uint64_t synced = cursor_u64(&value);
    uint32_t before = sim_input_before(&input->partitions[p], sim_input_place(input, low));
    uint64_t old_high, old_low;
    SIM_CHECK("synced_is_synced", synced <= audit->synced_number, "low position of %u", p);
    if (sim_disk_low(sim_world->disk.live, p, &old_high, &old_low))
        SIM_CHECK("low_rises",
                  strid_position_compare((strid_position){old_high, old_low}, low) <= 0,
                  "partition %u", p);
    for (; audit->low[p] < before; audit->low[p]++)
        SIM_CHECK("low_is_covered", input->unordered || is_covered(audit, p, audit->low[p]),
                  "partition %u: record %u lies before the low position (%u records), and no sync "
                  "covers it",
                  p, audit->low[p], before);
}

static void check_meta(struct sim_audit *audit, const struct store_op *op)
{
    strid_bytes name;
    if (op->value.data == NULL)
        return;
    struct cursor value = meta_value_read(op->value);
    if (meta_key_is(op->key, "low", &name))
        check_low(audit, key_get_u32(name.data), value);
    if (meta_key_is(op->key, "through", &name)) {
        uint64_t through = cursor_u64(&value);
        SIM_CHECK("through_rises", through >= audit->through, "%llu after %llu",
                  (unsigned long long)through, (unsigned long long)audit->through);
        audit->through = through;
    }
}

/* p1: the table may not fall behind what is durable. */
static void check_table(const struct sim_audit *audit, const struct store_op *op)
{
    if (op->value.data == NULL || op->key.data[1] != 1)
        return;
    uint32_t p = key_get_u32(op->key.data + 2);
    struct cursor value = meta_value_read(op->value);
    strid_bytes known = cursor_bytes(&value, SIM_INPUT_VSHARDS / 8);
    strid_position before = {UINT64_MAX, UINT64_MAX};
    uint32_t of_before = 0; /* most vshards have the same position */
    for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++) {
        strid_position position = {cursor_u64(&value), 0};
        position.low = cursor_u64(&value);
        bool any = (known.data[v / 8] >> (v & 7) & 1) != 0;
        if (any && strid_position_compare(position, before) != 0) {
            of_before = applied_of(p, position);
            before = position;
        }
        uint32_t applied = any ? of_before : 0;
        SIM_CHECK("progress_rises", applied >= audit->durable[p][v],
                  "the table takes partition %u, vshard %u from %u to %u", p, v,
                  audit->durable[p][v], applied);
    }
}

/* The store holds what is said last of a key; or nothing, if that is over. */
static void check_stored(const struct sim_audit *audit, const struct sim_held_entry *said,
                         uint64_t first, uint64_t last)
{
    uint64_t stored = sim_stored_get(&audit->stored, said->key);
    bool over = key_is_expired(said->expiry_ms, sim_world->wall_max_ms);
    SIM_CHECK("deleted_is_materialised", stored == said->value || (stored == 0 && over),
              "blocks %llu to %llu go, and the store does not hold what they hold",
              (unsigned long long)first, (unsigned long long)last);
}

/* What no sync covers cannot have been loaded: such a block holds no state. */
static void check_unsynced(uint64_t first, uint64_t last)
{
    uint8_t key[KEY_FIXED_MAX];
    struct block_view view;
    for (uint64_t number = first; number <= last; number++) {
        const struct skip_node *node =
            skip_list_find(sim_world->disk.live, strid_bytes_of(key, key_put_block(key, number)));
        SIM_CHECK("deleted_is_materialised",
                  node == NULL ||
                      (block_open(skip_node_value(node), &view) && view.state_count == 0),
                  "block %llu goes, and no sync covers what it holds", (unsigned long long)number);
    }
}

/* Blocks that are about to go, in order: what they say must be what the store says. */
static void check_deleted(struct sim_audit *audit, uint64_t first, uint64_t last)
{
    const struct sim_held *held = &audit->held;
    for (uint32_t at = sim_held_first(held, first); at < held->end; at++) {
        const struct sim_held_entry *said = &held->entries[at];
        if (said->number > last)
            break;
        if (sim_held_is_last(held, said, last))
            check_stored(audit, said, first, last);
    }
    if (last > held->through)
        check_unsynced(first > held->through ? first : held->through + 1, last);
    SIM_CHECK("deleted_is_materialised", last <= audit->through, "block %llu goes, through is %llu",
              (unsigned long long)last, (unsigned long long)audit->through);
}

static void check_deletions(struct sim_audit *audit, const struct store_op *ops, size_t count)
{
    uint64_t first = 0, last = 0;
    for (size_t i = 0; i < count; i++)
        if (ops[i].key.data[0] == KEY_BLOCK && ops[i].value.data == NULL) {
            first = first == 0 ? number_of(ops[i].key) : first;
            last = number_of(ops[i].key);
        }
    if (first != 0)
        check_deleted(audit, first, last);
}

void sim_audit_write(struct sim_audit *audit, const struct store_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        switch (ops[i].key.data[0]) {
        case KEY_BLOCK:
            if (ops[i].value.data != NULL)
                check_block(audit, &ops[i]);
            break;
        case 'm':
            check_meta(audit, &ops[i]);
            break;
        case 'p':
            check_table(audit, &ops[i]);
            break;
        default:
            sim_world_violated("state_through_blocks", "a key of kind '%c' is written directly",
                               ops[i].key.data[0]);
        }
    check_deletions(audit, ops, count);
    audit->writes++;
}

/* The durable blocks, which have their place in the order for good: new ones come behind, others
 * went in front. */
static void hold_durable(struct sim_audit *audit)
{
    const struct skip_list *durable = sim_world->disk.durable;
    uint8_t from[KEY_FIXED_MAX];
    const struct skip_node *node = skip_list_seek(durable, strid_bytes_of_text("b"));
    sim_held_forget(&audit->held, node == NULL || skip_node_key(node).data[0] != KEY_BLOCK
                                      ? UINT64_MAX
                                      : number_of(skip_node_key(node)));
    node =
        skip_list_seek(durable, strid_bytes_of(from, key_put_block(from, audit->held.through + 1)));
    for (; node != NULL && skip_node_key(node).data[0] == KEY_BLOCK; node = skip_list_next(node))
        sim_held_add(&audit->held, skip_node_value(node));
    if (audit->synced_number < audit->held.through)
        audit->synced_number = audit->held.through;
}

void sim_audit_durable(struct sim_audit *audit, uint32_t writes)
{
    size_t kept = 0;
    for (size_t at = 0; at < audit->pending.len; at += sizeof(struct pending)) {
        struct pending pending;
        memcpy(&pending, audit->pending.data + at, sizeof pending);
        if (pending.write >= writes) {
            pending.write -= writes;
            memcpy(audit->pending.data + kept, &pending, sizeof pending);
            kept += sizeof pending;
            continue;
        }
        for (uint32_t v = pending.worker; v < SIM_INPUT_VSHARDS; v += pending.workers)
            if (audit->durable[pending.partition][v] < pending.applied)
                audit->durable[pending.partition][v] = pending.applied;
    }
    audit->writes = sim_world->disk.log_writes;
    audit->pending.len = audit->writes > 0 ? kept : 0;
    /* The durable blocks give the number; materialised ones were synced before. */
    audit->synced_number = audit->through = 0;
    struct buffer key = {0};
    meta_key(&key, "through", strid_bytes_of(NULL, 0));
    const struct skip_node *node = skip_list_find(sim_world->disk.durable, buffer_bytes(&key));
    buffer_fini(&key);
    if (node != NULL) {
        struct cursor value = meta_value_read(skip_node_value(node));
        audit->synced_number = audit->through = cursor_u64(&value);
    }
    hold_durable(audit);
}

void sim_audit_load(struct sim_audit *audit, const struct store_op *op)
{
    struct key_state key;
    struct key_value value = {.kind = STRID_STATE_ABSENT};
    SIM_CHECK("ingest_is_state", key_get_state(op->key, &key), "a key of kind '%c' is loaded",
              op->key.data[0]);
    SIM_CHECK("state_is_whole", op->value.data == NULL || key_get_value(op->value, &value),
              "a checksum");
    uint64_t name = sim_held_key(&key), said = sim_held_value(&value);
    SIM_CHECK("ingest_is_synced", sim_held_has(&audit->held, name, said, sim_world->wall_max_ms),
              "a state is loaded that no block holds which a sync covers");
    sim_stored_set(&audit->stored, name, said);
}
