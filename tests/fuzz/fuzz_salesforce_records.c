/*
 * fuzz_salesforce_records.c - an answer of /query, with jansson as the second opinion: each
 * record's own text is that record, and its copy is it without `attributes`.
 */
#include "fuzz.h"

#include <string.h>
#include "rows/records.h"

/** As record_copy() leaves it out, at any depth. */
static void without_attributes(json_t *value)
{
    const char *name;
    json_t *one;
    size_t i;

    json_object_del(value, "attributes");
    json_object_foreach(value, name, one) without_attributes(one);
    json_array_foreach(value, i, one) without_attributes(one);
}

static void on_record(void *ctx, const json_t *record, sl_str raw)
{
    json_t *own = json_loadb(raw.ptr, raw.len, JSON_REJECT_DUPLICATES, NULL), *copied;
    struct text copy = { 0 };

    (void)ctx;
    PROMISE(own && json_equal(own, record), "its text is not the record");
    record_copy(raw, &copy);
    copied = json_loadb(copy.ptr, copy.len, 0, NULL);
    /* names may be written with escapes: then they are other names to the copy */
    if (!memchr(raw.ptr, '\\', raw.len)) {
        without_attributes(own);
        PROMISE(copied && json_equal(own, copied), "the copy differs: %s", copy.ptr);
    }
    PROMISE(copied, "the copy is no JSON: %s", copy.ptr);
    record_text(record, "Product2.StockKeepingUnit");
    json_decref(own);
    json_decref(copied);
    text_finish(&copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct page page;
    char why[200] = "";

    if (!page_read(whole(data, size), on_record, NULL, &page, why, sizeof(why)))
        PROMISE(why[0], "no reason");
    return 0;
}
