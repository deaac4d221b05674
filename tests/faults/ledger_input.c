#include "faults/ledger_input.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/crc32c.h"
#include "base/memory.h"

enum {
    BROKEN_ONE_IN = 100,
    PATH_BYTES = 4096,
    LATE_DICE = 14 /* of 64, in a harsh input: this and the next seven come later */
};

/* splitmix64 (Steele, Lea, Flood 2014): one step a number, any seed is good. */
static uint64_t next_number(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Outcomes that come from another thread; a few never do, once or at all. */
static const char *choose_late_fate(uint64_t dice, uint64_t number)
{
    static const char *const fates[] = {"late-done", "late-done",  "late-done",   "late-done",
                                        "late-skip", "late-retry", "late-reject", "late-exhaust"};
    if (dice == LATE_DICE && number % 256 < 3)
        return number % 256 == 0 ? "lost" : "never";
    return fates[dice - LATE_DICE];
}

/* What the handler has to answer: most lines are done at once, some are retried once or until there
 * are no attempts left, skipped or rejected, each after state was written that must not stay. */
static const char *choose_fate(uint64_t number, bool harsh)
{
    uint64_t dice = number % 64;
    if (harsh && dice >= LATE_DICE && dice < LATE_DICE + 8)
        return choose_late_fate(dice, number >> 20);
    if (harsh && dice >= 4 && dice < LATE_DICE)
        return dice < 12 ? "retry" : "exhaust";
    switch (dice) {
    case 0:
        return "reject";
    case 1:
        return "skip";
    case 2:
    case 3:
        return "retry";
    default: /* data, not an enumeration */
        return "done";
    }
}

/* A line that no reader may accept; `number` chooses how it is broken. */
static void put_broken_line(struct buffer *out, uint64_t number, uint64_t line)
{
    switch (number % 6) {
    case 0: /* cut in the middle of a string */
        buffer_printf(out, "{\"key\":\"key-000001\",\"seq\":%" PRIu64 ",\"pad\":\"cu", line);
        break;
    case 1: /* no JSON at all */
        buffer_printf(out, "line %" PRIu64 " is prose", line);
        break;
    case 2: /* no key */
        buffer_printf(out, "{\"type\":\"ledger.entry\",\"seq\":%" PRIu64 "}", line);
        break;
    case 3: /* no UTF-8 */
        buffer_printf(out, "{\"key\":\"\xff\xfe\",\"seq\":%" PRIu64 "}", line);
        break;
    case 4: /* something behind the document */
        buffer_printf(out, "{\"key\":\"key-000001\"} %" PRIu64, line);
        break;
    default: /* an array where an object belongs */
        buffer_printf(out, "[\"key-000001\",%" PRIu64 "]", line);
        break;
    }
}

static void put_line(struct buffer *out, const struct ledger_input *input, uint64_t *state,
                     uint64_t *sequences)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz012345";
    uint64_t key = next_number(state) % input->keys;
    uint64_t number = next_number(state);
    size_t start = out->len;
    buffer_printf(out,
                  "{\"type\":\"ledger.entry\",\"key\":\"key-%06" PRIu64 "\",\"seq\":%" PRIu64
                  ",\"amount\":%d,\"fate\":\"%s\",\"pad\":\"",
                  key, ++sequences[key], (int)(number >> 40) % 2001 - 1000,
                  choose_fate(number, input->harsh));
    uint64_t padding = input->padding == 0 ? 0 : (number >> 8) % (input->padding + 1);
    for (uint64_t i = 0; i < padding; i++)
        buffer_put_u8(out, (uint8_t)letters[(number >> (i % 59)) % 32]);
    buffer_put(out, "\"", 1);
    uint32_t crc = crc32c(0, out->data + start, out->len - start);
    buffer_printf(out, ",\"crc\":%" PRIu32 "}", crc);
}

static int write_file(const struct ledger_input *input, uint32_t number, uint64_t lines)
{
    char path[PATH_BYTES];
    (void)snprintf(path, sizeof path, "%s/part-%" PRIu32 ".jsonl", input->directory, number);
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        fprintf(stderr, "ledger: cannot create %s: %s\n", path, strerror(errno));
        return -1;
    }
    uint64_t state = input->seed * UINT64_C(1000003) + number;
    uint64_t *sequences = memory_alloc_zeroed(input->keys * sizeof *sequences);
    struct buffer line = {0};
    bool written = true;
    for (uint64_t i = 0; written && i < lines; i++) {
        buffer_clear(&line);
        uint64_t choice = next_number(&state);
        if (choice % BROKEN_ONE_IN == 0)
            put_broken_line(&line, choice / BROKEN_ONE_IN, i);
        else
            put_line(&line, input, &state, sequences);
        if (i + 1 < lines) /* the last line of a file ends without a newline */
            buffer_put_u8(&line, '\n');
        written = fwrite(line.data, 1, line.len, file) == line.len;
    }
    buffer_fini(&line);
    memory_free(sequences);
    if (fclose(file) != 0 || !written) {
        fprintf(stderr, "ledger: cannot write %s: %s\n", path, strerror(errno));
        return -1;
    }
    return 0;
}

int ledger_input_write(const struct ledger_input *input)
{
    for (uint32_t i = 0; i < input->files; i++) {
        uint64_t lines = input->records / input->files;
        if (write_file(input, i, i == 0 ? lines + input->records % input->files : lines) != 0)
            return -1;
    }
    return 0;
}
