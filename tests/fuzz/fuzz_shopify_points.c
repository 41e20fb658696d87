/*
 * fuzz_shopify_points.c - what a document will cost, whatever it is: a figure, the same each time,
 * that can be reserved; and what the shop says of it is what counts then.
 */
#include "fuzz.h"

#include <string.h>

#include "admin/points.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *document = malloc(size + 1);
    struct points p = { 0 };
    struct points_guess first, again;
    json_t *variables = json_pack("{s:i,s:I}", "n", 10, "first", (json_int_t)INT64_MAX);

    PROMISE(document && variables, "no memory");
    memcpy(document, data, size);
    document[size] = '\0';
    first = points_predict(&p, document, variables);
    PROMISE(first.cost >= 1 && first.cost <= POINTS_MOST, "%u", first.cost);
    points_learn(&p, &first, 77);
    again = points_predict(&p, document, variables);
    PROMISE(again.model == first.model && again.document == first.document, "another each time");
    PROMISE(again.cost == 77, "%u after 77 was told, the model says %u", again.cost, again.model);
    json_decref(variables);
    free(document);
    return 0;
}
