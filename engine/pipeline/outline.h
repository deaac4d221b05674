/* What of a definition decides which state a record meets: where its key comes from, and which
 * handlers there are. It is kept in the state directory as text, so that a run with another one is
 * told: state does not follow when these change. @thread control */
#ifndef PIPELINE_OUTLINE_H
#define PIPELINE_OUTLINE_H

#include "base/buffer.h"
#include "base/log.h"
#include "definition.h"

/* One line "key FIELD" ("key" alone: the one that the source gives), then one for each handler,
 * "on GLOB: NAME", in their order. Ends in a 0 byte. */
void outline_write(const struct definition *definition, struct buffer *out);

/* Whether a record's key is another one, and what it is, for people ("field "customer""). */
bool outline_has_other_key(const char *before, const char *now);
void outline_put_key(const char *outline, struct buffer *out);

/* Says what of `now` was otherwise in `before`, as outline_write() made them; `state` names whose
 * outlines they are. Nothing where they are the same. */
void outline_tell(const struct log *log, const char *state, const char *before, const char *now);

#endif
