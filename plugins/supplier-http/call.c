/*
 * call.c - one thing asked of the adapter, from the asking to the answer.
 */
#include "supplier.h"

#include <stdlib.h>
#include <string.h>

/* ---- life ---------------------------------------------------------------------------------- */

static sl_str keep(char **room, sl_str s)
{
    sl_str kept = { *room, s.len };

    if (s.len > 0)
        memcpy(*room, s.ptr, s.len);
    *room += s.len;
    return kept;
}

/** What is asked now is answered as it stood now at the earliest: an answer that takes its time, or
 *  is read late, makes no older request of it. */
static int64_t age_of(const sl_host *h, const sl_record *record)
{
    int64_t sent = record->last_sent_ms ? record->last_sent_ms : record->first_sent_ms;
    int64_t age = sent ? h->wall_ms(h->ctx) - sent : -1;

    return sent && age < 0 ? 0 : age; /* the clock was set back */
}

struct call *call_create(struct supplier *s, const sl_record *record,
                         void (*on_answer)(struct call *c, const sl_http_answer *a))
{
    size_t text = record->key.len + record->subject.len + record->piece.len;
    struct call *c = calloc(1, sizeof(*c) + text);
    char *room;

    if (!c)
        return NULL;
    room = c->text;
    c->s = s;
    c->on_answer = on_answer;
    c->key = keep(&room, record->key);
    c->subject = keep(&room, record->subject);
    c->piece = keep(&room, record->piece);
    c->age_ms = age_of(s->host, record);
    c->attempt = record->attempt;
    c->next = s->calls;
    c->link = &s->calls;
    if (c->next)
        c->next->link = &c->next;
    s->calls = c;
    return c;
}

void call_destroy(struct call *c)
{
    if (!c)
        return;
    *c->link = c->next;
    if (c->next)
        c->next->link = c->link;
    free(c);
}

/* ---- answers of our own making ------------------------------------------------------------- */

static void answer_own(struct call *c, sl_status error, const char *why)
{
    sl_http_answer a = {
        .size = sizeof(a), .error = error, .why = { why, strlen(why) }, .retry_after_ms = -1
    };

    c->on_answer(c, &a);
}

static void on_later(void *ctx)
{
    struct call *c = ctx;

    c->timer = 0;
    answer_own(c, c->error, c->why);
}

/* The host never hears the answer before its question has returned. */
void call_answer_later(struct call *c, sl_status error, const char *why)
{
    const sl_host *h = c->s->host;

    c->error = error;
    c->why = why;
    c->timer = h->timer(h->ctx, 0, on_later, c);
    if (c->timer == 0)
        answer_own(c, error, why); /* no memory: at once is better than never */
}

void calls_finish(struct supplier *s)
{
    while (s->calls) {
        struct call *c = s->calls;

        if (c->timer != 0)
            s->host->timer_cancel(s->host->ctx, c->timer);
        answer_own(c, SL_E_CANCELLED, "the endpoint is closing");
    }
}

/* ---- requests ------------------------------------------------------------------------------ */

char *call_url(const struct supplier *s, sl_str path, sl_str key)
{
    /* "{key}" is 5 bytes: no more than a fifth of the path grows into encoded keys */
    size_t room = s->base_url.len + path.len + (path.len / 5 + 1) * key.len * 3 + 1, n;
    char *url = malloc(room);

    if (!url)
        return NULL;
    memcpy(url, s->base_url.ptr, s->base_url.len);
    n = s->base_url.len;
    for (size_t i = 0; i < path.len; i++) {
        if (path.len - i >= 5 && memcmp(path.ptr + i, "{key}", 5) == 0) {
            n += percent_encode(key, url + n);
            i += 4;
        } else {
            url[n++] = path.ptr[i];
        }
    }
    url[n] = '\0';
    return url;
}

static void on_http(void *ctx, const sl_http_answer *answer)
{
    struct call *c = ctx;

    budget_of_headers(c->s->host, answer);
    c->on_answer(c, answer);
}

#define HEADER(n, v)            \
    (sl_header)                 \
    {                           \
        { (n), sizeof(n) - 1 }, \
        {                       \
            (v), sizeof(v) - 1  \
        }                       \
    }

void call_send(struct call *c, sl_str method, sl_str path, sl_str body, int idempotency)
{
    const struct supplier *s = c->s;
    sl_header headers[REST_MAX_HEADERS + 2];
    sl_http_request r = { .size = sizeof(r),
                          .method = method,
                          .headers = headers,
                          .n_headers = s->headers.n,
                          .body = body,
                          .max_answer = MAX_ANSWER };
    char *url = call_url(s, path, c->key);
    sl_status status;

    if (!url) {
        call_answer_later(c, SL_E_NO_MEMORY, "no memory for the request");
        return;
    }
    r.url = (sl_str){ url, strlen(url) };
    memcpy(headers, s->headers.list, s->headers.n * sizeof(headers[0]));
    if (body.len > 0 && !headers_have(&s->headers, "Content-Type"))
        headers[r.n_headers++] = HEADER("Content-Type", "application/json");
    if (idempotency && s->submit.idempotency_header.len > 0)
        headers[r.n_headers++] = (sl_header){ s->submit.idempotency_header, c->key };
    status = s->host->http(s->host->ctx, &r, on_http, c);
    free(url);
    if (status < 0)
        call_answer_later(c, status, "the request cannot be made: see base_url and the paths");
}
