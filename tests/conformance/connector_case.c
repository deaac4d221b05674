#include "connector_case.h"

#include "base/assert.h"
#include "base/memory.h"
#include "pipeline/endpoint.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

static strid_status finish(struct endpoint *endpoint, const strid_option *table, struct opened *at,
                           const struct log *log, strid_error *err)
{
    const char *scheme = endpoint->source != NULL ? endpoint->source->name : endpoint->sink->name;
    at->table = table;
    strid_status status = endpoint_finish(endpoint, &at->url, &at->target, &at->options, err);
    at->args = (strid_connector_args){.struct_size = sizeof at->args,
                                      .scheme = scheme,
                                      .url = at->url,
                                      .target = at->target,
                                      .options = at->options,
                                      .pipeline = "conformance",
                                      .node = "node",
                                      .log = log};
    endpoint_fini(endpoint);
    return status;
}

static void release(struct opened *at)
{
    if (at->options != NULL)
        options_free(at->table, at->options);
    memory_free(at->url);
    memory_free(at->target);
    *at = (struct opened){0};
}

strid_status source_open_url(struct opened_source *source, const char *url, strid_error *err)
{
    return source_open_logged(source, url, NULL, 0, err);
}

strid_status source_open_logged(struct opened_source *source, const char *url,
                                const struct log *log, uint64_t memory_bytes, strid_error *err)
{
    struct endpoint endpoint = {0};
    *source = (struct opened_source){0};
    strid_status status = endpoint_open_source(&endpoint, url, err);
    if (status != STRID_OK)
        return status;
    source->ops = endpoint.source;
    status = finish(&endpoint, source->ops->options, &source->at, log, err);
    if (status != STRID_OK)
        return status;
    source->at.args.memory_bytes = memory_bytes;
    source->self = memory_alloc_zeroed(source->ops->instance_size);
    status = source->ops->open(source->self, &source->at.args, err);
    if (status != STRID_OK) {
        memory_free(source->self);
        source->self = NULL;
    }
    return status;
}

void source_close(struct opened_source *source)
{
    if (source->self != NULL)
        source->ops->close(source->self);
    memory_free(source->self);
    source->self = NULL;
    release(&source->at);
}

strid_status sink_open_url(struct opened_sink *sink, const char *url, strid_error *err)
{
    struct endpoint endpoint = {0};
    *sink = (struct opened_sink){0};
    strid_status status = endpoint_open_sink(&endpoint, url, err);
    if (status != STRID_OK)
        return status;
    sink->ops = endpoint.sink;
    status = finish(&endpoint, sink->ops->options, &sink->at, NULL, err);
    if (status != STRID_OK)
        return status;
    sink->self = memory_alloc_zeroed(sink->ops->instance_size);
    status = sink->ops->open(sink->self, &sink->at.args, err);
    if (status != STRID_OK) {
        memory_free(sink->self);
        sink->self = NULL;
    }
    return status;
}

void sink_close(struct opened_sink *sink)
{
    if (sink->self != NULL)
        sink->ops->close(sink->self);
    memory_free(sink->self);
    sink->self = NULL;
    release(&sink->at);
}

strid_status source_assign_at(struct opened_source *source, uint32_t partition,
                              const strid_position *position, strid_bytes fingerprint,
                              strid_error *err)
{
    strid_resume resume = {.resumed = position != NULL, .fingerprint = fingerprint};
    if (position != NULL)
        resume.position = *position;
    return source->ops->assign(source->self, partition, &resume, err);
}

strid_status source_refusal(struct opened_source *source, const strid_position *position,
                            strid_bytes fingerprint, strid_error *err)
{
    struct strid_intake intake = {0};
    strid_status status = source_assign_at(source, 0, position, fingerprint, err);
    if (status == STRID_OK)
        status = source->ops->poll(source->self, 0, &intake, 1, err);
    intake_fini(&intake);
    return status;
}

strid_status source_drain(struct opened_source *source, uint32_t partition,
                          struct strid_intake *intake, uint32_t records_max, strid_error *err)
{
    bool is_fetched = (source->ops->flags & STRID_SOURCE_BUFFERED) != 0;
    bool is_paced = is_fetched || strstr(source->at.url, "rate=") != NULL;
    for (;;) {
        size_t before = intake->count;
        strid_status status = source->ops->poll(source->self, partition, intake, records_max, err);
        if (intake->count - before > records_max)
            intake->violation = "a poll adds at most records_max records";
        if (status == STRID_AGAIN && !intake->has_refused && !is_paced)
            intake->violation = "a source that has all its records never waits";
        if (intake->violation != NULL || (status != STRID_OK && status != STRID_AGAIN))
            return status;
        if (is_fetched && status == STRID_AGAIN)
            (void)sched_yield(); /* to what fetches; the test as a whole has a deadline */
    }
}

const char *connector_case_kafka(void) { return getenv("STRID_CONFORMANCE_KAFKA"); }

/* The cases. Files are written, records pushed; the generator needs nothing, topics are there. */
enum kind { FILE_KIND, DIRECTORY_KIND, MEMORY_KIND, GENERATOR_KIND, KAFKA_KIND };

