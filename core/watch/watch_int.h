/*
 * watch_int.h - shared by the files of this room only.
 */
#pragma once

#include "base/list.h"
#include "base/log.h"
#include "flow/forecast.h"
#include "net/http_client.h"
#include "watch/watch.h"

#define LOOK_MS 2000 /* how often it looks at what nobody tells */

/** What an alert that is told says of itself. */
enum alert_saying { ALERT_OPEN, ALERT_AGAIN, ALERT_OVER, ALERT_SAYING__COUNT };
extern const char *const alert_saying_names[ALERT_SAYING__COUNT];

/** One thing that needs a person: (kind, endpoint, route). */
struct alert {
    struct list node;
    struct watch *watch;
    enum notice_kind kind;
    char *endpoint, *route, *owner, *subject, *text;
    uint64_t num;
    uint64_t count;                     /* notices since it appeared */
    int64_t since_ms, last_ms, said_ms; /* said: in the log, and to those who are told */
    int64_t due_ms;                     /* told then, if it still stands: 0: at once */
    bool critical, of_alert;            /* as in struct notice */
    bool stands;                        /* not over */
    bool open; /* it was told that it stands, and not yet that it is over */
    bool kept; /* a fact in the store says so */
    bool more; /* notices came since it was told */
    /* the POST */
    bool news;   /* something that the receiver does not know */
    bool urgent; /* and should at once: it began or ended while a POST was under way */
    bool posting;
    unsigned tries;
    uv_timer_t timer; /* repeat or try again; its closing frees the alert */
};

struct watch {
    uv_loop_t *loop;
    const struct conf_alerts *conf;
    struct http_client *client; /* NULL: no URL was ever configured */
    sl_header *headers;         /* own, with their strings */
    size_t n_headers;
    struct list alerts; /* struct alert: those that stand or were told lately */
    size_t n_alerts;
    uv_timer_t timer;      /* closing: how long unsent alerts are waited for */
    uv_timer_t look;       /* at what nobody tells */
    uint64_t damaged;      /* records, when they were last told */
    bool failed;           /* the store's failure was told */
    bool asking;           /* the store, how many are dead and held */
    bool remembered;       /* what stood before this process began is in the list */
    struct seen *seen;     /* own: a list, see alert_look.c */
    int64_t asked_held_ms; /* when the store was last asked for the oldest held one */
    size_t sending;
    unsigned timers; /* open */
    bool draining, closing, client_gone;
    struct flow *flow;
    struct store *store;
    struct mapper *mapper;
    const struct http_server *intake; /* NULL: not open */
    uint64_t reloads, reloads_refused;
    int64_t reloaded_ms; /* when the configuration in force was taken over */
    struct logger log;
    void (*closed)(void *ctx);
    void *ctx;
};

/* alerts.c: the list */
void alerts_notice(void *ctx, const struct notice *n);
void alerts_close(struct watch *w);
struct alert *alert_find(struct watch *w, enum notice_kind kind, sl_str endpoint, sl_str route);
/** It no longer stands: who was told that it does is told so, once. */
void alert_over(struct alert *a, const char *text);
/** Those whose time has come to be told. */
void alerts_due(struct watch *w);
void alert_json(struct buf *b, const struct alert *a);
/** One that an earlier process told, from its fact. */
void alert_remember(struct watch *w, const struct store_state *fact);

/* alert_tell.c: to the log, to the URL, as an event */
void alert_tell(struct alert *a, enum alert_saying what);

/* alert_look.c: what nobody tells */
void alert_look(struct watch *w);
void alert_look_finish(struct watch *w);

/** An age for people: in one unit, of which it has two at least. */
void age_text(int64_t ms, char out[24]);

/* quota_look.c */

/** Will the lane's quota be used up before long? True with what is to be said of it. `stands`: it
 *  was said so, and is not taken back at the first doubt. */
bool quota_look(struct forecast *f, const struct lane_stats *l, bool stands, int64_t now_ms,
                char text[320]);

/* watch.c */
void watch_check_closed(struct watch *w);
