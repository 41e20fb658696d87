/*
 * rng.c - xoshiro256** (Blackman, Vigna), seeded by splitmix64; and the system's random numbers.
 */
#include "base/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t splitmix(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        r->s[i] = splitmix(&seed);
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->s;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *r, uint64_t bound)
{
    uint64_t least, x;

    if (bound == 0)
        return 0;
    least = -bound % bound; /* 2^64 mod bound: what lies below would favour small results */
    do
        x = rng_next(r);
    while (x < least);
    return x % bound;
}

void rng_system(void *out, size_t n)
{
    static const char text[] = "sluice: the kernel gives no random numbers, giving up\n";
    char *p = out;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

            (void)ignored;
            abort();
        }
        p += got;
        n -= (size_t)got;
    }
}
