/*
 * token.c - see token.h. The functions stand in the order they happen:
 *
 *   IDLE -> READING    what was kept is read: another instance may have refreshed meanwhile
 *        -> ASKING     the token endpoint is asked
 *        -> KEEPING    the new pair becomes durable (refresh tokens)
 *        -> IDLE       all who wait go on, or learn why not
 *
 * That a replacement is used only once it is durable matters: until then Shopify takes the refresh
 * token before it again, after that it does not.
 */
#include "admin/token.h"

#include <openssl/crypto.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/answer.h"
#include "shopify.h"

#define KEPT           "admin.tokens"
#define EARLY_MS       300000 /* renewed so long before its end, or ... */
#define EARLY_PART     4      /* ... a quarter of its life, if that is less */
#define MAX_LIFE_S     2592000
#define MAX_TOKEN      4096
#define DEFAULT_LIFE_S 3600 /* where the answer does not say */
#define MAX_SECRETS    SL_VERIFY_MAX_SECRETS
#define LITERAL(s)     ((sl_str){ (s), sizeof(s) - 1 })

enum token_flow { FLOW_STATIC, FLOW_CLIENT, FLOW_REFRESH };
enum token_state { TOKEN_IDLE, TOKEN_READING, TOKEN_ASKING, TOKEN_KEEPING };

struct token {
    struct shopify *s;
    enum token_flow flow;
    enum token_state state;
    sl_str client_id, secrets[MAX_SECRETS]; /* views into the settings; the first is in use */
    size_t n_secrets;
    sl_str given;              /* access token or first refresh token, as configured */
    char of[SEAL_DIGEST_SIZE]; /* refresh: of `given`; what was kept for another is of no use */
    char *access, *refresh;    /* own; NULL: none yet */
    char *new_access, *new_refresh; /* own: not durable yet */
    int64_t ends_ms, new_ends_ms;   /* wall clock */
    int64_t early_ms;
    uint64_t generation;
    int has_unused; /* admin.token stands beside other credentials */
    struct token_wait *waiting, **waiting_end;
};

/* ---- life ---- */

static void set(char **secret, const char *to)
{
    seal_wipe(*secret);
    *secret = to ? strdup(to) : NULL;
}

/* Tokens go into a header: nothing but visible ASCII. */
static int is_visible(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] <= ' ' || s[i] > '~')
            return 0;
    return len > 0 && len <= MAX_TOKEN;
}

static void read_client(struct token *t)
{
    const sl_host *h = t->s->host;

    h->values->str(h->settings, "admin.client_id", &t->client_id);
    while (t->n_secrets < MAX_SECRETS &&
           h->values->secret(h->settings, "admin.client_secret", (uint32_t)t->n_secrets,
                             &t->secrets[t->n_secrets]) == SL_OK &&
           t->secrets[t->n_secrets].len)
        t->n_secrets++;
}

static sl_status read_refresh(struct token *t, sl_fail *fail)
{
    const sl_host *h = t->s->host;
    char *text;

    if (!SL_HAS(sl_host, h, keep) || !SL_HAS(sl_host, h, kept))
        return shopify_fail(fail, SL_E_UNSUPPORTED,
                            "admin.refresh_token needs a Sluice that keeps tokens (ABI 0.4)");
    if (!is_visible(t->given.ptr, t->given.len) || !seal_digest(t->given, t->of))
        return shopify_fail(fail, SL_E_INVALID, "admin.refresh_token is no refresh token");
    text = strndup(t->given.ptr, t->given.len);
    set(&t->refresh, text);
    seal_wipe(text);
    return t->refresh ? SL_OK : SL_E_NO_MEMORY;
}

/* Two kinds of credentials: the operator may take the other one for the one in use. */
static void note_unused(struct token *t)
{
    const sl_host *h = t->s->host;
    sl_str any;

    t->has_unused = h->values->secret(h->settings, "admin.token", 0, &any) == SL_OK;
    if (t->has_unused)
        h->log(h->ctx, SL_LOG_WARN, LITERAL(TOKEN_UNUSED));
}

