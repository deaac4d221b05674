#include "sim_subs.h"

#include "runtime/worker.h"

#include "sim_world.h"

enum { TOUCHED = 2, SPOILED = 40, LONG_MAX = 300 };

strid_bytes sim_subs_name(uint32_t slot)
{
    static const struct {
        const char *text;
        size_t len;
    } names[SIM_SUBS] = {{"\0", 1},   {"\0\0", 2},
                         {"a", 1},    {"a\0", 2},
                         {"a\0b", 3}, {"ab", 2},
                         {"b", 1},    {"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 49},
                         {"\x7f", 1}, {"\x80", 1},
                         {"\xff", 1}, {"\xff\xff\xff\xff", 4}};
    return strid_bytes_of(names[slot].text, names[slot].len);
}

static uint64_t mix(uint64_t by, uint64_t n)
{
    uint64_t z = (by * 31 + n) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return z ^ (z >> 31);
}

static uint32_t slot_of(uint64_t by, uint32_t n) { return (uint32_t)(mix(by, n) % SIM_SUBS); }
static bool deletes(uint64_t by, uint32_t n) { return mix(by, n + TOUCHED) % 3 == 0; }

void sim_subs_of(uint64_t done, struct sim_subs *out)
{
    uint32_t known = 0;
    *out = (struct sim_subs){0};
    for (uint64_t by = done; by > 0 && known != (1u << SIM_SUBS) - 1; by--)
        for (uint32_t n = TOUCHED; n-- > 0;) {
            uint32_t slot = slot_of(by, n);
            if ((known >> slot & 1) != 0)
                continue;
            known |= 1u << slot;
            out->by[slot] = deletes(by, n) ? 0 : by;
        }
}

strid_state_kind sim_subs_kind(uint32_t slot)
{
    return slot % 2 == 0 ? STRID_STATE_I64 : STRID_STATE_BYTES;
}

void sim_subs_value(uint32_t slot, uint64_t by, struct buffer *out)
{
    buffer_clear(out);
    buffer_put_u64(out, by);
    if (sim_subs_kind(slot) != STRID_STATE_BYTES)
        return;
    size_t len = mix(by, 9) % LONG_MAX;
    memset(buffer_reserve(out, len + 1), (int)(by & 0xff), len);
    out->len += len;
}

struct seen {
    struct sim_subs expected;
    uint32_t slot, end; /* next of the range, behind its last */
    uint64_t done;
};

/* Leaves out the subkeys that are not to be there. */
static void pass_absent(struct seen *seen)
{
    while (seen->slot < seen->end && seen->expected.by[seen->slot] == 0)
        seen->slot++;
}

static bool see(void *user, strid_bytes subkey, strid_state_kind kind, strid_bytes value)
{
    struct seen *seen = user;
    static struct buffer expected; /* one thread: kept from call to call */
    pass_absent(seen);
    SIM_CHECK("scan_seen",
              seen->slot < seen->end && strid_bytes_equal(subkey, sim_subs_name(seen->slot)) &&
                  kind == sim_subs_kind(seen->slot),
              "after %llu records: not subkey %u, or not its kind", (unsigned long long)seen->done,
              seen->slot);
    sim_subs_value(seen->slot, seen->expected.by[seen->slot], &expected);
    SIM_CHECK("scan_seen", strid_bytes_equal(value, buffer_bytes(&expected)),
              "after %llu records: another value of subkey %u", (unsigned long long)seen->done,
              seen->slot);
    seen->slot++;
    return true;
}

static void scan(strid_context *ctx, strid_store store, const struct sim_subs *expected,
                 uint64_t done, uint32_t from, uint32_t to)
{
    struct seen seen = {.expected = *expected, .slot = from, .end = to, .done = done};
    strid_bytes none = strid_bytes_of(NULL, 0);
    if (strid_state_scan(ctx, store, from == 0 ? none : sim_subs_name(from),
                         to == SIM_SUBS ? none : sim_subs_name(to), see, &seen) != STRID_OK)
        return; /* the store could not be read: nothing of this call counts */
    pass_absent(&seen);
    SIM_CHECK("scan_seen", seen.slot == seen.end, "after %llu records: subkey %u is missing",
              (unsigned long long)done, seen.slot);
}

static void look_up(strid_context *ctx, strid_store store, const struct sim_subs *expected,
                    uint64_t done, uint32_t slot)
{
    strid_bytes value;
    strid_state_kind kind = strid_state_get_sub(ctx, store, sim_subs_name(slot), &value);
    if (!ctx->failed)
        SIM_CHECK("state_seen",
                  kind == (expected->by[slot] == 0 ? STRID_STATE_ABSENT : sim_subs_kind(slot)),
                  "after %llu records: subkey %u", (unsigned long long)done, slot);
    if (!ctx->failed && kind == STRID_STATE_I64)
        SIM_CHECK("state_seen",
                  strid_state_get_sub_i64(ctx, store, sim_subs_name(slot), -1) ==
                      (int64_t)expected->by[slot],
                  "after %llu records: subkey %u is another number", (unsigned long long)done,
                  slot);
}

void sim_subs_handle(strid_context *ctx, strid_store store, uint64_t done)
{
    uint64_t by = done + 1;
    uint32_t from = (uint32_t)(mix(by, 5) % SIM_SUBS);
    struct sim_subs expected;
    sim_subs_of(done, &expected);
    if (by % 3 == 0)
        look_up(ctx, store, &expected, done, from);
    if (!ctx->failed && by % 4 == 0)
        scan(ctx, store, &expected, done, 0, SIM_SUBS);
    for (uint32_t n = 0; n < TOUCHED && !ctx->failed; n++) {
        uint32_t slot = slot_of(by, n);
        static struct buffer value;
        sim_subs_value(slot, by, &value);
        strid_bytes name = sim_subs_name(slot);
        strid_status status = deletes(by, n) ? strid_state_delete_sub(ctx, store, name)
                              : sim_subs_kind(slot) == STRID_STATE_I64
                                  ? strid_state_put_sub_i64(ctx, store, name, (int64_t)by)
                                  : strid_state_put_sub(ctx, store, name, buffer_bytes(&value));
        SIM_CHECK("record_is_whole", status == STRID_OK, "put of a subkey");
    }
    for (uint32_t n = 0; n < TOUCHED; n++)
        expected.by[slot_of(by, n)] = deletes(by, n) ? 0 : by;
    if (!ctx->failed && by % 2 == 0)
        scan(ctx, store, &expected, by, from,
             from + (uint32_t)(mix(by, 6) % (SIM_SUBS - from)) + 1);
}

void sim_subs_spoil(strid_context *ctx, strid_store store)
{
    for (uint32_t i = 0; i < SPOILED && !ctx->failed; i++) {
        uint8_t name[] = {'a', (uint8_t)i, 'z'};
        strid_bytes subkey = strid_bytes_of(name, sizeof name), value;
        strid_status status = strid_state_put_sub(ctx, store, subkey, subkey);
        SIM_CHECK("state_seen",
                  status == STRID_OK &&
                      strid_state_get_sub(ctx, store, subkey, &value) == STRID_STATE_BYTES &&
                      strid_bytes_equal(value, subkey),
                  "not the subkey that was just put");
    }
}
