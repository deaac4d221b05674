#include "sim_loss.h"

#include "sim_settled.h"
#include "sim_world.h"

/* Whether the next node does not get it. */
static bool is_gone(const struct sim_input *input, uint32_t p, uint32_t index)
{
    return input->shared ? sim_settled_is_before(p, index) : sim_unordered_is_gone(p, index);
}

/* Its effects are those of the lost directory; all that has to be outside is there. */
static void leave_behind(uint32_t p, uint32_t index, struct sim_record *record)
{
    sim_settled_check(p, index);
    record->elsewhere = true;
}

/* Nobody knows of it any more: it comes again, as one that was never seen. Outputs and dead letters
 * that got through come a second time. */
static void begin_anew(struct sim_record *record)
{
    record->run = record->handed = record->completed = record->returned = 0;
    record->called = record->crashes = 0;
    record->parked = record->waits = record->condemned = record->suspect = false;
    record->arrived = 0;
}

/* Records that the node has handled, or holds, and that come again. */
static uint32_t count_again(const struct sim_input *input)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p < input->partition_count; p++)
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            const struct sim_record *record = &input->partitions[p].records[i];
            count += (record->run != 0 || record->parked || record->waits) && !is_gone(input, p, i);
        }
    return count;
}

void sim_loss_strike(struct sim_world *world)
{
    const struct sim_input *input = &world->input;
    const uint32_t again = count_again(input);
    if (again == 0)
        return; /* a loss that nobody would notice */
    for (uint32_t p = 0; p < input->partition_count; p++) {
        if (input->unordered)
            sim_unordered_leave(p);
        for (uint32_t i = 0; i < input->partitions[p].count; i++) {
            struct sim_record *record = &input->partitions[p].records[i];
            if (record->elsewhere)
                continue;
            if (is_gone(input, p, i))
                leave_behind(p, i, record);
            else
                begin_anew(record);
        }
    }
    sim_disk_fini(&world->disk);
    sim_disk_init(&world->disk);
    sim_audit_fini(&world->audit);
    sim_audit_init(&world->audit);
    sim_keys_fini(&world->keys);
    sim_keys_init(&world->keys, input);
    sim_crash_lose();
    world->figures.lost++;
    world->figures.again += again;
    world->figures.shared_lost += input->shared;
    sim_world_note("lose", world->runs, 0, 0);
}
