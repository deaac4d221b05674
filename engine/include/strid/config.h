/* Option tables: one table describes what a component can be configured with, and is parser, check
 * and documentation. */
#ifndef STRID_CONFIG_H
#define STRID_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <strid/error.h>
#include <strid/export.h>

typedef enum strid_option_type {
    STRID_OPTION_STRING = 1, /* member: const char *, NULL where not given and without a fallback */
    STRID_OPTION_INT,        /* member: int64_t */
    STRID_OPTION_BOOL,       /* member: bool */
    STRID_OPTION_SIZE,       /* member: uint64_t, bytes; written as 64KiB, 1MB, 512 */
    STRID_OPTION_DURATION,   /* member: int64_t, milliseconds; written as 100ms, 30s, 5m, 1h, 7d */
    STRID_OPTION_FLOAT,      /* member: double, NaN where not given and without a fallback */
    STRID_OPTION_ENUM,       /* member: int32_t, the index of the word in `choices` */
    STRID_OPTION_PROPERTIES /* member: strid_property *, NULL where none is given; the option's name
                               is a prefix such as "kafka." of any number of names */
} strid_option_type;

#define STRID_OPTION_REQUIRED 1u
#define STRID_OPTION_SECRET 2u /* never printed */
#define STRID_OPTION_SCALAR 4u /* STRING: a number or true or false is taken as it is written */

/* A name and a value that are passed on as they are; a list in the order in which they were given.
 */
typedef struct strid_property {
    struct strid_property *next;
    char *name; /* without the prefix */
    char *value;
} strid_property;

typedef struct strid_option {
    const char *name; /* NULL ends a table */
    strid_option_type type;
    const char *fallback;       /* as a user would write it; NULL: zero, false, NaN or absent */
    int64_t min, max;           /* INT, SIZE, DURATION; both 0: unbounded */
    const char *const *choices; /* ENUM: words, NULL at the end */
    size_t offset;              /* of the member in the options struct */
    uint32_t flags;             /* STRID_OPTION_* */
    const char *doc;            /* one or two sentences, for docs/configuration.md */
    /** PROPERTIES: whether a property (its name without the prefix) can be passed on; the message
     * says why not. Any thread. NULL: any can. */
    strid_status (*check)(const char *name, const char *value, strid_error *err);
} strid_option;

/* What a connector is opened with. Everything lives until close() returned. */
typedef struct strid_connector_args {
    uint32_t struct_size;
    const char *scheme; /* the connector's name, for one that goes by several */
    const char *url;    /* as configured, without secrets; for messages */
    const char *target; /* what stands between "scheme:" and "?" */
    const void
        *options; /* the options struct that the connector's table describes, filled and checked */
    const char *pipeline;  /* name of the pipeline */
    const char *node;      /* name of the node */
    const void *log;       /* const struct log *, engine/base/log.h */
    uint64_t memory_bytes; /* a source's queues may take that much; 0: nothing is said */
    uint32_t readers;      /* partition p of a source is polled by thread p % readers; 0: unknown */
    bool keeps_state;      /* handlers keep state under this node's directory */
} strid_connector_args;

#endif
