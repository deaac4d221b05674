#include "faults/ledger_extra.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crc32c.h"

enum {
    RECENT_MS = 300,
    RECENT_LATE_MS = 5000, /* reads take the time of their chunk's begin; a busy machine stops it */
    LARGE_MIN = 100 << 10,
    LARGE_MAX = 1 << 20,
    COUNT_BYTES = 8
};

struct recent {
    int64_t count, written_ms;
};

static int64_t wall_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static const char *enter_recent(strid_context *ctx, strid_store store, strid_bytes key,
                                int64_t count)
{
    strid_bytes old;
    struct recent recent;
    (void)key;
    if (strid_state_get(ctx, store, &old) != STRID_STATE_ABSENT) {
        if (old.len != sizeof recent)
            return "ledger: recent: a length that was never written";
        memcpy(&recent, old.data, sizeof recent);
        if (recent.count != count - 1)
            return "ledger: recent: not the newest value";
        if (wall_ms() - recent.written_ms > RECENT_MS + RECENT_LATE_MS)
            return "ledger: recent: a value has outlived its time";
    }
    recent = (struct recent){count, wall_ms()};
    return strid_state_put(ctx, store, strid_bytes_of(&recent, sizeof recent)) == STRID_OK
               ? NULL
               : "ledger: recent: refused";
}

static bool spoil_recent(strid_context *ctx, strid_store store)
{
    const struct recent recent = {-1, 0};
    return strid_state_put(ctx, store, strid_bytes_of(&recent, sizeof recent)) == STRID_OK;
}

static void print_recent(const strid_state_entry *entry, struct buffer *line)
{
    struct recent recent = {-2, 0};
    if (entry->value.len == sizeof recent)
        memcpy(&recent, entry->value.data, sizeof recent);
    buffer_printf(line, ",\"value\":%" PRId64, recent.count);
}

/* The bytes of a large value: its count, then words of a generator that key and count begin. */
static size_t make_large(strid_bytes key, int64_t count, uint8_t *out)
{
    uint64_t word = ((uint64_t)crc32c(0, key.data, key.len) << 32 | (uint64_t)count) | 1;
    size_t len = LARGE_MIN + word % 997 * ((LARGE_MAX - LARGE_MIN) / 997) / 8 * 8;
    memcpy(out, &count, COUNT_BYTES);
    for (size_t at = COUNT_BYTES; at < len; at += sizeof word) {
        word ^= word << 13; /* xorshift64 (Marsaglia 2003) */
        word ^= word >> 7;
        word ^= word << 17;
        memcpy(out + at, &word, len - at < sizeof word ? len - at : sizeof word);
    }
    return len;
}

/* The count of a large value, -2 if it is not right to the last byte. */
static int64_t check_large(strid_bytes key, strid_bytes value)
{
    int64_t count = -2;
    uint8_t *wanted = malloc(LARGE_MAX);
    if (wanted != NULL && value.len >= LARGE_MIN)
        memcpy(&count, value.data, COUNT_BYTES);
    if (wanted != NULL && (count <= 0 || make_large(key, count, wanted) != value.len ||
                           memcmp(wanted, value.data, value.len) != 0))
        count = -2;
    free(wanted);
    return count;
}

static const char *enter_large(strid_context *ctx, strid_store store, strid_bytes key,
                               int64_t count)
{
    if (count % LEDGER_LARGE_EVERY != 0)
        return NULL;
    strid_bytes old;
    int64_t before = 0;
    if (strid_state_get(ctx, store, &old) != STRID_STATE_ABSENT)
        before = check_large(key, old);
    if (before != count - LEDGER_LARGE_EVERY)
        return "ledger: large: not the newest value, or changed";
    uint8_t *bytes = malloc(LARGE_MAX);
    const char *wrong = "ledger: large: refused";
    if (bytes != NULL &&
        strid_state_put(ctx, store, strid_bytes_of(bytes, make_large(key, count, bytes))) ==
            STRID_OK)
        wrong = NULL;
    free(bytes);
    return wrong;
}

