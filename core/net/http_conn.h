/*
 * http_conn.h - inside the server: one connection, one request, and the server they belong to.
 * Private to http_server.c, http_conn.c and http_request.c. @thread loop
 */
#pragma once

#define HASH_NONFATAL_OOM 1 /* the entry is not added then; has to stand before the header */
#include <uthash.h>
#include <uv.h>
#include "base/ipnet.h"
#include "base/list.h"
#include "base/log.h"
#include "net/http_reader.h"
#include "net/http_server.h"

/* One read of a body, and the most that waits behind a request (and one read of all else). */
#define HTTP_READ_BYTES   65536
#define HTTP_BEHIND_BYTES 16384
/* Full reads of one connection in a row; then the others have their turn. */
#define HTTP_READS_A_TURN 4
/* The least speed of a body, bytes a second. */
#define HTTP_BODY_FLOOR 8192
#define HTTP_NEVER      UINT64_MAX
/* Until the next try when accept() found no descriptor. */
#define HTTP_ACCEPT_MS 100
/* When draining starts, an idle connection stays this long: a request may be on its way. */
#define HTTP_DRAIN_IDLE_MS 100
/* After an early answer: time for the peer to take it, and what is thrown away meanwhile. A proxy
 * may send all of a body before it looks at the answer. */
#define HTTP_LINGER_MS    2000
#define HTTP_LINGER_BYTES (32 << 20)
/* Requests, and bytes of an answer, that a server keeps the memory of. */
#define HTTP_SPARE_REQUESTS 64
#define HTTP_SPARE_ANSWER   16384

/** The other side of a connection. */
struct remote {
    struct ip ip;
    int64_t uid;        /* of a unix socket's; else -1 */
    char text[IP_TEXT]; /* the address, or "unix" */
};

enum conn_state {
    CONN_IDLE,    /* no byte of a request yet */
    CONN_HEAD,    /* its head is arriving */
    CONN_BODY,    /* the handler has it, its body is arriving */
    CONN_WAIT,    /* it is whole; the handler owes the answer */
    CONN_REPLY,   /* the answer is being written */
    CONN_LINGER,  /* the last answer is out, our side is shut; the rest is thrown away */
    CONN_CLOSING, /* handles are closing; freed when `held` is 0 */
    CONN__COUNT
};

struct http_request {
    struct conn *conn;
    struct http_reader reader;
    struct buf body;
    void *data;
    bool client_known; /* `client` is filled */
    char client[IP_TEXT];
    struct http_request *next; /* in server.spares */
};

/** Who has connections open, while there is a limit per address. */
struct address {
    UT_hash_handle hh;
    struct ip ip; /* IPv6: the first 64 bits */
    uint32_t n_conns;
};

/**
 * A connection. It owns its request from the first byte until the answer is written. An idle one
 * holds nothing but this struct.
 */
struct conn {
    struct list link;       /* in server.conns */
    struct list later_link; /* in server.later */
    struct http_server *server;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } u;
    uv_timer_t timer;     /* runs out at `deadline_ms` or before: it is not set back each time */
    uint64_t deadline_ms; /* the one limit that runs in this state, or HTTP_NEVER */
    uint64_t timer_ms;    /* when the timer runs out */
    uv_write_t write;
    uv_shutdown_t shutdown;
    enum conn_state state;
    unsigned held; /* open handles */
    bool eof;      /* the peer sends no more; it may still read */
    bool reading;  /* uv_read_start is on */
    bool behind;   /* more has been read than the request that is looked at */
    bool tired;    /* it has read enough for this turn of the loop */
    bool written;  /* CONN_REPLY: the answer is out, what came behind waits for the next turn */
    uint8_t full_reads; /* in a row */
    bool keep;          /* after this answer the connection goes on */
    bool abrupt;        /* the answer went out before the request was whole */
    bool announced;     /* the handler knows the request and has not answered it */
    uint64_t since_ms;  /* CONN_BODY: when it began */
    uint64_t discarded; /* CONN_LINGER: bytes thrown away */
    struct http_request *request;
    struct buf in; /* bytes behind the request in flight, from `in_pos` on */
    size_t in_pos;
    struct buf out; /* what the socket did not take of the answer at once */
    struct remote peer;
    struct address *address; /* that it counts for; NULL: none */
};

