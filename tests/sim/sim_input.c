#include "sim_input.h"

#include <stdio.h>
#include <xxhash.h>

#include "base/assert.h"
#include "base/memory.h"

enum {
    KEY_BYTES_MAX = 256,
    WIDE_SHIFT = 4,
    PARTITIONS_MIN = 3,
    POISON_RATE = 400,
    HANDED_RATE = 30,
    RECORDS_MIN = 1000,
    RECORDS_MAX = 1200
};

static uint32_t hash_of(strid_bytes key, uint32_t vshards_used, uint64_t hash_seed)
{
    uint32_t hash = (uint32_t)(XXH3_64bits_withSeed(key.data, key.len, hash_seed) >> 32);
    if (vshards_used == 0)
        return hash;
    return (hash & 0xffffff) | (hash >> 24) % vshards_used << 24;
}

/* Keys of several lengths; the empty key is a key like any other. */
static void make_keys(struct sim_input *input, struct sim_random *random, uint32_t vshards_used,
                      uint64_t hash_seed)
{
    static const uint32_t counts[] = {1, 3, 20, 200, 1500};
    uint32_t count = counts[sim_random_below(random, 5)];
    bool long_keys = sim_random_chance(random, 4), empty_key = sim_random_chance(random, 4);
    size_t bytes = (size_t)(count + SIM_INPUT_PARTITIONS_MAX) * KEY_BYTES_MAX;
    uint8_t *at = buffer_reserve(&input->key_bytes, bytes);
    input->keys = memory_alloc_zeroed((count + SIM_INPUT_PARTITIONS_MAX) * sizeof *input->keys);
    for (uint32_t k = 0; k < count; k++) {
        int len = snprintf((char *)at, KEY_BYTES_MAX, "key-%u", k);
        if (long_keys && k % 7 == 3)
            len = snprintf((char *)at, KEY_BYTES_MAX, "%0200u", k);
        if (empty_key && k == 0)
            len = 0;
        input->keys[k].bytes = strid_bytes_of(at, (size_t)len);
        at += KEY_BYTES_MAX;
    }
    for (uint32_t p = 0; p < input->partition_count; p++) {
        memcpy(at, &p, sizeof p);
        input->keys[count + p] =
            (struct sim_key){.bytes = strid_bytes_of(at, sizeof p), .keyless = true};
        at += KEY_BYTES_MAX;
    }
    input->key_count = count + input->partition_count;
    for (uint32_t k = 0; k < input->key_count; k++)
        input->keys[k].hash = hash_of(input->keys[k].bytes, vshards_used, hash_seed);
}

static void make_outcome(struct sim_input *input, struct sim_random *random,
                         struct sim_record *record)
{
    uint32_t dice = sim_random_below(random, 100);
    record->asks_second = sim_random_chance(random, 2);
    record->outputs = (uint8_t)(sim_random_chance(random, 3)
                                    ? sim_random_between(random, 1, SIM_INPUT_OUTPUTS_MAX)
                                    : 0);
    record->sink = (uint8_t)sim_random_below(random, 2);
    if (input->poisons > 0 && sim_random_chance(random, POISON_RATE)) {
        input->poisons--;
        record->kind = SIM_POISON;
    } else if (input->hands_over && sim_random_chance(random, HANDED_RATE)) {
        record->kind = SIM_HANDED;
        record->retries = (uint8_t)sim_random_between(random, 1, input->max_attempts - 1);
        record->late = sim_random_chance(random, 3);
    } else if (dice < 80)
        record->kind = SIM_DONE;
    else if (dice < 86)
        record->kind = SIM_SKIP;
    else if (dice < 94) {
        record->kind = SIM_RETRY;
        record->retries = (uint8_t)sim_random_between(random, 1, input->max_attempts);
        record->late = sim_random_chance(random, 3);
    } else
        record->kind = dice < 97 ? SIM_REJECT : SIM_FAULT;
}

static void make_deferral(const struct sim_input *input, struct sim_random *random,
                          struct sim_record *record)
{
    bool handled = record->kind != SIM_FAULT && record->kind != SIM_POISON;
    if (!handled || !sim_random_chance(random, input->defer_rate))
        return;
    record->defer = (uint8_t)sim_random_between(random, SIM_DEFER_NOT + 1, SIM_DEFER_WAYS - 1);
    record->defers = (uint8_t)sim_random_between(random, 1, input->max_attempts);
    if (record->defer == SIM_DEFER_NEVER && !input->times_out)
        record->defer = SIM_DEFER_OUTCOME;
}

/* With the order of partitions, records of a key do not wait for those of another one: keys are of
 * one each where outcomes come later. */
static uint32_t pick_key(const struct sim_input *input, struct sim_random *random, uint32_t p)
{
    uint32_t named = input->key_count - input->partition_count;
    uint32_t key = sim_random_below(random, named);
    if (input->ordering != STRID_ORDERING_PARTITION || input->defer_rate == 0)
        return key;
    key = key - key % input->partition_count + p;
    return key < named ? key : named + p;
}

