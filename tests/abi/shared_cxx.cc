// An embedding program in C++: the headers are clean there, names are not mangled.
#include <cstdio>
#include <cstring>

#include <strid/strid.h>

int main()
{
    strid_error err = STRID_ERROR_INIT;
    strid_pipeline_options options = {};
    options.struct_size = sizeof options;
    options.name = "not a good name!";
    options.source = "memory:in";
    strid_pipeline *pipeline = strid_pipeline_create(&options, &err);
    if (pipeline != nullptr || err.status != STRID_ECONFIG || std::strlen(err.message) == 0) {
        std::fprintf(stderr, "a bad name was taken, or refused with %s\n",
                     strid_status_name(err.status));
        return 1;
    }
    return 0;
}