static const struct {
    enum kind kind;
    const char *query;
    const char *line_end;
} cases[SOURCE_CASES + 1] = {
    {FILE_KIND, "", "\n"},
    {FILE_KIND, "?read_size=7", "\r\n"}, /* every line is split over reads */
    {FILE_KIND, "?max_line=40&read_size=1", "\n\n\r\n"},
    {DIRECTORY_KIND, "?match=*.log&read_size=64", "\n"},
    {MEMORY_KIND, "memory:m?partitions=2&capacity=1MiB", NULL},
    {GENERATOR_KIND, "generator:?records=60&seed=7", NULL},
    {GENERATOR_KIND, "generator:?records=120&partitions=2&format=json&dist=zipf:1.1&broken=5",
     NULL},
    {GENERATOR_KIND, "generator:?records=60&rate=1000000", NULL},
    [SOURCE_CASE_KAFKA] = {KAFKA_KIND, NULL, NULL},
};

static size_t record_text(int index, char *out, size_t size)
{
    int used = snprintf(out, size, "%.*srecord %d", index % 20, "....................", index);
    STRID_ASSERT(used > 0 && (size_t)used < size);
    return (size_t)used;
}

static void write_lines(const char *path, const char *line_end)
{
    struct buffer text = {0};
    char line[64];
    for (int i = 0; i < SOURCE_CASE_RECORDS; i++) {
        buffer_put(&text, line, record_text(i, line, sizeof line));
        if (i + 1 < SOURCE_CASE_RECORDS) /* the last line has no end */
            buffer_put(&text, line_end, strlen(line_end));
    }
    support_write_file(path, text.data, text.len);
    buffer_fini(&text);
}

static void write_files(struct source_case *at)
{
    char path[SUPPORT_PATH_MAX];
    support_path(&at->directory, "a.log", path);
    write_lines(path, cases[at->index].line_end);
    if (cases[at->index].kind == DIRECTORY_KIND) {
        (void)snprintf(at->url, sizeof at->url, "file:%s%s", at->directory.path,
                       cases[at->index].query);
        support_path(&at->directory, "b.log", path);
        write_lines(path, "\n");
    } else {
        (void)snprintf(at->url, sizeof at->url, "file:%s%s", path, cases[at->index].query);
    }
}

static void push_records(struct source_case *at)
{
    char text[64];
    for (int i = 0; i < SOURCE_CASE_RECORDS; i++) {
        size_t len = record_text(i, text, sizeof text);
        strid_bytes key = strid_bytes_of(i % 3 == 0 ? NULL : "key", i % 3 == 0 ? 0 : 3);
        strid_status status = at->source.ops->push(at->source.self, 0, key,
                                                   strid_bytes_of(text, len), STRID_TIMESTAMP_NONE);
        STRID_ASSERT(status == STRID_OK);
    }
    at->source.ops->push_end(at->source.self);
}

static void open_source(struct source_case *at)
{
    strid_error err = STRID_ERROR_INIT;
    strid_status status = source_open_url(&at->source, at->url, &err);
    if (status != STRID_OK)
        fprintf(stderr, "%s: %s\n", at->url, err.message);
    STRID_ASSERT(status == STRID_OK);
    if (cases[at->index].kind == MEMORY_KIND)
        push_records(at);
}

void source_case_open(struct source_case *at, int index)
{
    *at = (struct source_case){.index = index};
    support_directory_create(&at->directory);
    if (cases[index].kind == KAFKA_KIND)
        (void)snprintf(at->url, sizeof at->url,
                       "kafka://%s/conformance?follow=false&kafka.fetch.wait.max.ms=5",
                       connector_case_kafka());
    else if (cases[index].line_end != NULL)
        write_files(at);
    else
        (void)snprintf(at->url, sizeof at->url, "%s", cases[index].query);
    open_source(at);
}

void source_case_close(struct source_case *at)
{
    source_close(&at->source);
    intake_fini(&at->intake);
    support_directory_remove(&at->directory);
}

void source_case_reopen(struct source_case *at)
{
    source_close(&at->source);
    open_source(at);
}

bool source_case_is_durable(const struct source_case *at)
{
    return cases[at->index].kind != MEMORY_KIND;
}

static bool generated_is_right(const struct source_case *at, strid_bytes key, strid_bytes value,
                               size_t index)
{
    char begin[32];
    bool is_json = strstr(cases[at->index].query, "json") != NULL;
    int used = snprintf(begin, sizeof begin, is_json ? "{\"n\":%zu," : "%016zu", index);
    return key.len == 16 && memcmp(key.data, "key-000000", 10) == 0 && value.len >= (size_t)used &&
           memcmp(value.data, begin, (size_t)used) == 0;
}

bool source_case_is_right(const struct source_case *at, const struct strid_intake *intake,
                          size_t taken, size_t index)
{
    char text[64];
    strid_bytes value = intake_value(intake, taken);
    if (cases[at->index].kind == GENERATOR_KIND)
        return generated_is_right(at, intake_key(intake, taken), value, index);
    size_t len = record_text((int)index, text, sizeof text);
    bool has_key = cases[at->index].kind == MEMORY_KIND && index % 3 != 0;
    return strid_bytes_equal(value, strid_bytes_of(text, len)) &&
           (intake_key(intake, taken).data != NULL) == has_key &&
           intake->records[taken].fault == NULL;
}
