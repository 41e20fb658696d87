/*
 * fuzz_shopify_answer.c - what the Admin API and its token endpoint answer: a verdict with a reason
 * in one line of whole characters, figures that can be believed, and never a success out of an
 * error.
 *
 * Input: a byte for the status, one for what was asked and how long to wait, then the body.
 */
#include "fuzz.h"

#include <string.h>

#include "admin/answer.h"

static const uint32_t statuses[] = { 200, 200, 200, 200, 202, 301, 400, 401, 402, 403, 404,
                                     409, 422, 423, 429, 430, 500, 503, 504, 530, 599, 100 };

static void check_why(const struct admin_answer *a)
{
    json_t *text = json_string(a->why); /* NULL: it is no UTF-8 */

    PROMISE(memchr(a->why, '\0', sizeof(a->why)), "a text without an end");
    PROMISE(text, "broken characters: %s", a->why);
    PROMISE(!strpbrk(a->why, "\r\n\t"), "several lines");
    PROMISE((a->verdict == ADMIN_OK) == !a->why[0], "verdict %d: \"%s\"", a->verdict, a->why);
    json_decref(text);
}

static void check_figures(const struct admin_cost *c)
{
    const int64_t all[] = { c->requested, c->actual, c->most, c->left, c->restore_milli };

    for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
        PROMISE(all[i] >= -1 && all[i] <= INT64_C(1000000000000), "figure %zu", i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    sl_header id = { { "X-Request-Id", 12 }, { "5b1c-77", 7 } };
    sl_http_answer a = { .size = sizeof(a), .sent = 1, .headers = &id, .n_headers = 1 };
    struct admin_answer answer;
    struct admin_cost cost;
    json_t *root;
    uint8_t how;

    a.status = statuses[take_u8(&in) % (sizeof(statuses) / sizeof(*statuses))];
    how = take_u8(&in);
    a.retry_after_ms = (int64_t)(how >> 1) * 100 - 1;
    a.body = rest(&in);

    root = answer_read(&a, how & 1, &answer, &cost);
    check_why(&answer);
    check_figures(&cost);
    PROMISE(answer.verdict != ADMIN_OK || (json_is_object(answer.data) && a.status < 300), "%u",
            a.status);
    PROMISE(answer.verdict != ADMIN_THROTTLED ||
                (answer.after_ms >= 1000 && answer.after_ms <= 60000),
            "%lld ms", (long long)answer.after_ms);
    /* a write of which something may be there is never said to be undone */
    PROMISE(!(how & 1) || a.status != 504 || answer.verdict == ADMIN_PERHAPS, "%d", answer.verdict);
    json_decref(root);

    root = answer_read_oauth(&a, &answer);
    check_why(&answer);
    PROMISE(answer.verdict != ADMIN_OK || (json_is_object(root) && a.status == 200), "%u",
            a.status);
    PROMISE(answer.verdict != ADMIN_PERHAPS && answer.verdict != ADMIN_REFUSED, "%d",
            answer.verdict);
    json_decref(root);
    return 0;
}
