/*
 * http_vectors.h - requests as raw bytes, legal and not, and what must become of each.
 */
#pragma once

#include <stddef.h>

struct http_vector {
    const char *why;   /* what it is, and the guard that decides */
    const char *bytes; /* before the repeated part */
    size_t len;
    const char *repeat; /* NULL: none */
    unsigned times;
    const char *rest;    /* after it; NULL: none */
    const char *answers; /* "200 400": every status line, in order; "": closed without one */
    const char *seen;    /* what the handler saw whole, "POST /x[body] GET /[]"; NULL: any */
};

extern const struct http_vector http_vectors[];
extern const size_t n_http_vectors;
