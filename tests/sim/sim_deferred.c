#include "sim_deferred.h"

#include "base/memory.h"
#include "runtime/worker.h"

#include "sim_world.h"

enum {
    AT_ONCE_RATE = 8,
    KEEP_RATE = 4,
    STEP_MAX = 4,
    HOARD_STEP_MAX = 64,
    DRAIN_STEPS = 1500,
    HOARD_KEYS_MIN = 100 /* so that many are open at a time */
};

void sim_deferred_init(struct sim_deferred *deferred, const struct sim_input *input)
{
    struct sim_random *random = &sim_world->random;
    *deferred = (struct sim_deferred){
        .deferrals = deferral_create(),
        .open = memory_alloc_zeroed((input->key_count + 1) * sizeof *deferred->open),
        .rate = sim_random_log(random, 1, 20),
        .most = STEP_MAX,
        .timeout_ms = input->times_out ? sim_random_log(random, 1, 500) : 0};
    if (input->key_count > HOARD_KEYS_MIN && input->ordering != STRID_ORDERING_PARTITION &&
        sim_random_chance(random, 3)) {
        deferred->rate = sim_random_log(random, 50, 500);
        deferred->most = HOARD_STEP_MAX;
    }
    for (uint32_t c = 0; c < SIM_COMPLETERS; c++)
        deferred->completers[c] = deferral_take_completer(deferred->deferrals);
}

void sim_deferred_fini(struct sim_deferred *deferred)
{
    for (uint32_t c = 0; c < SIM_COMPLETERS; c++)
        deferral_give_completer(deferred->completers[c]);
    deferral_destroy(deferred->deferrals);
    memory_free(deferred->tokens);
    memory_free(deferred->open);
}

static uint32_t group_of(const struct sim_record *record, uint32_t partition)
{
    switch (sim_world->input.ordering) {
    case STRID_ORDERING_NONE:
        return UINT32_MAX;
    case STRID_ORDERING_PARTITION:
        return partition;
    case STRID_ORDERING_KEY:
    case STRID_ORDERING_DEFAULT:
        break;
    }
    return record->key;
}

/* Nothing waits for it any more, as far as can be seen from here: the worker may yet come to it. */
static void close_token(struct sim_token *token)
{
    bool counted = token->state == SIM_TOKEN_OPEN || token->state == SIM_TOKEN_NEVER;
    if (counted && token->group != UINT32_MAX)
        sim_world->deferred.open[token->group]--;
    token->state = SIM_TOKEN_STALE;
}

static void drop_token(uint32_t at)
{
    struct sim_deferred *deferred = &sim_world->deferred;
    deferred->tokens[at] = deferred->tokens[--deferred->count];
}

/* Says an outcome, which is taken or not. */
static bool say(const struct sim_token *token, strid_outcome outcome)
{
    struct sim_deferred *deferred = &sim_world->deferred;
    uint32_t by = sim_random_below(&sim_world->random, SIM_COMPLETERS);
    strid_status status = deferral_complete(deferred->completers[by], token->token, outcome);
    sim_world_note("complete", token->token.worker, token->token.place,
                   status == STRID_OK ? (uint64_t)outcome : UINT64_MAX);
    SIM_CHECK("token_is_told", status == STRID_OK || status == STRID_ESTALE, "%s",
              strid_status_name(status));
    sim_world->figures.stale += status == STRID_ESTALE;
    return status == STRID_OK;
}

/* The wall clock as the worker will have it, at least, when it comes to the outcome: one that is in
 * a step has looked before. */
static int64_t earliest_ms(const struct sim_token *token)
{
    const struct sim_world *world = sim_world;
    const struct worker *worker = &world->run->workers[token->token.worker];
    for (uint32_t a = 0; a < world->agent_count; a++)
        if (world->agents[a] == &worker->agent && (world->busy >> a & 1) != 0)
            return worker->now_ms;
    return clock_wall_ms(&world->clock);
}

/* Its outcome was taken: what its handlers did ages from when that takes effect. */
static void begin_to_age(const struct sim_token *token)
{
    struct sim_record *record = token->record;
    if (record->first_ms == 0 && token->outcome == STRID_DONE &&
        sim_input_is_done(&sim_world->input, record))
        record->first_ms = earliest_ms(token);
}

