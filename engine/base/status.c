#include <strid/status.h>
#include <strid/version.h>

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const char *strid_status_name(strid_status status)
{
    switch (status) {
#define STRID_STATUS_CASE(name, value, text)                                                       \
    case STRID_##name:                                                                             \
        return "STRID_" #name;
        STRID_STATUS_MAP(STRID_STATUS_CASE)
#undef STRID_STATUS_CASE
    }
    return "STRID_UNKNOWN";
}

const char *strid_status_text(strid_status status)
{
    switch (status) {
#define STRID_STATUS_CASE(name, value, text)                                                       \
    case STRID_##name:                                                                             \
        return text;
        STRID_STATUS_MAP(STRID_STATUS_CASE)
#undef STRID_STATUS_CASE
    }
    return "unknown status";
}

const char *strid_version(void)
{
    return TEXT(STRID_VERSION_MAJOR) "." TEXT(STRID_VERSION_MINOR) "." TEXT(STRID_VERSION_PATCH);
}
