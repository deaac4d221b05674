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

void sim_audit_init(struct sim_audit *audit)
{
    *audit = (struct sim_audit){.entries = skip_list_create()};
}

void sim_audit_fini(struct sim_audit *audit)
{
    skip_list_destroy(audit->entries);
    buffer_fini(&audit->pending);
}

bool sim_audit_is_aged(strid_bytes key)
{
    return (key.data[2] & ~KEY_STORE_KEYLESS) == SIM_INPUT_STORE_AGED;
}

/* Whether the store may do without this value by now. */
static bool is_over(strid_bytes encoded)
{
    struct key_value value;
    int64_t now_ms = sim_world->clock.wall_ms(sim_world);
    return key_get_value(encoded, &value) && key_is_expired(value.expiry_ms, now_ms);
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
}

static bool is_covered(const struct sim_audit *audit, uint32_t p, uint32_t index)
{
    const struct sim_input *input = &sim_world->input;
    uint8_t vshard = sim_input_vshard(input, &input->partitions[p].records[index]);
    return audit->durable[p][vshard] > index;
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
        SIM_CHECK("low_is_covered", is_covered(audit, p, audit->low[p]),
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
    for (uint32_t v = 0; v < SIM_INPUT_VSHARDS; v++) {
        strid_position position = {cursor_u64(&value), 0};
        position.low = cursor_u64(&value);
        bool any = (known.data[v / 8] >> (v & 7) & 1) != 0;
        uint32_t applied = any ? applied_of(p, position) : 0;
        SIM_CHECK("progress_rises", applied >= audit->durable[p][v],
                  "the table takes partition %u, vshard %u from %u to %u", p, v,
                  audit->durable[p][v], applied);
    }
}

/* Puts each state of the block, as the store has it, into the list: key to value, or both in one.
 */
static void each_state(strid_bytes block, struct skip_list *into, bool joined)
{
    struct block_view view;
    struct key_state key;
    struct key_value value;
    struct buffer bytes = {0}, held = {0};
    bool opened = block_open(block, &view);
    STRID_ASSERT(opened);
    while (block_next_state(&view, &key, &value)) {
        buffer_clear(&bytes);
        buffer_clear(&held);
        uint8_t *at = buffer_reserve(&bytes, KEY_STATE_HEADER + key.key.len);
        bytes.len = key_put_state(at, &key);
        if (value.kind != STRID_STATE_ABSENT)
            key_put_value(&held, &value);
        if (joined)
            buffer_put_bytes(&bytes, buffer_bytes(&held));
        skip_list_put(into, buffer_bytes(&bytes),
                      joined ? strid_bytes_of("", 0) : buffer_bytes(&held));
    }
    buffer_fini(&bytes);
    buffer_fini(&held);
}

/* Blocks that are about to go, in order: what they say must be what the store says. */
static void check_deleted(struct sim_audit *audit, uint64_t first, uint64_t last)
{
    struct skip_list *live = sim_world->disk.live;
    struct skip_list *folded = skip_list_create();
    uint8_t key[KEY_FIXED_MAX];
    for (uint64_t number = first; number <= last; number++) {
        const struct skip_node *node =
            skip_list_find(live, strid_bytes_of(key, key_put_block(key, number)));
        if (node != NULL)
            each_state(skip_node_value(node), folded, false);
    }
    const struct skip_node *node = skip_list_seek(folded, strid_bytes_of("", 0));
    for (; node != NULL; node = skip_list_next(node)) {
        const struct skip_node *stored = skip_list_find(live, skip_node_key(node));
        strid_bytes value = stored == NULL ? strid_bytes_of(NULL, 0) : skip_node_value(stored);
        SIM_CHECK("deleted_is_materialised",
                  strid_bytes_equal(value, skip_node_value(node)) ||
                      (stored == NULL && is_over(skip_node_value(node))),
                  "blocks %llu to %llu go, and the store does not hold what they hold",
                  (unsigned long long)first, (unsigned long long)last);
    }
    skip_list_destroy(folded);
    SIM_CHECK("deleted_is_materialised", last <= audit->through, "block %llu goes, through is %llu",
              (unsigned long long)last, (unsigned long long)audit->through);
}

static void check_deletions(struct sim_audit *audit, const struct store_op *ops, size_t count)
{
    uint64_t first = 0, last = 0;
    for (size_t i = 0; i < count; i++)
        if (ops[i].key.data[0] == 'w' && ops[i].value.data == NULL) {
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
        case 'w':
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
    node = skip_list_seek(sim_world->disk.durable, strid_bytes_of_text("w"));
    for (; node != NULL && skip_node_key(node).data[0] == 'w'; node = skip_list_next(node))
        audit->synced_number = number_of(skip_node_key(node));
}

/* Only what durable blocks hold may be loaded. */
void sim_audit_load_begin(struct sim_audit *audit)
{
    skip_list_clear(audit->entries);
    const struct skip_node *node =
        skip_list_seek(sim_world->disk.durable, strid_bytes_of_text("w"));
    for (; node != NULL && skip_node_key(node).data[0] == 'w'; node = skip_list_next(node))
        each_state(skip_node_value(node), audit->entries, true);
}

void sim_audit_load(struct sim_audit *audit, const struct store_op *op)
{
    struct buffer joined = {0};
    SIM_CHECK("ingest_is_state", op->key.data[0] == 's', "a key of kind '%c' is loaded",
              op->key.data[0]);
    buffer_put_bytes(&joined, op->key);
    buffer_put_bytes(&joined, op->value);
    const struct skip_node *node = skip_list_seek(audit->entries, buffer_bytes(&joined));
    strid_bytes found = node == NULL ? strid_bytes_of(NULL, 0) : skip_node_key(node);
    bool held = strid_bytes_equal(found, buffer_bytes(&joined));
    /* A deletion in the place of a value that is over; no key begins with another one. */
    for (; !held && op->value.data == NULL && node != NULL; node = skip_list_next(node)) {
        found = skip_node_key(node);
        if (found.len < op->key.len || memcmp(found.data, op->key.data, op->key.len) != 0)
            break;
        held = is_over(strid_bytes_of(found.data + op->key.len, found.len - op->key.len));
    }
    buffer_fini(&joined);
    SIM_CHECK("ingest_is_synced", held,
              "a state is loaded that no block holds which a sync covers");
}
