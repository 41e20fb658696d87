/*
 * http_peer.h - a server under test with a recording handler, and raw clients, in one loop and one
 * thread: a client's bytes go out by send(2) between turns of the loop, so every cut is exact.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>
#include "base/buf.h"
#include "net/http_server.h"

/** When the recording handler answers. */
enum answer_when { ANSWER_AT_END, ANSWER_AT_HEAD, ANSWER_AT_BODY, ANSWER_NEVER };

struct rig {
    uv_loop_t loop;
    struct http_server *server;
    enum answer_when when;
    struct http_reply reply;   /* with body.ptr NULL: "METHOD /path" */
    int64_t limit_body;        /* >= 0: http_limit_body() in on_head */
    struct http_request *held; /* ANSWER_NEVER: the last request seen whole */
    int heads, ends, gones, refusals, closed;
    int refused_status;
    const char *refused_why;
    size_t piece_bytes;  /* by on_body, of the request in flight */
    bool streams;        /* opened by rig_open_streaming() */
    struct buf streamed; /* its pieces */
    struct buf seen;     /* "POST /x[body] GET /[] " of whole requests */
    char peer[64];       /* of the last head */
    int64_t peer_uid;
    char client[64]; /* of the last head, too */
};

void rig_defaults(struct http_server_conf *conf); /* 127.0.0.1:0 */
void rig_open(struct rig *g, const struct http_server_conf *conf);
/** With a handler that streams: bodies are gathered by the rig alone. */
void rig_open_streaming(struct rig *g, const struct http_server_conf *conf);
/** Close the server at once if it is open, and check that nothing is left in the loop. */
void rig_finish(struct rig *g);
void rig_turn(struct rig *g); /* one turn of the loop, no waiting */
/** Turn until *counter reaches n; fails the test after 30 s. */
void rig_until(struct rig *g, const int *counter, int n);
void rig_until_connections(struct rig *g, uint32_t n);
/** Turn for about this long. */
void rig_for(struct rig *g, unsigned ms);
void rig_on_closed(void *ctx); /* for http_server_close(): counts in g->closed */

struct peer {
    int fd;
    struct buf got;
    bool eof;
    int error; /* errno of a failed read */
};

void peer_connect(struct peer *p, const struct rig *g);
/** From another of this machine's addresses, such as 127.0.0.9. */
void peer_connect_from(struct peer *p, const struct rig *g, const char *address);
void peer_connect_unix(struct peer *p, const char *path);
/** Send all, turning the loop; false when the server closed. */
bool peer_send(struct peer *p, struct rig *g, const char *bytes, size_t n);
bool peer_text(struct peer *p, struct rig *g, const char *text);
void peer_read(struct peer *p); /* what is there */
/** Turn until `text` stands `times` times in what was received; fails after 30 s. */
void peer_expect(struct peer *p, struct rig *g, const char *text, int times);
void peer_expect_eof(struct peer *p, struct rig *g);
int peer_count(const struct peer *p, const char *text);
/** "200 400": the status lines received, in order. */
void peer_statuses(const struct peer *p, char *out, size_t cap);
void peer_close(struct peer *p);

/** A server as by default with one peer, and their end. */
void open_default(struct rig *g, struct peer *p);
void close_both(struct rig *g, struct peer *p);
/** Answer the request that is held. */
void reply_text(struct rig *g, const char *text);
