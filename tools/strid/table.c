#include "table.h"

#include "base/assert.h"
#include "output.h"

void table_init(struct table *table, const char *const *names)
{
    *table = (struct table){.columns = 0};
    while (names[table->columns] != NULL)
        table->columns++;
    STRID_ASSERT(table->columns > 0 && table->columns <= TABLE_COLUMNS_MAX);
    for (unsigned i = 0; i < table->columns; i++)
        table_put(table, names[i]);
}

/* Names are what others chose: nothing in them may move a terminal's cursor. */
void table_put(struct table *table, const char *text)
{
    unsigned *width = &table->widths[table->cells++ % table->columns];
    size_t begin = table->texts.len;
    for (const char *at = text; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7f)
            buffer_printf(&table->texts, "\\x%02x", (unsigned)(unsigned char)*at);
        else
            buffer_put_u8(&table->texts, (uint8_t)*at);
    }
    unsigned len = (unsigned)(table->texts.len - begin);
    buffer_put_u8(&table->texts, 0);
    if (len > *width)
        *width = len;
}

void table_print(struct table *table)
{
    const char *text = (const char *)table->texts.data;
    for (size_t i = 0; i < table->cells; i++, text += strlen(text) + 1) {
        unsigned column = (unsigned)(i % table->columns);
        bool last = column + 1 == table->columns;
        buffer_printf(&output_buffer, "%-*s", last ? 0 : (int)table->widths[column] + 2, text);
        if (last)
            output_line();
    }
    buffer_fini(&table->texts);
    *table = (struct table){.columns = 0};
}
