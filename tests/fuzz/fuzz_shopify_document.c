/*
 * fuzz_shopify_document.c - a GraphQL document of the operator's own: read to its end or refused by
 * one line, whatever it is.
 */
#include "fuzz.h"

#include <string.h>

#include "orders/graphql_document.h"

static void check_read(const struct document *d, sl_str text)
{
    PROMISE(!d->mutation || (d->root[0] && d->errors[0]), "%zu bytes", text.len);
    for (size_t i = 0; i < d->n_variables; i++) {
        sl_str name = d->variables[i].name;

        PROMISE(name.len && name.ptr > text.ptr && name.ptr + name.len <= text.ptr + text.len,
                "%zu bytes", text.len);
        PROMISE(d->variables[i].used, "%zu bytes", text.len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct document document;
    char why[300] = "";
    sl_str text = { (const char *)data, size };

    if (document_read(text, &document, why, sizeof(why)) == SL_OK)
        check_read(&document, text);
    else
        PROMISE(strncmp(why, "document: line ", 15) == 0 && !strchr(why, '\n'), "%zu bytes", size);
    return 0;
}
