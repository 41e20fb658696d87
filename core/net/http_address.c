/*
 * http_address.c - how many connections one address has, and what becomes of those beyond.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "net/http_conn.h"

#define TURNED_AWAY_NOTICE_MS 60000

/* Who has one IPv6 address has at least a /64 of them. */
static struct ip key_of(const struct ip *ip)
{
    struct ip key = *ip;

    if (!ip_is_v4(ip))
        memset(key.byte + 8, 0, 8);
    return key;
}

bool address_enter(struct http_server *s, const struct remote *peer, struct address **ret)
{
    struct ip key = key_of(&peer->ip);
    struct address *a;

    *ret = NULL;
    if (s->unix_sock || s->conf.max_per_address == 0 || http_trusts(&s->conf.trust, &peer->ip))
        return true;
    HASH_FIND(hh, s->addresses, &key, sizeof(key), a);
    if (a && a->n_conns >= s->conf.max_per_address)
        return false;
    if (!a) {
        a = calloc(1, sizeof(*a));
        if (!a)
            return true; /* no memory to count in */
        a->ip = key;
        HASH_ADD(hh, s->addresses, ip, sizeof(a->ip), a);
        if (!a->hh.tbl) { /* no memory for the table */
            free(a);
            return true;
        }
    }
    a->n_conns++;
    *ret = a;
    return true;
}

void address_leave(struct http_server *s, struct address *a)
{
    if (!a || --a->n_conns > 0)
        return;
    HASH_DEL(s->addresses, a);
    free(a);
}

void address_turn_away(struct http_server *s, int fd, const struct remote *peer)
{
    static const char text[] =
        "HTTP/1.1 503 Service Unavailable\r\n"
        "Content-Length: 0\r\n"
        "Connection: close\r\n\r\n";
    uint64_t now = uv_now(s->loop);

    send(fd, text, sizeof(text) - 1, MSG_DONTWAIT | MSG_NOSIGNAL); /* if it arrives, good */
    close(fd);
    s->turned_away++;
    if (s->turned_away > 1 && now - s->turned_away_told_ms < TURNED_AWAY_NOTICE_MS)
        return;
    s->turned_away_told_ms = now;
    log_warn(&s->log,
             "too many connections from one address, further ones are closed: address=%s limit=%u "
             "turned_away=%llu",
             peer->text, s->conf.max_per_address, (unsigned long long)s->turned_away);
}
