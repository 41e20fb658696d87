/*
 * http_guard.c - see http_guard.h.
 */
#include "net/http_guard.h"

#include <string.h>
#include "base/buf.h"

#define REFUSE(status, why) ((struct http_refusal){ (status), (why) })
#define PASS                REFUSE(0, NULL)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_token_char(char c)
{
    static const bool token[256] = {
        ['0' ... '9'] = true, ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['!'] = true,
        ['#'] = true,         ['$'] = true,         ['%'] = true,         ['&'] = true,
        ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true,
        ['.'] = true,         ['^'] = true,         ['_'] = true,         ['`'] = true,
        ['|'] = true,         ['~'] = true,
    };

    return token[(unsigned char)c];
}

bool http_is_token(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!is_token_char(s.ptr[i]))
            return false;
    return s.len > 0;
}

static bool is_control(unsigned char c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

bool http_is_field_value(sl_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (is_control((unsigned char)s.ptr[i]))
            return false;
    return true;
}

/* ---- the gate ---- */

void http_gate_init(struct http_gate *g, uint32_t max_bytes, uint32_t max_fields, bool trailer)
{
    *g = (struct http_gate){ .max_bytes = max_bytes, .max_fields = max_fields, .trailer = trailer };
}

static struct http_refusal gate_too_long(const struct http_gate *g)
{
    if (g->trailer)
        return REFUSE(431, "trailers too large");
    return g->lines == 0 ? REFUSE(414, "request line too long") : REFUSE(431, "header too large");
}

/* The LF of a CRLF. */
static struct http_refusal gate_end_line(struct http_gate *g)
{
    g->cr = false;
    if (g->line_bytes == 0) {
        if (g->lines > 0 || g->trailer)
            g->done = true;
        else if (++g->leading > 1)
            return REFUSE(400, "blank lines before the request");
        return PASS;
    }
    g->line_bytes = 0;
    g->lines++;
    if (g->lines - (g->trailer ? 0 : 1) > g->max_fields)
        return REFUSE(431, "too many header fields");
    return PASS;
}

static struct http_refusal gate_byte(struct http_gate *g, unsigned char c)
{
    if (++g->bytes > g->max_bytes)
        return gate_too_long(g);
    if (g->cr)
        return c == '\n' ? gate_end_line(g) : REFUSE(400, "CR without LF");
    if (c == '\r') {
        g->cr = true;
        return PASS;
    }
    if (c == '\n')
        return REFUSE(400, "LF without CR");
    if (is_control(c))
        return REFUSE(400, "control byte in the header");
    if (g->line_bytes == 0 && (c == ' ' || c == '\t'))
        return g->lines == 0 ? REFUSE(400, "line starts with a blank")
                             : REFUSE(400, "folded header line");
    if (++g->line_bytes > HTTP_MAX_LINE)
        return gate_too_long(g);
    return PASS;
}

/* How many of the first n bytes are plainly part of a line: no control byte, not even a tab. Eight
 * at a time; all heads pass here. */
static size_t plain_run(const char *p, size_t n)
{
    const uint64_t ones = 0x0101010101010101u, highs = ones << 7;
    size_t i = 0;

    for (; i + 8 <= n; i += 8) {
        uint64_t x, del, hits;

        memcpy(&x, p + i, 8);
        del = x ^ (ones * 0x7f);
        hits = (((x - ones * 0x20) & ~x) | ((del - ones) & ~del)) & highs;
        if (!hits)
            continue;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
        return i + (size_t)__builtin_ctzll(hits) / 8; /* a borrow makes false ones above it only */
#else
        break;
#endif
    }
    while (i < n && !is_control((unsigned char)p[i]) && p[i] != '\t')
        i++;
    return i;
}

/* Inside a line: take what is plainly allowed, byte for byte what gate_byte() would say of it. */
static size_t gate_run(struct http_gate *g, const char *p, size_t n)
{
    size_t left = HTTP_MAX_LINE - g->line_bytes;

    if (g->line_bytes == 0 || g->cr)
        return 0;
    if (left > g->max_bytes - g->bytes)
        left = g->max_bytes - g->bytes;
    n = plain_run(p, n < left ? n : left);
    g->line_bytes += (uint32_t)n;
    g->bytes += (uint32_t)n;
    return n;
}

size_t http_gate_take(struct http_gate *g, const char *p, size_t n, struct http_refusal *ret)
{
    size_t i = 0;

    while (i < n && !g->done) {
        struct http_refusal no;

        i += gate_run(g, p + i, n - i);
        if (i == n)
            break;
        no = gate_byte(g, (unsigned char)p[i++]);
        if (no.status) {
            *ret = no;
            break;
        }
    }
    return i;
}

/* ---- the head ---- */

/* The next line without its CRLF; the gate saw to it that there is one. */
static sl_str next_line(sl_str *rest)
{
    const char *lf = memchr(rest->ptr, '\n', rest->len);
    size_t len = lf ? (size_t)(lf - rest->ptr) : rest->len;
    sl_str line = { rest->ptr, len > 0 ? len - 1 : 0 };

    rest->ptr += lf ? len + 1 : len;
    rest->len -= lf ? len + 1 : len;
    return line;
}

/* Cut at the first `c`; false when there is none. */
static bool cut(sl_str s, char c, sl_str *before, sl_str *after)
{
    const char *at = s.len ? memchr(s.ptr, c, s.len) : NULL;

    if (!at)
        return false;
    *before = (sl_str){ s.ptr, (size_t)(at - s.ptr) };
    *after = (sl_str){ at + 1, s.len - before->len - 1 };
    return true;
}

static struct http_refusal read_version(struct http_head *h, sl_str version)
{
    if (version.len != 8 || memcmp(version.ptr, "HTTP/", 5) != 0 || !is_digit(version.ptr[5]) ||
        version.ptr[6] != '.' || !is_digit(version.ptr[7]))
        return REFUSE(400, "no HTTP version");
    if (version.ptr[5] != '1' || version.ptr[7] > '1')
        return REFUSE(505, "HTTP version");
    h->minor = version.ptr[7] - '0';
    return PASS;
}

static bool method_allowed(sl_str method)
{
    static const char *const allowed[] = { "GET",   "HEAD",   "POST",    "PUT",
                                           "PATCH", "DELETE", "OPTIONS", NULL };

    for (const char *const *m = allowed; *m; m++)
        if (str_eq(method, str_of(*m)))
            return true;
    return false;
}

/* Origin form only. Absolute form would make two authorities, and the proxies in front of us
 * disagree on which one counts. */
static struct http_refusal read_target(struct http_head *h)
{
    sl_str t = h->target;

    for (size_t i = 0; i < t.len; i++)
        if (t.ptr[i] < 0x21 || t.ptr[i] > 0x7e || t.ptr[i] == '#')
            return REFUSE(400, "bad byte in the target");
    if (t.len == 0 || t.ptr[0] != '/') {
        if (!str_eq(t, STR("*")) || !str_eq(h->method, STR("OPTIONS")))
            return REFUSE(400, "target is not a path");
    }
    if (!cut(t, '?', &h->path, &h->query)) {
        h->path = t;
        h->query = STR("");
    }
    return PASS;
}

static struct http_refusal read_request_line(struct http_head *h, sl_str line)
{
    sl_str method, rest, version;
    struct http_refusal no;

    if (!cut(line, ' ', &method, &rest) || !http_is_token(method))
        return REFUSE(400, "no method");
    if (!cut(rest, ' ', &h->target, &version))
        return REFUSE(400, "no HTTP version");
    if ((no = read_version(h, version)).status)
        return no;
    if (!method_allowed(method))
        return REFUSE(405, "method not allowed");
    h->method = method;
    return read_target(h);
}

/* Does a name (any case) match one of these (lower case, '*' at the end for a prefix)? */
static bool name_listed(sl_str name, const char *const *list)
{
    char first = name.len > 0 ? name.ptr[0] : 0;

    if (first >= 'A' && first <= 'Z')
        first = (char)(first + ('a' - 'A'));
    for (; list && *list; list++) {
        sl_str entry;

        if (**list != first && **list != '*')
            continue;
        entry = str_of(*list);

        if (entry.len > 0 && entry.ptr[entry.len - 1] == '*') {
            entry.len--;
            if (name.len >= entry.len && str_eq_nocase((sl_str){ name.ptr, entry.len }, entry))
                return true;
        } else if (str_eq_nocase(name, entry)) {
            return true;
        }
    }
    return false;
}

static bool stands_twice(const struct http_head *h, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (h->headers[j].name.len == h->headers[i].name.len &&
            str_eq_nocase(h->headers[j].name, h->headers[i].name))
            return true;
    return false;
}

/* uri-host [ ":" port ], by its alphabet: enough that no other reader can see a path, a user or a
 * second host in it. */
static bool host_valid(sl_str v)
{
    size_t i = 0;

    if (v.len > 0 && v.ptr[0] == '[') {
        for (i = 1; i < v.len && v.ptr[i] != ']'; i++)
            if (!is_alnum(v.ptr[i]) && v.ptr[i] != ':' && v.ptr[i] != '.')
                return false;
        if (i == v.len || i == 1)
            return false;
        i++;
    } else {
        while (i < v.len && v.ptr[i] && (is_alnum(v.ptr[i]) || strchr("-._~%!$&'()*+;=", v.ptr[i])))
            i++;
    }
    if (i == 0)
        return false;
    if (i < v.len && v.ptr[i++] != ':')
        return false;
    for (; i < v.len; i++)
        if (!is_digit(v.ptr[i]))
            return false;
    return true;
}

static struct http_refusal read_length(struct http_head *h, sl_str v)
{
    if (v.len == 0 || (v.len > 1 && v.ptr[0] == '0'))
        return REFUSE(400, "bad Content-Length");
    for (size_t i = 0; i < v.len; i++)
        if (!is_digit(v.ptr[i]))
            return REFUSE(400, "bad Content-Length");
    if (v.len > 18)
        return REFUSE(413, "body too large");
    for (size_t i = 0; i < v.len; i++)
        h->length = h->length * 10 + (uint64_t)(v.ptr[i] - '0');
    h->has_length = true;
    return PASS;
}

/* Exactly "chunked". A list that ends in it is well formed but a coding we do not undo. */
static struct http_refusal read_coding(struct http_head *h, sl_str v)
{
    sl_str first, rest = v;
    int n_chunked = 0, n = 0;
    bool last_chunked = false;

    while (rest.len > 0) {
        if (!cut(rest, ',', &first, &rest)) {
            first = rest;
            rest = STR("");
        }
        last_chunked = str_eq_nocase(str_trim(first), STR("chunked"));
        n_chunked += last_chunked;
        n++;
    }
    if (n_chunked != 1 || !last_chunked)
        return REFUSE(400, "bad Transfer-Encoding");
    if (n > 1 || v.ptr[v.len - 1] == ',')
        return REFUSE(501, "transfer coding not implemented");
    h->chunked = true;
    return PASS;
}

static void read_connection(sl_str v, bool *close, bool *keep)
{
    sl_str first;

    while (v.len > 0) {
        if (!cut(v, ',', &first, &v)) {
            first = v;
            v = STR("");
        }
        if (str_eq_nocase(str_trim(first), STR("close")))
            *close = true;
        else if (str_eq_nocase(str_trim(first), STR("keep-alive")))
            *keep = true;
    }
}

static struct http_refusal read_field(sl_header *f, sl_str line)
{
    if (!cut(line, ':', &f->name, &f->value) || !http_is_token(f->name))
        return REFUSE(400, "bad header name");
    f->value = str_trim(f->value);
    return PASS;
}

/* What the fields say together about the framing, once all were read. */
struct framing {
    bool host, coding, close, keep;
    sl_str coding_value;
};

enum field {
    FIELD_OTHER,
    FIELD_HOST,
    FIELD_LENGTH,
    FIELD_CODING,
    FIELD_CONNECTION,
    FIELD_UPGRADE,
    FIELD_EXPECT,
    FIELD_ONCE, /* of no meaning here, but it may stand once */
};

/* No two of them are of one length, so that a name is compared with one at most. */
static enum field field_of(sl_str name)
{
    static const struct {
        sl_str name;
        enum field field;
    } known[] = {
        [4] = { STR("host"), FIELD_HOST },
        [6] = { STR("expect"), FIELD_EXPECT },
        [7] = { STR("upgrade"), FIELD_UPGRADE },
        [10] = { STR("connection"), FIELD_CONNECTION },
        [12] = { STR("content-type"), FIELD_ONCE },
        [13] = { STR("authorization"), FIELD_ONCE },
        [14] = { STR("content-length"), FIELD_LENGTH },
        [17] = { STR("transfer-encoding"), FIELD_CODING },
    };

    if (name.len >= sizeof(known) / sizeof(known[0]) || !str_eq_nocase(name, known[name.len].name))
        return FIELD_OTHER;
    return known[name.len].field;
}

static bool may_stand_once(const sl_header *f, enum field field, const char *const *singletons)
{
    switch (field) {
    case FIELD_HOST:
    case FIELD_LENGTH:
    case FIELD_CODING:
    case FIELD_EXPECT:
    case FIELD_ONCE:
        return true;
    default:
        return name_listed(f->name, singletons);
    }
}

static struct http_refusal weigh_field(struct http_head *h, const sl_header *f, enum field field,
                                       struct framing *fr)
{
    switch (field) {
    case FIELD_HOST:
        fr->host = true;
        return host_valid(f->value) ? PASS : REFUSE(400, "bad Host");
    case FIELD_LENGTH:
        return read_length(h, f->value);
    case FIELD_CODING:
        fr->coding = true;
        fr->coding_value = f->value;
        return PASS;
    case FIELD_CONNECTION:
        read_connection(f->value, &fr->close, &fr->keep);
        return PASS;
    case FIELD_UPGRADE:
        return REFUSE(400, "Upgrade not supported");
    case FIELD_EXPECT:
        if (h->minor == 0)
            return PASS;
        if (!str_eq_nocase(f->value, STR("100-continue")))
            return REFUSE(417, "unknown expectation");
        h->expect_continue = true;
        return PASS;
    default:
        return PASS;
    }
}

static struct http_refusal conclude(struct http_head *h, const struct framing *fr)
{
    if (h->minor == 1 && !fr->host)
        return REFUSE(400, "no Host");
    h->keep_alive = !fr->close && (h->minor == 1 || fr->keep);
    if (!fr->coding)
        return PASS;
    if (h->has_length)
        return REFUSE(400, "Content-Length with Transfer-Encoding");
    if (h->minor == 0)
        return REFUSE(400, "Transfer-Encoding on HTTP/1.0");
    return read_coding(h, fr->coding_value);
}

struct http_refusal http_head_read(struct http_head *h, sl_str raw, sl_header *headers,
                                   const char *const *singletons)
{
    struct framing fr = { 0 };
    struct http_refusal no;
    sl_str line;

    *h = (struct http_head){ .headers = headers };
    if (str_starts(raw, STR("\r\n")))
        next_line(&raw);
    if ((no = read_request_line(h, next_line(&raw))).status)
        return no;
    while ((line = next_line(&raw)).len > 0) {
        sl_header *f = &headers[h->n_headers];
        enum field field;

        if ((no = read_field(f, line)).status)
            return no;
        field = field_of(f->name);
        if (may_stand_once(f, field, singletons) && stands_twice(h, h->n_headers))
            return REFUSE(400, "header stands twice");
        h->n_headers++;
        if ((no = weigh_field(h, f, field, &fr)).status)
            return no;
    }
    return conclude(h, &fr);
}

struct http_refusal http_trailers_check(sl_str raw)
{
    static const char *const framing[] = { "content-length",
                                           "transfer-encoding",
                                           "host",
                                           "connection",
                                           "upgrade",
                                           "trailer",
                                           "te",
                                           "expect",
                                           NULL };
    sl_str line;

    while ((line = next_line(&raw)).len > 0) {
        sl_header f;

        if (read_field(&f, line).status)
            return REFUSE(400, "bad trailer name");
        if (name_listed(f.name, framing))
            return REFUSE(400, "framing field in a trailer");
    }
    return PASS;
}

/* ---- chunked bodies ---- */

void http_budget_init(struct http_budget *b, uint64_t body_max)
{
    *b = (struct http_budget){ .body_max = body_max };
}

static uint64_t wire_left(const struct http_budget *b)
{
    uint64_t max = b->body_max + b->body_max / 4 + 65536;

    return max > b->wire ? max - b->wire : 0;
}

struct http_refusal http_budget_data(struct http_budget *b, uint64_t n)
{
    if (n > wire_left(b))
        return REFUSE(413, "too many bytes for the body");
    b->wire += n;
    return PASS;
}

struct http_refusal http_budget_line(struct http_budget *b, uint64_t n)
{
    /* 16 digits and CRLF are always fine; the exact sum is taken when the header is complete */
    uint64_t line_left = HTTP_MAX_EXTENSIONS - b->extensions + 18 - b->line;

    /* the limit that the bytes reach first decides, however they were cut */
    if (n > line_left && line_left <= wire_left(b))
        return REFUSE(400, "chunk extensions too large");
    b->line += n;
    return http_budget_data(b, n);
}

struct http_refusal http_budget_chunk(struct http_budget *b, uint64_t size)
{
    uint64_t need = 3; /* one digit and CRLF */

    for (uint64_t s = size >> 4; s; s >>= 4)
        need++;
    if (b->line > need && b->line - need > HTTP_MAX_EXTENSIONS - b->extensions)
        return REFUSE(400, "chunk extensions too large");
    b->extensions += b->line > need ? (uint32_t)(b->line - need) : 0;
    b->line = 0;
    if (size > b->body_max || b->body > b->body_max - size)
        return REFUSE(413, "body too large");
    b->body += size;
    if (++b->chunks > HTTP_MAX_CHUNKS)
        return REFUSE(413, "too many chunks");
    return PASS;
}
