/* The reading half of json.h. simdjson's DOM parser checks the whole document; what is looked up is
 * then cut out of the source text along the structural indexes that its first stage left behind,
 * so that nothing is copied and numbers keep the text they were written with.
 * @thread the parser's owner */
#define SIMDJSON_EXCEPTIONS 0

#include <strid/record.h>

extern "C" {
#include "assert.h"
#include "buffer.h"
#include "json.h"
#include "json_number.h"
}

#include <simdjson.h>

#include <charconv>
#include <cstring>
#include <new>

namespace
{

enum { DEPTH_MAX = 64, CAPACITY_MIN = 4096, NAMES_MAX = 80 };

struct view {
    const uint8_t *data;
    size_t len;
};

/* A plain name to look for. `head` holds its first bytes and, where there is room, the quote behind
 * it, `mask` covers those: most names of a document are told apart by one comparison of a word. */
struct wanted {
    view name;
    uint32_t index; /* of its field */
    uint64_t head, mask;
};

} // namespace

struct json_parser {
    simdjson::dom::parser dom;
    buffer padded;  /* copies of documents without padding, and of those with huge numbers */
    buffer strings; /* unescaped strings of the last document */
    const char *const *names; /* what is looked for: the plain ones are also in `plain` */
    uint32_t count, plain_count;
    wanted plain[NAMES_MAX];
};

