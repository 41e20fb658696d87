/*
 * supplier_fixture.h - one endpoint of the supplier-http adapter, against a fake host.
 */
#pragma once

#include "fake_host.h"

#define BASE "https://api.byron.example/v1"

#define KEYED                                    \
    {                                            \
        "submit.idempotency_header", "Order-Key" \
    }
#define BASIC                \
    {                        \
        "base_url", BASE "/" \
    }
#define LOOKUP                           \
    {                                    \
        "confirm.path", "/orders/@{key}" \
    }
#define CANCEL                                 \
    {                                          \
        "cancel.path", "/orders/@{key}/cancel" \
    }

extern const struct fake_setting basic[], keyed[]; /* both can be asked */

struct fixture {
    struct fake_host *host;
    const sl_plugin *plugin;
    void *self;
};

struct fixture open_with(const struct fake_setting *settings);
void close_all(struct fixture *x);

/** The record of every test: key Zk3-_9aQ, frozen. */
sl_record record_at(uint32_t attempt);
/** Deliver it; give `d` to fake_done_finish(). */
void deliver(struct fixture *x, struct fake_done *d, uint32_t attempt);
/** The same against one answer, of an endpoint that is closed again. */
void deliver_once(const struct fake_setting *settings, const struct fake_exchange *answer,
                  struct fake_done *d, uint32_t attempt);
