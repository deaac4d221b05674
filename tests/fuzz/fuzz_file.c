/* Any bytes as a pipeline file: read or refused with a message that names the place. */
#include "fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/assert.h"
#include "pipeline/definition.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64] = "/proc/self/fd/";
    struct definition *definition = NULL;
    strid_error err = STRID_ERROR_INIT;
    int file = memfd_create("pipeline", MFD_CLOEXEC);
    STRID_ASSERT(file >= 0 && file < 1000);
    size_t len = strlen(path);
    for (int unit = 100; unit > 0; unit /= 10)
        if (file >= unit || unit == 1)
            path[len++] = (char)('0' + file / unit % 10);
    if (write(file, data, size) == (ssize_t)size && lseek(file, 0, SEEK_SET) == 0) {
        if (definition_load(path, &definition, &err) == STRID_OK)
            STRID_ASSERT(definition != NULL && definition->source.ops != NULL);
        else
            STRID_ASSERT(definition == NULL && strncmp(err.message, path, len) == 0);
    }
    definition_destroy(definition);
    (void)close(file);
    return 0;
}