namespace
{

/* The tokens of a document that was found valid. Token n begins at text[starts[n]]; strings and
 * plain values are one token each; one more start at the end of the document closes the list. */
struct tokens {
    const uint8_t *text;
    const uint32_t *starts;
    json_parser *parser;
    bool escapes; /* there is a backslash somewhere */
};

bool is_space(uint8_t c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool is_digit(uint8_t c) { return c >= '0' && c <= '9'; }

uint8_t token_first(const tokens &tokens, size_t at) { return tokens.text[tokens.starts[at]]; }

bool token_opens(const tokens &tokens, size_t at)
{
    return token_first(tokens, at) == '{' || token_first(tokens, at) == '[';
}

/* The token behind the value that begins with token `at`. */
size_t token_skip_value(const tokens &tokens, size_t at)
{
    size_t depth = 0;
    do {
        uint8_t first = token_first(tokens, at++);
        if (first == '{' || first == '[')
            depth++;
        else if (first == '}' || first == ']')
            depth--;
    } while (depth > 0);
    return at;
}

/* The source text of the value that begins with token `at`. */
view token_value(const tokens &tokens, size_t at)
{
    size_t begin = tokens.starts[at];
    size_t next = token_skip_value(tokens, at);
    size_t end = token_opens(tokens, at) ? tokens.starts[next - 1] + 1 : tokens.starts[next];
    while (is_space(tokens.text[end - 1]))
        end--;
    return {tokens.text + begin, end - begin};
}

unsigned hex4(const uint8_t *at)
{
    unsigned value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = at[i];
        value = value * 16 + unsigned(is_digit(c) ? c - '0' : (c | 32) - 'a' + 10);
    }
    return value;
}

void put_utf8(buffer *out, unsigned code)
{
    if (code < 0x80) {
        buffer_put_u8(out, uint8_t(code));
    } else if (code < 0x800) {
        buffer_put_u8(out, uint8_t(0xc0 | code >> 6));
        buffer_put_u8(out, uint8_t(0x80 | (code & 63)));
    } else if (code < 0x10000) {
        buffer_put_u8(out, uint8_t(0xe0 | code >> 12));
        buffer_put_u8(out, uint8_t(0x80 | (code >> 6 & 63)));
        buffer_put_u8(out, uint8_t(0x80 | (code & 63)));
    } else {
        buffer_put_u8(out, uint8_t(0xf0 | code >> 18));
        buffer_put_u8(out, uint8_t(0x80 | (code >> 12 & 63)));
        buffer_put_u8(out, uint8_t(0x80 | (code >> 6 & 63)));
        buffer_put_u8(out, uint8_t(0x80 | (code & 63)));
    }
}

/* Unescapes "\uXXXX" at `at`, which points to the 'u'; returns what follows, or NULL for half of a
 * surrogate pair, which stands for no character. */
const uint8_t *unescape_code(buffer *out, const uint8_t *at, const uint8_t *end)
{
    unsigned code = hex4(at + 1);
    at += 5;
    if (code >= 0xd800 && code < 0xe000) {
        if (code >= 0xdc00 || end - at < 6 || at[0] != '\\' || at[1] != 'u')
            return nullptr;
        unsigned low = hex4(at + 2);
        if (low < 0xdc00 || low >= 0xe000)
            return nullptr;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        at += 6;
    }
    put_utf8(out, code);
    return at;
}

/* The string within the quotes of `raw`; unescaped into the parser's strings where it has escapes,
 * which may move them: json_extract sees to that. */
bool string_text(const tokens &tokens, view raw, view *out)
{
    view inner = {raw.data + 1, raw.len - 2};
    *out = inner;
    if (!tokens.escapes || inner.len == 0 || memchr(inner.data, '\\', inner.len) == nullptr)
        return true;
    static const char escapes[] = "b\bf\fn\nr\rt\t\"\"\\\\//";
    buffer *strings = &tokens.parser->strings;
    size_t begin = strings->len;
    const uint8_t *end = inner.data + inner.len;
    for (const uint8_t *at = inner.data; at < end;) {
        if (*at != '\\') {
            buffer_put_u8(strings, *at++);
            continue;
        }
        at++;
        if (*at == 'u') {
            at = unescape_code(strings, at, end);
            if (at == nullptr)
                return false;
            continue;
        }
        const char *found = strchr(escapes, *at);
        STRID_ASSERT(found != nullptr);
        buffer_put_u8(strings, uint8_t(found[1]));
        at++;
    }
    *out = {strings->data + begin, strings->len - begin};
    return true;
}

bool set_field(const tokens &tokens, size_t at, strid_field *field)
{
    view raw = token_value(tokens, at);
    view text = raw;
    switch (raw.data[0]) {
    case '"':
        field->kind = STRID_FIELD_STRING;
        if (!string_text(tokens, raw, &text))
            return false;
        break;
    case '{':
    case '[':
        field->kind = STRID_FIELD_OTHER;
        break;
    case 't':
    case 'f':
        field->kind = STRID_FIELD_BOOL;
        break;
    case 'n':
        field->kind = STRID_FIELD_NULL;
        break;
    default:
        json_number_set(strid_bytes_of(raw.data, raw.len), field);
        return true;
    }
    field->text = strid_bytes_of(text.data, text.len);
    return true;
}

/* One reference token of a JSON Pointer against a member's name: ~1 is '/', ~0 is '~'. */
bool pointer_token_is(view token, view name)
{
    size_t n = 0;
    for (size_t i = 0; i < token.len; i++, n++) {
        uint8_t c = token.data[i];
        if (c == '~' && i + 1 < token.len)
            c = token.data[++i] == '1' ? '/' : '~';
        if (n >= name.len || name.data[n] != c)
            return false;
    }
    return n == name.len;
}

bool array_index(view token, size_t *out)
{
    const char *begin = reinterpret_cast<const char *>(token.data);
    auto parsed = std::from_chars(begin, begin + token.len, *out);
    bool leading_zero = token.len > 1 && token.data[0] == '0';
    return parsed.ec == std::errc() && parsed.ptr == begin + token.len && !leading_zero;
}

/* The value of the member or element that `token` names in the value at `at`; 0: none. */
size_t pointer_step(const tokens &tokens, size_t at, view token)
{
    bool object = token_first(tokens, at) == '{';
    size_t index = 0;
    if (!token_opens(tokens, at) || (!object && !array_index(token, &index)))
        return 0;
    at++;
    uint8_t first = token_first(tokens, at);
    if (first == '}' || first == ']')
        return 0;
    for (size_t n = 0;; n++) {
        view name = {};
        size_t value = object ? at + 2 : at;
        if (object && string_text(tokens, token_value(tokens, at), &name) &&
            pointer_token_is(token, name))
            return value;
        if (!object && n == index)
            return value;
        at = token_skip_value(tokens, value);
        if (token_first(tokens, at) != ',')
            return 0;
        at++;
    }
}

bool extract_pointer(const tokens &tokens, const char *pointer, strid_field *field)
{
    size_t at = 0;
    while (*pointer == '/') {
        const char *begin = pointer + 1;
        pointer = strchrnul(begin, '/');
        at = pointer_step(tokens, at,
                          {reinterpret_cast<const uint8_t *>(begin), size_t(pointer - begin)});
        if (at == 0)
            return true;
    }
    return set_field(tokens, at, field);
}

/* The name of the member at `at` as it is written, without its quotes. */
view member_name(const tokens &tokens, size_t at)
{
    size_t begin = tokens.starts[at] + 1, close = tokens.starts[at + 1] - 1;
    while (tokens.text[close] != '"')
        close--;
    return {tokens.text + begin, close - begin};
}

bool same_name(view a, view b) { return a.len == b.len && memcmp(a.data, b.data, a.len) == 0; }

/* What is not found yet of the plain names. */
struct search {
    strid_field *fields;
    uint32_t missing;
    uint64_t found[NAMES_MAX / 64 + 1]; /* a bit for each name */
};

/* Takes the value of the member at `at` for each name that it has and that is still missing. Apart
 * from the loop over the members, most of which nobody asked for, so that the loop stays small. */
__attribute__((noinline)) bool take_member(const tokens &tokens, size_t at, search *search)
{
    view name = member_name(tokens, at);
    if (tokens.escapes && !string_text(tokens, {name.data - 1, name.len + 2}, &name))
        return false;
    for (uint32_t i = 0; i < tokens.parser->plain_count; i++) {
        const wanted &wanted = tokens.parser->plain[i];
        uint64_t bit = uint64_t(1) << i % 64;
        if ((search->found[i / 64] & bit) != 0 || !same_name(wanted.name, name))
            continue;
        if (!set_field(tokens, at + 2, &search->fields[wanted.index]))
            return false;
        search->found[i / 64] |= bit;
        search->missing--;
    }
    return true;
}

/* One pass over the members of the top-level object; ends when all plain names were found. */
bool extract_members(const tokens &tokens, strid_field *fields)
{
    const wanted *plain = tokens.parser->plain;
    const wanted *plain_end = plain + tokens.parser->plain_count;
    const uint8_t *text = tokens.text;
    const uint32_t *starts = tokens.starts;
    search search = {fields, tokens.parser->plain_count, {}};
    if (text[starts[1]] == '}')
        return true;
    for (size_t at = 1; search.missing > 0;) {
        uint64_t word; /* may reach into the padding */
        memcpy(&word, text + starts[at] + 1, sizeof word);
        bool may_be = tokens.escapes;
        for (const wanted *wanted = plain; wanted < plain_end; wanted++)
            may_be |= ((word ^ wanted->head) & wanted->mask) == 0;
        if (may_be && !take_member(tokens, at, &search))
            return false;
        uint8_t first = text[starts[at + 2]];
        at = first == '{' || first == '[' ? token_skip_value(tokens, at + 2) : at + 3;
        if (text[starts[at++]] != ',')
            break;
    }
    return true;
}

/* True where all that is found could be read. */
bool extract(const tokens &tokens, strid_field *fields)
{
    const json_parser *parser = tokens.parser;
    for (uint32_t i = 0; i < parser->count; i++)
        fields[i] = strid_field{};
    if (!extract_members(tokens, fields))
        return false;
    if (parser->plain_count == parser->count)
        return true;
    for (uint32_t i = 0; i < parser->count; i++)
        if (parser->names[i][0] == '/' && !extract_pointer(tokens, parser->names[i], &fields[i]))
            return false;
    return true;
}

simdjson::error_code parse(json_parser *parser, const uint8_t *text, size_t len)
{
    if (parser->dom.capacity() < len || parser->dom.capacity() == 0) {
        size_t capacity = CAPACITY_MIN;
        while (capacity < len)
            capacity *= 2;
        if (parser->dom.allocate(capacity, DEPTH_MAX + 1) != simdjson::SUCCESS)
            return simdjson::MEMALLOC;
    }
    return parser->dom.parse(text, len, false).error();
}

uint8_t *copy_padded(json_parser *parser, const uint8_t *text, size_t len)
{
    buffer_clear(&parser->padded);
    uint8_t *to = buffer_reserve(&parser->padded, len + JSON_PADDING);
    if (len > 0)
        memmove(to, text, len); /* from itself, where a validated copy has huge numbers */
    memset(to + len, 0, JSON_PADDING);
    return to;
}

/* simdjson refuses numbers that fit neither 64 bits nor a double, JSON does not. Parses a copy in
 * which every number is 0, so that all else is checked and the tokens begin where they did. */
simdjson::error_code parse_huge_numbers(json_parser *parser, const uint8_t *text, size_t len)
{
    auto &stage = *parser->dom.implementation;
    uint8_t *copy = copy_padded(parser, text, len);
    for (uint32_t i = 0; i < stage.n_structural_indexes; i++) {
        size_t begin = stage.structural_indexes[i];
        size_t end = i + 1 < stage.n_structural_indexes ? stage.structural_indexes[i + 1] : len;
        if (copy[begin] != '-' && !is_digit(copy[begin]))
            continue;
        while (end > begin && is_space(copy[end - 1]))
            end--;
        if (!json_number_is_valid(strid_bytes_of(copy + begin, end - begin)))
            return simdjson::NUMBER_ERROR;
        memset(copy + begin, ' ', end - begin);
        copy[begin] = '0';
    }
    return parse(parser, copy, len);
}

const char *parse_whole(json_parser *parser, const uint8_t *text, size_t len)
{
    simdjson::error_code code = parse(parser, text, len);
    if (code == simdjson::NUMBER_ERROR)
        code = parse_huge_numbers(parser, text, len);
    if (__builtin_expect(code == simdjson::SUCCESS, 1))
        return nullptr;
    STRID_ASSERT(code != simdjson::MEMALLOC);
    if (!json_utf8_is_valid(strid_bytes_of(text, len)))
        return "not_utf8";
    return code == simdjson::DEPTH_ERROR ? "too_deep" : "not_json";
}

} // namespace

