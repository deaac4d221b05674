#include "generator_record.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include "generator_random.h"

#include <stdlib.h>
#include <string.h>

#define COMPONENT "generator"

enum { JSON_HEAD_MAX = 160 + GENERATOR_TYPE_MAX };

/* Eight digits of a number below 10^8, the first in the lowest byte, by arithmetic on all of them
 * at once: split into fours, then pairs, then digits. */
static inline uint64_t digits8(uint64_t value)
{
    uint64_t fours = (value / 10000) | ((value % 10000) << 32);
    uint64_t high_pairs = ((fours * 10486) >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t pairs = high_pairs | ((fours - high_pairs * 100) << 16);
    uint64_t tens = ((pairs * 103) >> 10) & UINT64_C(0x000f000f000f000f);
    return (tens | ((pairs - tens * 10) << 8)) | UINT64_C(0x3030303030303030);
}

typedef uint64_t digits16 __attribute__((vector_size(16)));

/* The upper eight digits of a number seldom change. All sixteen are written by one store: whoever
 * copies them next reads them by one load, which would wait for two smaller stores before it. */
static inline void put_digits16(uint8_t *to, uint64_t value, struct generator_digits *digits)
{
    uint64_t upper = value / 100000000;
    if (__builtin_expect(upper != digits->upper_value, 0)) {
        digits->upper_value = upper;
        digits->upper = digits8(upper % 100000000);
        memcpy(&digits->upper, digits->begin, digits->begin_len);
    }
    digits->lower = digits8(value - upper * 100000000);
    digits16 all = {digits->upper, digits->lower};
    memcpy(to, &all, sizeof all);
}

/* The number of a record mostly is the one before it and one more: another last digit. */
static inline void put_next16(uint8_t *to, uint64_t value, struct generator_digits *digits)
{
    bool is_next = value == digits->value + 1 && digits->lower >> 56 < '9';
    digits->value = value;
    if (__builtin_expect(!is_next, 0)) {
        put_digits16(to, value, digits);
        return;
    }
    digits->lower += UINT64_C(1) << 56;
    digits16 all = {digits->upper, digits->lower};
    memcpy(to, &all, sizeof all);
}

static uint8_t *put_number(uint8_t *to, uint64_t value)
{
    uint8_t text[20];
    size_t at = sizeof text;
    do {
        text[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(to, text + at, sizeof text - at);
    return to + (sizeof text - at);
}

static uint8_t *put_text(uint8_t *to, const char *text)
{
    size_t len = strlen(text);
    memcpy(to, text, len);
    return to + len;
}

static void make_json(struct generator_writer *writer, uint64_t n, uint64_t detail)
{
    static const char pad_begin[] = ",\"pad\":\"";
    const struct generator_options *options = writer->model->options;
    uint8_t *to = put_text(writer->value, "{\"n\":");
    to = put_number(to, n);
    to = put_text(to, ",\"key\":\"");
    memcpy(to, writer->key, GENERATOR_KEY_BYTES);
    to = put_text(to + GENERATOR_KEY_BYTES, "\",\"type\":\"");
    to = put_text(to, options->type);
    to = put_text(to, "\",\"amount\":");
    to = put_number(to, 1 + generator_random_below(detail, 100));
    size_t len = (size_t)(to - writer->value);
    size_t around = sizeof pad_begin - 1 + 2;
    if (len + around < options->size) {
        size_t pad = (size_t)options->size - len - around;
        to = put_text(to, pad_begin);
        memcpy(to, writer->filling, pad);
        to[pad] = '"';
        to += pad + 1;
    }
    *to++ = '}';
    writer->value_len = (size_t)(to - writer->value);
    /* Without its last byte no object is JSON. */
    if (options->broken > 0 && generator_random_mix(detail) % (uint64_t)options->broken == 0)
        writer->value_len--;
}

/* Some keys at a time: one is a long chain of steps, and the processor works on the chains of many
 * at once where nothing else stands between them. */
static void make_keys(struct generator_writer *writer, uint64_t from)
{
    const struct generator_model *model = writer->model;
    uint64_t keys = (uint64_t)model->options->keys;
    writer->keys_from = from;
    for (uint64_t i = 0; i < GENERATOR_KEYS_AHEAD; i++) {
        uint64_t random = generator_random_at(writer->key_stream, from + i);
        uint64_t id = model->is_zipf ? generator_zipf_rank(&model->zipf, random)
                                     : generator_random_below(random, keys);
        put_digits16(writer->keys[i], id, &writer->key_digits); /* 12 digits do for every id */
    }
}

void generator_writer_make(struct generator_writer *writer, uint64_t n)
{
    const struct generator_model *model = writer->model;
    if (n - writer->keys_from >= GENERATOR_KEYS_AHEAD)
        make_keys(writer, n);
    writer->key = writer->keys[n - writer->keys_from];
    if (model->options->format == GENERATOR_JSON)
        make_json(writer, n, generator_random_at(writer->detail_stream, n));
    else
        put_next16(writer->value, n, &writer->number_digits);
}

void generator_writer_init(struct generator_writer *writer, const struct generator_model *model,
                           uint32_t partition)
{
    uint64_t seed = generator_random_at((uint64_t)model->options->seed, partition);
    size_t size = (size_t)model->options->size;
    size_t room = size + JSON_HEAD_MAX + GENERATOR_PADDING;
    STRID_ASSERT(size >= GENERATOR_NUMBER_BYTES);
    *writer = (struct generator_writer){
        .model = model,
        .key_stream = generator_random_at(seed, 0),
        .detail_stream = generator_random_at(seed, 1),
        .value = memory_alloc_zeroed(room),
        .filling = memory_alloc(size),
        .value_len = size,
        .key_digits = {.upper_value = UINT64_MAX, .begin = "key-", .begin_len = 4},
        .number_digits = {.value = UINT64_MAX - 1, .upper_value = UINT64_MAX, .begin = ""},
    };
    make_keys(writer, 0);
    for (size_t i = 0; i < size; i++)
        writer->filling[i] = (uint8_t)('a' + i % 26);
    memcpy(writer->value, writer->filling, size);
}

void generator_writer_fini(struct generator_writer *writer)
{
    memory_free(writer->value);
    memory_free(writer->filling);
    writer->value = NULL;
    writer->filling = NULL;
}

static strid_status init_dist(struct generator_model *model, strid_error *err)
{
    const char *dist = model->options->dist;
    if (strcmp(dist, "uniform") == 0)
        return STRID_OK;
    char *end = NULL;
    if (strncmp(dist, "zipf:", 5) == 0)
        model->exponent = strtod(dist + 5, &end);
    if (end == NULL || end == dist + 5 || *end != '\0' ||
        !(model->exponent > 0.0 && model->exponent <= 10.0))
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "dist \"%s\" is none: write uniform, or zipf:S with S over 0 and up to "
                         "10, for example zipf:1.1",
                         dist);
    model->is_zipf = true;
    generator_zipf_init(&model->zipf, (uint64_t)model->options->keys, model->exponent);
    return STRID_OK;
}

strid_status generator_model_init(struct generator_model *model,
                                  const struct generator_options *options, strid_error *err)
{
    *model = (struct generator_model){.options = options};
    if (options->broken > 0 && options->format != GENERATOR_JSON)
        return error_set(err, STRID_ECONFIG, COMPONENT,
                         "broken=N breaks JSON, other bytes cannot be broken: add format=json");
    size_t len = strlen(options->type);
    if (len > GENERATOR_TYPE_MAX)
        return error_set(err, STRID_ECONFIG, COMPONENT, "type is %zu bytes long, at most %d are",
                         len, GENERATOR_TYPE_MAX);
    for (size_t i = 0; i < len; i++) {
        char c = options->type[i];
        if (c < ' ' || c > '~' || c == '"' || c == '\\')
            return error_set(
                err, STRID_ECONFIG, COMPONENT,
                "type \"%s\" holds a character that is not printable ASCII, or a quote "
                "or backslash",
                options->type);
    }
    return init_dist(model, err);
}
