/*
 * owner.c - see owner.h.
 */
#include "orders/owner.h"

#include <string.h>

static int is_gid(const char *s)
{
    static const char prefix[] = "gid://shopify/";
    const char *slash = strncmp(s, prefix, strlen(prefix)) == 0 ? strchr(s + strlen(prefix), '/')
                                                                : NULL;

    for (const char *c = s; *c; c++)
        if ((unsigned char)*c <= ' ')
            return 0;
    return slash && slash > s + strlen(prefix) && slash[1];
}

json_t *owner_of(const json_t *body)
{
    static const char *const names[] = { "order_id", "draft_order_id", "customer_id", "product_id",
                                         "variant_id" };
    json_t *id = json_object_get(body, "id");

    if (id)
        return is_gid(json_string_value(id)) ? id : NULL;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if ((id = json_object_get(body, names[i])) != NULL)
            return id;
    return NULL;
}