/* What has to be said is said, or something that must not be taken. */
static void complete(uint32_t at)
{
    struct sim_world *world = sim_world;
    struct sim_token *token = &world->deferred.tokens[at];
    bool fails = world->run == NULL || run_failed(world->run), taken;
    switch (token->state) {
    case SIM_TOKEN_OPEN:
        taken = say(token, token->outcome);
        SIM_CHECK("token_is_open", taken || fails,
                  "the record at %llu waits, and its outcome is not taken",
                  (unsigned long long)token->record->place);
        token->record->completed = world->runs;
        if (taken)
            begin_to_age(token);
        world->figures.completed++;
        break;
    case SIM_TOKEN_NEVER:
        if (world->now_ns < token->late_ns)
            return;
        (void)say(token, token->outcome); /* the worker may not have come to it yet */
        break;
    case SIM_TOKEN_WITHDRAWN:
        taken = say(token, token->outcome);
        SIM_CHECK("token_is_stale", !taken || world->busy != 0,
                  "the record at %llu has had its outcome, and another one is taken",
                  (unsigned long long)token->record->place);
        break;
    case SIM_TOKEN_STALE:
        taken = say(token, (strid_outcome)sim_random_below(&world->random, STRID_DEFERRED));
        SIM_CHECK("token_is_stale", !taken,
                  "the record at %llu has had its outcome, and another one is taken",
                  (unsigned long long)token->record->place);
        drop_token(at);
        return;
    }
    close_token(token);
    if (!sim_random_chance(&world->random, KEEP_RATE))
        drop_token(at);
}

void sim_deferred_add(const strid_token *token, struct sim_record *record, uint32_t partition,
                      strid_outcome outcome, enum sim_token_state state)
{
    struct sim_world *world = sim_world;
    struct sim_deferred *deferred = &world->deferred;
    if (deferred->count == deferred->capacity) {
        deferred->capacity = deferred->capacity == 0 ? 64 : 2 * deferred->capacity;
        deferred->tokens =
            memory_resize(deferred->tokens, deferred->capacity * sizeof *deferred->tokens);
    }
    int64_t timeout_ns = deferred->timeout_ms * 1000000;
    struct sim_token *added = &deferred->tokens[deferred->count++];
    *added = (struct sim_token){.token = *token,
                                .record = record,
                                .group = group_of(record, partition),
                                .outcome = outcome,
                                .late_ns = timeout_ns == 0 ? INT64_MAX : world->now_ns + timeout_ns,
                                .state = state};
    sim_world_note("defer", token->worker, token->place, state);
    if (state == SIM_TOKEN_WITHDRAWN)
        return;
    if (added->group != UINT32_MAX)
        deferred->open[added->group]++;
    world->figures.deferred++;
    world->figures.never += state == SIM_TOKEN_NEVER;
    if (sim_random_chance(&world->random, AT_ONCE_RATE))
        complete(deferred->count - 1);
}

/* One that timed out may have been seen to by now. */
static void look_late(uint32_t group)
{
    struct sim_deferred *deferred = &sim_world->deferred;
    for (uint32_t i = 0; i < deferred->count; i++) {
        struct sim_token *token = &deferred->tokens[i];
        if (token->group == group && token->state == SIM_TOKEN_NEVER &&
            sim_world->now_ns >= token->late_ns)
            close_token(token);
    }
}

void sim_deferred_check_call(const struct sim_record *record, uint32_t partition)
{
    uint32_t *open = sim_world->deferred.open, group = group_of(record, partition);
    if (group == UINT32_MAX || open[group] == 0)
        return;
    look_late(group);
    SIM_CHECK("deferred_is_passed_by_none", open[group] == 0,
              "partition %u: the record at %llu is handled while one before it waits for its "
              "outcome",
              partition, (unsigned long long)record->place);
}

void sim_deferred_step(void)
{
    struct sim_world *world = sim_world;
    struct sim_deferred *deferred = &world->deferred;
    /* A host that is about to end takes its time: the drain has to wait for it. */
    bool drains = world->run != NULL && run_stop(world->run) == RUN_DRAIN;
    if (deferred->count == 0 || world->crash.dead ||
        (drains && ++deferred->drain_steps < DRAIN_STEPS) ||
        !sim_random_chance(&world->random, deferred->rate))
        return;
    uint32_t left = sim_random_between(&world->random, 1, deferred->most);
    for (; left > 0 && deferred->count > 0; left--)
        complete(sim_random_below(&world->random, deferred->count));
}

void sim_deferred_before(int64_t now_ns)
{
    struct sim_deferred *deferred = &sim_world->deferred;
    for (uint32_t i = deferred->count; i > 0 && !sim_world->crash.dead; i--)
        if (deferred->tokens[i - 1].state == SIM_TOKEN_OPEN &&
            deferred->tokens[i - 1].late_ns <= now_ns)
            complete(i - 1);
}

void sim_deferred_end_run(bool settled)
{
    struct sim_deferred *deferred = &sim_world->deferred;
    deferred->drain_steps = 0;
    for (uint32_t i = deferred->count; i > 0; i--) {
        struct sim_token *token = &deferred->tokens[i - 1];
        bool open = token->state == SIM_TOKEN_OPEN ||
                    (token->state == SIM_TOKEN_NEVER && sim_world->now_ns < token->late_ns);
        SIM_CHECK("deferred_is_settled", !settled || !open,
                  "the run has come to its end, and the record at %llu waits for its outcome",
                  (unsigned long long)token->record->place);
        close_token(token);
        if (!sim_random_chance(&sim_world->random, KEEP_RATE))
            drop_token(i - 1);
    }
}
