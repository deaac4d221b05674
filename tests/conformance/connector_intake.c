#include "connector_intake.h"

#include "base/memory.h"

static uint64_t next_random(struct strid_intake *intake)
{
    intake->random = intake->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return intake->random >> 33;
}

static void require(struct strid_intake *intake, bool holds, const char *rule)
{
    if (!holds && intake->violation == NULL)
        intake->violation = rule;
}

static size_t keep(struct strid_intake *intake, strid_bytes bytes)
{
    size_t begin = intake->bytes.len;
    buffer_put_bytes(&intake->bytes, bytes);
    return begin;
}

static void keep_record(struct strid_intake *intake, const strid_raw *raw)
{
    if (intake->count == intake->capacity) {
        intake->capacity = intake->capacity == 0 ? 64 : intake->capacity * 2;
        intake->records =
            memory_resize(intake->records, intake->capacity * sizeof *intake->records);
    }
    struct taken *taken = &intake->records[intake->count];
    *taken = (struct taken){
        .has_key = raw->key.data != NULL,
        .key_len = raw->key.len,
        .value_len = raw->value.len,
        .position = raw->position,
        .next = raw->next,
        .fault = raw->fault,
        .header_count = raw->header_count,
    };
    taken->key = keep(intake, raw->key);
    taken->value = keep(intake, raw->value);
}

strid_status strid_intake_add(strid_intake *intake, const strid_raw *raw)
{
    require(intake,
            intake->is_unordered || strid_position_compare(raw->position, intake->passed) >= 0,
            "positions go up and lie behind what was taken or skipped");
    require(intake, strid_position_compare(raw->position, raw->next) < 0,
            "next lies behind the position");
    require(intake,
            !intake->has_refused || strid_position_compare(raw->position, intake->refused) == 0,
            "a refused record is offered again");
    intake->has_refused =
        intake->refuse_one_in > 0 && next_random(intake) % intake->refuse_one_in == 0;
    if (intake->has_refused) {
        intake->refused = raw->position;
        return STRID_AGAIN;
    }
    if (intake->reads_padding) {
        for (size_t i = 0; i < 64; i++)
            intake->padding_sum ^= raw->value.data[raw->value.len + i];
    }
    if (!intake->is_counting)
        keep_record(intake, raw);
    intake->count++;
    intake->passed = raw->next;
    return STRID_OK;
}

void strid_intake_skip(strid_intake *intake, strid_position next)
{
    require(intake, strid_position_compare(next, intake->passed) > 0, "a skip goes forward");
    intake->passed = next;
}

void intake_clear(struct strid_intake *intake)
{
    buffer_clear(&intake->bytes);
    intake->count = 0;
    intake->has_refused = false;
    intake->passed = (strid_position){0, 0};
    intake->violation = NULL;
}

void intake_fini(struct strid_intake *intake)
{
    memory_free(intake->records);
    buffer_fini(&intake->bytes);
    *intake = (struct strid_intake){0};
}

strid_bytes intake_value(const struct strid_intake *intake, size_t index)
{
    const struct taken *taken = &intake->records[index];
    return strid_bytes_of(intake->bytes.data + taken->value, taken->value_len);
}

strid_bytes intake_key(const struct strid_intake *intake, size_t index)
{
    const struct taken *taken = &intake->records[index];
    return strid_bytes_of(taken->has_key ? intake->bytes.data + taken->key : NULL, taken->key_len);
}
