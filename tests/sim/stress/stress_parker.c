/* Two threads hand a ball to and fro and sleep in between: a lost wake-up costs a whole time-out,
 * which is far longer than all else together and is counted.
 * usage: stress_parker [ROUNDS] */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "concurrent/parker.h"
#include "concurrent/ring.h"

enum { ROUNDS_DEFAULT = 30000 };

static const int64_t TIMEOUT_NS = INT64_C(5000000000);

struct player {
    struct parker parker;
    struct ring *in;
    struct player *other;
    uint64_t rounds;
    uint64_t lost; /* @thread player, read after the join */
};

static void *take(struct player *player)
{
    for (;;) {
        void *ball = ring_pop(player->in);
        if (ball != NULL)
            return ball;
        uint32_t ticket = parker_prepare(&player->parker);
        ball = ring_pop(player->in);
        if (ball == NULL) {
            int64_t before = clock_monotonic_ns(&clock_system);
            parker_wait(&player->parker, ticket, TIMEOUT_NS);
            if (clock_monotonic_ns(&clock_system) - before >= TIMEOUT_NS)
                player->lost++;
        }
        parker_done(&player->parker);
        if (ball != NULL)
            return ball;
    }
}

static void *play(void *user)
{
    struct player *player = user;
    for (uint64_t i = 0; i < player->rounds; i++) {
        uint64_t *ball = take(player);
        (*ball)++; /* not atomic: the hand-off alone orders it */
        if (!ring_push(player->other->in, ball))
            player->lost++;
        parker_wake(&player->other->parker);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    uint64_t rounds = argc > 1 ? strtoull(argv[1], NULL, 10) : ROUNDS_DEFAULT;
    struct player players[2] = {{.rounds = rounds}, {.rounds = rounds}};
    uint64_t ball = 0;
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        players[i].in = ring_create(2);
        players[i].other = &players[1 - i];
    }
    if (!ring_push(players[0].in, &ball))
        return 1;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, play, &players[i]) != 0)
            return 1;
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    uint64_t lost = players[0].lost + players[1].lost;
    for (int i = 0; i < 2; i++)
        ring_destroy(players[i].in);
    printf("%llu hand-overs, %llu wake-ups lost\n", (unsigned long long)ball,
           (unsigned long long)lost);
    return lost == 0 && ball == 2 * rounds ? 0 : 1;
}
