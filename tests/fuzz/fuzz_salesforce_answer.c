/*
 * fuzz_salesforce_answer.c - the answer of sObject Collections, cut into its elements, with jansson
 * as the second opinion: what is an array has as many of them, and each is the same.
 */
#include "fuzz.h"

#include <jansson.h>
#include "rows/sobject.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_str body = whole(data, size), one;
    json_t *array = json_loadb(body.ptr, body.len, 0, NULL), *element;
    struct elements e;
    long n = elements_open(&e, body), i = 0;

    if (json_is_array(array))
        PROMISE(n == (long)json_array_size(array), "%ld of %zu", n, json_array_size(array));
    for (; n >= 0 && elements_next(&e, &one); i++) {
        PROMISE(one.len > 0 && within(one, body), "element %ld", i);
        if (!json_is_array(array))
            continue;
        element = json_loadb(one.ptr, one.len, JSON_DECODE_ANY, NULL);
        PROMISE(json_equal(element, json_array_get(array, (size_t)i)), "element %ld is another", i);
        json_decref(element);
    }
    PROMISE(n < 0 || i == n, "%ld of %ld", i, n);
    json_decref(array);
    return 0;
}
