#include "api/dlq_marks.h"

#include "base/memory.h"

struct dlq_marks {
    strid_state_reader *reader;
};

struct dlq_marks *dlq_marks_open(const strid_pipeline *pipeline)
{
    strid_error err = STRID_ERROR_INIT;
    const char *url = pipeline->definition->state_url;
    if (url == NULL || pipeline->run != NULL)
        return NULL;
    strid_state_reader *reader = strid_state_reader_open(url, &err);
    if (reader == NULL) {
        if (err.status == STRID_EBUSY)
            log_info(&pipeline->log, "dlq",
                     "the node is running: which dead letters were handed back is not told");
        return NULL;
    }
    struct dlq_marks *marks = memory_alloc_zeroed(sizeof *marks);
    marks->reader = reader;
    return marks;
}

void dlq_marks_close(struct dlq_marks *marks)
{
    if (marks == NULL)
        return;
    strid_state_reader_close(marks->reader);
    memory_free(marks);
}

bool dlq_marks_split(strid_bytes id, strid_bytes *base, uint32_t *number)
{
    static const char kind[] = "/dlq";
    const size_t kind_len = sizeof kind - 1;
    size_t at = id.len;
    uint64_t value = 0, place = 1;
    for (; at > 0 && id.data[at - 1] >= '0' && id.data[at - 1] <= '9' && value < UINT32_MAX / 10;
         at--, place *= 10)
        value += place * (uint64_t)(id.data[at - 1] - '0');
    if (at == id.len || value > UINT32_MAX || at < kind_len ||
        memcmp(id.data + at - kind_len, kind, kind_len) != 0)
        return false;
    *base = strid_bytes_of(id.data, at);
    *number = (uint32_t)value;
    return true;
}

int64_t dlq_marks_get(strid_state_reader *reader, strid_bytes base)
{
    strid_state_entry entry;
    int64_t mark = 0;
    if (strid_state_reader_get(reader, "engine:116", base, &entry, NULL) == STRID_OK &&
        entry.kind == STRID_STATE_I64)
        memcpy(&mark, entry.value.data, sizeof mark);
    return mark;
}

bool dlq_marks_has(struct dlq_marks *marks, strid_bytes id)
{
    strid_bytes base;
    uint32_t number;
    return dlq_marks_split(id, &base, &number) &&
           dlq_marks_get(marks->reader, base) > (int64_t)number;
}

bool dlq_marks_show(struct dlq_marks *marks, const strid_output *letter, strid_dead_letter_fn fn,
                    void *user)
{
    if (letter->dead_letter == NULL || marks == NULL)
        return fn(user, letter);
    strid_dead_letter origin = *letter->dead_letter;
    strid_output output = *letter;
    origin.replayed = origin.replayed || dlq_marks_has(marks, letter->id);
    output.dead_letter = &origin;
    return fn(user, &output);
}
