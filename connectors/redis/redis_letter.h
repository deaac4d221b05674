/* An entry of a dead-letter stream read back: our own, and those that PSPF and
 * RobustStreamProcessor write. One thread. */
#ifndef REDIS_LETTER_H
#define REDIS_LETTER_H

#include <strid/sink.h>

#include "base/buffer.h"

struct redisReply;
struct redis_letter_form;

/* Memory that is used again for each entry. Zero is empty. */
struct redis_letter {
    struct buffer text;  /* C strings, and the id of an entry without one */
    struct buffer value; /* JSON of the fields of an entry that is not ours */
    strid_header *headers;
    uint32_t header_capacity;
    const struct redis_letter_form *form;
    strid_dead_letter letter;
    strid_output output;
};

void redis_letter_fini(struct redis_letter *letter);

/* Fills letter->output from one entry of XRANGE; it lives as long as the reply and until the next
 * call. False: the entry is no dead letter. */
bool redis_letter_parse(struct redis_letter *letter, const struct redisReply *entry);

/* Of the letter that was parsed last: whether strid wrote it; where another system did, whether a
 * field is the record's. */
bool redis_letter_is_own(const struct redis_letter *letter);
bool redis_letter_is_of_record(const struct redis_letter *letter, strid_bytes name);

#endif
