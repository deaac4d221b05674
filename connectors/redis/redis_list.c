#include "redis_list.h"

#include "redis_command.h"
#include "redis_reply.h"

enum { WORDS = 6 };

/* KEYS: the list. ARGV: what is pushed; milliseconds. A refusal of the push is the answer as it is,
 * which servers before 7.0 would wrap into another text. */
static const char script[] = "local pushed = redis.pcall('RPUSH', KEYS[1], ARGV[1])\n"
                             "if type(pushed) == 'number' then\n"
                             "  redis.call('PEXPIRE', KEYS[1], ARGV[2])\n"
                             "end\n"
                             "return pushed\n";

bool redis_list_is_addressed(const strid_output *output) { return output->key.len > 0; }

void redis_list_put(struct buffer *out, const char *prefix,
                    const struct redis_sink_options *options, const strid_output *output)
{
    struct buffer name = {0};
    buffer_put_text(&name, prefix);
    buffer_put_bytes(&name, output->key);
    redis_command_begin(out, WORDS);
    redis_command_text(out, "EVAL");
    redis_command_text(out, script);
    redis_command_number(out, 1);
    redis_command_word(out, buffer_bytes(&name));
    redis_command_word(out, output->value);
    redis_command_number(out, (uint64_t)options->ttl_ms);
    buffer_fini(&name);
}

bool redis_list_is_refused(const struct redisReply *reply)
{
    return redis_reply_is_error(reply, "WRONGTYPE");
}
