/*
 * body_table.h - what the body of an action's record may hold: a table of members. What it says is
 * what is checked before anything is asked of the shop, and what its JSON Schema says.
 *
 *   static const struct body_member lines[] = {
 *       { "sku", BODY_TEXT, .max = 255, .help = "..." },
 *       { "quantity", BODY_WHOLE, BODY_REQUIRED, 1, 1000000, .help = "..." },
 *       { 0 },
 *   };
 *   static const struct body_shape line = { .members = lines };
 *   const struct body_member body[] = {
 *       { "order_id", BODY_ID, .of = "Order", .help = "..." },
 *       { "lines", BODY_OBJECT, .shape = &line, .items = 250, .help = "..." },
 *       { 0 },
 *   };
 */
#pragma once

#include <jansson.h>
#include <sluice/sluice.h>

#define BODY_TEXT                                                                                  \
    1                 /* [min, max] characters; max 0: no limit. Nothing below blank but line ends \
                       */
#define BODY_WHOLE  2 /* a whole number within [min, max]; 2.0 is 2 */
#define BODY_BOOL   3
#define BODY_ENUM   4  /* a text of `of`: "A|B|C" */
#define BODY_ID     5  /* digits, as text or number, or a GID of the type `of`; becomes the GID */
#define BODY_AMOUNT 6  /* a decimal as text, "19.90": a number would have been through a double */
#define BODY_TIME   7  /* RFC 3339 with an offset; becomes UTC with milliseconds */
#define BODY_URL    8  /* http or https */
#define BODY_OBJECT 9  /* of `shape`; without one: any */
#define BODY_JSON   10 /* anything but null */

#define BODY_REQUIRED 0x1u
#define BODY_EMPTY    0x2u /* its list may be empty; else [] is refused */

struct body_shape;

struct body_member {
    const char *name; /* the last entry of a table has NULL here */
    uint32_t type;    /* BODY_* */
    uint32_t flags;
    int64_t min, max; /* of a number, or of a text's characters; both 0: no limit */
    const char *of;
    const struct body_shape *shape;
    size_t items; /* it is a list of up to so many of its type; 0: no list */
    const char *help;
};

struct body_shape {
    const struct body_member *members;
    const char *one_of; /* "a|b c|d": exactly one of a, b, and exactly one of c, d; NULL: none */
    const char *any_of; /* likewise, at least one */
};

/**
 * Read a body. What it gives is checked: each member is of its type (ids are GIDs, whole numbers
 * are integers), members that are null are gone, and nothing else is there.
 * @param ret  own: a new JSON object; untouched on failure
 * @param why  on SL_E_INVALID: which member, and what would be right ("lines[2].quantity: ...")
 * @return SL_OK, SL_E_INVALID, SL_E_NO_MEMORY
 */
sl_status body_take(sl_str body, const struct body_shape *shape, json_t **ret, char *why,
                    size_t why_size);

/** Its JSON Schema (2020-12): own; NULL: no memory. */
json_t *body_schema(const struct body_shape *shape);