extern "C" struct json_parser *json_parser_create(void)
{
    static_assert(JSON_PADDING >= simdjson::SIMDJSON_PADDING, "the padding simdjson reads");
    json_parser *parser = new (std::nothrow) json_parser();
    STRID_ASSERT(parser != nullptr);
    return parser;
}

extern "C" void json_parser_destroy(struct json_parser *parser)
{
    if (parser == nullptr)
        return;
    buffer_fini(&parser->padded);
    buffer_fini(&parser->strings);
    delete parser;
}

extern "C" void json_prepare(struct json_parser *parser, const char *const *names, uint32_t count)
{
    STRID_ASSERT(count <= NAMES_MAX);
    parser->names = names;
    parser->count = count;
    parser->plain_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (names[i][0] == '/')
            continue;
        wanted &wanted = parser->plain[parser->plain_count++];
        size_t len = strlen(names[i]);
        wanted = {{reinterpret_cast<const uint8_t *>(names[i]), len}, i, 0, 0};
        uint8_t quoted[sizeof wanted.head] = {};
        memcpy(quoted, names[i], len < sizeof quoted ? len : sizeof quoted);
        if (len < sizeof quoted)
            quoted[len] = '"';
        memcpy(&wanted.head, quoted, sizeof quoted);
        size_t covered = len < sizeof quoted ? len + 1 : sizeof quoted;
        memset(&wanted.mask, 0xff, covered);
    }
}

