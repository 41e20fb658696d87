/*
 * tracking.c - a parcel's company, numbers and links. See shipment.h.
 */
#include <ctype.h>
#include <string.h>

#include "fulfil/carrier.h"
#include "fulfil/shipment.h"

/* One or several, of `number` or `numbers`. */
static json_t *listed(const json_t *tracking, const char *one, const char *many)
{
    json_t *v = json_object_get(tracking, many);

    if (json_is_array(v))
        return json_incref(v);
    v = json_object_get(tracking, one);
    return v ? json_pack("[O]", v) : json_array();
}

json_t *tracking_numbers(const json_t *body)
{
    return listed(json_object_get(body, "tracking"), "number", "numbers");
}

/* The route's name for it, the listed spelling, or as it was said. */
static const char *company_of(const char *said, const json_t *carriers)
{
    const char *name = json_string_value(json_object_get(carriers, said));
    const char *known = carrier_name(name ? name : said);

    return known ? known : name ? name : said;
}

static int take(json_t *to, json_t *list, const char *one, const char *many)
{
    size_t n = json_array_size(list);
    int r = list ? 0 : -1;

    if (n == 1)
        r = json_object_set(to, one, json_array_get(list, 0));
    else if (n > 1)
        r = json_object_set(to, many, list);
    json_decref(list);
    return r;
}

json_t *tracking_input(const json_t *body, const json_t *carriers)
{
    const json_t *tracking = json_object_get(body, "tracking");
    const char *company = json_string_value(json_object_get(tracking, "company"));
    json_t *to = json_object();

    if (!to ||
        (company &&
         json_object_set_new(to, "company", json_string(company_of(company, carriers))) < 0) ||
        take(to, listed(tracking, "number", "numbers"), "number", "numbers") < 0 ||
        take(to, listed(tracking, "url", "urls"), "url", "urls") < 0) {
        json_decref(to);
        return NULL;
    }
    return to;
}

static int same_number(const char *a, const char *b)
{
    for (;; a++, b++) {
        a += strspn(a, " ");
        b += strspn(b, " ");
        if (tolower((unsigned char)*a) != tolower((unsigned char)*b))
            return 0;
        if (!*a)
            return 1;
    }
}

int tracking_has(const json_t *fulfillment, const char *number)
{
    const json_t *all = json_object_get(fulfillment, "trackingInfo");

    for (size_t i = 0; i < json_array_size(all); i++)
        if (same_number(text_at(json_array_get(all, i), "number"), number))
            return 1;
    return 0;
}

int fulfillment_lives(const json_t *fulfillment)
{
    const char *status = text_at(fulfillment, "status");

    return strcmp(status, "CANCELLED") != 0 && strcmp(status, "ERROR") != 0 &&
           strcmp(status, "FAILURE") != 0;
}
