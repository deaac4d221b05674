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
#define STRID_SUBKEY_MAX 1024u                      /* bytes of one subkey */

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

/* Subkeys. A key of a store that was declared `ordered` has, beside its plain value, any number of
 * subkeys with a value each: 1 to STRID_SUBKEY_MAX bytes, in the order of unsigned bytes, a shorter
 * one before its extensions. What is said above of values goes for them as well; the bytes that a
 * function is given are copied. All functions: STRID_EUNSUPPORTED where the store is not ordered,
 * STRID_EINVAL for an empty subkey, STRID_ELIMIT for one or a value that is too long; nothing is
 * written then. */

/**
 * @brief Reads a subkey.
 * @param[out] value as of strid_state_get(); valid until the handler returns or writes the store.
 * @return the kind of the value, STRID_STATE_ABSENT where there is none (which includes subkeys
 * that cannot be, and stores that are not ordered).
 * Thread safety: the calling handler only.
 */
STRID_API strid_state_kind strid_state_get_sub(strid_context *ctx, strid_store store,
                                               strid_bytes subkey, strid_bytes *value);

/**
 * @brief Reads a 64-bit integer of a subkey.
 * @param fallback returned where strid_state_get_sub() gives none.
 * Thread safety: the calling handler only.
 */
STRID_API int64_t strid_state_get_sub_i64(strid_context *ctx, strid_store store, strid_bytes subkey,
                                          int64_t fallback);

/** @brief Writes bytes to a subkey. Thread safety: the calling handler only. */
STRID_API STRID_NODISCARD strid_status strid_state_put_sub(strid_context *ctx, strid_store store,
                                                           strid_bytes subkey, strid_bytes value);

/** @brief Writes a 64-bit integer to a subkey. Thread safety: the calling handler only. */
STRID_API STRID_NODISCARD strid_status strid_state_put_sub_i64(strid_context *ctx,
                                                               strid_store store,
                                                               strid_bytes subkey, int64_t value);

/** @brief Removes a subkey; no error where there is none. Thread safety: the calling handler only.
 */
STRID_API STRID_NODISCARD strid_status strid_state_delete_sub(strid_context *ctx, strid_store store,
                                                              strid_bytes subkey);

/* Returns false to end the scan. What it is given lives until it returns. */
typedef bool (*strid_state_scan_fn)(void *user, strid_bytes subkey, strid_state_kind kind,
                                    strid_bytes value);

/**
 * @brief Calls `fn` for the record key's subkeys from <= subkey < to, ascending.
 * @param from empty: from the first. @param to absent (data NULL): to the last.
 * @param fn may read and write state; what it writes is not seen by the scan under way.
 * @retval STRID_EUNSUPPORTED the store is not ordered. @retval STRID_ELIMIT a bound is longer than
 * STRID_SUBKEY_MAX. Other failures are the state store's: the run ends, nothing of the record
 * counts, and the handler had better return.
 * Thread safety: the calling handler only.
 */
STRID_API STRID_NODISCARD strid_status strid_state_scan(strid_context *ctx, strid_store store,
                                                        strid_bytes from, strid_bytes to,
                                                        strid_state_scan_fn fn, void *user);

STRID_END_DECLS

#endif
