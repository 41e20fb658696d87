/*
 * fuzz_url.c - an address: its parts are views into it, and put together again they mean the same.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "net/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sl_str text = whole(data, size);
    struct url url, again;
    struct fail fail = { 0 };
    struct buf b = { 0 };

    if (url_parse(text, &url, &fail) < 0) {
        PROMISE(fail.code < 0 && fail.text[0], "no reason");
        return 0;
    }
    PROMISE(within(url.host, text) && url.host.len > 0, "host");
    PROMISE(url.target.len > 0 && url.target.ptr[0] == '/', "target");
    PROMISE(url.port > 0, "port");
    for (size_t i = 0; i < url.target.len; i++)
        PROMISE((uint8_t)url.target.ptr[i] > 0x20 && url.target.ptr[i] != 0x7f &&
                    url.target.ptr[i] != '#',
                "target, byte %zu", i);
    buf_printf(&b, "%s://%s" STR_FMT "%s:%u" STR_FMT, url.tls ? "https" : "http",
               url.ipv6 ? "[" : "", STR_ARG(url.host), url.ipv6 ? "]" : "", url.port,
               STR_ARG(url.target));
    if (b.len <= size) /* the port may make it longer than an address may be */
        PROMISE(url_parse(buf_view(&b), &again, &fail) == 0, "%s: %s", b.data, fail.text);
    else if (url_parse(buf_view(&b), &again, &fail) < 0)
        goto out;
    PROMISE(again.tls == url.tls && again.ipv6 == url.ipv6 && again.port == url.port &&
                str_eq(again.host, url.host) && str_eq(again.target, url.target),
            "%s", b.data);
out:
    buf_finish(&b);
    return 0;
}
