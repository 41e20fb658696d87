#include "requests.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/digest.h"

#define MARK_ORDER     "9007199254740993"
#define MARK_SIGNATURE "SSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSSS="
#define MARK_WEBHOOK   "00000000-0000-4000-8000-000000000000"
#define MARK_EVENT     "11111111-0000-4000-8000-000000000000"
#define ORDER_FIRST    9007199254740993u /* beyond 2^53, and so are all that follow */
#define ORDER_DIGITS   16
#define ORDERS_MOST    8

struct requests {
    char *text;
    size_t len, body_at;
    size_t orders[ORDERS_MOST], n_orders;
    size_t signature_at, webhook_at, event_at;
    const char *signatures; /* mapped; NULL: none */
    size_t signatures_len;
};

static void complain(const char *what)
{
    fprintf(stderr, "bench-load: %s: %s\n", what, errno ? strerror(errno) : "not as it must be");
}

/* The whole file, mapped: own, munmap(). NULL: empty or not readable. */
static const char *map_file(const char *name, size_t *ret_len)
{
    struct stat st;
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    void *p = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
        p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (p == MAP_FAILED)
        return NULL;
    *ret_len = (size_t)st.st_size;
    return p;
}

/* Where a mark stands in the head, or 0: not exactly once. */
static size_t find_once(const struct requests *r, const char *mark)
{
    size_t n = strlen(mark);
    const char *at = memmem(r->text, r->body_at, mark, n);

    if (!at || memmem(at + n, (size_t)(r->text + r->body_at - at) - n, mark, n))
        return 0;
    return (size_t)(at - r->text);
}

static int find_marks(struct requests *r)
{
    const char *end = memmem(r->text, r->len, "\r\n\r\n", 4), *at;

    if (!end)
        return -1;
    r->body_at = (size_t)(end + 4 - r->text);
    r->signature_at = find_once(r, MARK_SIGNATURE);
    r->webhook_at = find_once(r, MARK_WEBHOOK);
    r->event_at = find_once(r, MARK_EVENT);
    for (at = r->text + r->body_at; r->n_orders < ORDERS_MOST; at += ORDER_DIGITS) {
        at = memmem(at, (size_t)(r->text + r->len - at), MARK_ORDER, ORDER_DIGITS);
        if (!at)
            break;
        r->orders[r->n_orders++] = (size_t)(at - r->text);
    }
    return r->signature_at && r->webhook_at && r->event_at && r->n_orders ? 0 : -1;
}

struct requests *requests_open(const char *template_file)
{
    struct requests *r = calloc(1, sizeof(*r));
    const char *file;

    errno = 0;
    file = r ? map_file(template_file, &r->len) : NULL;
    if (file) {
        r->text = malloc(r->len);
        if (r->text)
            memcpy(r->text, file, r->len);
        munmap((void *)file, r->len);
        if (r->text && find_marks(r) == 0)
            return r;
    }
    complain(template_file);
    requests_close(r);
    return NULL;
}

void requests_close(struct requests *r)
{
    if (!r)
        return;
    if (r->signatures)
        munmap((void *)r->signatures, r->signatures_len);
    free(r->text);
    free(r);
}

size_t requests_bytes(const struct requests *r)
{
    return r->len;
}

char *requests_buffer(const struct requests *r)
{
    char *buffer = malloc(r->len);

    if (buffer)
        memcpy(buffer, r->text, r->len);
    return buffer;
}

static void write_order(const struct requests *r, uint64_t number, char *buffer)
{
    char digits[ORDER_DIGITS];
    uint64_t left = ORDER_FIRST + number;

    for (size_t i = ORDER_DIGITS; i-- > 0; left /= 10)
        digits[i] = (char)('0' + left % 10);
    for (size_t i = 0; i < r->n_orders; i++)
        memcpy(buffer + r->orders[i], digits, sizeof(digits));
}

/* As good as random, and another for every number. */
static uint64_t scatter(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
    x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

/* A UUID's text, the version's digit and the variant's left as they stand. */
static void write_uuid(uint64_t number, char *out)
{
    static const char hex[] = "0123456789abcdef";
    static const uint8_t places[] = { 0,  1,  2,  3,  4,  5,  6,  7,  9,  10, 11, 12, 15, 16, 17,
                                      20, 21, 22, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35 };
    uint64_t bits[2] = { scatter(2 * number), scatter(2 * number + 1) };

    for (size_t i = 0; i < sizeof(places); i++)
        out[places[i]] = hex[bits[i / 16] >> 4 * (i % 16) & 15];
}

void requests_write(const struct requests *r, uint64_t number, char *buffer)
{
    write_order(r, number, buffer);
    memcpy(buffer + r->signature_at, r->signatures + number * SIGNATURE_BYTES, SIGNATURE_BYTES);
    write_uuid(2 * number, buffer + r->webhook_at);
    write_uuid(2 * number + 1, buffer + r->event_at);
}

int requests_sign(struct requests *r, const char *secret, uint64_t count, const char *file)
{
    struct hmac *h = hmac_create(secret, strlen(secret));
    FILE *out = fopen(file, "wbe");
    uint8_t mac[DIGEST_SHA256];
    char text[SIGNATURE_BYTES + 1];
    int bad = !h || !out;

    for (uint64_t i = 0; !bad && i < count; i++) {
        write_order(r, i, r->text);
        bad = hmac_begin(h) < 0;
        if (bad)
            break;
        hmac_update(h, r->text + r->body_at, r->len - r->body_at);
        hmac_end(h, mac);
        bad = base64_encode(mac, sizeof(mac), text) != SIGNATURE_BYTES ||
              fwrite(text, SIGNATURE_BYTES, 1, out) != 1;
    }
    if (out)
        bad |= fclose(out) != 0;
    hmac_destroy(h);
    if (bad)
        complain(file);
    return bad ? -1 : 0;
}

int64_t requests_use(struct requests *r, const char *file)
{
    errno = 0;
    r->signatures = map_file(file, &r->signatures_len);
    if (!r->signatures) {
        complain(file);
        return -1;
    }
    return (int64_t)(r->signatures_len / SIGNATURE_BYTES);
}
