#include "state/block.h"

#include "base/assert.h"
#include "base/crc32c.h"

enum {
    BLOCK_MAGIC = 0x4b4c4253,
    BLOCK_FORMAT = 1,
    BLOCK_PROGRESS = 20,
    SPARE_SHIFT = 2,
    KIND_MASK = 3
};

struct header {
    uint32_t magic;
    uint32_t format;
    uint64_t number;
    uint64_t synced;
    uint64_t run;
    uint64_t sequence;
    uint64_t body_len;
    uint32_t worker;
    uint32_t progress_count;
    uint32_t state_count;
    uint32_t body_crc;
    uint8_t reserved[12];
    uint32_t header_crc; /* of everything before it */
};
_Static_assert(sizeof(struct header) == BLOCK_HEADER, "the header is written as it lies in memory");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the layout is little-endian");

static uint32_t header_crc(const struct header *header)
{
    return crc32c(0, header, offsetof(struct header, header_crc));
}

void block_begin(struct buffer *block)
{
    buffer_clear(block);
    (void)buffer_reserve(block, BLOCK_HEADER);
    block->len = BLOCK_HEADER;
}

void block_put_progress(struct buffer *block, const struct block_progress *progress)
{
    buffer_put_u32(block, progress->partition);
    buffer_put_u64(block, progress->position.high);
    buffer_put_u64(block, progress->position.low);
}

/* How many bytes at the end of an integer say nothing: counters are small. */
static size_t spare_bytes(const struct key_value *value)
{
    uint64_t number;
    if (value->kind != STRID_STATE_I64)
        return 0;
    memcpy(&number, value->bytes.data, sizeof number);
    return number == 0 ? 8 : (size_t)__builtin_clzll(number) / 8;
}

/* Most keys and all numbers by two words that may overlap: no call. */
static inline uint8_t *put_bytes(uint8_t *to, const uint8_t *from, size_t len)
{
    if (__builtin_expect(len >= 8 && len <= 16, 1)) {
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + len - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + len - 8, &tail, 8);
    } else if (len > 0) {
        memcpy(to, from, len);
    }
    return to + len;
}

void block_put_state(struct buffer *block, const struct key_state *key,
                     const struct key_value *value)
{
    STRID_DASSERT(key_is_sound(key));
    /* One check of the room for all of it: this runs once per changed key and block. */
    uint8_t *at = buffer_reserve(block, 32 + key->key.len + value->bytes.len);
    uint8_t *begin = at;
    size_t spare = spare_bytes(value);
    *at++ = (uint8_t)((unsigned)value->kind | (unsigned)spare << SPARE_SHIFT |
                      (value->expiry_ms != 0 ? KEY_KIND_EXPIRES : 0) |
                      (key->sub_len != 0 ? KEY_KIND_SUBKEY : 0));
    *at++ = key->store;
    memcpy(at, &key->hash, 4);
    at += 4;
    if (value->expiry_ms != 0) {
        memcpy(at, &value->expiry_ms, 8);
        at += 8;
    }
    if (key->sub_len != 0) {
        memcpy(at, &key->sub_len, 2);
        at += 2;
    }
    size_t len = key->key.len;
    for (; len >= 0x80; len >>= 7)
        *at++ = (uint8_t)(len | 0x80);
    *at++ = (uint8_t)len;
    at = put_bytes(at, key->key.data, key->key.len);
    if (value->kind == STRID_STATE_BYTES)
        for (len = value->bytes.len;; len >>= 7) {
            *at++ = (uint8_t)(len >= 0x80 ? len | 0x80 : len);
            if (len < 0x80)
                break;
        }
    if (value->kind != STRID_STATE_ABSENT)
        at = put_bytes(at, value->bytes.data, value->bytes.len) - spare;
    block->len += (size_t)(at - begin);
}

void block_end(struct buffer *block, uint64_t run, uint32_t worker, uint64_t sequence,
               uint32_t progress_count, uint32_t state_count)
{
    STRID_ASSERT(block->len >= BLOCK_HEADER);
    size_t body_len = block->len - BLOCK_HEADER;
    struct header header = {.magic = BLOCK_MAGIC,
                            .format = BLOCK_FORMAT,
                            .run = run,
                            .sequence = sequence,
                            .body_len = body_len,
                            .worker = worker,
                            .progress_count = progress_count,
                            .state_count = state_count,
                            .body_crc = crc32c(0, block->data + BLOCK_HEADER, body_len)};
    memcpy(block->data, &header, sizeof header);
}

void block_number(struct buffer *block, uint64_t number, uint64_t synced)
{
    STRID_ASSERT(block->len >= BLOCK_HEADER && synced < number);
    struct header header;
    memcpy(&header, block->data, sizeof header);
    header.number = number;
    header.synced = synced;
    header.header_crc = header_crc(&header);
    memcpy(block->data, &header, sizeof header);
}

