#include "pipeline/yaml.h"

#include <yaml.h>

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"

#include "substitute.h"

enum { DEPTH_MAX = 16, NODES_MAX = 10000, FILE_BYTES_MAX = 1024 * 1024 };

/* While the tree is made. */
struct reader {
    struct yaml_file *file;
    strid_bytes text; /* what the parser reads */
    yaml_parser_t parser;
    uint32_t nodes;
    strid_error *err;
};

static void node_fini(struct yaml_node *node)
{
    for (uint32_t i = 0; node->pairs != NULL && i < node->count; i++) {
        memory_free(node->pairs[i].name);
        node_fini(&node->pairs[i].value);
    }
    for (uint32_t i = 0; node->items != NULL && i < node->count; i++)
        node_fini(&node->items[i]);
    memory_free(node->text);
    memory_free(node->pairs);
    memory_free(node->items);
}

void yaml_destroy(struct yaml_file *file)
{
    if (file == NULL)
        return;
    node_fini(&file->root);
    memory_free(file->path);
    memory_free(file);
}

const struct yaml_node *yaml_find(const struct yaml_node *map, const char *name)
{
    for (uint32_t i = 0; map->kind == YAML_KIND_MAP && i < map->count; i++)
        if (strcmp(map->pairs[i].name, name) == 0)
            return &map->pairs[i].value;
    return NULL;
}

const char *yaml_kind_text(enum yaml_kind kind)
{
    static const char *const texts[] = {
        [YAML_KIND_NULL] = "nothing",    [YAML_KIND_BOOL] = "true or false",
        [YAML_KIND_INT] = "a number",    [YAML_KIND_FLOAT] = "a number",
        [YAML_KIND_STRING] = "a string", [YAML_KIND_LIST] = "a list",
        [YAML_KIND_MAP] = "a map",
    };
    return texts[kind];
}

strid_status yaml_refuse(const struct yaml_file *file, uint32_t line, uint32_t column,
                         strid_error *err, const char *format, ...)
{
    char message[STRID_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return error_set(err, STRID_ECONFIG, "config", "%s:%u:%u: %s", file->path, line, column,
                     message);
}

static strid_status refuse_at(const struct reader *reader, yaml_mark_t mark, const char *what)
{
    return yaml_refuse(reader->file, (uint32_t)mark.line + 1, (uint32_t)mark.column + 1,
                       reader->err, "%s", what);
}

/* Of bytes that are no text libyaml tells only how far into the file they are. */
static yaml_mark_t mark_of_byte(strid_bytes text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        bool ends = text.data[i] == '\n';
        mark.line += ends;
        mark.column = ends ? 0 : mark.column + ((text.data[i] & 0xC0u) != 0x80u);
    }
    return mark;
}

static strid_status next_event(struct reader *reader, yaml_event_t *event)
{
    const yaml_parser_t *parser = &reader->parser;
    if (yaml_parser_parse(&reader->parser, event) != 0)
        return STRID_OK;
    char what[200];
    const char *context = parser->context == NULL ? "" : parser->context;
    (void)snprintf(what, sizeof what, "not valid YAML: %s%s%s",
                   parser->problem == NULL ? "out of memory" : parser->problem,
                   *context == '\0' ? "" : " ", context);
    yaml_mark_t mark = parser->error == YAML_READER_ERROR
                           ? mark_of_byte(reader->text, parser->problem_offset)
                           : parser->problem_mark;
    return refuse_at(reader, mark, what);
}

static bool is_one_of(const char *text, const char *const *words)
{
    for (; *words != NULL; words++)
        if (strcmp(text, *words) == 0)
            return true;
    return false;
}

static bool is_based_int(const char *text)
{
    bool hex = strncmp(text, "0x", 2) == 0;
    bool octal = strncmp(text, "0o", 2) == 0;
    if ((!hex && !octal) || text[2] == '\0')
        return false;
    return text[2 + strspn(text + 2, hex ? "0123456789abcdefABCDEF" : "01234567")] == '\0';
}

