/* admin_int.h - between the files of this room. */
#pragma once

#include "admin/admin.h"
#include "admin/points.h"
#include "admin/token.h"

#define VERSION_SIZE 16

/** Of an endpoint with credentials. */
struct admin {
    struct token *token; /* own */
    struct points points;
    uint32_t *first;           /* where the next question's points are written; NULL: nowhere */
    char served[VERSION_SIZE]; /* the version that the shop served last; "": it did not say */
    int64_t left, most;        /* points, as the shop said last; -1: it did not */
    struct probing *probing;   /* own: probe.c; NULL: none */
};

void probe_close(struct admin *a);
