/*
 * fuzz_retry_after.c - when a remote wants to be asked again: never in the past, never later than
 * an hour, whatever the header says.
 *
 * Input: a byte for the header, then its value.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "net/http_client.h"

#define NOW_MS INT64_C(1795166132000) /* 2026-11-20T09:15:32Z */
#define HOUR   3600000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = { "Retry-After", "x-retry-after", "X-RateLimit-Reset" };
    struct input in = { data, data + size };
    sl_header header = { .name = str_of(names[take_u8(&in) % 3]), .value = rest(&in) };
    struct http_result r = { .status = 429, .headers = &header, .n_headers = 1 };
    int64_t ms = http_retry_after_ms(&r, NOW_MS);

    PROMISE(ms >= -1 && ms <= HOUR, "%lld", (long long)ms);
    PROMISE(http_retry_after_ms(&r, NOW_MS + HOUR) <= HOUR, "an hour later");
    return 0;
}
