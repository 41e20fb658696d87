/*
 * resolver.c - see resolver.h.
 */
#include "net/resolver.h"

#include <stdlib.h>
#include <string.h>

struct name {
    struct list link;
    struct resolver *resolver;
    struct list waiting;
    bool busy; /* `req` is under way */
    uv_getaddrinfo_t req;
    uint64_t until_ms; /* `found` is good until then, by uv_now(); 0 with nothing found yet */
    struct addresses found;
    char host[];
};

void resolver_init(struct resolver *r, uv_loop_t *loop, void (*on_idle)(struct resolver *))
{
    *r = (struct resolver){ .loop = loop, .on_idle = on_idle };
    list_init(&r->names);
}

static void name_free(struct name *n)
{
    list_remove(&n->link);
    n->resolver->n_names--;
    free(n);
}

void resolver_close(struct resolver *r)
{
    r->closing = true;
    list_each_safe (pos, tmp, &r->names) {
        struct name *n = list_entry(pos, struct name, link);

        if (n->busy)
            uv_cancel((uv_req_t *)&n->req); /* it reports in any case */
        else
            name_free(n);
    }
}

static struct name *find(struct resolver *r, const char *host)
{
    list_each (pos, &r->names) {
        struct name *n = list_entry(pos, struct name, link);

        if (strcmp(n->host, host) == 0)
            return n;
    }
    return NULL;
}

/* Room for one more: the oldest goes that nobody waits for. */
static void make_room(struct resolver *r)
{
    list_each_safe (pos, tmp, &r->names) {
        struct name *n = list_entry(pos, struct name, link);

        if (r->n_names < RESOLVER_NAMES)
            return;
        if (!n->busy)
            name_free(n);
    }
}

static struct name *add(struct resolver *r, const char *host)
{
    struct name *n;

    make_room(r);
    n = calloc(1, sizeof(*n) + strlen(host) + 1);
    if (!n)
        return NULL;
    memcpy(n->host, host, strlen(host) + 1);
    n->resolver = r;
    list_init(&n->waiting);
    list_append(&r->names, &n->link);
    r->n_names++;
    return n;
}

static void take_result(struct addresses *a, const struct addrinfo *res)
{
    a->n = 0;
    for (; res && a->n < RESOLVER_ADDRESSES; res = res->ai_next) {
        if (res->ai_family == AF_INET)
            memcpy(&a->at[a->n++], res->ai_addr, sizeof(struct sockaddr_in));
        else if (res->ai_family == AF_INET6)
            memcpy(&a->at[a->n++], res->ai_addr, sizeof(struct sockaddr_in6));
    }
}

/* The names server's answer. Waiters may ask for another name, never for this one again: they get
 * their turn later. */
static void on_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *res)
{
    struct name *n = container_of(req, struct name, req);
    struct resolver *r = n->resolver;
    uint64_t now = uv_now(r->loop);
    struct addresses found = { 0 };
    struct list waiting;

    n->busy = false;
    r->held--;
    if (status == 0)
        take_result(&found, res);
    uv_freeaddrinfo(res);
    if (status == 0 && found.n == 0)
        status = UV_EAI_NODATA;
    if (status == 0) {
        n->found = found;
        n->until_ms = now + RESOLVER_KEEP_MS;
    } else if (n->found.n > 0 && now < n->until_ms + RESOLVER_STALE_MS && !r->closing) {
        found = n->found;
        status = 0;
    }
    list_init(&waiting);
    list_splice(&waiting, &n->waiting);
    if (status < 0 || r->closing)
        name_free(n);
    while (!list_empty(&waiting)) {
        struct resolver_wait *w = list_entry(list_first(&waiting), struct resolver_wait, link);

        list_remove(&w->link);
        w->cb(w, status, status == 0 ? &found : NULL);
    }
    if (r->closing && r->held == 0)
        r->on_idle(r);
}

static bool literal(const char *host, struct addresses *ret)
{
    memset(&ret->at[0], 0, sizeof(ret->at[0]));
    ret->n = 1;
    return uv_ip4_addr(host, 0, &ret->at[0].in) == 0 || uv_ip6_addr(host, 0, &ret->at[0].in6) == 0;
}

int resolver_ask(struct resolver *r, const char *host, struct resolver_wait *w,
                 struct addresses *ret)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    struct name *n;
    int e;

    list_init(&w->link);
    if (literal(host, ret))
        return 1;
    n = find(r, host);
    if (n && n->found.n > 0 && uv_now(r->loop) < n->until_ms) {
        *ret = n->found;
        return 1;
    }
    if (!n && !(n = add(r, host)))
        return UV_ENOMEM;
    if (!n->busy) {
        if ((e = uv_getaddrinfo(r->loop, &n->req, on_resolved, n->host, NULL, &hints)) < 0) {
            name_free(n);
            return e;
        }
        n->busy = true;
        r->held++;
    }
    list_append(&n->waiting, &w->link);
    return 0;
}

void resolver_cancel(struct resolver_wait *w)
{
    list_remove(&w->link);
}

void resolver_forget(struct resolver *r, const char *host)
{
    struct name *n = find(r, host);

    if (n && !n->busy)
        name_free(n);
}