static void make_record(struct sim_input *input, struct sim_random *random, uint32_t p, uint32_t i)
{
    struct sim_partition *partition = &input->partitions[p];
    struct sim_record *record = &partition->records[i];
    uint32_t named = input->key_count - input->partition_count;
    make_outcome(input, random, record);
    make_deferral(input, random, record);
    record->key = pick_key(input, random, p);
    if (record->kind == SIM_FAULT || sim_random_chance(random, 20))
        record->key = named + p;
    record->previous = partition->last[record->key];
    partition->last[record->key] = i + 1;
    if (record->previous != 0) {
        record->before = partition->records[record->previous - 1].chain;
        record->done = partition->records[record->previous - 1].done;
    }
    record->chain = record->before;
    if (sim_input_is_done(input, record) && !sim_input_is_stateless(input, record)) {
        record->chain = sim_input_is_sum(input) ? record->before + sim_input_chain(0, p, i)
                                                : sim_input_chain(record->before, p, i);
        record->done++;
    }
}

static void make_partition(struct sim_input *input, struct sim_random *random, uint32_t p,
                           uint32_t count)
{
    struct sim_partition *partition = &input->partitions[p];
    uint32_t gap_max = sim_random_chance(random, 2) ? 1 : sim_random_log(random, 2, 100);
    uint64_t place = sim_random_chance(random, 2) ? 0 : sim_random_below(random, 1000);
    (void)snprintf(partition->topic, sizeof partition->topic, "topic-%u", p);
    partition->count = count;
    partition->records = memory_alloc_zeroed((count + 1) * sizeof *partition->records);
    partition->last = memory_alloc_zeroed(input->key_count * sizeof *partition->last);
    for (uint32_t i = 0; i < count; i++) {
        partition->records[i].place = place;
        make_record(input, random, p, i);
        place += sim_random_between(random, 1, gap_max);
    }
    partition->end = place;
}

static void make_order(struct sim_input *input, struct sim_random *random)
{
    static const strid_ordering orderings[] = {STRID_ORDERING_NONE, STRID_ORDERING_PARTITION,
                                               STRID_ORDERING_KEY};
    uint32_t dice = sim_random_below(random, 8);
    input->ordering = orderings[dice < 2 ? dice : 2];
    input->defer_rate = sim_random_chance(random, 4) ? sim_random_log(random, 1, 50) : 0;
    input->times_out = sim_random_chance(random, 2);
    input->hands_over = input->max_attempts > 1 && sim_random_chance(random, 4);
}

/* Drawn apart, so that the others see nothing of it. Where nothing waits for another, as in a
 * pipeline that keeps no state, nodes of such a source may be lost. */
static void make_shared(struct sim_input *input, struct sim_random apart)
{
    const bool none = input->ordering == STRID_ORDERING_NONE;
    input->shared = !input->unordered && sim_random_chance(&apart, none ? 2 : 8);
}

void sim_input_init(struct sim_input *input, struct sim_random *random, uint32_t vshards_used,
                    uint64_t hash_seed)
{
    const struct sim_random apart = {.state =
                                         sim_random_mix(random->state + UINT64_C(0x736861726564))};
    *input = (struct sim_input){0};
    input->partition_count = sim_random_between(random, PARTITIONS_MIN, SIM_INPUT_PARTITIONS_MAX);
    input->max_attempts = sim_random_between(random, 1, 3);
    input->pad_max = sim_random_chance(random, 3) ? 0 : sim_random_log(random, 1, 3000);
    input->fill_max = sim_random_chance(random, 3) ? sim_random_log(random, 1, 2000) : 0;
    input->wide = sim_random_chance(random, 3);
    input->tight = sim_random_chance(random, 2);
    input->unordered = sim_random_chance(random, 8);
    input->headers = sim_random_chance(random, 3);
    input->text = sim_random_chance(random, 3);
    input->poisons = sim_random_chance(random, 4) ? sim_random_between(random, 1, 2) : 0;
    make_order(input, random);
    make_shared(input, apart);
    make_keys(input, random, vshards_used, hash_seed);
    uint32_t left = sim_random_between(random, RECORDS_MIN, RECORDS_MAX);
    for (uint32_t p = 0; p < input->partition_count; p++) {
        bool last = p + 1 == input->partition_count;
        uint32_t count = last ? left : sim_random_below(random, left + 1);
        make_partition(input, random, p, count);
        left -= count;
    }
}

void sim_input_fini(struct sim_input *input)
{
    for (uint32_t p = 0; p < input->partition_count; p++) {
        memory_free(input->partitions[p].records);
        memory_free(input->partitions[p].last);
    }
    memory_free(input->keys);
    buffer_fini(&input->key_bytes);
}

