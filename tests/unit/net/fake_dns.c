/*
 * fake_dns.c - see fake_dns.h.
 */
#include "fake_dns.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

atomic_uint fake_dns_asked;
sem_t fake_dns_slow;

void fake_dns_reset(void)
{
    fake_dns_asked = 0;
    sem_init(&fake_dns_slow, 0, 0);
}

static struct addrinfo *address(const char *text, struct addrinfo *next)
{
    struct addrinfo *a = calloc(1, sizeof(*a) + sizeof(struct sockaddr_in));

    a->ai_family = AF_INET;
    a->ai_addr = (struct sockaddr *)(a + 1);
    a->ai_addrlen = sizeof(struct sockaddr_in);
    a->ai_next = next;
    uv_ip4_addr(text, 0, (struct sockaddr_in *)a->ai_addr);
    return a;
}

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints,
                                                       struct addrinfo **res)
{
    (void)service;
    (void)hints;
    fake_dns_asked++;
    *res = NULL;
    if (strcmp(node, "none.test") == 0)
        return EAI_NONAME;
    if (strcmp(node, "slow.test") == 0)
        sem_wait(&fake_dns_slow);
    if (strcmp(node, "empty.test") == 0)
        return 0;
    *res = address("127.0.0.1", NULL);
    if (strcmp(node, "two.test") == 0) /* the first refuses */
        *res = address("127.0.0.2", address("127.0.0.3", *res));
    return 0;
}

__attribute__((visibility("default"))) void freeaddrinfo(struct addrinfo *a)
{
    while (a) {
        struct addrinfo *next = a->ai_next;

        free(a);
        a = next;
    }
}
