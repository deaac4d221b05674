/* The file sink. One appender, or with per_source one for each file that dead letters come from.
 * A flush that failed for one file is repeated for all: repeats carry the same id.
 * @thread as the sink contract says: one at a time */
#include "file_sink.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

#include "file_appender.h"
#include "file_browse.h"
#include "file_config.h"
#include "file_line.h"
#include "file_purge.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#define COMPONENT "file"

enum { OPEN_FILES_MAX = 64 }; /* how many stay open between flushes */

struct file_sink {
    const struct file_sink_options *options;
    const char *target;
    struct json_parser *parser;
    struct file_appender *appenders;
    uint32_t appender_count;
    uint32_t appender_capacity;
};

static struct file_sink *of(strid_sink *self) { return (struct file_sink *)self; }

static struct file_appender *add_appender(struct file_sink *sink, const char *path)
{
    if (sink->appender_count == sink->appender_capacity) {
        sink->appender_capacity = sink->appender_capacity == 0 ? 1 : sink->appender_capacity * 2;
        sink->appenders =
            memory_resize(sink->appenders, sink->appender_capacity * sizeof *sink->appenders);
    }
    struct file_appender *appender = &sink->appenders[sink->appender_count++];
    file_appender_init(appender, path);
    return appender;
}

static void remove_appenders(struct file_sink *sink)
{
    for (uint32_t i = 0; i < sink->appender_count; i++)
        file_appender_fini(&sink->appenders[i]);
    sink->appender_count = 0;
}

static void rollback(struct file_sink *sink)
{
    for (uint32_t i = 0; i < sink->appender_count; i++)
        file_appender_rollback(&sink->appenders[i]);
}

/* A path that cannot work is an error now; a file is made when there is something to put in. */
static strid_status check_path(struct file_sink *sink, strid_error *err)
{
    struct stat info;
    if (sink->options->per_source) {
        if (stat(sink->target, &info) != 0 || !S_ISDIR(info.st_mode))
            return error_set(err, STRID_ECONFIG, COMPONENT,
                             "%s is no directory, which a sink with per_source=true has to name",
                             sink->target);
        return STRID_OK;
    }
    struct file_appender *appender = add_appender(sink, sink->target);
    if (stat(sink->target, &info) == 0)
        return file_appender_open(appender, err);
    char *directory = memory_copy_text(sink->target);
    char *slash = strrchr(directory, '/');
    if (slash != NULL)
        slash[slash == directory] = '\0';
    strid_status status = STRID_OK;
    if (access(slash == NULL ? "." : directory, W_OK | X_OK) != 0)
        status = error_set_errno(err, errno, COMPONENT, "%s cannot be made in its directory",
                                 sink->target);
    memory_free(directory);
    return status;
}

static void sink_close(strid_sink *self)
{
    struct file_sink *sink = of(self);
    rollback(sink);
    remove_appenders(sink);
    memory_free(sink->appenders);
    sink->appenders = NULL;
    sink->appender_capacity = 0;
    json_parser_destroy(sink->parser);
    sink->parser = NULL;
}

static strid_status sink_check(const strid_connector_args *args, strid_error *err)
{
    if (args->target[0] != '\0')
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, COMPONENT, "the sink's URL names no file: file:PATH");
}

static strid_status sink_open(strid_sink *self, const strid_connector_args *args, strid_error *err)
{
    struct file_sink *sink = of(self);
    sink->options = args->options;
    sink->target = args->target;
    STRID_TRY(sink_check(args, err));
    sink->parser = json_parser_create();
    strid_status status = check_path(sink, err);
    if (status != STRID_OK)
        sink_close(self);
    return status;
}

static struct file_appender *appender_of_source(struct file_sink *sink, strid_bytes topic)
{
    static const char ending[] = ".dlq";
    char *path = memory_alloc(topic.len + sizeof ending);
    if (topic.len > 0)
        memcpy(path, topic.data, topic.len);
    memcpy(path + topic.len, ending, sizeof ending);
    struct file_appender *found = NULL;
    for (uint32_t i = sink->appender_count; i-- > 0 && found == NULL;) {
        if (strcmp(sink->appenders[i].path, path) == 0)
            found = &sink->appenders[i];
    }
    if (found == NULL)
        found = add_appender(sink, path);
    memory_free(path);
    return found;
}

static strid_status write_one(struct file_sink *sink, const strid_output *output, strid_error *err)
{
    struct file_appender *appender = &sink->appenders[0];
    if (sink->options->per_source) {
        if (output->dead_letter == NULL)
            return error_set(
                err, STRID_ECONFIG, COMPONENT,
                "the sink file:%s has per_source=true, which is for dead letters only: "
                "remove it",
                sink->target);
        appender = appender_of_source(sink, output->dead_letter->topic);
    }
    file_line_put(&appender->buffer, output, (enum file_sink_format)sink->options->format,
                  sink->parser);
    return file_appender_write(appender, err);
}

static strid_status sink_write(strid_sink *self, const strid_output *outputs, uint32_t count,
                               strid_error *err)
{
    strid_status status = STRID_OK;
    for (uint32_t i = 0; i < count && status == STRID_OK; i++)
        status = write_one(of(self), &outputs[i], err);
    if (status != STRID_OK)
        rollback(of(self));
    return status;
}

static strid_status sink_flush(strid_sink *self, strid_error *err)
{
    struct file_sink *sink = of(self);
    strid_status status = STRID_OK;
    for (uint32_t i = 0; i < sink->appender_count && status == STRID_OK; i++)
        status = file_appender_flush(&sink->appenders[i], err);
    if (status != STRID_OK)
        rollback(sink);
    else if (sink->options->per_source && sink->appender_count > OPEN_FILES_MAX)
        remove_appenders(sink);
    return status;
}

const strid_sink_ops file_sink_ops = {
    .abi_version = STRID_SINK_ABI_VERSION,
    .flags = STRID_SINK_PATH,
    .name = "file",
    .summary = "Appends JSON lines to a file",
    .options = file_sink_config,
    .options_size = sizeof(struct file_sink_options),
    .instance_size = sizeof(struct file_sink),
    .open = sink_open,
    .write = sink_write,
    .flush = sink_flush,
    .close = sink_close,
    .browse = file_browse,
    .purge = file_purge,
    .check = sink_check,
};
