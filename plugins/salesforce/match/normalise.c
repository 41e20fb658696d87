/*
 * normalise.c - folding, addresses, phone numbers and company names. Names of people: name.c.
 */
#include "normalise.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "words.h"

/* ---- folding ------------------------------------------------------------------------------- */

/* U+00C0 to U+017F: one letter each, and what stands in `pairs` for two. */
static const char latin[] =
    "aaaaaa\1ceeeeiiiidnooooo*ouuuuy\2\3aaaaaa\1ceeeeiiiidnooooo/ouuuuy\2y"
    "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiii\4\4jjkkklllllll"
    "lllnnnnnnnnnoooooo\5\5rrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
static const char *const pairs[] = { NULL, "ae", "th", "ss", "ij", "oe" };

/* One character at `p`, which is valid UTF-8 of `n` bytes. */
static uint32_t code_point(const char *p, size_t n)
{
    const uint8_t *u = (const uint8_t *)p;
    uint32_t c = n == 1 ? u[0] : u[0] & (0xffu >> (n + 1));

    for (size_t i = 1; i < n; i++)
        c = c << 6 | (u[i] & 0x3f);
    return c;
}

static void add_utf8(struct text *to, uint32_t c)
{
    char b[4];
    size_t n = 0;

    if (c < 0x80) {
        b[n++] = (char)c;
    } else if (c < 0x800) {
        b[n++] = (char)(0xc0 | c >> 6);
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        b[n++] = (char)(0xe0 | c >> 12);
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    } else {
        b[n++] = (char)(0xf0 | (c >> 18 & 7));
        b[n++] = (char)(0x80 | (c >> 12 & 0x3f));
        b[n++] = (char)(0x80 | (c >> 6 & 0x3f));
        b[n++] = (char)(0x80 | (c & 0x3f));
    }
    text_add(to, b, n);
}

/* Vietnamese letters: rows of one base letter each. */
static char vietnamese(uint32_t c)
{
    static const struct {
        uint16_t last;
        char base;
    } rows[] = { { 0x1eb7, 'a' }, { 0x1ec7, 'e' }, { 0x1ecb, 'i' },
                 { 0x1ee3, 'o' }, { 0x1ef1, 'u' }, { 0x1ef9, 'y' } };
    size_t i = 0;

    while (c > rows[i].last)
        i++;
    return rows[i].base;
}

static uint32_t lower_of(uint32_t c)
{
    if ((c >= 0x0410 && c <= 0x042f) || (c >= 0x0391 && c <= 0x03a9))
        return c + 32;
    if (c >= 0x0400 && c <= 0x040f)
        return c + 80;
    return c;
}

static void fold_one(uint32_t c, struct text *to)
{
    char base;

    if (c < 0x80) {
        text_char(to, ascii_lower((char)c));
    } else if (c >= 0xc0 && c <= 0x17f && c != 0xd7 && c != 0xf7) {
        base = latin[c - 0xc0];
        if (base < ' ')
            text_str(to, pairs[(int)base]);
        else
            text_char(to, base);
    } else if (c >= 0x300 && c <= 0x36f) {
        return; /* a mark that stands by itself */
    } else if (c >= 0x1ea0 && c <= 0x1ef9) {
        text_char(to, vietnamese(c));
    } else if (c == 0x1e9e) {
        text_str(to, "ss");
    } else if (c == 0x1a0 || c == 0x1a1) {
        text_char(to, 'o');
    } else if (c == 0x1af || c == 0x1b0) {
        text_char(to, 'u');
    } else if (c == 0xa0 || (c >= 0x2000 && c <= 0x200a) || c == 0x3000) {
        text_char(to, ' ');
    } else if (c >= 0x200b && c <= 0x200f) {
        return; /* no width */
    } else if (c >= 0x2010 && c <= 0x2015) {
        text_char(to, '-');
    } else if (c == 0x2018 || c == 0x2019) {
        text_char(to, '\'');
    } else {
        add_utf8(to, lower_of(c));
    }
}

void fold(sl_str in, struct text *to)
{
    const char *p = in.len > 0 ? in.ptr : "", *end = p + in.len;

    while (p < end) {
        size_t n = utf8_length(p, end);

        if (n > 0)
            fold_one(code_point(p, n), to);
        p += n > 0 ? n : 1;
    }
}

/* ---- domains ------------------------------------------------------------------------------- */

#define LABEL_MAX 63