static bool spoil_large(strid_context *ctx, strid_store store)
{
    uint8_t *bytes = calloc(1, LARGE_MIN);
    bool put =
        bytes != NULL && strid_state_put(ctx, store, strid_bytes_of(bytes, LARGE_MIN)) == STRID_OK;
    free(bytes);
    return put;
}

static void print_large(const strid_state_entry *entry, struct buffer *line)
{
    buffer_printf(line, ",\"value\":%" PRId64, check_large(entry->key, entry->value));
}

static strid_bytes subkey_of(int64_t count, uint8_t bytes[COUNT_BYTES])
{
    for (int i = 0; i < COUNT_BYTES; i++) /* in the order of numbers */
        bytes[i] = (uint8_t)((uint64_t)count >> (8 * (COUNT_BYTES - 1 - i)));
    return strid_bytes_of(bytes, COUNT_BYTES);
}

struct walk {
    int64_t next, seen;
    bool wrong;
};

static bool look_at(void *user, strid_bytes subkey, strid_state_kind kind, strid_bytes value)
{
    struct walk *walk = user;
    uint8_t bytes[COUNT_BYTES];
    int64_t number = -1;
    if (kind == STRID_STATE_I64)
        memcpy(&number, value.data, sizeof number);
    walk->wrong = walk->wrong || number != walk->next ||
                  !strid_bytes_equal(subkey, subkey_of(walk->next, bytes));
    walk->next++;
    walk->seen++;
    return true;
}

static const char *enter_window(strid_context *ctx, strid_store store, strid_bytes key,
                                int64_t count)
{
    uint8_t bytes[COUNT_BYTES];
    int64_t there = count - 1 < LEDGER_WINDOW ? count - 1 : LEDGER_WINDOW;
    struct walk walk = {.next = count - there};
    (void)key;
    strid_bytes all = {0};
    if (strid_state_scan(ctx, store, all, all, look_at, &walk) != STRID_OK || walk.wrong ||
        walk.seen != there)
        return "ledger: window: not the last counts";
    if (strid_state_put_sub_i64(ctx, store, subkey_of(count, bytes), count) != STRID_OK)
        return "ledger: window: refused";
    if (there == LEDGER_WINDOW &&
        strid_state_delete_sub(ctx, store, subkey_of(count - LEDGER_WINDOW, bytes)) != STRID_OK)
        return "ledger: window: refused";
    return NULL;
}

static bool spoil_window(strid_context *ctx, strid_store store)
{
    uint8_t bytes[COUNT_BYTES];
    return strid_state_put_sub_i64(ctx, store, subkey_of(INT64_MAX, bytes), -1) == STRID_OK &&
           strid_state_delete_sub(ctx, store, subkey_of(1, bytes)) == STRID_OK;
}

static void print_window(const strid_state_entry *entry, struct buffer *line)
{
    int64_t number = -2;
    uint8_t bytes[COUNT_BYTES];
    if (entry->kind == STRID_STATE_I64)
        memcpy(&number, entry->value.data, sizeof number);
    if (!strid_bytes_equal(entry->subkey, subkey_of(number, bytes)))
        number = -2;
    buffer_printf(line, ",\"value\":%" PRId64, number);
}

static const struct ledger_extra extras[] = {
    {"recent",
     {STRID_STORE_OPTIONS_INIT, .ttl_ms = RECENT_MS},
     enter_recent,
     spoil_recent,
     print_recent},
    {"large", {STRID_STORE_OPTIONS_INIT}, enter_large, spoil_large, print_large},
    {"window",
     {STRID_STORE_OPTIONS_INIT, .ordered = true},
     enter_window,
     spoil_window,
     print_window},
};

const struct ledger_extra *ledger_extra_find(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof extras / sizeof extras[0]; i++)
        if (strcmp(extras[i].name, name) == 0)
            return &extras[i];
    return NULL;
}
