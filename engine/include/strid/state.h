/* Per-key state as a handler sees it. State is addressed by (store, record key); a handler reaches
 * only the key of the record it was called with. Reads see what the same call wrote. What a call
 * wrote takes effect when every handler of the record said STRID_DONE, in one atomic step with the
 * record's progress; otherwise it is dropped.
 *
 * Records without a key share the state of their partition's own key (the empty key of that
 * partition). */
#ifndef STRID_STATE_H
#define STRID_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include <strid/bytes.h>
#include <strid/export.h>
#include <strid/status.h>

STRID_BEGIN_DECLS

typedef struct strid_context strid_context;

typedef uint32_t strid_store; /* a named store, from strid_pipeline_add_store(); 0 is no store */

#define STRID_STATE_VALUE_MAX (64u * 1024u * 1024u) /* bytes of one value */

/**
 * @brief Reads a 64-bit integer.
 * @param fallback returned where the key is absent or holds something that is not an integer.
 * Thread safety: the calling handler only.
 */
STRID_API int64_t strid_state_get_i64(strid_context *ctx, strid_store store, int64_t fallback);

/** @brief Writes a 64-bit integer. Thread safety: the calling handler only. */
STRID_API void strid_state_put_i64(strid_context *ctx, strid_store store, int64_t value);

/**
 * @brief Reads a double.
 * @param fallback returned where the key is absent or holds bytes; an integer is converted.
 * Thread safety: the calling handler only.
 */
STRID_API double strid_state_get_f64(strid_context *ctx, strid_store store, double fallback);

/** @brief Writes a double. Thread safety: the calling handler only. */
STRID_API void strid_state_put_f64(strid_context *ctx, strid_store store, double value);

typedef enum strid_state_kind {
    STRID_STATE_ABSENT = 0,
    STRID_STATE_BYTES,
    STRID_STATE_I64,
    STRID_STATE_F64
} strid_state_kind;

/**
 * @brief Reads whatever the key holds.
 * @param[out] value bytes: the value; integer or double: its 8 bytes in host order. Valid until the
 * handler returns or writes the same store. Untouched when absent.
 * @return the kind of the value, STRID_STATE_ABSENT where there is none.
 * Thread safety: the calling handler only.
 */
STRID_API strid_state_kind strid_state_get(strid_context *ctx, strid_store store,
                                           strid_bytes *value);

/**
 * @brief Writes bytes, which are copied.
 * @retval STRID_ELIMIT the value is longer than STRID_STATE_VALUE_MAX; nothing was written.
 * Thread safety: the calling handler only.
 */
STRID_API STRID_NODISCARD strid_status strid_state_put(strid_context *ctx, strid_store store,
                                                       strid_bytes value);

/** @brief Removes the key's value; no error where there is none. Thread safety: the calling handler
 * only. */
STRID_API void strid_state_delete(strid_context *ctx, strid_store store);

STRID_END_DECLS

#endif
