/*
 * http_call.h - inside the client: the client, its calls, its connections ("wires").
 * Private to http_client.c, http_call.c and http_wire.c. @thread loop
 *
 * A call owns no handle. It stands in exactly one place: in the queue, on a wire, or in the ready
 * list, from where its callback runs. A wire owns its handles and serves one call at a time.
 */
#pragma once

#include "base/list.h"
#include "net/http_answer.h"
#include "net/http_client.h"
#include "net/resolver.h"
#include "net/tls.h"

#define WIRE_READ_BYTES  65536
#define WIRE_SLICE_BYTES 65536 /* of a request, copied or encrypted at a time */
#define WIRE_BURST       16    /* slices before others get a turn */

struct http_client {
    uv_loop_t *loop;
    struct http_client_conf conf;
    SSL_CTX *tls;
    struct resolver resolver;
    struct list queue;   /* calls without a wire, first come first served */
    struct list ready;   /* calls that are done; their callbacks run on the next turn */
    struct list due;     /* every call that is not done, by deadline */
    struct list wires;   /* open ones; the last used stands first */
    unsigned n_wires;    /* in `wires` */
    unsigned n_closing;  /* wires whose handles are not closed yet */
    uv_idle_t turn;      /* runs once when there is something to do */
    uv_timer_t deadline; /* of the first in `due` */
    unsigned held;       /* these two, while closing */
    bool closing, finishing;
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
    char read_buf[WIRE_READ_BYTES]; /* shared: libuv reads and reports in one go */
    char plain_buf[16384];          /* one TLS record */
};

struct http_call {
    struct list link; /* in client.queue or client.ready */
    struct list due;  /* in client.due */
    struct http_client *client;
    struct wire *wire; /* while it is on one; borrowed */
    http_call_cb cb;
    void *ctx;
    char host[256]; /* lower case, without brackets */
    uint16_t port;
    bool tls;
    struct buf request; /* head and body; own */
    uint32_t total_ms;
    uint64_t started_ms, deadline_ms; /* by uv_now() */
    struct http_answer answer;
    struct http_result result;
};

enum wire_state {
    WIRE_RESOLVE,   /* waits for addresses */
    WIRE_CONNECT,   /* to one of them */
    WIRE_NEXT,      /* that failed; its socket is closing, then the next address */
    WIRE_HANDSHAKE, /* TLS */
    WIRE_SEND,      /* the request is being written */
    WIRE_WAIT,      /* it is out; the peer owes the first byte */
    WIRE_RECEIVE,   /* the answer is arriving (the request may still be going out) */
    WIRE_IDLE,      /* no call; still read, so that a close is noticed at once */
    WIRE_CLOSING,   /* handles are closing; freed when `held` is 0 */
    WIRE__COUNT
};

struct wire {
    struct list link; /* in client.wires */
    struct http_client *client;
    struct http_call *call; /* NULL when idle or closing */
    enum wire_state state;
    unsigned held; /* open handles */
    uv_tcp_t tcp;
    uv_timer_t timer; /* the one limit that runs in this state */
    uv_connect_t connect;
    uv_write_t write;
    struct resolver_wait resolve;
    struct addresses addresses;
    unsigned next_address;
    uint64_t connect_until_ms; /* name, TCP and TLS */
    uint64_t phase_ms;         /* when the phase under way began, by uv_now() */
    char host[256];
    uint16_t port;
    bool use_tls;
    bool connected;
    struct tls tls;
    bool reused;     /* this is not its first call */
    bool writing;    /* `write` is under way, on `out` */
    unsigned burst;  /* slices written without a turn for others */
    size_t taken;    /* bytes of the request that went into `next` so far */
    int write_error; /* the peer takes no more; it may have answered */
    struct buf out;  /* being written: stays where it is */
    struct buf next; /* to be written then */
};

/* ---- http_call.c ---- */

/** A call with its request in wire format. 0, UV_EINVAL with `fail`, or UV_ENOMEM. */
int call_create(struct http_call **ret, struct http_client *c, const struct http_call_conf *conf,
                struct fail *fail);
void call_destroy(struct http_call *call);
/** It is over (0: its answer is whole): join the ready list. `fmt` as why[], may be NULL. */
void call_done(struct http_call *call, int error, enum http_phase phase, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
void call_vdone(struct http_call *call, int error, enum http_phase phase, const char *fmt,
                va_list ap) __attribute__((format(printf, 4, 0)));
/** Run its callback and free it. */
void call_deliver(struct http_call *call);

/* ---- http_client.c ---- */

/** Something is ready, waiting or gone: look at it on the next turn, never now. */
void client_wake(struct http_client *c);
/** Nothing was sent for it on a stale connection: the call is first in the queue again. */
void client_requeue(struct http_client *c, struct http_call *call);
/** A wire was freed. */
void client_on_wire_freed(struct http_client *c);

/* ---- http_wire.c ---- */

/** Open a connection for `call`. 0, or UV_ENOMEM and the call is untouched. */
int wire_open(struct http_client *c, struct http_call *call);
/** Is it idle, to that place? */
bool wire_fits(const struct wire *w, const struct http_call *call);
/** Has the peer neither closed nor said anything unasked? */
bool wire_alive(struct wire *w);
/** Send on an idle one. */
void wire_use(struct wire *w, struct http_call *call);
/** End its call with this error, if it has one, and close. */
void wire_fail(struct wire *w, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/** Close now; twice does nothing. Its call, if any, is not told. */
void wire_close(struct wire *w);
