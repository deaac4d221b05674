/* Zipf-distributed ranks by rejection-inversion: W. Hörmann, G. Derflinger, "Rejection-inversion to
 * generate variates from monotone discrete distributions", ACM TOMACS 6(3), 1996. No table, so any
 * number of keys costs the same. Constant after init; any thread. */
#ifndef GENERATOR_ZIPF_H
#define GENERATOR_ZIPF_H

#include <stdint.h>

struct generator_zipf {
    double exponent;
    double ranks;
    double integral_first; /* H(3/2) - h(1) */
    double integral_last;  /* H(ranks + 1/2) */
    double shortcut;       /* how near below a rank needs no further test */
};

void generator_zipf_init(struct generator_zipf *zipf, uint64_t ranks, double exponent);

/* A rank in [0, ranks), 0 the most frequent; depends on `random` alone. */
uint64_t generator_zipf_rank(const struct generator_zipf *zipf, uint64_t random);

#endif
