/* sim: the engine in one thread, with a virtual clock and a simulated disk, source and sinks; each
 * seed is one history of crashes and failures. docs/internals/simulator.md says what it checks.
 *
 *   sim [--seed N | --first F --seeds COUNT] [--mode liveness|safety] [--trace] [--twice]
 *       [--mutant N | --mutants] */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/mutant.h"

#include "sim_mutants.h"
#include "sim_node.h"

enum { SEEDS_FOR_ALL = 100 }; /* so many reach everything */

struct arguments {
    uint64_t first, seeds;
    enum sim_mode mode;
    bool trace, twice, mutants;
};

/* An assertion of the engine, or worse: says which seed it was. The process is about to end. */
static void on_abort(int number)
{
    char text[160];
    int len = snprintf(text, sizeof text,
                       "sim: seed %llu, step %llu: %s: see above; replay it with: sim --seed "
                       "%llu --trace\n",
                       sim_world == NULL ? 0 : (unsigned long long)sim_world->seed,
                       sim_world == NULL ? 0 : (unsigned long long)sim_world->steps,
                       number == SIGABRT ? "assertion" : "memory",
                       sim_world == NULL ? 0 : (unsigned long long)sim_world->seed);
    ssize_t written = write(STDERR_FILENO, text, (size_t)len);
    _exit(written > 0 ? SIM_CAUGHT : 1);
}

struct totals {
    struct sim_figures figures;
    uint64_t hash;
};

static void run_seed(uint64_t seed, const struct arguments *arguments, struct totals *totals)
{
    static struct sim_world world;
    sim_world_init(&world, seed, arguments->mode, arguments->trace);
    sim_node_live(&world);
    world.figures.steps = world.steps;
    world.figures.runs = world.runs;
    /* Nothing but counters. */
    const uint64_t *from = (const uint64_t *)(const void *)&world.figures;
    uint64_t *to = (uint64_t *)(void *)&totals->figures;
    for (size_t i = 0; i < sizeof world.figures / sizeof *from; i++)
        to[i] += from[i];
    totals->hash = sim_random_mix(totals->hash + world.hash);
    if (arguments->trace)
        printf("seed %llu: trace %016llx\n", (unsigned long long)seed,
               (unsigned long long)world.hash);
    sim_world_fini(&world);
}

/* One figure a line; false: one is 0, so that something of the engine was not reached. */
static bool print_figures(const struct sim_figures *figures)
{
    const struct {
        const char *name;
        uint64_t value;
    } lines[] = {{"steps", figures->steps},
                 {"steps in calls of others", figures->nested},
                 {"runs", figures->runs},
                 {"stores opened again", figures->reopened},
                 {"kills", figures->killed},
                 {"power losses", figures->power_losses},
                 {"writes lost", figures->unsynced},
                 {"failed openings", figures->failed_opens},
                 {"partitions taken", figures->taken},
                 {"partitions away from the beginning", figures->away},
                 {"records offered again", figures->repeated},
                 {"wall clock set", figures->clock_sets},
                 {"handlers that were late", figures->late},
                 {"ends of the process within a step", figures->deaths},
                 {"ends with records in hand", figures->deaths_in_hand},
                 {"suspects handled", figures->alone},
                 {"drains", figures->drained},
                 {"halts", figures->halted},
                 {"evictions", figures->evictions},
                 {"blocks materialised", figures->materialised},
                 {"records replayed", figures->replayed},
                 {"retries", figures->retried},
                 {"dead letters", figures->dead_letters},
                 {"outputs", figures->outputs},
                 {"polls without credit", figures->backpressure},
                 {"outcomes that came later", figures->deferred},
                 {"outcomes that did not come in time", figures->never},
                 {"completions", figures->completed},
                 {"completions that came too late", figures->stale},
                 {"records that the host took over", figures->handed},
                 {"steps with a partition above its bound", figures->bounded},
                 {"dead letters left to the next run", figures->left},
                 {"dead letters that acknowledged their record", figures->moved},
                 {"directories lost", figures->lost},
                 {"records that they held, and come again", figures->again},
                 {"of these, of a shared source", figures->shared_lost},
                 {"positions that a shared source was told of", figures->settled},
                 {"letters that the queue declined", figures->declined},
                 {"records that came again after that", figures->given_back}};
    bool all = true;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        printf("  %12llu %s\n", (unsigned long long)lines[i].value, lines[i].name);
        all = all && lines[i].value > 0;
    }
    return all;
}

