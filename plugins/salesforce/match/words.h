/*
 * words.h - the lists that matching knows: each ends with NULL.
 */
#pragma once

extern const char *const words_freemail[];   /* domains where anybody gets an address */
extern const char *const words_role[];       /* local parts of mailboxes that many read */
extern const char *const words_legal_form[]; /* folded */
extern const char *const words_title[];      /* of people, folded */
extern const char *const words_filler[];     /* of company names, folded */

/** As name_normalise() writes names: "michal" is Michael. */
struct nickname {
    const char *shorter, *name;
};
extern const struct nickname words_nickname[]; /* ends with NULL */

struct country {
    const char *iso, *code, *trunk;
    const char *names; /* folded, between blanks */
};
extern const struct country words_country[]; /* ends with NULL */
