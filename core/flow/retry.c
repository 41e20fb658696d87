#include "flow/retry.h"

int64_t retry_delay(const struct conf_retry *conf, uint32_t failures, int64_t not_before_ms,
                    struct rng *rng)
{
    int64_t bound = conf->first_ms;

    for (uint32_t i = 1; i < failures && bound < conf->cap_ms; i++)
        bound *= 2;
    if (bound > conf->cap_ms)
        bound = conf->cap_ms;
    int64_t delay = (int64_t)rng_below(rng, (uint64_t)bound + 1);
    if (not_before_ms > 0 && delay < not_before_ms)
        delay = not_before_ms + (int64_t)rng_below(rng, (uint64_t)not_before_ms / 10 + 1);
    return delay;
}

bool retry_exhausted(const struct conf_retry *conf, uint32_t attempts, int64_t age_ms,
                     int64_t delay_ms)
{
    if (conf->max_attempts && attempts >= conf->max_attempts)
        return true;
    return age_ms + delay_ms > conf->max_age_ms;
}
