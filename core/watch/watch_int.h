/*
 * watch_int.h - shared by the files of this room only.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "net/http_client.h"
#include "watch/watch.h"

struct watch {
    uv_loop_t *loop;
    const struct conf_alerts *conf;
    struct http_client *client; /* NULL: no URL is configured */
    sl_header *headers;         /* own, with their strings */
    size_t n_headers;
    struct list alerts; /* struct alert: those that stand or were told lately */
    size_t n_alerts;
    uv_timer_t timer; /* closing: how long unsent alerts are waited for */
    uv_timer_t look;  /* at what nobody tells: the store */
    uint64_t damaged; /* records, when they were last told */
    bool failed;      /* the store's failure was told */
    size_t sending;
    unsigned timers; /* open */
    bool draining, closing, client_gone;
    struct flow *flow;
    struct store *store;
    struct mapper *mapper;
    const struct http_server *intake; /* NULL: not open */
    struct logger log;
    void (*closed)(void *ctx);
    void *ctx;
};

/* alerts.c */
void alerts_notice(void *ctx, const struct notice *n);
void alerts_close(struct watch *w);
/* watch.c */
void watch_check_closed(struct watch *w);