static bool list_has(const char *const *list, sl_str s)
{
    for (; list && *list; list++)
        if (str_is(s, *list))
            return true;
    return false;
}

bool is_freemail(sl_str domain, const char *const *more)
{
    return list_has(words_freemail, domain) || list_has(more, domain);
}

static uint32_t punycode_adapt(uint32_t delta, uint32_t n, bool first)
{
    uint32_t k = 0;

    delta = first ? delta / 700 : delta / 2;
    delta += delta / n;
    for (; delta > 35 * 26 / 2; k += 36)
        delta /= 35;
    return k + 36 * delta / (delta + 38);
}

static int punycode_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0' + 26;
    c = ascii_lower(c);
    return c >= 'a' && c <= 'z' ? c - 'a' : -1;
}

/* What "xn--" stands for has something beyond ASCII, and is not encoded again (RFC 5890, 5891). */
static bool is_unicode_label(const uint32_t *at, size_t n)
{
    bool ascii = true;

    for (size_t i = 0; i < n; i++)
        ascii = ascii && at[i] < 0x80;
    return !ascii && !(n > 4 && at[0] == 'x' && at[1] == 'n' && at[2] == '-' && at[3] == '-');
}

/* RFC 3492: what follows "xn--", as code points. 0: it is none. */
static size_t punycode_decode(sl_str in, uint32_t out[LABEL_MAX])
{
    const char *dash = memrchr(in.ptr, '-', in.len);
    size_t at = dash ? (size_t)(dash - in.ptr) : 0, n = 0;
    uint32_t code = 128, i = 0, bias = 72;

    for (size_t k = 0; k < at; k++)
        out[n++] = (uint8_t)ascii_lower(in.ptr[k]);
    at = dash ? at + 1 : 0;
    while (at < in.len) {
        uint32_t old = i, weight = 1;

        for (uint32_t k = 36;; k += 36) {
            int digit = at < in.len ? punycode_digit(in.ptr[at++]) : -1;
            uint32_t t = k <= bias ? 1 : k >= bias + 26 ? 26 : k - bias;

            if (digit < 0 || weight > 1u << 24 || (uint32_t)digit > (UINT32_MAX - i) / weight)
                return 0;
            i += (uint32_t)digit * weight;
            if ((uint32_t)digit < t)
                break;
            weight *= 36 - t;
        }
        if (n == LABEL_MAX)
            return 0;
        bias = punycode_adapt(i - old, (uint32_t)n + 1, old == 0);
        code += i / (uint32_t)(n + 1);
        i %= (uint32_t)(n + 1);
        if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return 0;
        memmove(out + i + 1, out + i, (n - i) * sizeof(*out));
        out[i++] = code;
        n++;
    }
    return is_unicode_label(out, n) ? n : 0;
}

/* Marks stay here: müller.de is not muller.de. */
static void add_lower(uint32_t c, struct text *to)
{
    if (c < 0x80)
        c = (uint8_t)ascii_lower((char)c);
    else if (c >= 0xc0 && c <= 0xde && c != 0xd7)
        c += 32;
    add_utf8(to, lower_of(c));
}

static void add_label(sl_str label, struct text *to)
{
    uint32_t points[LABEL_MAX];
    size_t n = 0;

    if (label.len > 4 && label.len <= LABEL_MAX && strncasecmp(label.ptr, "xn--", 4) == 0)
        n = punycode_decode((sl_str){ label.ptr + 4, label.len - 4 }, points);
    for (size_t i = 0; i < n; i++)
        add_lower(points[i], to);
    for (const char *p = label.ptr, *end = p + label.len; n == 0 && p < end;) {
        size_t k = utf8_length(p, end);

        if (k > 0)
            add_lower(code_point(p, k), to);
        p += k > 0 ? k : 1;
    }
}

/* Labels with a dot between them, of what names are made of; IDN is in Unicode by now. */
static bool is_domain(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((uint8_t)p[i] < 0x80 && !strchr("abcdefghijklmnopqrstuvwxyz0123456789-_.", p[i]))
            return false;
    return memchr(p, '.', n) && p[0] != '.' && p[n - 1] != '.';
}

