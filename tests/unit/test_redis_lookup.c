/* Looking up hosts where name servers answer late or not at all. */
#include <criterion/criterion.h>

#include "connectors/redis/redis_lookup.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"

enum { SOON_MS = 60000 }; /* within it, unless a test hangs */

static sem_t answers; /* each lets one question go on */
static atomic_int asked, freed;

static struct addrinfo *make_address(void)
{
    struct addrinfo *address = calloc(1, sizeof *address);
    struct sockaddr_in *name = calloc(1, sizeof *name);
    name->sin_family = AF_INET;
    name->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address->ai_family = AF_INET;
    address->ai_addr = (struct sockaddr *)name;
    address->ai_addrlen = sizeof *name;
    return address;
}

/* In place of the C library's: "silent" is answered when the test says so. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **found)
{
    bool digits = node[0] >= '0' && node[0] <= '9';
    (void)service;
    if ((hints->ai_flags & AI_NUMERICHOST) != 0 && !digits)
        return EAI_NONAME;
    if (!digits) {
        atomic_fetch_add(&asked, 1);
        while (strcmp(node, "silent") == 0 && sem_wait(&answers) != 0)
            ;
    }
    if (strcmp(node, "nobody") == 0)
        return EAI_NONAME;
    *found = make_address();
    return 0;
}

void freeaddrinfo(struct addrinfo *found)
{
    free(found->ai_addr);
    free(found);
    atomic_fetch_add(&freed, 1);
}

static void set_up(void) { cr_assert_eq(sem_init(&answers, 0, 0), 0); }

TestSuite(redis_lookup, .init = set_up, .timeout = 100);

static void wait_for(atomic_int *count, int wanted)
{
    int64_t end_ns = clock_monotonic_ns(&clock_system) + INT64_C(1000000) * SOON_MS;
    while (atomic_load(count) < wanted)
        cr_assert_lt(clock_monotonic_ns(&clock_system), end_ns);
}

Test(redis_lookup, digits_are_asked_of_nobody)
{
    struct addrinfo *found = NULL;
    cr_assert_null(redis_lookup("127.0.0.1", "1", SOON_MS, &found));
    cr_assert_not_null(found);
    cr_assert_eq(atomic_load(&asked), 0);
    freeaddrinfo(found);
}

Test(redis_lookup, name_is_found_or_told)
{
    struct addrinfo *found = NULL;
    cr_assert_null(redis_lookup("somebody", "1", SOON_MS, &found));
    cr_assert_not_null(found);
    freeaddrinfo(found);
    const char *failure = redis_lookup("nobody", "1", SOON_MS, &found);
    cr_assert_not_null(failure);
    cr_assert_str_eq(failure, gai_strerror(EAI_NONAME));
    cr_assert_null(found);
    cr_assert_eq(atomic_load(&asked), 2);
}

Test(redis_lookup, silence_ends_in_time_and_what_comes_later_is_let_go_of)
{
    struct addrinfo *found = NULL;
    int64_t begin_ns = clock_monotonic_ns(&clock_system);
    const char *failure = redis_lookup("silent", "1", 30, &found);
    cr_assert_not_null(failure);
    cr_assert_str_eq(failure, "no name server has answered in time");
    cr_assert_null(found);
    cr_assert_geq(clock_monotonic_ns(&clock_system) - begin_ns, 30 * INT64_C(1000000));
    cr_assert_eq(atomic_load(&freed), 0);
    cr_assert_eq(sem_post(&answers), 0);
    wait_for(&freed, 1); /* by the thread that was left behind */
}

static void *answer_when_asked(void *user)
{
    (void)user;
    while (atomic_load(&asked) == 0)
        ;
    (void)sem_post(&answers);
    return NULL;
}

Test(redis_lookup, answer_that_comes_late_but_in_time_counts)
{
    struct addrinfo *found = NULL;
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, answer_when_asked, NULL), 0);
    cr_assert_null(redis_lookup("silent", "1", SOON_MS, &found));
    cr_assert_not_null(found);
    freeaddrinfo(found);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(atomic_load(&freed), 1);
}
