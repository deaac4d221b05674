/* The file source: a list of files made at open, one line reader for each. @thread as the source
 * contract says; readers share nothing that changes. */
#include "file_source.h"

#include "base/assert.h"
#include "base/error.h"
#include "base/memory.h"

#include "file_config.h"
#include "file_list.h"
#include "file_locate.h"
#include "file_reader.h"

#include <stdio.h>
#include <string.h>

struct file_source {
    struct file_list list;
    struct file_reader *readers; /* one an entry of the list */
    const char *target;
    const char *match;
};

static struct file_source *of(strid_source *self) { return (struct file_source *)self; }

static struct file_reader *reader_of(strid_source *self, uint32_t partition)
{
    STRID_ASSERT(partition < of(self)->list.count);
    return &of(self)->readers[partition];
}

static strid_status source_check(const strid_connector_args *args, strid_error *err)
{
    if (args->target[0] != '\0')
        return STRID_OK;
    return error_set(err, STRID_ECONFIG, "file",
                     "the source's URL names no file or directory: file:PATH");
}

static strid_status source_open(strid_source *self, const strid_connector_args *args,
                                strid_error *err)
{
    struct file_source *source = of(self);
    const struct file_source_options *options = args->options;
    STRID_TRY(source_check(args, err));
    source->target = args->target;
    source->match = options->match;
    strid_status status = file_list_init(&source->list, args->target, options->match, err);
    if (status != STRID_OK)
        return status;
    source->readers = memory_alloc_aligned(_Alignof(struct file_reader),
                                           source->list.count * sizeof *source->readers);
    for (uint32_t i = 0; i < source->list.count; i++)
        file_reader_init(&source->readers[i], source->list.entries[i].path, options->max_line,
                         options->read_size);
    return STRID_OK;
}

static uint32_t source_partition_count(strid_source *self) { return of(self)->list.count; }

static void source_describe(strid_source *self, uint32_t partition, strid_partition_info *info)
{
    STRID_ASSERT(partition < of(self)->list.count);
    const struct file_entry *entry = &of(self)->list.entries[partition];
    info->topic = entry->path;
    info->identity = entry->identity;
    info->bytes_total = entry->bytes;
}

static strid_status source_assign(strid_source *self, uint32_t partition,
                                  const strid_resume *resume, strid_error *err)
{
    return file_reader_assign(reader_of(self, partition), resume, err);
}

static size_t source_fingerprint(strid_source *self, uint32_t partition, uint8_t *out)
{
    return file_reader_fingerprint(reader_of(self, partition), out);
}

static strid_status source_poll(strid_source *self, uint32_t partition, strid_intake *out,
                                uint32_t records_max, strid_error *err)
{
    return file_reader_poll(reader_of(self, partition), out, records_max, err);
}

static void source_close(strid_source *self)
{
    struct file_source *source = of(self);
    for (uint32_t i = 0; i < source->list.count; i++)
        file_reader_fini(&source->readers[i]);
    memory_free(source->readers);
    source->readers = NULL;
    file_list_fini(&source->list);
}

/* A directory's dead letters stand beside the file that each was read from. */
static strid_status source_dlq_url(strid_source *self, char *out, size_t size)
{
    const struct file_source *source = of(self);
    if (strchr(source->target, '?') != NULL)
        return STRID_EUNSUPPORTED; /* it would not read back as a URL */
    int used = source->list.is_directory
                   ? snprintf(out, size, "file:%s?per_source=true", source->target)
                   : snprintf(out, size, "file:%s.dlq", source->target);
    return used >= 0 && (size_t)used < size ? STRID_OK : STRID_ELIMIT;
}

static strid_status source_locate(strid_source *self, const strid_place *to,
                                  strid_relocation *partitions, uint32_t count, strid_error *err)
{
    const struct file_list *list = &of(self)->list;
    for (uint32_t i = 0; i < count; i++) {
        STRID_ASSERT(partitions[i].partition < list->count);
        STRID_TRY(file_locate(&list->entries[partitions[i].partition], to, &partitions[i], err));
    }
    return STRID_OK;
}

static bool source_reads(strid_source *self, const char *path)
{
    const struct file_source *source = of(self);
    return file_list_covers(&source->list, source->target, source->match, path);
}

const strid_source_ops file_source_ops = {
    .abi_version = STRID_SOURCE_ABI_VERSION,
    .flags =
        STRID_SOURCE_REPLAYABLE | STRID_SOURCE_BOUNDED | STRID_SOURCE_PADDED | STRID_SOURCE_PRIVATE,
    .name = "file",
    .summary = "Lines of a file, or of the files of a directory",
    .options = file_source_config,
    .options_size = sizeof(struct file_source_options),
    .instance_size = sizeof(struct file_source),
    .open = source_open,
    .partition_count = source_partition_count,
    .describe = source_describe,
    .assign = source_assign,
    .fingerprint = source_fingerprint,
    .poll = source_poll,
    .close = source_close,
    .dlq_url = source_dlq_url,
    .locate = source_locate,
    .reads = source_reads,
    .check = source_check,
};
