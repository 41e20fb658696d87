/*
 * fuzz_forwarded.c - whose request a proxy passes on: only a trusted peer is believed, and what is
 * added further left in the list changes nothing once an address has been found.
 *
 * Input: a byte for the header and the peer, then a field's value on each line.
 */
#include "fuzz.h"

#include <string.h>
#include "base/buf.h"
#include "net/forwarded.h"

#define MAX_FIELDS 8

static struct ipnet nets[2];
static struct ip ours, stranger;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    PROMISE(ipnet_parse(STR("10.0.0.0/8"), &nets[0]) == 0, "net");
    PROMISE(ipnet_parse(STR("fd00::/16"), &nets[1]) == 0, "net");
    PROMISE(ip_parse(STR("10.0.0.1"), &ours) == 0, "ip");
    PROMISE(ip_parse(STR("203.0.113.9"), &stranger) == 0, "ip");
    return 0;
}

static void check_address(const struct ip *ip)
{
    char text[IP_TEXT];
    struct ip again;

    ip_format(ip, text);
    PROMISE(ip_parse(str_of(text), &again) == 0 && ip_equal(ip, &again), "%s", text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    uint8_t flags = take_u8(&in);
    struct http_trust trust = {
        .nets = nets,
        .n_nets = 2,
        .unix_peers = flags & 1,
        .header = flags & 2 ? HTTP_FORWARDED_X : HTTP_FORWARDED_RFC,
    };
    const char *name = flags & 2 ? "X-Forwarded-For" : "Forwarded";
    const char *left = flags & 2 ? "1.1.1.1" : "for=1.1.1.1";
    sl_header fields[1 + MAX_FIELDS];
    struct ip ip, same;
    bool found;
    size_t n = 1;

    fields[0] = (sl_header){ str_of(name), str_of(left) }; /* what an attacker put before it all */
    for (sl_str text = rest(&in); n <= MAX_FIELDS && text.len > 0; n++) {
        const char *nl = memchr(text.ptr, '\n', text.len);
        size_t len = nl ? (size_t)(nl - text.ptr) : text.len, step = len + (nl != NULL);

        fields[n] = (sl_header){ str_of(name), { text.ptr, len } };
        text = (sl_str){ text.ptr + step, text.len - step };
    }
    PROMISE(!http_forwarded_client(&trust, &stranger, fields, n, &ip), "a stranger is believed");
    found = http_forwarded_client(&trust, &ours, fields + 1, n - 1, &ip);
    if (found) {
        check_address(&ip);
        PROMISE(http_forwarded_client(&trust, &ours, fields, n, &same), "lost");
        PROMISE(ip_equal(&ip, &same) || http_trusts(&trust, &ip), "the left end has decided");
    }
    if (!trust.unix_peers)
        PROMISE(!http_forwarded_client(&trust, NULL, fields, n, &ip), "the socket is believed");
    return 0;
}
