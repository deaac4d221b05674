#include "simdjson_loop.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <new>
#include <string_view>

#include <simdjson.h>

namespace
{

/* What is taken out of a line has to be used, or the compiler drops the work. */
std::atomic<uint64_t> kept;

constexpr size_t batch_bytes = size_t{1} << 20;

void keep(uint64_t &hash, std::string_view value)
{
    hash = hash * 31 + value.size() + static_cast<unsigned char>(value.front());
}

} // namespace

struct simdjson_text {
    simdjson::padded_string all;
    simdjson::padded_string whole; /* without the broken lines */
};

namespace
{

template <typename Line> void each_line(const simdjson::padded_string &text, Line line)
{
    const char *at = text.data();
    const char *end = at + text.size();
    while (at < end) {
        const void *found = std::memchr(at, '\n', static_cast<size_t>(end - at));
        const char *stop = found == nullptr ? end : static_cast<const char *>(found);
        line(at, static_cast<size_t>(stop - at));
        at = stop + 1;
    }
}

uint64_t dom_lines(const simdjson_text &text, std::string_view name)
{
    simdjson::dom::parser parser;
    uint64_t good = 0;
    uint64_t hash = 0;
    each_line(text.all, [&](const char *line, size_t len) {
        simdjson::dom::element document;
        std::string_view value;
        if (parser.parse(line, len, false).get(document) != simdjson::SUCCESS ||
            document[name].get(value) != simdjson::SUCCESS || value.empty())
            return;
        keep(hash, value);
        good++;
    });
    kept = hash;
    return good;
}

uint64_t ondemand_lines(const simdjson_text &text, std::string_view name)
{
    simdjson::ondemand::parser parser;
    uint64_t good = 0;
    uint64_t hash = 0;
    each_line(text.all, [&](const char *line, size_t len) {
        simdjson::ondemand::document document;
        std::string_view value;
        simdjson::padded_string_view view(line, len, len + simdjson::SIMDJSON_PADDING);
        if (parser.iterate(view).get(document) != simdjson::SUCCESS ||
            document.find_field(name).get(value) != simdjson::SUCCESS || value.empty())
            return;
        keep(hash, value);
        good++;
    });
    kept = hash;
    return good;
}

uint64_t dom_many(const simdjson_text &text, std::string_view name)
{
    simdjson::dom::parser parser;
    simdjson::dom::document_stream stream;
    uint64_t good = 0;
    uint64_t hash = 0;
    if (parser.parse_many(text.whole, batch_bytes).get(stream) != simdjson::SUCCESS)
        return 0;
    for (auto document : stream) {
        std::string_view value;
        if (document[name].get(value) != simdjson::SUCCESS || value.empty())
            continue;
        keep(hash, value);
        good++;
    }
    kept = hash;
    return good;
}

uint64_t ondemand_many(const simdjson_text &text, std::string_view name)
{
    simdjson::ondemand::parser parser;
    simdjson::ondemand::document_stream stream;
    uint64_t good = 0;
    uint64_t hash = 0;
    if (parser.iterate_many(text.whole, batch_bytes).get(stream) != simdjson::SUCCESS)
        return 0;
    for (auto document : stream) {
        std::string_view value;
        if (document.find_field(name).get(value) != simdjson::SUCCESS || value.empty())
            continue;
        keep(hash, value);
        good++;
    }
    kept = hash;
    return good;
}

simdjson::padded_string whole_lines(const simdjson::padded_string &all)
{
    simdjson::padded_string whole(all.size());
    simdjson::dom::parser parser;
    char *to = whole.data();
    each_line(all, [&](const char *line, size_t len) {
        if (parser.parse(line, len, false).error() != simdjson::SUCCESS)
            return;
        std::memcpy(to, line, len);
        to[len] = '\n';
        to += len + 1;
    });
    /* What is left over becomes white space, which a stream of documents may end in. */
    std::memset(to, ' ', static_cast<size_t>(whole.data() + whole.size() - to));
    return whole;
}

} // namespace

struct simdjson_text *simdjson_text_load(const char *path)
{
    auto *text = new (std::nothrow) simdjson_text;
    if (text == nullptr ||
        simdjson::padded_string::load(path).get(text->all) != simdjson::SUCCESS) {
        std::fprintf(stderr, "strid-bench: %s: cannot be read\n", path);
        delete text;
        return nullptr;
    }
    text->whole = whole_lines(text->all);
    return text;
}

void simdjson_text_free(struct simdjson_text *text) { delete text; }

uint64_t simdjson_loop(const struct simdjson_text *text, enum simdjson_form form, const char *name)
{
    switch (form) {
    case SIMDJSON_DOM_LINES:
        return dom_lines(*text, name);
    case SIMDJSON_ONDEMAND_LINES:
        return ondemand_lines(*text, name);
    case SIMDJSON_DOM_MANY:
        return dom_many(*text, name);
    case SIMDJSON_ONDEMAND_MANY:
        return ondemand_many(*text, name);
    case SIMDJSON_FORMS:
        break;
    }
    return 0;
}

bool simdjson_form_checks(enum simdjson_form form) { return form == SIMDJSON_DOM_LINES; }

const char *simdjson_form_name(enum simdjson_form form)
{
    static const char *const names[] = {"raw_simdjson_dom", "raw_simdjson_ondemand",
                                        "raw_simdjson_parse_many", "raw_simdjson_iterate_many",
                                        "raw_simdjson"};
    return names[form];
}