bool block_open(strid_bytes bytes, struct block_view *view)
{
    struct header header;
    if (bytes.len < BLOCK_HEADER)
        return false;
    memcpy(&header, bytes.data, sizeof header);
    if (header.magic != BLOCK_MAGIC || header.format != BLOCK_FORMAT ||
        header.header_crc != header_crc(&header) || header.body_len != bytes.len - BLOCK_HEADER ||
        header.body_crc != crc32c(0, bytes.data + BLOCK_HEADER, header.body_len))
        return false;
    if (header.progress_count > header.body_len / BLOCK_PROGRESS)
        return false;
    size_t progress_len = (size_t)header.progress_count * BLOCK_PROGRESS;
    if (header.state_count > (header.body_len - progress_len) / BLOCK_ENTRY_MIN)
        return false;
    const uint8_t *body = bytes.data + BLOCK_HEADER;
    *view = (struct block_view){
        .number = header.number,
        .synced = header.synced,
        .run = header.run,
        .sequence = header.sequence,
        .worker = header.worker,
        .progress_count = header.progress_count,
        .state_count = header.state_count,
        .progress = cursor_of(strid_bytes_of(body, progress_len)),
        .state = cursor_of(strid_bytes_of(body + progress_len, header.body_len - progress_len))};
    return true;
}

bool block_next_progress(struct block_view *view, struct block_progress *out)
{
    if (view->progress.at == view->progress.end)
        return false;
    out->partition = cursor_u32(&view->progress);
    out->position.high = cursor_u64(&view->progress);
    out->position.low = cursor_u64(&view->progress);
    return !view->progress.failed;
}

bool block_next_state(struct block_view *view, struct key_state *key, struct key_value *value)
{
    if (view->state.at == view->state.end)
        return false;
    return block_read_state(&view->state, key, value, view->number_bytes);
}

/* An integer with what was left out of it. */
static strid_bytes read_number(struct cursor *at, size_t spare, uint8_t out[BLOCK_NUMBER])
{
    if (spare > BLOCK_NUMBER) {
        at->failed = true;
        return strid_bytes_of(NULL, 0);
    }
    strid_bytes bytes = cursor_bytes(at, BLOCK_NUMBER - spare);
    if (spare == 0 || at->failed)
        return bytes;
    memset(out, 0, BLOCK_NUMBER);
    for (size_t i = 0; i < bytes.len; i++)
        out[i] = bytes.data[i];
    return strid_bytes_of(out, BLOCK_NUMBER);
}

bool block_read_state(struct cursor *at, struct key_state *key, struct key_value *value,
                      uint8_t number[BLOCK_NUMBER])
{
    uint8_t kind = cursor_u8(at);
    size_t spare = (size_t)(kind & ~(KEY_KIND_EXPIRES | KEY_KIND_SUBKEY)) >> SPARE_SHIFT;
    value->kind = (strid_state_kind)(kind & KIND_MASK);
    key->store = cursor_u8(at);
    key->hash = cursor_u32(at);
    value->expiry_ms = (kind & KEY_KIND_EXPIRES) != 0 ? (int64_t)cursor_u64(at) : 0;
    bool has_subkey = (kind & KEY_KIND_SUBKEY) != 0;
    key->sub_len = has_subkey ? cursor_u16(at) : 0;
    key->key = cursor_bytes(at, cursor_varint(at));
    switch (value->kind) {
    case STRID_STATE_ABSENT:
        value->bytes = strid_bytes_of(NULL, 0);
        break;
    case STRID_STATE_BYTES:
        value->bytes = cursor_bytes(at, cursor_varint(at));
        break;
    case STRID_STATE_I64:
        value->bytes = read_number(at, spare, number);
        break;
    case STRID_STATE_F64:
        value->bytes = cursor_bytes(at, BLOCK_NUMBER);
        break;
    }
    if (spare != 0 && value->kind != STRID_STATE_I64)
        return false;
    return !at->failed && has_subkey == (key->sub_len != 0) && key_is_sound(key);
}

/* The key of an entry that was read before, so that nothing is checked. */
static strid_bytes key_of(const uint8_t *entry, uint16_t *sub_len)
{
    const uint8_t *at = entry + 6 + ((entry[0] & KEY_KIND_EXPIRES) != 0 ? 8 : 0);
    size_t len = 0;
    *sub_len = 0;
    if ((entry[0] & KEY_KIND_SUBKEY) != 0) {
        memcpy(sub_len, at, sizeof *sub_len);
        at += sizeof *sub_len;
    }
    for (unsigned shift = 0;; shift += 7) {
        len |= (size_t)(*at & 0x7f) << shift;
        if (*at++ < 0x80)
            return strid_bytes_of(at, len);
    }
}

/* As put_bytes() writes them: no call for most. */
static inline bool same_bytes(const uint8_t *a, const uint8_t *b, size_t len)
{
    if (__builtin_expect(len < 8 || len > 16, 0))
        return len == 0 || memcmp(a, b, len) == 0;
    uint64_t head, tail, other_head, other_tail;
    memcpy(&head, a, 8);
    memcpy(&tail, a + len - 8, 8);
    memcpy(&other_head, b, 8);
    memcpy(&other_tail, b + len - 8, 8);
    return ((head ^ other_head) | (tail ^ other_tail)) == 0;
}

bool block_same_key(const uint8_t *a, const uint8_t *b)
{
    uint16_t sub_len, other_sub_len;
    strid_bytes key = key_of(a, &sub_len), other = key_of(b, &other_sub_len);
    if (key.len != other.len || sub_len != other_sub_len)
        return false;
    return same_bytes(key.data, other.data, key.len);
}