/* The core schema: [-+]? ( . digits | digits ( . digits? )? ) ( e [-+]? digits )? */
static enum yaml_kind number_kind(const char *text)
{
    static const char digits[] = "0123456789";
    const char *at = text + (*text == '-' || *text == '+');
    size_t whole = strspn(at, digits);
    size_t fraction = 0;
    bool real = false;
    at += whole;
    if (*at == '.') {
        real = true;
        fraction = strspn(at + 1, digits);
        at += 1 + fraction;
    }
    if (whole + fraction == 0)
        return YAML_KIND_STRING;
    if (*at == 'e' || *at == 'E') {
        real = true;
        at += 1 + (at[1] == '-' || at[1] == '+');
        size_t exponent = strspn(at, digits);
        if (exponent == 0)
            return YAML_KIND_STRING;
        at += exponent;
    }
    if (*at != '\0')
        return YAML_KIND_STRING;
    return real ? YAML_KIND_FLOAT : YAML_KIND_INT;
}

static enum yaml_kind plain_kind(const char *text)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL", NULL};
    static const char *const bools[] = {"true", "True", "TRUE", "false", "False", "FALSE", NULL};
    static const char *const reals[] = {".inf",  ".Inf", ".INF", "-.inf", "-.Inf", "-.INF",
                                        "+.inf", ".nan", ".NaN", ".NAN",  NULL};
    if (is_one_of(text, nulls))
        return YAML_KIND_NULL;
    if (is_one_of(text, bools))
        return YAML_KIND_BOOL;
    if (is_one_of(text, reals))
        return YAML_KIND_FLOAT;
    return is_based_int(text) ? YAML_KIND_INT : number_kind(text);
}

/* The text of a scalar event. */
static strid_status scalar_text(struct reader *reader, const yaml_event_t *event, char **out)
{
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return refuse_at(reader, event->start_mark, "NUL characters are not supported");
    strid_error why = STRID_ERROR_INIT;
    if (substitute(text, out, &why) != STRID_OK)
        return refuse_at(reader, event->start_mark, why.message);
    return STRID_OK;
}

/* Anchors and tags make a file say something else than it shows. */
static strid_status check_plain(struct reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    if (event->type == YAML_ALIAS_EVENT)
        anchor = event->data.alias.anchor;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor != NULL)
        return refuse_at(reader, event->start_mark, "anchors and aliases are not supported");
    if (tag != NULL)
        return refuse_at(reader, event->start_mark, "tags are not supported");
    return STRID_OK;
}

static strid_status read_node(struct reader *reader, const yaml_event_t *event, uint32_t depth,
                              struct yaml_node *node);

static strid_status read_name(struct reader *reader, const yaml_event_t *event,
                              const struct yaml_node *map, struct yaml_pair *pair)
{
    if (event->type != YAML_SCALAR_EVENT)
        return refuse_at(reader, event->start_mark, "expected a key");
    const char *name = (const char *)event->data.scalar.value;
    if (strcmp(name, "<<") == 0)
        return refuse_at(reader, event->start_mark, "merge keys are not supported");
    if (*name == '\0' || strlen(name) != event->data.scalar.length)
        return refuse_at(reader, event->start_mark, "expected a key");
    for (uint32_t i = 0; i < map->count; i++)
        if (strcmp(map->pairs[i].name, name) == 0)
            return yaml_refuse(reader->file, (uint32_t)event->start_mark.line + 1,
                               (uint32_t)event->start_mark.column + 1, reader->err,
                               "the key \"%s\" is given twice, first in line %u", name,
                               map->pairs[i].line);
    pair->name = memory_copy_text(name);
    pair->line = (uint32_t)event->start_mark.line + 1;
    pair->column = (uint32_t)event->start_mark.column + 1;
    return STRID_OK;
}

static strid_status read_map(struct reader *reader, uint32_t depth, struct yaml_node *node)
{
    for (;;) {
        yaml_event_t event;
        STRID_TRY(next_event(reader, &event));
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return STRID_OK;
        }
        node->pairs = memory_resize(node->pairs, (node->count + 1) * sizeof *node->pairs);
        struct yaml_pair *pair = &node->pairs[node->count];
        *pair = (struct yaml_pair){.name = NULL};
        strid_status status = check_plain(reader, &event);
        if (status == STRID_OK)
            status = read_name(reader, &event, node, pair);
        node->count++;
        yaml_event_delete(&event);
        STRID_TRY(status);
        STRID_TRY(next_event(reader, &event));
        status = read_node(reader, &event, depth, &pair->value);
        yaml_event_delete(&event);
        STRID_TRY(status);
    }
}

