/*
 * contacts_match.c - how often contacts are matched rightly, and how long one takes: JSON, a seed
 * each.
 *
 *   bench-contacts-match [SEED...]
 */
#include <stdio.h>
#include <stdlib.h>

#include "contacts_measure.h"

static void put(uint64_t seed, const char *end)
{
    struct contacts_measure m = contacts_measure(seed);

    printf(
        "{\"seed\":%llu,\"automatic\":%d,\"precision\":%.5f,\"recall\":%.4f,"
        "\"recall_with_questions\":%.4f,\"asked\":%d,\"doubled\":%d,\"ambiguous\":%d,"
        "\"ambiguous_automatic\":%d,\"us_per_record\":%.1f}%s\n",
        (unsigned long long)seed, m.automatic, share(m.right, m.automatic), share(m.right, m.known),
        share(m.found, m.known), m.asked, m.doubled, m.ambiguous, m.ambiguous_automatic, m.us, end);
}

int main(int argc, char **argv)
{
    int n = argc > 1 ? argc - 1 : CONTACTS_SEEDS;

    printf("[");
    for (int i = 0; i < n; i++)
        put(argc > 1 ? strtoull(argv[i + 1], NULL, 10) : contacts_seeds[i], i + 1 < n ? "," : "");
    printf("]\n");
    return 0;
}
