/*
 * graphql_document.h - a GraphQL document of the operator's own, checked as far as that goes
 * without the shop's schema: its grammar, one operation, variables that are declared and used.
 */
#pragma once

#include <sluice/sluice.h>

#define DOCUMENT_MAX       65536 /* bytes */
#define DOCUMENT_VARIABLES 64
#define DOCUMENT_NAME      128

struct document_variable {
    sl_str name;  /* without its $; a view into the document */
    int required; /* its type ends with ! and it has no default */
    int used;
};

struct document {
    int mutation;               /* else a query */
    char root[DOCUMENT_NAME];   /* of a mutation: the name of its field in the answer */
    char errors[DOCUMENT_NAME]; /* likewise: its member with the errors, such as userErrors */
    char key[DOCUMENT_NAME];    /* the variable of @idempotent(key: $...); "": there is none */
    struct document_variable variables[DOCUMENT_VARIABLES];
    size_t n_variables;
};

/**
 * Read a document. Its text must outlive what is read of it.
 * @param why  on SL_E_INVALID: what is wrong, at which line, and what would be right
 * @return SL_OK, SL_E_INVALID
 */
sl_status document_read(sl_str text, struct document *ret, char *why, size_t why_size);
