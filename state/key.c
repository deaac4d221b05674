#include "state/key.h"

#include "base/assert.h"
#include "base/crc32c.h"

enum { VALUE_OVERHEAD = 5 };

static size_t put_u32(uint8_t *out, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(out, &value, 4);
    return 4;
}

size_t key_put_block(uint8_t *out, uint64_t number)
{
    out[0] = KEY_BLOCK;
    number = __builtin_bswap64(number);
    memcpy(out + 1, &number, 8);
    return 9;
}

size_t key_put_table(uint8_t *out, uint32_t partition)
{
    out[0] = 'p';
    out[1] = 1;
    return 2 + put_u32(out + 2, partition);
}

size_t key_put_run_progress(uint8_t *out, uint32_t partition, uint32_t worker)
{
    out[0] = 'p';
    out[1] = 2;
    return 2 + put_u32(out + 2, partition) + put_u32(out + 6, worker);
}

uint64_t key_get_u64(const uint8_t *at)
{
    uint64_t value;
    memcpy(&value, at, 8);
    return __builtin_bswap64(value);
}

uint32_t key_get_u32(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, 4);
    return __builtin_bswap32(value);
}

size_t key_put_state(uint8_t *out, const struct key_state *key)
{
    STRID_ASSERT(key_is_sound(key));
    size_t record_len = key->key.len - key->sub_len;
    out[0] = 's';
    out[1] = (uint8_t)(key->hash >> 24);
    out[2] = key->store;
    out[3] = (uint8_t)(key->hash >> 16);
    out[4] = (uint8_t)(key->hash >> 8);
    out[5] = (uint8_t)key->hash;
    out[6] = (uint8_t)(record_len >> 8);
    out[7] = (uint8_t)record_len;
    if (key->key.len > 0)
        memcpy(out + KEY_STATE_HEADER, key->key.data, key->key.len);
    return KEY_STATE_HEADER + key->key.len;
}

bool key_get_state(strid_bytes encoded, struct key_state *key)
{
    if (encoded.len < KEY_STATE_HEADER || encoded.data[0] != 's')
        return false;
    const uint8_t *at = encoded.data;
    size_t record_len = (size_t)at[6] << 8 | at[7];
    size_t len = encoded.len - KEY_STATE_HEADER;
    if (record_len > KEY_RECORD_KEY_MAX || len < record_len || len - record_len > KEY_SUBKEY_MAX)
        return false;
    *key = (struct key_state){.hash = (uint32_t)at[1] << 24 | (uint32_t)at[3] << 16 |
                                      (uint32_t)at[4] << 8 | at[5],
                              .sub_len = (uint16_t)(len - record_len),
                              .store = at[2],
                              .key = strid_bytes_of(at + KEY_STATE_HEADER, len)};
    return true;
}

int key_compare_names(const struct key_state *a, const struct key_state *b)
{
    size_t a_record = a->key.len - a->sub_len, b_record = b->key.len - b->sub_len;
    if (a_record != b_record)
        return a_record < b_record ? -1 : 1;
    size_t len = a->key.len < b->key.len ? a->key.len : b->key.len;
    int order = len == 0 ? 0 : memcmp(a->key.data, b->key.data, len);
    if (order != 0)
        return order < 0 ? -1 : 1;
    return a->key.len == b->key.len ? 0 : (a->key.len < b->key.len ? -1 : 1);
}

void key_put_value(struct buffer *out, const struct key_value *value)
{
    STRID_ASSERT(value->kind != STRID_STATE_ABSENT);
    size_t begin = out->len;
    buffer_put_u8(out, (uint8_t)(value->kind | (value->expiry_ms != 0 ? KEY_KIND_EXPIRES : 0)));
    if (value->expiry_ms != 0)
        buffer_put_u64(out, (uint64_t)value->expiry_ms);
    buffer_put_bytes(out, value->bytes);
    buffer_put_u32(out, crc32c(0, out->data + begin, out->len - begin));
}

bool key_get_value(strid_bytes encoded, struct key_value *value)
{
    if (encoded.len < VALUE_OVERHEAD)
        return false;
    uint32_t crc;
    memcpy(&crc, encoded.data + encoded.len - 4, 4);
    if (crc != crc32c(0, encoded.data, encoded.len - 4))
        return false;
    struct cursor at = cursor_of(strid_bytes_of(encoded.data, encoded.len - 4));
    uint8_t kind = cursor_u8(&at);
    bool expires = (kind & KEY_KIND_EXPIRES) != 0;
    value->expiry_ms = expires ? (int64_t)cursor_u64(&at) : 0;
    if (at.failed || (expires && value->expiry_ms <= 0))
        return false;
    value->kind = (strid_state_kind)(kind & ~KEY_KIND_EXPIRES);
    value->bytes = strid_bytes_of(at.at, (size_t)(at.end - at.at));
    switch (value->kind) {
    case STRID_STATE_BYTES:
        return true;
    case STRID_STATE_I64:
    case STRID_STATE_F64:
        return value->bytes.len == 8;
    case STRID_STATE_ABSENT:
        break;
    }
    return false;
}