extern "C" const char *json_extract(struct json_parser *parser, strid_bytes document,
                                    const char *const *names, uint32_t count, strid_field *fields)
{
    json_prepare(parser, names, count);
    return json_extract_prepared(parser, document, fields);
}

extern "C" const char *json_extract_prepared(struct json_parser *parser, strid_bytes document,
                                             strid_field *fields)
{
    const char *fault = parse_whole(parser, document.data, document.len);
    if (fault != nullptr)
        return fault;
    tokens tokens = {document.data, parser->dom.implementation->structural_indexes.get(), parser,
                     memchr(document.data, '\\', document.len) != nullptr};
    if (token_first(tokens, 0) != '{')
        return "not_object";
    const uint8_t *strings = nullptr;
    bool ok = false;
    do { /* again where the buffer moved under the strings found so far; then it has the room */
        strings = parser->strings.data;
        buffer_clear(&parser->strings);
        ok = extract(tokens, fields);
    } while (strings != parser->strings.data);
    return ok ? nullptr : "not_json";
}

extern "C" const char *json_validate(struct json_parser *parser, strid_bytes document)
{
    return parse_whole(parser, copy_padded(parser, document.data, document.len), document.len);
}

extern "C" bool json_utf8_is_valid(strid_bytes text)
{
    return text.len == 0 ||
           simdjson::validate_utf8(reinterpret_cast<const char *>(text.data), text.len);
}
