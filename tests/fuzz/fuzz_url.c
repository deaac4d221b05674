/* Any text as a URL: taken apart or refused with a message; what may be shown of it is a URL again,
 * of the same scheme. */
#include "fuzz.h"

#include <string.h>

#include "base/assert.h"
#include "base/memory.h"
#include "pipeline/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const strid_option table[] = {
        {"password", STRID_OPTION_STRING, NULL, 0, 0, NULL, 0, STRID_OPTION_SECRET, "", NULL}, {0}};
    struct url url = {0}, again = {0};
    strid_error err = STRID_ERROR_INIT;
    char *text = memory_alloc(size + 1);
    memcpy(text, data, size);
    text[size] = '\0';
    if (url_parse(text, &url, &err) == STRID_OK) {
        char *shown = url_display(&url, table);
        STRID_ASSERT(url.parameter_count <= URL_PARAMETERS_MAX);
        STRID_ASSERT(url_parse(shown, &again, &err) == STRID_OK);
        STRID_ASSERT(strcmp(url.scheme, again.scheme) == 0);
        STRID_ASSERT(url.parameter_count == again.parameter_count);
        url_fini(&again);
        memory_free(shown);
        url_fini(&url);
    } else
        STRID_ASSERT(err.message[0] != '\0');
    memory_free(text);
    return 0;
}
