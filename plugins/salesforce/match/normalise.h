/*
 * normalise.h - how names, addresses and numbers are written when they are compared: two spellings
 * of one thing come out as the same bytes.
 */
#pragma once

#include <sluice/sluice.h>

#include "text.h"

/** Append in lower case: Latin letters without their marks as ASCII (Ä as a, ß as ss, Ł as l),
 *  other scripts in lower case, blanks and punctuation as they are. Bytes that are no UTF-8 are
 *  dropped. */
void fold(sl_str in, struct text *to);

/* ---- e-mail -------------------------------------------------------------------------------- */

#define EMAIL_SIZE 256

struct email {
    char text[EMAIL_SIZE]; /* lower case; the domain in Unicode, not in punycode */
    size_t len, domain;    /* where the domain begins */
    bool role;             /* info@, office@: a mailbox of many */
};

/** @return SL_OK; SL_E_INVALID: it is no address, `ret` is untouched */
sl_status email_normalise(sl_str in, struct email *ret);

/** A domain or the host of a URL, as in struct email: lower case, IDN decoded, without "www.".
 *  Empty when it is none. */
void domain_normalise(sl_str in, struct text *to);

/** Does anybody get an address there? `more`: ends with NULL; NULL: none. */
bool is_freemail(sl_str domain, const char *const *more);

/* ---- phone --------------------------------------------------------------------------------- */

/** Append as "+493012345": digits with the country's code, without trunk zero and extension.
 *  `country`: ISO code or a usual name, of numbers that do not say it; empty: such numbers come
 *  out without '+'. Appends nothing to what has less than 7 digits or more than 15. */
void phone_normalise(sl_str in, sl_str country, struct text *to);

/* ---- companies ----------------------------------------------------------------------------- */

/** Append the name's words, folded, joined, without legal forms: "Müller & Söhne GmbH & Co. KG" as
 *  "mullersohne". What tells sister companies apart (Holding, Deutschland, Services) stays. */
void company_normalise(sl_str in, struct text *to);
/** Append letters and digits in upper case: "DE 123.456-789" as "DE123456789"; nothing when fewer
 *  than 6 are left. */
void tax_id_normalise(sl_str in, struct text *to);

/* ---- people -------------------------------------------------------------------------------- */

#define SUFFIX_NONE   0
#define SUFFIX_SENIOR 1
#define SUFFIX_JUNIOR 2

/** Append the words of a first or last name, folded, with ae, oe, ue as a, o, u, one blank between
 *  them, without titles. `suffix` is set where the name says junior or senior. */
void name_normalise(sl_str in, struct text *to, int *suffix);
/** The first name that a short form stands for: "bob" as "robert"; others as they are. */
sl_str name_of_nickname(sl_str word);

enum name_relation {
    NAME_CONFLICT,       /* two people */
    NAME_FIRST_CONFLICT, /* one family's name, two first names */
    NAME_LAST_CONFLICT,  /* one first name, two last names */
    NAME_MISSING,        /* one side has none */
    NAME_LAST_ONLY,      /* a first name is missing */
    NAME_INITIAL,        /* J. for John */
    NAME_TYPO,           /* a letter or two */
    NAME_VARIANT,        /* Bob for Robert, a part of a double name, first and last swapped */
    NAME_EXACT,
};

struct name {
    sl_str first, last; /* as name_normalise() gives them */
    int suffix;
};

enum name_relation name_compare(const struct name *a, const struct name *b);

/** Letters changed, left out, added or swapped; counts up to `most` + 1. */
unsigned text_distance(sl_str a, sl_str b, unsigned most);
