#include "generator_zipf.h"

#include "base/assert.h"

#include "generator_random.h"

#include <math.h>

/* log(1+x)/x and (exp(x)-1)/x, also where x is so small that the quotient is lost. */
static double log1p_quotient(double x)
{
    return fabs(x) > 1e-8 ? log1p(x) / x : 1.0 - x * (0.5 - x / 3.0);
}
static double expm1_quotient(double x)
{
    return fabs(x) > 1e-8 ? expm1(x) / x : 1.0 + x * 0.5 * (1.0 + x / 3.0);
}

/* h(x) = x^-s, H its integral. */
static double density(const struct generator_zipf *zipf, double x)
{
    return exp(-zipf->exponent * log(x));
}
static double integral(const struct generator_zipf *zipf, double x)
{
    double log_x = log(x);
    return expm1_quotient((1.0 - zipf->exponent) * log_x) * log_x;
}
static double integral_inverse(const struct generator_zipf *zipf, double y)
{
    double t = y * (1.0 - zipf->exponent);
    return exp(log1p_quotient(t < -1.0 ? -1.0 : t) * y);
}

void generator_zipf_init(struct generator_zipf *zipf, uint64_t ranks, double exponent)
{
    STRID_ASSERT(ranks > 0);
    STRID_ASSERT(exponent > 0.0);
    *zipf = (struct generator_zipf){.exponent = exponent, .ranks = (double)ranks};
    zipf->integral_first = integral(zipf, 1.5) - 1.0;
    zipf->integral_last = integral(zipf, zipf->ranks + 0.5);
    zipf->shortcut = 2.0 - integral_inverse(zipf, integral(zipf, 2.5) - density(zipf, 2.0));
}

uint64_t generator_zipf_rank(const struct generator_zipf *zipf, uint64_t random)
{
    for (;;) {
        double unit = (double)(random >> 11) * 0x1p-53;
        double y = zipf->integral_last + unit * (zipf->integral_first - zipf->integral_last);
        double x = integral_inverse(zipf, y);
        double rank = floor(x + 0.5);
        if (rank < 1.0)
            rank = 1.0;
        else if (rank > zipf->ranks)
            rank = zipf->ranks;
        if (rank - x <= zipf->shortcut || y >= integral(zipf, rank + 0.5) - density(zipf, rank))
            return (uint64_t)rank - 1;
        random = generator_random_at(random, 0);
    }
}
