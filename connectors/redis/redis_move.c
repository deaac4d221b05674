#include "redis_move.h"

#include "redis_command.h"
#include "redis_id.h"

enum {
    FIXED_WORDS = 8, /* EVAL, the script, how many keys, both streams, group, consumer, the ID */
    WORDS_MAX = 4000 /* what a script of the server takes apart at once, with room */
};

/* KEYS: the stream of the entry, the queue. ARGV: the group, the consumer, the entry's ID, what
 * XADD has behind the name. What may fail, a missing right included, fails before anything has
 * changed: an ID of 0-0 is never pending. A list that is empty has no `err`.
 *
 * That an entry is not pending says that it is settled only where the group is the one that gave
 * it: the one that holds the consumer's mark, and the mark is not of a loss at or behind the entry.
 * IDs have 64 bits twice, numbers of Lua 53: they are compared as texts. */
static const char script[] =
    "local function parts(id) return {string.match(id, '^(%d+)-(%d+)$')} end\n"
    "local function is_behind(a, b)\n"
    "  for i = 1, 2 do\n"
    "    if #a[i] ~= #b[i] then return #a[i] > #b[i] end\n"
    "    if a[i] ~= b[i] then return a[i] > b[i] end\n"
    "  end\n"
    "  return false\n"
    "end\n"
    "local function is_of_this_group()\n"
    "  if ARGV[2] == '' then return true end\n"
    "  local mark = ARGV[2] .. ':mark'\n"
    "  for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do\n"
    "    local name = consumer[2]\n"
    "    if name == mark then return true end\n"
    "    if string.sub(name, 1, #mark + 1) == mark .. ':' then\n"
    "      local lost = parts(string.sub(name, #mark + 2))\n"
    "      if #lost == 2 then return is_behind(parts(ARGV[3]), lost) end\n"
    "    end\n"
    "  end\n"
    "  return false\n"
    "end\n"
    "local pending = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)\n"
    "if pending.err and not string.find(pending.err, 'NOGROUP', 1, true) then\n"
    "  return pending\n"
    "end\n"
    "if not pending.err then\n"
    "  local mine = #pending == 1 and (ARGV[2] == '' or pending[1][2] == ARGV[2])\n"
    "  if not mine and #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) > 0 and\n"
    "    (#pending == 1 or is_of_this_group()) then\n"
    "    return #pending\n"
    "  end\n"
    "  redis.call('XACK', KEYS[1], ARGV[1], '0-0')\n"
    "end\n"
    "local id = redis.call('XADD', KEYS[2], unpack(ARGV, 4))\n"
    "if not pending.err then redis.call('XACK', KEYS[1], ARGV[1], ARGV[3]) end\n"
    "return id\n";

bool redis_move_has_room(uint32_t words) { return words <= WORDS_MAX; }

void redis_move_begin(struct buffer *out, const char *queue, const char *group,
                      const strid_dead_letter *letter, uint32_t words)
{
    char id[REDIS_ID_MAX];
    redis_command_begin(out, FIXED_WORDS + words);
    redis_command_text(out, "EVAL");
    redis_command_text(out, script);
    redis_command_number(out, 2);
    redis_command_word(out, letter->topic);
    redis_command_text(out, queue);
    redis_command_text(out, group);
    redis_command_word(out, letter->fingerprint);
    const size_t len = redis_id_format(letter->position, id);
    redis_command_word(out, strid_bytes_of(id, len));
}