static sl_status read_settings(struct token *t, sl_fail *fail)
{
    const sl_host *h = t->s->host;

    read_client(t);
    if (!t->client_id.len && !t->n_secrets &&
        h->values->secret(h->settings, "admin.token", 0, &t->given) == SL_OK)
        return is_visible(t->given.ptr, t->given.len)
                   ? SL_OK
                   : shopify_fail(fail, SL_E_INVALID, "admin.token is no access token");
    if (!t->client_id.len || !t->n_secrets)
        return shopify_fail(fail, SL_E_INVALID, "admin.%s is missing beside admin.%s",
                            t->client_id.len ? "client_secret" : "client_id",
                            t->client_id.len ? "client_id" : "client_secret");
    t->flow = FLOW_CLIENT;
    note_unused(t);
    if (h->values->secret(h->settings, "admin.refresh_token", 0, &t->given) < 0)
        return SL_OK;
    t->flow = FLOW_REFRESH;
    return read_refresh(t, fail);
}

sl_status token_open(struct shopify *s, struct token **ret, sl_fail *fail)
{
    static const char *const names[] = { "admin.token", "admin.client_secret",
                                         "admin.refresh_token" };
    const sl_host *h = s->host;
    struct token *t;
    sl_str any;
    int given = h->values->str(h->settings, "admin.client_id", &any) == SL_OK;
    sl_status r;

    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        given |= h->values->secret(h->settings, names[i], 0, &any) == SL_OK;
    *ret = NULL;
    if (!given)
        return SL_OK;
    t = calloc(1, sizeof(*t));
    if (!t)
        return SL_E_NO_MEMORY;
    t->s = s;
    t->waiting_end = &t->waiting;
    t->generation = 1;
    r = read_settings(t, fail);
    if (r < 0) {
        token_close(t);
        return r;
    }
    *ret = t;
    return SL_OK;
}

void token_close(struct token *t)
{
    if (!t)
        return;
    seal_wipe(t->access);
    seal_wipe(t->refresh);
    seal_wipe(t->new_access);
    seal_wipe(t->new_refresh);
    free(t);
}

/* ---- the end of a renewal ---- */

__attribute__((format(printf, 3, 4))) static void
refuse(struct admin_answer *a, enum admin_verdict verdict, const char *format, ...)
{
    va_list args;

    *a = (struct admin_answer){ .verdict = verdict };
    va_start(args, format);
    vsnprintf(a->why, sizeof(a->why), format, args);
    va_end(args);
}

/* All who wait go on, or learn why not. Each may free itself, and start another question. */
static void release(struct token *t, const struct admin_answer *refusal)
{
    struct token_wait *w = t->waiting;

    t->state = TOKEN_IDLE;
    t->waiting = NULL;
    t->waiting_end = &t->waiting;
    while (w) {
        struct token_wait *next = w->next;

        w->next = NULL;
        w->ready(w, refusal);
        w = next;
    }
}

/* The new pair is the pair now. */
static void take_over(struct token *t)
{
    seal_wipe(t->access);
    t->access = t->new_access;
    t->new_access = NULL;
    if (t->new_refresh) {
        seal_wipe(t->refresh);
        t->refresh = t->new_refresh;
        t->new_refresh = NULL;
    }
    t->ends_ms = t->new_ends_ms;
    t->generation++;
}

static void forget_new(struct token *t)
{
    set(&t->new_access, NULL);
    set(&t->new_refresh, NULL);
}

/* ---- keeping ---- */

static void on_durable(void *ctx, sl_status status)
{
    struct token *t = ctx;
    struct admin_answer refusal;

    if (status == SL_OK) {
        take_over(t);
        release(t, NULL);
        return;
    }
    forget_new(t); /* never used, so the refresh token before it still holds */
    refuse(&refusal, ADMIN_NOT_DONE, "the new access token could not be stored, so it is not used");
    release(t, &refusal);
}

/* {"of", "access", "refresh", "ends"}, sealed; NULL: no memory. */
static char *to_keep(const struct token *t)
{
    json_t *all = json_pack("{s:s,s:s,s:s,s:I}", "of", t->of, "access", t->new_access, "refresh",
                            t->new_refresh, "ends", (json_int_t)t->new_ends_ms);
    char *text = all ? json_dumps(all, JSON_COMPACT) : NULL;
    char *sealed = text ? seal_close(t->s, t->secrets[0], text) : NULL;

    json_decref(all);
    seal_wipe(text);
    return sealed;
}

static void keep(struct token *t)
{
    const sl_host *h = t->s->host;
    char *sealed = to_keep(t);
    sl_status r = SL_E_NO_MEMORY;

    t->state = TOKEN_KEEPING;
    if (sealed)
        r = h->keep(h->ctx, LITERAL(KEPT), (sl_str){ sealed, strlen(sealed) }, on_durable, t);
    free(sealed);
    if (r < 0)
        on_durable(t, r);
}