strid_position sim_input_position(const struct sim_input *input, uint64_t place)
{
    if (!input->wide)
        return (strid_position){0, place};
    return (strid_position){place >> WIDE_SHIFT, place & ((1u << WIDE_SHIFT) - 1)};
}

uint64_t sim_input_place(const struct sim_input *input, strid_position position)
{
    return input->wide ? position.high << WIDE_SHIFT | position.low : position.low;
}

uint32_t sim_input_before(const struct sim_partition *partition, uint64_t place)
{
    uint32_t low = 0, high = partition->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (partition->records[middle].place < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool sim_input_is_done(const struct sim_input *input, const struct sim_record *record)
{
    return record->kind == SIM_DONE ||
           (record->kind == SIM_RETRY && record->retries < input->max_attempts);
}

bool sim_input_is_dead(const struct sim_input *input, const struct sim_record *record)
{
    return record->kind == SIM_REJECT || record->kind == SIM_FAULT || record->kind == SIM_POISON ||
           (record->kind == SIM_RETRY && record->retries >= input->max_attempts);
}

bool sim_input_defers(const struct sim_record *record, uint32_t tries)
{
    return record->defer != SIM_DEFER_NOT && tries < record->defers;
}

bool sim_input_is_stateless(const struct sim_input *input, const struct sim_record *record)
{
    return input->ordering == STRID_ORDERING_NONE && record->defer != SIM_DEFER_NOT;
}

uint8_t sim_input_vshard(const struct sim_input *input, const struct sim_record *record)
{
    return (uint8_t)(input->keys[record->key].hash >> 24);
}

/* Bytes behind the payload. */
static size_t fill_of(const struct sim_input *input, uint32_t index)
{
    if (input->fill_max == 0)
        return 0;
    return index % 500 == 77 ? SIM_INPUT_FILL_LONG : index * 31 % input->fill_max;
}

void sim_input_put_value(const struct sim_input *input, uint32_t partition, uint32_t index,
                         struct buffer *out)
{
    struct sim_payload payload = {.partition = partition, .index = index};
    buffer_put(out, &payload, sizeof payload);
    if (input->fill_max == 0)
        return;
    size_t len = fill_of(input, index);
    memset(buffer_reserve(out, len + 1), (int)(index & 0xff), len);
    out->len += len;
}

bool sim_input_is_value(const struct sim_input *input, uint32_t partition, uint32_t index,
                        strid_bytes value)
{
    struct sim_payload payload = {.partition = partition, .index = index};
    size_t len = fill_of(input, index);
    if (value.len != sizeof payload + len || memcmp(value.data, &payload, sizeof payload) != 0)
        return false;
    const uint8_t *fill = value.data + sizeof payload; /* all of its bytes are the same */
    return len == 0 || (fill[0] == (uint8_t)index && memcmp(fill, fill + 1, len - 1) == 0);
}

uint64_t sim_input_chain(uint64_t before, uint32_t partition, uint32_t index)
{
    uint64_t chain = sim_random_mix(before + UINT64_C(0x9e3779b97f4a7c15) * (index + 1) +
                                    ((uint64_t)partition << 56));
    return chain == 0 ? 1 : chain; /* 0 stands for no record */
}

void sim_input_put_chains(const struct sim_input *input, const struct sim_state *state,
                          struct buffer *out)
{
    uint64_t all = 0;
    for (uint32_t p = 0; p < input->partition_count; p++) {
        buffer_put_u64(out, state->chains[p]);
        all ^= state->chains[p];
    }
    size_t pad = input->pad_max == 0 ? 0 : (size_t)(all % input->pad_max);
    memset(buffer_reserve(out, pad + 1), 0x5a, pad);
    out->len += pad;
}

/* Of those up to `applied` that nothing holds back. */
static void add_sum(const struct sim_partition *partition, uint32_t at, uint64_t *chain,
                    uint64_t *done)
{
    while (at != 0) {
        const struct sim_record *record = &partition->records[at - 1];
        uint32_t before = record->previous == 0 ? 0 : partition->records[record->previous - 1].done;
        if (!record->parked && !record->elsewhere) {
            *chain += record->chain - record->before;
            *done += record->done - before;
        }
        at = record->previous;
    }
}

void sim_input_state(const struct sim_input *input, uint32_t key, const uint32_t *applied,
                     struct sim_state *out)
{
    *out = (struct sim_state){0};
    for (uint32_t p = 0; p < input->partition_count; p++) {
        const struct sim_partition *partition = &input->partitions[p];
        uint32_t at = partition->last[key];
        while (at > applied[p])
            at = partition->records[at - 1].previous;
        if (at == 0)
            continue;
        if (sim_input_is_sum(input)) {
            add_sum(partition, at, &out->chains[p], &out->done);
            continue;
        }
        out->chains[p] = partition->records[at - 1].chain;
        out->done += partition->records[at - 1].done;
    }
}
