#include "runtime_case.h"

#include <criterion/criterion.h>

#include "base/memory.h"

enum { AGENTS_MAX = 32, TURNS_MAX = 10000 };

static int64_t case_monotonic(void *user) { return *(int64_t *)user; }
static int64_t case_wall(void *user) { return *(int64_t *)user / 1000000; }

void runtime_case_init(struct runtime_case *at, strid_handler handler, void *user)
{
    runtime_case_init_from(at, "memory:in", handler, user);
}

void runtime_case_init_from(struct runtime_case *at, const char *source_url, strid_handler handler,
                            void *user)
{
    *at = (struct runtime_case){.now_ns = 1000000000};
    strid_error err = STRID_ERROR_INIT;
    directory_case_init(&at->store);
    at->clock = (struct clock){case_monotonic, case_wall, &at->now_ns};
    at->definition = definition_create("case", &err);
    cr_assert_not_null(at->definition, "%s", err.message);
    struct definition *definition = at->definition;
    definition->workers = 1;
    definition->memory_bytes = 64u << 20;
    cr_assert_eq(definition_set_source(definition, source_url, &err), STRID_OK, "%s", err.message);
    cr_assert_eq(definition_set_decode(definition, "raw", NULL, NULL, &err), STRID_OK, "%s",
                 err.message);
    cr_assert_eq(definition_add_store(definition, "counts", &at->counts, &err), STRID_OK);
    cr_assert_eq(definition_add_sink(definition, "out", "memory:out", &err), STRID_OK);
    cr_assert_eq(definition_make_sink("dlq", "memory:dlq", &at->dlq, &err), STRID_OK);
    cr_assert_eq(definition_add_route(definition, "*", "the handler", handler, user, NULL, &err),
                 STRID_OK);
    const struct source_definition *source = &definition->source;
    at->args = (strid_connector_args){.struct_size = sizeof at->args,
                                      .url = source->url,
                                      .target = source->target,
                                      .options = source->options,
                                      .pipeline = "case",
                                      .node = "node",
                                      .log = &at->store.log};
    at->source = memory_alloc_zeroed(source->ops->instance_size);
    cr_assert_eq(source->ops->open(at->source, &at->args, &err), STRID_OK, "%s", err.message);
    for (int i = 0; i < 2; i++) {
        at->sinks[i].definition = i == 0 ? &definition->sinks[0] : &at->dlq;
        at->sinks[i].args = at->args;
    }
    cr_assert_eq(sink_instance_open(&at->sinks[0], &err), STRID_OK, "%s", err.message);
    at->options = (struct run_options){.definition = definition,
                                       .clock = &at->clock,
                                       .log = &at->store.log,
                                       .store_ops = &directory_case_ops,
                                       .source = at->source,
                                       .sinks = at->sinks,
                                       .readers = 1,
                                       .new_seed = 7};
}

void runtime_case_fini(struct runtime_case *at)
{
    run_destroy(at->run);
    at->definition->source.ops->close(at->source);
    memory_free(at->source);
    for (int i = 0; i < 2; i++)
        sink_instance_close(&at->sinks[i]);
    definition_free_sink(&at->dlq);
    definition_destroy(at->definition);
    directory_case_fini(&at->store);
}

void runtime_case_push(struct runtime_case *at, const char *key, const char *value)
{
    cr_assert_eq(at->definition->source.ops->push(at->source, 0, strid_bytes_of_text(key),
                                                  strid_bytes_of_text(value), 0),
                 STRID_OK);
}

void runtime_case_push_end(struct runtime_case *at)
{
    at->definition->source.ops->push_end(at->source);
}

void runtime_case_start(struct runtime_case *at)
{
    run_destroy(at->run);
    at->run = NULL;
    cr_assert_eq(run_create(&at->options, &at->run, &at->store.err), STRID_OK, "%s",
                 at->store.err.message);
}

int runtime_case_turn(struct runtime_case *at)
{
    struct agent *agents[AGENTS_MAX];
    uint32_t count = run_agents(at->run, agents, AGENTS_MAX);
    int work = 0;
    cr_assert_leq(count, AGENTS_MAX);
    for (uint32_t i = 0; i < count; i++)
        work += agent_pump(agents[i]);
    at->now_ns += 1000000;
    return work;
}

bool runtime_case_finish(struct runtime_case *at)
{
    for (int i = 0; i < TURNS_MAX; i++) {
        (void)runtime_case_turn(at);
        if (run_failed(at->run))
            return false;
        if (atomic_load(&at->run->finished))
            return true;
    }
    return false;
}

strid_status runtime_case_take(struct runtime_case *at, uint32_t sink, strid_output *out)
{
    if (at->sinks[sink].sink == NULL)
        return STRID_AGAIN;
    return at->sinks[sink].definition->ops->take(at->sinks[sink].sink, out);
}

static bool count_entry(void *user, strid_bytes key, strid_bytes value)
{
    (void)key;
    (void)value;
    ++*(size_t *)user;
    return true;
}

size_t runtime_case_entries(const struct runtime_case *at, uint8_t store)
{
    size_t entries = 0;
    const struct directory *directory = at->run->directory;
    for (uint32_t v = 0; v < KEY_VSHARDS; v++) {
        uint8_t from[] = {'s', (uint8_t)v, store};
        uint8_t to[] = {'s', (uint8_t)v, (uint8_t)(store + 1)};
        cr_assert_eq(directory->ops->scan(directory->store, strid_bytes_of(from, sizeof from),
                                          strid_bytes_of(to, sizeof to), count_entry, &entries,
                                          NULL),
                     STRID_OK);
    }
    return entries;
}