/* ---- asking ---- */

/* 0: there is no usable token in it. */
static int read_answer(struct token *t, const json_t *root)
{
    const char *access = json_string_value(json_object_get(root, "access_token"));
    const char *refresh = json_string_value(json_object_get(root, "refresh_token"));
    const json_t *in = json_object_get(root, "expires_in");
    json_int_t life = json_is_integer(in) ? json_integer_value(in) : DEFAULT_LIFE_S;
    const sl_host *h = t->s->host;

    if (!access || !is_visible(access, strlen(access)) || life <= 0)
        return 0;
    if (t->flow == FLOW_REFRESH && (!refresh || !is_visible(refresh, strlen(refresh))))
        return 0;
    life = life < MAX_LIFE_S ? life : MAX_LIFE_S;
    t->early_ms = life * 1000 / EARLY_PART < EARLY_MS ? life * 1000 / EARLY_PART : EARLY_MS;
    t->new_ends_ms = h->wall_ms(h->ctx) + life * 1000;
    set(&t->new_access, access);
    if (t->flow == FLOW_REFRESH)
        set(&t->new_refresh, refresh);
    return t->new_access && (t->flow != FLOW_REFRESH || t->new_refresh);
}

static void on_answer(void *ctx, const sl_http_answer *a)
{
    struct token *t = ctx;
    struct admin_answer answer;
    json_t *root = answer_read_oauth(a, &answer);

    if (answer.verdict == ADMIN_OK && !read_answer(t, root))
        refuse(&answer, ADMIN_NOT_DONE, "the token's answer holds no usable access_token%s",
               t->flow == FLOW_REFRESH ? " and refresh_token" : "");
    json_decref(root);
    if (answer.verdict != ADMIN_OK) {
        forget_new(t);
        release(t, &answer);
    } else if (t->flow == FLOW_REFRESH) {
        keep(t);
    } else {
        take_over(t);
        release(t, NULL);
    }
}

struct form {
    char text[3 * MAX_TOKEN + 4096];
    size_t len;
};

static void add(struct form *f, const char *name, sl_str value)
{
    static const char hex[] = "0123456789ABCDEF";

    f->len += (size_t)snprintf(f->text + f->len, 64, "%s%s=", f->len ? "&" : "", name);
    for (size_t i = 0; i < value.len && f->len + 4 < sizeof(f->text); i++) {
        unsigned char c = (unsigned char)value.ptr[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
            strchr("-._~", c)) {
            f->text[f->len++] = (char)c;
        } else {
            f->text[f->len++] = '%';
            f->text[f->len++] = hex[c >> 4];
            f->text[f->len++] = hex[c & 15];
        }
    }
    f->text[f->len] = '\0';
}

static sl_status post(struct token *t, struct form *f)
{
    const struct shopify *s = t->s;
    sl_header headers[] = { { LITERAL("Content-Type"),
                              LITERAL("application/x-www-form-urlencoded") },
                            { LITERAL("Accept"), LITERAL("application/json") } };
    sl_str base = s->admin_url.len ? s->admin_url : s->shop;
    char url[512];
    int n = snprintf(url, sizeof(url), "%s%.*s/admin/oauth/access_token",
                     s->admin_url.len ? "" : "https://", (int)base.len, base.ptr);
    sl_http_request request = { .size = sizeof(request),
                                .method = LITERAL("POST"),
                                .url = { url, (size_t)n },
                                .headers = headers,
                                .n_headers = 2,
                                .body = { f->text, f->len } };

    return n < (int)sizeof(url) ? s->host->http(s->host->ctx, &request, on_answer, t) : SL_E_LIMIT;
}

static void ask(struct token *t)
{
    struct form *f = calloc(1, sizeof(*f));
    struct admin_answer refusal;
    sl_status r = SL_E_NO_MEMORY;

    t->state = TOKEN_ASKING;
    if (f) {
        add(f, "grant_type",
            t->flow == FLOW_REFRESH ? LITERAL("refresh_token") : LITERAL("client_credentials"));
        add(f, "client_id", t->client_id);
        add(f, "client_secret", t->secrets[0]);
        if (t->flow == FLOW_REFRESH)
            add(f, "refresh_token", (sl_str){ t->refresh, strlen(t->refresh) });
        r = post(t, f);
        OPENSSL_cleanse(f, sizeof(*f));
    }
    free(f);
    if (r == SL_OK)
        return;
    refuse(&refusal, ADMIN_NOT_DONE, "no request for an access token could be made");
    release(t, &refusal);
}