static strid_status read_list(struct reader *reader, uint32_t depth, struct yaml_node *node)
{
    for (;;) {
        yaml_event_t event;
        STRID_TRY(next_event(reader, &event));
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return STRID_OK;
        }
        node->items = memory_resize(node->items, (node->count + 1) * sizeof *node->items);
        struct yaml_node *item = &node->items[node->count++];
        *item = (struct yaml_node){.text = NULL};
        strid_status status = read_node(reader, &event, depth, item);
        yaml_event_delete(&event);
        STRID_TRY(status);
    }
}

static strid_status read_node(struct reader *reader, const yaml_event_t *event, uint32_t depth,
                              struct yaml_node *node)
{
    node->line = (uint32_t)event->start_mark.line + 1;
    node->column = (uint32_t)event->start_mark.column + 1;
    STRID_TRY(check_plain(reader, event));
    if (++reader->nodes > NODES_MAX)
        return refuse_at(reader, event->start_mark, "more than 10000 values");
    if (event->type == YAML_SCALAR_EVENT) {
        STRID_TRY(scalar_text(reader, event, &node->text));
        bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
        node->kind = plain ? plain_kind(node->text) : YAML_KIND_STRING;
        return STRID_OK;
    }
    if (depth == DEPTH_MAX)
        return refuse_at(reader, event->start_mark, "nested deeper than 16 levels");
    bool map = event->type == YAML_MAPPING_START_EVENT;
    node->kind = map ? YAML_KIND_MAP : YAML_KIND_LIST;
    return map ? read_map(reader, depth + 1, node) : read_list(reader, depth + 1, node);
}

static strid_status read_stream(struct reader *reader)
{
    bool found = false;
    for (;;) {
        yaml_event_t event;
        strid_status status = STRID_OK;
        STRID_TRY(next_event(reader, &event));
        bool end = event.type == YAML_STREAM_END_EVENT;
        bool content = event.type != YAML_STREAM_START_EVENT &&
                       event.type != YAML_DOCUMENT_START_EVENT &&
                       event.type != YAML_DOCUMENT_END_EVENT && !end;
        if (event.type == YAML_DOCUMENT_START_EVENT && found)
            status = refuse_at(reader, event.start_mark, "a pipeline file holds one document");
        if (content) {
            found = true;
            status = read_node(reader, &event, 0, &reader->file->root);
        }
        yaml_event_delete(&event);
        STRID_TRY(status);
        if (end)
            return found ? STRID_OK
                         : yaml_refuse(reader->file, 1, 1, reader->err,
                                       "the file is empty, expected name, source and handlers");
    }
}

strid_status yaml_read(const char *path, struct yaml_file **out, strid_error *err)
{
    *out = NULL;
    FILE *input = fopen(path, "rbe");
    if (input == NULL)
        return error_set_errno(err, errno, "config", "the pipeline file %s cannot be opened", path);
    char *text = memory_alloc(FILE_BYTES_MAX + 1);
    size_t len = fread(text, 1, FILE_BYTES_MAX + 1, input);
    int why = ferror(input) != 0 ? errno : 0;
    (void)fclose(input);
    struct reader reader = {.file = memory_alloc_zeroed(sizeof *reader.file), .err = err};
    reader.file->path = memory_copy_text(path);
    strid_status status = STRID_OK;
    if (why != 0)
        status = error_set_errno(err, why, "config", "the pipeline file %s cannot be read", path);
    else if (len > FILE_BYTES_MAX)
        status = yaml_refuse(reader.file, 1, 1, err, "the file is larger than 1 MiB");
    else if (yaml_parser_initialize(&reader.parser) == 0)
        status = error_set(err, STRID_ENOMEM, "config", "out of memory");
    else {
        /* told the encoding, libyaml takes a byte order mark for text */
        size_t mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        reader.text = strid_bytes_of(text + mark, len - mark);
        yaml_parser_set_input_string(&reader.parser, reader.text.data, reader.text.len);
        yaml_parser_set_encoding(&reader.parser, YAML_UTF8_ENCODING);
        status = read_stream(&reader);
        yaml_parser_delete(&reader.parser);
    }
    memory_free(text);
    if (status != STRID_OK)
        yaml_destroy(reader.file);
    else
        *out = reader.file;
    return status;
}