static bool run_seeds(const struct arguments *arguments)
{
    struct totals totals = {0};
    for (uint64_t seed = arguments->first; seed < arguments->first + arguments->seeds; seed++) {
        struct totals again = {0};
        uint64_t before = totals.hash;
        run_seed(seed, arguments, &totals);
        if (!arguments->twice)
            continue;
        again.hash = before;
        run_seed(seed, arguments, &again);
        if (totals.hash != again.hash) {
            fprintf(stderr, "sim: seed %llu: replays differently\n", (unsigned long long)seed);
            return false;
        }
    }
    printf("%llu seeds from %llu, trace %016llx\n", (unsigned long long)arguments->seeds,
           (unsigned long long)arguments->first, (unsigned long long)totals.hash);
    if (print_figures(&totals.figures) || arguments->seeds < SEEDS_FOR_ALL)
        return true;
    fprintf(stderr, "sim: something never happened: see the zeros above\n");
    return false;
}

static int usage(const char *word)
{
    fprintf(stderr,
            "sim: %s: expected [--seed N | --first F --seeds COUNT] [--mode liveness|safety] "
            "[--trace] [--twice] [--mutant N | --mutants]\n",
            word);
    return 2;
}

static bool parse(int argc, char **argv, struct arguments *out)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        uint64_t number = strtoull(value, NULL, 10);
        if (strcmp(argv[i], "--trace") == 0 || strcmp(argv[i], "--twice") == 0 ||
            strcmp(argv[i], "--mutants") == 0) {
            out->trace = out->trace || argv[i][3] == 'r';
            out->twice = out->twice || argv[i][3] == 'w';
            out->mutants = out->mutants || argv[i][3] == 'u';
            continue;
        }
        if (*value == '\0')
            return false;
        i++;
        if (strcmp(argv[i - 1], "--seed") == 0) {
            out->first = number;
            out->seeds = 1;
        } else if (strcmp(argv[i - 1], "--first") == 0)
            out->first = number;
        else if (strcmp(argv[i - 1], "--seeds") == 0)
            out->seeds = number;
        else if (strcmp(argv[i - 1], "--mutant") == 0)
            mutant_active = (int)number;
        else if (strcmp(argv[i - 1], "--mode") == 0 && strcmp(value, "safety") == 0)
            out->mode = SIM_SAFETY;
        else if (strcmp(argv[i - 1], "--mode") != 0 || strcmp(value, "liveness") != 0)
            return false;
    }
    return true;
}

static bool run_mutant(int mutant, uint64_t seeds)
{
    struct arguments arguments = {.first = 1, .seeds = seeds, .mode = SIM_LIVENESS};
    mutant_active = mutant;
    return run_seeds(&arguments);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .seeds = 1000, .mode = SIM_LIVENESS};
    struct sigaction action = {.sa_handler = on_abort};
    if (!parse(argc, argv, &arguments))
        return usage(argc > 1 ? argv[argc - 1] : "");
    (void)sigaction(SIGABRT, &action, NULL);
    (void)sigaction(SIGSEGV, &action, NULL);
    /* Nothing is asked of the environment, and each crash point would search it. */
    (void)clearenv();
    /* Rings and chunks come and go with each run: keep their memory. */
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    /* Caches come and go, too, and hold little: no huge page is worth its clearing. */
    (void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    if (arguments.mutants)
        return sim_mutants_catch(run_mutant, arguments.seeds) ? 0 : 1;
    return run_seeds(&arguments) ? 0 : 1;
}
