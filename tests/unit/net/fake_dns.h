/*
 * fake_dns.h - the C library's resolver, replaced: libuv calls this one on its own threads. Every
 * name is 127.0.0.1, but
 *
 *   none.test   does not exist          two.test   is 127.0.0.2, .3 and .1
 *   empty.test  has no address          slow.test  waits for a post to fake_dns_slow
 */
#pragma once

#include <semaphore.h>
#include <stdatomic.h>

extern atomic_uint fake_dns_asked;
extern sem_t fake_dns_slow;

void fake_dns_reset(void);
