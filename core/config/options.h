/*
 * options.h - core's own option tables, and where their values go.
 */
#pragma once

#include <stddef.h>
#include "config/values.h"

/** An option and the member of a struct that takes its value. */
struct field {
    sl_option option; /* first: a table of fields is a table of options */
    size_t offset;
    size_t size; /* of the member; 0: read by hand */
};

extern const struct field options_top[];      /* struct config */
extern const struct field options_endpoint[]; /* struct conf_endpoint */
extern const struct field options_feed[];     /* struct conf_feed */
extern const struct field options_group[];    /* struct conf_group */
extern const struct field options_route[];    /* struct conf_route */
extern const sl_option options_with[];        /* of a look-up in a route's `with` */

static inline struct table table_of_fields(const struct field *f)
{
    return (struct table){ .first = f, .stride = sizeof(*f) };
}

/** Keys that are read by code and stand in no table; each list ends with NULL. */
extern const char *const keys_top[],
    *const keys_endpoint[], *const keys_feed[], *const keys_group[], *const keys_route[];
extern const char *const keys_to[]; /* of a target, and of a route's `to` */
extern const char *const keys_route_later[];

/** Copy each value to its member of `base`: texts become own C strings (NULL when there is none),
 *  an enum that goes into an int its index. Values that were not given stay as they are. */
void fields_store(const sl_values *v, void *base);
/** Own array, NULL-terminated, of a list's texts. */
char **value_list(const struct value *v, size_t *ret_n);
