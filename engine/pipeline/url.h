/* "scheme:target?name=value&name=value" taken apart. @thread the owner */
#ifndef PIPELINE_URL_H
#define PIPELINE_URL_H

#include <strid/config.h>
#include <strid/error.h>

enum { URL_PARAMETERS_MAX = 64 };

struct url_parameter {
    char *name;
    char *value; /* percent-decoded */
    char *raw;   /* as written */
};

struct url {
    char *scheme;
    char *target; /* as written, nothing decoded: paths may hold any character but '?' */
    struct url_parameter parameters[URL_PARAMETERS_MAX];
    uint32_t parameter_count;
};

/* STRID_ECONFIG: not a URL. On failure nothing is left to be freed. */
strid_status url_parse(const char *text, struct url *out, strid_error *err);
void url_fini(struct url *url);

/* The URL as it may be shown: passwords and parameters that `table` calls secret are replaced by
 * "***". Owned by the caller. */
char *url_display(const struct url *url, const strid_option *table);

#endif
