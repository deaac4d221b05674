/* Which letters of a dead-letter queue were handed back or purged. A mark is a message in the same
 * queue, in the letter's partition, so that it outlives the letter: its last header is the letter's
 * id. Kept as hashes of 128 bits. @thread the owner @locks none */
#ifndef KAFKA_MARKS_H
#define KAFKA_MARKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>
#include <strid/bytes.h>
#include <strid/error.h>

/* The later one counts where a letter has several. */
enum kafka_mark_kind { KAFKA_MARK_NONE = 0, KAFKA_MARK_REPLAYED, KAFKA_MARK_PURGED };

/* What is known of a letter, and where the last message stands that says so. */
struct kafka_mark {
    enum kafka_mark_kind kind;
    uint32_t place; /* as kafka_marks_take was told */
    int64_t offset;
};

struct kafka_marks_slot;

/* Zero is empty. */
struct kafka_marks {
    struct kafka_marks_slot *slots;
    size_t slot_count, count;
};

void kafka_marks_fini(struct kafka_marks *marks);

/* *is_mark: the message is one, and is known from now on. `place` stands for its topic and
 * partition. STRID_ELIMIT: too many are. */
strid_status kafka_marks_take(struct kafka_marks *marks, const rd_kafka_message_t *message,
                              uint32_t place, bool *is_mark, strid_error *err);
/* As if the message stood there; not where too many are known. */
void kafka_marks_note(struct kafka_marks *marks, strid_bytes id, struct kafka_mark mark);
bool kafka_marks_is_one(const rd_kafka_message_t *message);
struct kafka_mark kafka_marks_find(const struct kafka_marks *marks, strid_bytes id);

/* The headers of the mark of a letter; rd_kafka_producev takes them where it succeeds. */
rd_kafka_headers_t *kafka_marks_headers(enum kafka_mark_kind kind, strid_bytes id);

#endif