void domain_normalise(sl_str in, struct text *to)
{
    const char *colon = in.len > 0 ? memmem(in.ptr, in.len, "://", 3) : NULL;
    const char *p = colon ? colon + 3 : in.len > 0 ? in.ptr : "";
    const char *end = in.len > 0 ? in.ptr + in.len : p;
    size_t start = to->len;

    while (p < end && *p == ' ')
        p++;
    while (end - p > 4 && strncasecmp(p, "www.", 4) == 0)
        p += 4;
    for (const char *q = p; q < end; q++)
        if (strchr("/:?# ", *q)) {
            end = q;
            break;
        }
    while (end > p && end[-1] == '.')
        end--;
    while (p < end) {
        const char *dot = memchr(p, '.', (size_t)(end - p));
        size_t n = (size_t)((dot ? dot : end) - p);

        add_label((sl_str){ p, n }, to);
        if (dot)
            text_char(to, '.');
        p += n + (dot != NULL);
    }
    if (to->len > start && !is_domain(to->ptr + start, to->len - start))
        to->len = start;
}

/* ---- e-mail -------------------------------------------------------------------------------- */

static sl_str trim(sl_str s)
{
    while (s.len > 0 && strchr(" \t\r\n<\"'", s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && strchr(" \t\r\n>\"';,", s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Providers that deliver a+b@ to a@. */
static bool takes_tags(sl_str domain)
{
    static const char *const domains[] = {
        "gmail.com", "outlook.com",  "hotmail.com", "live.com",       "icloud.com",
        "me.com",    "fastmail.com", "proton.me",   "protonmail.com", NULL
    };

    return list_has(domains, domain);
}

static size_t normal_local(sl_str local, sl_str domain, char *to)
{
    bool gmail = str_is(domain, "gmail.com"), tags = takes_tags(domain);
    size_t n = 0;

    for (size_t i = 0; i < local.len; i++) {
        if (tags && local.ptr[i] == '+' && n > 0)
            break;
        if ((gmail && local.ptr[i] == '.') || local.ptr[i] == ' ')
            continue;
        if ((uint8_t)local.ptr[i] < ' ' || strchr("\"(),:;<>[\\]", local.ptr[i]))
            return 0;
        to[n++] = ascii_lower(local.ptr[i]);
    }
    while (n > 0 && to[n - 1] == '\'') /* as trim() cuts it off where no tag follows */
        n--;
    return n > 0 && to[0] != '\'' ? n : 0;
}

sl_status email_normalise(sl_str in, struct email *ret)
{
    sl_str s = trim(in), local, domain;
    struct text d = { 0 };
    struct email e;
    const char *at;

    if (s.len > 7 && strncasecmp(s.ptr, "mailto:", 7) == 0)
        s = (sl_str){ s.ptr + 7, s.len - 7 };
    at = s.len > 0 ? memrchr(s.ptr, '@', s.len) : NULL;
    if (!at || at == s.ptr || s.len >= EMAIL_SIZE)
        return SL_E_INVALID;
    local = trim((sl_str){ s.ptr, (size_t)(at - s.ptr) });
    if (local.len == 0 || memchr(local.ptr, '@', local.len))
        return SL_E_INVALID;
    domain_normalise(trim((sl_str){ at + 1, s.len - (size_t)(at + 1 - s.ptr) }), &d);
    domain = str_is(text_view(&d), "googlemail.com") ? str_of("gmail.com") : text_view(&d);
    e.domain = normal_local(local, domain, e.text);
    e.role = list_has(words_role, (sl_str){ e.text, e.domain });
    if (e.domain == 0 || domain.len == 0 || e.domain + 1 + domain.len >= EMAIL_SIZE) {
        text_finish(&d);
        return SL_E_INVALID;
    }
    e.text[e.domain++] = '@';
    memcpy(e.text + e.domain, domain.ptr, domain.len);
    e.len = e.domain + domain.len;
    e.text[e.len] = '\0';
    text_finish(&d);
    *ret = e;
    return SL_OK;
}

/* ---- phone --------------------------------------------------------------------------------- */

#define MOST_DIGITS 15 /* of a number, E.164 */

static const struct country *country_of(sl_str name)
{
    struct text folded = { 0 };
    const struct country *found = NULL;

    text_char(&folded, ' ');
    fold(trim(name), &folded);
    text_char(&folded, ' ');
    for (const struct country *c = words_country; c->iso && !found && folded.len > 2; c++)
        if ((folded.len == 4 && strncasecmp(folded.ptr + 1, c->iso, 2) == 0) ||
            strstr(c->names, folded.ptr))
            found = c;
    text_finish(&folded);
    return found;
}

/* Digits up to an extension; the (0) of +49 (0) 30 is not dialled. */
static size_t digits_of(sl_str in, char *to, size_t size)
{
    size_t n = 0;

    for (size_t i = 0; i < in.len && n < size; i++) {
        char c = in.ptr[i];

        if (c >= '0' && c <= '9')
            to[n++] = c;
        else if (c == '(' && i + 2 < in.len && in.ptr[i + 1] == '0' && in.ptr[i + 2] == ')' &&
                 n > 0)
            i += 2;
        else if (n >= 6 &&
                 (c == '#' || c == ';' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z')))
            break;
    }
    return n;
}

void phone_normalise(sl_str in, sl_str country, struct text *to)
{
    const struct country *c;
    char d[40], *p = d;
    size_t n = digits_of(in, d, sizeof(d)), trunk, code;
    sl_str s = trim(in);
    bool whole = s.len > 0 &&
                 (s.ptr[0] == '+' || (s.len > 1 && s.ptr[0] == '(' && s.ptr[1] == '+'));

    if (n < 7)
        return;
    if (!whole && n > 9 && memcmp(p, "00", 2) == 0) {
        whole = true;
        p += 2;
        n -= 2;
    }
    c = whole ? NULL : country_of(country);
    if (c) {
        trunk = strlen(c->trunk);
        code = strlen(c->code);
        if (trunk > 0 && n > trunk && memcmp(p, c->trunk, trunk) == 0) {
            p += trunk;
            n -= trunk;
        } else if (n > code + 8 && memcmp(p, c->code, code) == 0) {
            p += code; /* 49 30 123456 without its plus */
            n -= code;
        }
    }
    if (n + (c ? strlen(c->code) : 0) > MOST_DIGITS)
        return;
    if (whole || c)
        text_char(to, '+');
    if (c)
        text_str(to, c->code);
    text_add(to, p, n);
}

/* ---- companies ----------------------------------------------------------------------------- */

#define MAX_WORDS 16

struct words {
    sl_str items[MAX_WORDS];
    size_t n;
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (uint8_t)c >= 0x80;
}

/* Words of folded text; single letters in a row are one: "s.a.r.l." is "sarl". In place. */
static void split(struct text *t, struct words *ret)
{
    char *p = t->ptr, *end = t->len > 0 ? p + t->len : p;
    bool letter = false; /* the word before is one letter, or several joined */

    ret->n = 0;
    while (p < end && ret->n < MAX_WORDS) {
        char *start = p;
        size_t n;

        if (!is_letter(*p)) {
            p++;
            continue;
        }
        while (p < end && (is_letter(*p) || *p == '\''))
            p++;
        n = (size_t)(p - start);
        if (n == 1 && letter && ret->n > 0) {
            sl_str *last = &ret->items[ret->n - 1];

            ((char *)last->ptr)[last->len++] = *start; /* behind it stands what parted them */
            continue;
        }
        letter = n == 1;
        ret->items[ret->n++] = (sl_str){ start, n };
    }
}

void company_normalise(sl_str in, struct text *to)
{
    struct text folded = { 0 };
    struct words w;
    size_t kept = 0;

    fold(in, &folded);
    split(&folded, &w);
    for (size_t i = 0; i < w.n; i++)
        kept += !list_has(words_legal_form, w.items[i]) && !list_has(words_filler, w.items[i]);
    for (size_t i = 0; i < w.n; i++) {
        bool form = list_has(words_legal_form, w.items[i]) || list_has(words_filler, w.items[i]);

        if (form && kept > 0) /* a company named "Co" keeps its name */
            continue;
        for (size_t k = 0; k < w.items[i].len; k++) {
            const char *c = w.items[i].ptr + k;

            if (*c == '\'')
                continue;
            text_char(to, *c);
            /* Mueller as Müller */
            while (strchr("aou", *c) && k + 1 < w.items[i].len && w.items[i].ptr[k + 1] == 'e')
                k++;
        }
    }
    text_finish(&folded);
}

void tax_id_normalise(sl_str in, struct text *to)
{
    size_t start = to->len;

    for (size_t i = 0; i < in.len; i++) {
        char c = ascii_lower(in.ptr[i]);

        if (c >= 'a' && c <= 'z')
            text_char(to, (char)(c - 'a' + 'A'));
        else if (c >= '0' && c <= '9')
            text_char(to, c);
    }
    if (to->len - start < 6)
        to->len = start;
}
