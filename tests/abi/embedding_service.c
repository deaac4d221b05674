/* What the example of docs/embedding.md stands on: a service that a thread of the program asks. It
 * finds each question wrong at first and right the second time. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <strid/strid.h>

enum { RECORDS = 5, QUESTIONS = 2 * RECORDS };

struct answer {
    strid_token token;
    bool right;
};

struct service {
    strid_pipeline *pipeline;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    struct answer answers[QUESTIONS];
    unsigned asked_count, told_count, forgotten;
    bool seen[RECORDS]; /* a question that was asked before */
    bool closed;
};

static strid_store ASKED;

static void service_ask(struct service *service, strid_token token, strid_bytes question)
{
    unsigned number = (unsigned)question.data[0] - '0';
    (void)pthread_mutex_lock(&service->lock);
    service->answers[service->asked_count++] =
        (struct answer){.token = token, .right = service->seen[number]};
    service->seen[number] = true;
    (void)pthread_cond_signal(&service->asked);
    (void)pthread_mutex_unlock(&service->lock);
}

static bool service_next(struct service *service, struct answer *out)
{
    (void)pthread_mutex_lock(&service->lock);
    while (service->told_count == service->asked_count && !service->closed)
        (void)pthread_cond_wait(&service->asked, &service->lock);
    bool any = service->told_count < service->asked_count;
    if (any)
        *out = service->answers[service->told_count++];
    (void)pthread_mutex_unlock(&service->lock);
    return any;
}

static void service_forget(struct service *service, const struct answer *answer)
{
    (void)answer;
    service->forgotten++;
}

#include EXAMPLE /* a file, by -D */

static void service_close(struct service *service)
{
    (void)pthread_mutex_lock(&service->lock);
    service->closed = true;
    (void)pthread_cond_signal(&service->asked);
    (void)pthread_mutex_unlock(&service->lock);
}

static strid_status begin(struct service *service, strid_error *err)
{
    service->pipeline = strid_pipeline_create(
        &(strid_pipeline_options){STRID_PIPELINE_OPTIONS_INIT, .name = "embedding",
                                  .source = "memory:in?partitions=1", .format = "raw",
                                  .retry_min_ms = 1, .retry_max_ms = 1},
        err);
    if (service->pipeline == NULL)
        return STRID_ECONFIG;
    strid_status status = strid_pipeline_add_store(service->pipeline, "asked", &ASKED, err);
    if (status == STRID_OK)
        status = strid_pipeline_on(service->pipeline, "*", ask, service, err);
    for (unsigned i = 0; status == STRID_OK && i < RECORDS; i++) {
        char value[] = {(char)('0' + i), '\0'};
        status = strid_push(service->pipeline, 0, strid_bytes_of_text("k"),
                            strid_bytes_of_text(value), 0);
    }
    strid_push_end(service->pipeline);
    return status;
}

int main(void)
{
    struct service service = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER};
    strid_error err = STRID_ERROR_INIT;
    pthread_t thread;
    if (begin(&service, &err) != STRID_OK || pthread_create(&thread, NULL, answers, &service) != 0)
        return fprintf(stderr, "%s\n", err.message), 1;
    strid_status status = strid_pipeline_run(service.pipeline, &err);
    strid_pipeline_stats stats = {.struct_size = sizeof stats};
    strid_pipeline_get_stats(service.pipeline, &stats);
    service_close(&service);
    (void)pthread_join(thread, NULL);
    strid_pipeline_destroy(service.pipeline);
    bool right = status == STRID_OK && stats.done == RECORDS && stats.retried == RECORDS &&
                 service.told_count == QUESTIONS && service.forgotten == 0;
    if (!right)
        (void)fprintf(stderr, "%s: %llu done, %llu retried, %u questions, %u forgotten\n",
                      err.message, (unsigned long long)stats.done,
                      (unsigned long long)stats.retried, service.told_count, service.forgotten);
    return right ? 0 : 1;
}
