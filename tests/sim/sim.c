/* sim: the engine in one thread, with a virtual clock and a simulated disk, source and sinks; each
 * seed is one history of crashes and failures. docs/internals/simulator.md says what it checks.
 *
 *   sim [--seed N | --first F --seeds COUNT] [--mode liveness|safety] [--trace] [--twice]
 *       [--mutant N | --mutants] */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mutant.h"

#include "sim_mutants.h"
#include "sim_node.h"

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
    uint64_t steps, runs, crashes, hash;
};

static void run_seed(uint64_t seed, const struct arguments *arguments, struct totals *totals)
{
    static struct sim_world world;
    sim_world_init(&world, seed, arguments->mode, arguments->trace);
    sim_node_live(&world);
    totals->steps += world.steps;
    totals->runs += world.runs;
    totals->crashes += world.crashes;
    totals->hash = sim_random_mix(totals->hash + world.hash);
    if (arguments->trace)
        printf("seed %llu: trace %016llx\n", (unsigned long long)seed,
               (unsigned long long)world.hash);
    sim_world_fini(&world);
}

static bool run_seeds(const struct arguments *arguments)
{
    struct totals totals = {0};
    for (uint64_t seed = arguments->first; seed < arguments->first + arguments->seeds; seed++) {
        struct totals once = {0}, again = {0};
        run_seed(seed, arguments, &once);
        totals.steps += once.steps;
        totals.runs += once.runs;
        totals.crashes += once.crashes;
        totals.hash = sim_random_mix(totals.hash + once.hash);
        if (!arguments->twice)
            continue;
        run_seed(seed, arguments, &again);
        if (once.hash != again.hash) {
            fprintf(stderr, "sim: seed %llu: replays differently\n", (unsigned long long)seed);
            return false;
        }
    }
    printf("%llu seeds from %llu: %llu steps, %llu runs, %llu crashes, trace %016llx\n",
           (unsigned long long)arguments->seeds, (unsigned long long)arguments->first,
           (unsigned long long)totals.steps, (unsigned long long)totals.runs,
           (unsigned long long)totals.crashes, (unsigned long long)totals.hash);
    return true;
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
    /* Rings and chunks come and go with each run: keep their memory. */
    (void)mallopt(M_MMAP_THRESHOLD, 1 << 30);
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    if (arguments.mutants)
        return sim_mutants_catch(run_mutant, arguments.seeds) ? 0 : 1;
    return run_seeds(&arguments) ? 0 : 1;
}
