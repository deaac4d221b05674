/* JSON: parsing by simdjson behind an extern "C" shim (no exception crosses it), writing by a small
 * writer of our own. A parser belongs to one thread. */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <strid/record.h>
#include <strid/status.h>

#include "buffer.h"

#define JSON_PADDING 64 /* bytes behind a document that have to be readable */

#ifdef __cplusplus
extern "C" {
#endif

struct json_parser;

struct json_parser *json_parser_create(void);
void json_parser_destroy(struct json_parser *parser);

/* Parses one document, whole and strictly (UTF-8, depth at most 64), and looks up `names`: a plain
 * name is a member of the top-level object, a name that begins with '/' a JSON Pointer; the first
 * of duplicate members wins. `document` is not changed; JSON_PADDING bytes behind it have to be
 * readable. fields[i].text lives until the next call with this parser, or until `document` goes
 * away. Returns NULL, or why it is unreadable: "not_json", "not_utf8", "too_deep",
 * "not_object". */
const char *json_extract(struct json_parser *parser, strid_bytes document, const char *const *names,
                         uint32_t count, strid_field *fields);

/* The same in two steps, for looking up the same names in many documents. `names` has to live until
 * others are prepared or looked up. */
void json_prepare(struct json_parser *parser, const char *const *names, uint32_t count);
const char *json_extract_prepared(struct json_parser *parser, strid_bytes document,
                                  strid_field *fields);

/* NULL where `document` is one valid JSON value, else the reason as above. No padding needed. */
const char *json_validate(struct json_parser *parser, strid_bytes document);

/* Reads a number written as JSON writes them into `field` (kind, text, integer, real), whatever the
 * locale; one too large for a double is infinite. False: not a number. */
bool json_parse_number(strid_bytes text, strid_field *field);

/* Appends `document`, which is valid JSON, without insignificant white space (so without newlines).
 */
void json_put_minified(struct buffer *out, strid_bytes document);

/* Appends a quoted, escaped JSON string; `text` has to be UTF-8. */
void json_put_string(struct buffer *out, strid_bytes text);
void json_put_text(struct buffer *out, const char *text);
/* Appends "name": "..." where `bytes` is UTF-8, else "name_base64": "...". */
void json_put_member_bytes(struct buffer *out, const char *name, strid_bytes bytes);
void json_put_i64(struct buffer *out, int64_t value);
void json_put_f64(struct buffer *out,
                  double value); /* the shortest text that reads back the same; null for NaN, inf */

bool json_utf8_is_valid(strid_bytes text);
void json_put_base64(struct buffer *out, strid_bytes bytes);
/* Appends the decoded bytes; false where `text` is no base64. */
bool json_base64_decode(struct buffer *out, strid_bytes text);

#ifdef __cplusplus
}
#endif

#endif