/* ---- reading what was kept ---- */

static int is_valid(const struct token *t)
{
    const sl_host *h = t->s->host;

    if (t->flow == FLOW_STATIC)
        return 1;
    return t->access && h->wall_ms(h->ctx) < t->ends_ms - t->early_ms;
}

/* 1: it is of the refresh token that is configured, and not what we have. */
static int take_kept(struct token *t, const json_t *all)
{
    const char *of = json_string_value(json_object_get(all, "of"));
    const char *access = json_string_value(json_object_get(all, "access"));
    const char *refresh = json_string_value(json_object_get(all, "refresh"));

    if (!of || strcmp(of, t->of) != 0 || !access || !is_visible(access, strlen(access)) ||
        !refresh || !is_visible(refresh, strlen(refresh)) || strcmp(refresh, t->refresh) == 0)
        return 0;
    set(&t->new_access, access);
    set(&t->new_refresh, refresh);
    t->new_ends_ms = json_integer_value(json_object_get(all, "ends"));
    t->early_ms = EARLY_MS;
    if (!t->new_access || !t->new_refresh) {
        forget_new(t);
        return 0;
    }
    take_over(t);
    return 1;
}

static void read_kept(struct token *t, sl_str sealed)
{
    char *text = NULL;
    json_t *all;

    for (size_t i = 0; i < t->n_secrets && !text; i++)
        text = seal_open(t->secrets[i], sealed);
    if (!text) {
        static const char said[] =
            "what was kept of the shop's tokens cannot be read: its admin.client_secret is another "
            "one; list the one before it as the second, or give a new admin.refresh_token";
        t->s->host->log(t->s->host->ctx, SL_LOG_WARN, LITERAL(said));
        return;
    }
    all = json_loads(text, 0, NULL);
    take_kept(t, all);
    json_decref(all);
    seal_wipe(text);
}

static void on_kept(void *ctx, sl_status status, sl_str value)
{
    struct token *t = ctx;
    struct admin_answer refusal;

    if (status < 0) {
        refuse(&refusal, ADMIN_NOT_DONE, "what was kept of the shop's tokens could not be read");
        release(t, &refusal);
        return;
    }
    if (value.len)
        read_kept(t, value);
    if (is_valid(t))
        release(t, NULL);
    else
        ask(t);
}

static void read(struct token *t)
{
    const sl_host *h = t->s->host;
    struct admin_answer refusal;
    sl_status r;

    t->state = TOKEN_READING;
    r = h->kept(h->ctx, LITERAL(KEPT), on_kept, t);
    if (r == SL_OK)
        return;
    if (r == SL_E_UNSUPPORTED)
        refuse(&refusal, ADMIN_NOT_DONE,
               "a refresh token changes with each use, and here is nothing to store it in");
    else
        refuse(&refusal, ADMIN_NOT_DONE, "what was kept of the shop's tokens could not be read");
    release(t, &refusal);
}

/* ---- the beginning ---- */

void token_get(struct token *t, struct token_wait *w)
{
    w->next = NULL;
    if (t->state == TOKEN_IDLE && is_valid(t)) {
        w->ready(w, NULL);
        return;
    }
    *t->waiting_end = w;
    t->waiting_end = &w->next;
    if (t->state != TOKEN_IDLE)
        return;
    if (t->flow == FLOW_REFRESH)
        read(t);
    else
        ask(t);
}

sl_str token_now(const struct token *t)
{
    if (t->flow == FLOW_STATIC)
        return t->given;
    return (sl_str){ t->access, t->access ? strlen(t->access) : 0 };
}

uint64_t token_generation(const struct token *t)
{
    return t->flow == FLOW_STATIC ? 0 : t->generation;
}

int token_drop(struct token *t, uint64_t generation)
{
    if (t->flow == FLOW_STATIC)
        return 0;
    if (generation == t->generation)
        set(&t->access, NULL);
    return 1;
}

int token_has_unused(const struct token *t)
{
    return t->has_unused;
}

const char *token_kind(const struct token *t)
{
    return t->flow == FLOW_STATIC   ? "a static access token"
           : t->flow == FLOW_CLIENT ? "client credentials"
                                    : "a refresh token";
}
