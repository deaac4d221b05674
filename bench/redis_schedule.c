#include "redis_schedule.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

enum { WAIT_MS = 1, WAITS_MAX = 60000, WORDS = 7, VALUE_MAX = 4096, NOT_HANDLED = -1 };

static const uint64_t readiness = UINT64_MAX; /* the number of the entry before all others */
static const int64_t ns_per_s = INT64_C(1000000000), start_delay_ns = INT64_C(50000000);

struct sender {
    redisContext *context;
    uint64_t answers_due;
    const char *words[WORDS];
    size_t lens[WORDS];
    char value[VALUE_MAX];
};

static int64_t now_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * ns_per_s + now.tv_nsec;
}

static void sleep_until(int64_t at_ns)
{
    struct timespec at = {.tv_sec = at_ns / ns_per_s, .tv_nsec = at_ns % ns_per_s};
    (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

int redis_schedule_init(struct redis_schedule *schedule, const char *socket, const char *stream,
                        uint64_t entries, uint32_t per_second, uint32_t value_bytes)
{
    *schedule = (struct redis_schedule){.socket = socket,
                                        .stream = stream,
                                        .entries = entries,
                                        .interval_ns = ns_per_s / per_second,
                                        .value_bytes = value_bytes};
    schedule->latencies_ns = malloc(entries * sizeof *schedule->latencies_ns);
    if (schedule->latencies_ns == NULL)
        return measure_failed("schedule", "out of memory");
    for (uint64_t i = 0; i < entries; i++)
        schedule->latencies_ns[i] = NOT_HANDLED;
    return 0;
}

void redis_schedule_fini(struct redis_schedule *schedule)
{
    free(schedule->latencies_ns);
    schedule->latencies_ns = NULL;
}

void redis_schedule_note(struct redis_schedule *schedule, const void *value, size_t len)
{
    uint64_t number = 0;
    if (len < sizeof number)
        return;
    memcpy(&number, value, sizeof number);
    if (number == readiness)
        atomic_store_explicit(&schedule->is_ready, true, memory_order_release);
    if (number >= schedule->entries)
        return;
    int64_t due_ns = atomic_load_explicit(&schedule->start_ns, memory_order_acquire) +
                     (int64_t)number * schedule->interval_ns;
    schedule->latencies_ns[number] = now_ns() - due_ns;
}

static void append(struct sender *sender, uint64_t number)
{
    memcpy(sender->value, &number, sizeof number);
    (void)redisAppendCommandArgv(sender->context, WORDS, sender->words, sender->lens);
    sender->answers_due++;
}

static int failed(const struct sender *sender)
{
    return measure_failed("schedule", sender->context->errstr);
}

static int send_waiting(struct sender *sender)
{
    int done = 0;
    while (done == 0)
        if (redisBufferWrite(sender->context, &done) != REDIS_OK)
            return failed(sender);
    return 0;
}

static int take_answer(struct sender *sender, void *answer)
{
    const redisReply *reply = answer;
    bool is_id = reply->type == REDIS_REPLY_STRING;
    freeReplyObject(answer);
    sender->answers_due--;
    return is_id ? 0 : measure_failed("schedule", "an entry was refused");
}

/* Those that are there. */
static int take_answers(struct sender *sender)
{
    struct pollfd readable = {.fd = sender->context->fd, .events = POLLIN};
    void *answer = NULL;
    if (poll(&readable, 1, 0) <= 0)
        return 0;
    if (redisBufferRead(sender->context) != REDIS_OK)
        return failed(sender);
    while (redisReaderGetReply(sender->context->reader, &answer) == REDIS_OK && answer != NULL)
        if (take_answer(sender, answer) != 0)
            return -1;
    return sender->context->reader->err == 0 ? 0 : failed(sender);
}

static int take_all_answers(struct sender *sender)
{
    void *answer = NULL;
    while (sender->answers_due > 0) {
        if (redisGetReply(sender->context, &answer) != REDIS_OK)
            return failed(sender);
        if (take_answer(sender, answer) != 0)
            return -1;
    }
    return 0;
}

static int wait_for_reader(struct redis_schedule *schedule, struct sender *sender)
{
    append(sender, readiness);
    if (take_all_answers(sender) != 0)
        return -1;
    for (int i = 0; i < WAITS_MAX; i++) {
        if (atomic_load_explicit(&schedule->is_ready, memory_order_acquire))
            return 0;
        sleep_until(now_ns() + WAIT_MS * (ns_per_s / 1000));
    }
    return measure_failed("schedule", "nobody reads");
}

/* What is due goes out together: a sender that comes late has more to send, not fewer. */
static int send_on_time(struct redis_schedule *schedule, struct sender *sender)
{
    const int64_t start_ns = now_ns() + start_delay_ns;
    atomic_store_explicit(&schedule->start_ns, start_ns, memory_order_release);
    for (uint64_t sent = 0; sent < schedule->entries;) {
        int64_t passed_ns = now_ns() - start_ns;
        uint64_t due = passed_ns < 0 ? 0 : (uint64_t)(passed_ns / schedule->interval_ns) + 1;
        if (due <= sent) {
            sleep_until(start_ns + (int64_t)sent * schedule->interval_ns);
            continue;
        }
        for (; sent < due && sent < schedule->entries; sent++)
            append(sender, sent);
        if (send_waiting(sender) != 0 || take_answers(sender) != 0)
            return -1;
    }
    return take_all_answers(sender);
}

static void set_word(struct sender *sender, size_t at, const char *word, size_t len)
{
    sender->words[at] = word;
    sender->lens[at] = len;
}

static void *send_main(void *user)
{
    struct redis_schedule *schedule = user;
    struct sender sender = {.context = redisConnectUnix(schedule->socket)};
    schedule->result = -1;
    if (sender.context == NULL || sender.context->err != 0) {
        (void)measure_failed("schedule", "no connection");
        return NULL;
    }
    (void)prctl(PR_SET_TIMERSLACK, 1UL); /* else each sleep takes 50 us more */
    memset(sender.value, 'v', sizeof sender.value);
    set_word(&sender, 0, "XADD", 4);
    set_word(&sender, 1, schedule->stream, strlen(schedule->stream));
    set_word(&sender, 2, "*", 1);
    set_word(&sender, 3, "k", 1);
    set_word(&sender, 4, "c00000000001", 12);
    set_word(&sender, 5, "v", 1);
    set_word(&sender, 6, sender.value,
             schedule->value_bytes < VALUE_MAX ? schedule->value_bytes : VALUE_MAX);
    if (wait_for_reader(schedule, &sender) == 0)
        schedule->result = send_on_time(schedule, &sender);
    redisFree(sender.context);
    return NULL;
}

int redis_schedule_start(struct redis_schedule *schedule)
{
    return pthread_create(&schedule->thread, NULL, send_main, schedule) == 0
               ? 0
               : measure_failed("schedule", "no thread");
}

static int compare_latencies(const void *a, const void *b)
{
    const int64_t *x = a;
    const int64_t *y = b;
    return (*x > *y) - (*x < *y);
}

int redis_schedule_join(struct redis_schedule *schedule)
{
    (void)pthread_join(schedule->thread, NULL);
    if (schedule->result != 0)
        return -1;
    qsort(schedule->latencies_ns, schedule->entries, sizeof *schedule->latencies_ns,
          compare_latencies);
    if (schedule->latencies_ns[0] < 0)
        return measure_failed("schedule", "an entry was never handled");
    return 0;
}

double redis_schedule_quantile_us(const struct redis_schedule *schedule, double part)
{
    uint64_t at = (uint64_t)(part * (double)schedule->entries);
    if (at >= schedule->entries)
        at = schedule->entries - 1;
    return (double)schedule->latencies_ns[at] / 1e3;
}
