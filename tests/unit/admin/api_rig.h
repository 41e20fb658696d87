/*
 * api_rig.h - the admin API over its real listeners, with a real store, flow and mapper, an
 * endpoint whose adapter accepts nothing by itself, and raw clients in the same loop.
 */
#pragma once

#include "../store/rig.h"

#include "admin/admin.h"

struct api_rig {
    struct rig store; /* the loop is its */
    struct config config;
    struct conf_endpoint endpoint; /* "byron" */
    struct conf_route route;       /* "order-to-supplier", from shop orders/create */
    struct conf_target target;
    struct adapter adapter;
    struct mapper *mapper;
    struct flow *flow;
    struct watch *watch;
    struct admin *admin;
    int closed;
    char socket[128];
    int delivered; /* records that the adapter was given, and accepted */

    /* of the last answer, own */
    int status;
    struct buf answer;
    const char *body; /* in `answer` */
};

/** Opens the store and fills it by `fill`, then all that stands above it. */
void api_start(struct api_rig *g, void (*fill)(struct rig *store));
void api_finish(struct api_rig *g);

/** One request over the unix socket; turns the loop until the answer is whole. */
void api_ask(struct api_rig *g, const char *method, const char *target, const char *body);
/** The same over TCP, with further header lines, each ending in CRLF. */
void api_ask_tcp(struct api_rig *g, const char *method, const char *target, const char *headers);
/** Send and hang up without waiting. */
void api_leave(struct api_rig *g, const char *method, const char *target, const char *body);
/** Turn the loop until this holds; fails after 60 s. */
#define api_until(g, condition)                                 \
    do {                                                        \
        uint64_t api_end = uv_hrtime() + UINT64_C(60000000000); \
        while (!(condition)) {                                  \
            CHECK(uv_hrtime() < api_end);                       \
            uv_run(&(g)->store.loop, UV_RUN_NOWAIT);            \
        }                                                       \
    } while (0)