struct http_server {
    uv_loop_t *loop;
    struct http_server_conf conf;
    const struct http_handler *handler;
    void *ctx;
    struct logger log;
    char name[128]; /* conf.listen, for the logger */
    int fd;         /* the listening socket, -1 when closed */
    int spare_fd;   /* given up when descriptors run out, so that the daemon has one left */
    bool unix_sock;
    uint64_t unix_dev, unix_ino; /* our socket file, to remove no other */
    uv_poll_t poll;              /* on fd */
    uv_timer_t accept_timer;     /* when accept() found no descriptor */
    uv_timer_t drain_timer;
    bool accepting, draining, closing;
    bool starved;  /* no descriptor for the last connection */
    unsigned held; /* open handles of the server itself */
    struct list conns;
    uint32_t n_conns;
    struct list later; /* connections that go on in the next turn */
    uv_idle_t next_turn;
    struct address *addresses; /* uthash by ip */
    uint64_t turned_away;
    uint64_t turned_away_told_ms;
    struct http_request *spares; /* HTTP_SPARE_REQUESTS at most */
    uint32_t n_spares;
    struct buf answer; /* the one that is being made */
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
    int64_t date_s;
    char date[48]; /* the line of date_s */
    size_t date_len;
    char read_buf[HTTP_READ_BYTES]; /* shared: libuv reads and reports in one go */
};

/** Take over an accepted socket. 0, or a negative code and the socket is closed. */
int conn_open(struct http_server *s, int fd, const struct remote *peer);
/** Close now; a request without an answer is given up. Twice does nothing. */
void conn_close(struct conn *c);
/** The server drains: close soon if nothing is under way. */
void conn_drain(struct conn *c);
/** Send what server.answer holds. `keep`: another request may follow. No callback runs within. */
void conn_send(struct conn *c, bool keep);
/** Has the request in flight arrived whole? */
bool conn_is_whole(const struct conn *c);
/** Is this connection allowed another request after the one in flight? */
bool conn_may_keep(const struct conn *c);

/** A request of this connection, NULL when out of memory; and its end, which accepts NULL. */
struct http_request *request_create(struct conn *c);
void request_destroy(struct http_server *s, struct http_request *r);
/** Free the memory kept for requests to come. */
void requests_free(struct http_server *s);

/** Write status line, headers and body to server.answer; the request may be half read (a refusal).
 */
void reply_format(struct conn *c, const struct http_reply *reply, bool keep);

/** A connection was freed: there is room for another. */
void server_on_conn_freed(struct http_server *s);
/** A whole line, "Date: Fri, 20 Nov 2026 09:15:32 GMT" and CRLF, renewed once a second. */
sl_str server_date(struct http_server *s);

/* ---- http_listen.c: the socket itself ---- */

/** Bind and listen as conf->listen says; fills fd, unix_* of `s`. 0 or a negative code, `fail`. */
int listen_open(struct http_server *s, struct fail *fail);
/** Close it and remove our own socket file. */
void listen_close(struct http_server *s);
/** accept(2): a descriptor or a negative code. */
int listen_accept(struct http_server *s, struct remote *ret_peer);

/* ---- http_address.c: how many connections one address has ---- */

/** Count a connection of this peer. True: it may stay, and *ret is what address_leave() gets (NULL:
 *  not counted). */
bool address_enter(struct http_server *s, const struct remote *peer, struct address **ret);
void address_leave(struct http_server *s, struct address *a); /* NULL is fine */
/** Answer 503 to a connection that may not stay, and close it. */
void address_turn_away(struct http_server *s, int fd, const struct remote *peer);
