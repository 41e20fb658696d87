/*
 * client_rig.h - what every test of the client needs: a loop, a scripted peer, a client, and what
 * became of each call.
 */
#pragma once

#include "net/http_client.h"
#include "peer.h"

#define RIG_CALLS 128

struct outcome {
    unsigned calls; /* how often the callback ran */
    unsigned order; /* 1: the first of all */
    int error, status;
    bool sent, reused;
    enum http_phase phase;
    char why[240];
    char body[256]; /* its start */
    size_t body_len;
    size_t n_headers;
    char x_test[64]; /* the header X-Test */
    struct rig *rig;
};

struct rig {
    uv_loop_t loop;
    struct peer peer;
    struct http_client_conf conf;
    struct http_client *client;
    struct outcome out[RIG_CALLS];
    unsigned n, done;
    bool closed;
    char base[128]; /* "http://127.0.0.1:port" */
    void (*on_done)(struct outcome *o);
};

/** Limits of a second or two; change rig->conf before rig_client(). `tls` may be NULL. */
void rig_open(struct rig *r, SSL_CTX *tls);
void rig_client(struct rig *r);
/** Start one; returns its outcome. `path` may be a whole URL. */
struct outcome *rig_call(struct rig *r, const char *method, const char *path, sl_str body);
struct outcome *rig_get(struct rig *r, const char *path);
/** Run the loop until all calls are done; fails the test after ten seconds. */
void rig_run(struct rig *r);
/** rig_get() and rig_run(). */
struct outcome *rig_fetch(struct rig *r, const char *path);
/** Run the loop for so long (whatever else happens). */
void rig_pass(struct rig *r, unsigned ms);
/** Close everything: each call was told once, and nothing is left in the loop. */
void rig_close(struct rig *r);
