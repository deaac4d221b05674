/* Rows of text in columns as wide as they have to be. One thread. */
#ifndef TABLE_H
#define TABLE_H

#include "base/buffer.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    unsigned columns;
    struct buffer texts; /* of all cells, each with its terminator */
    unsigned widths[TABLE_COLUMNS_MAX];
    size_t cells;
};

/* NULL ends the names of the columns. */
void table_init(struct table *table, const char *const *names);
/* The next cell, row by row. */
void table_put(struct table *table, const char *text);
/* Into output_buffer; the table is empty then. */
void table_print(struct table *table);

#endif
