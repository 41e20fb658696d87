/*
 * http_fixture.h - one endpoint of the http adapter with one bound action, against a fake host.
 */
#pragma once

#include "fake_host.h"

#define BASE "https://api.example/v2"
#define BASIC                \
    {                        \
        "base_url", BASE "/" \
    }
#define KEYED                                   \
    {                                           \
        "idempotency_header", "Idempotency-Key" \
    }
/* the secret, id, time, body and signature that the Standard Webhooks libraries are tested with */
#define VECTOR_SECRET    "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
#define VECTOR_ID        "msg_p5jXN8AQM9LWM0D4loKWxJek"
#define VECTOR_TIME      "1614265330"
#define VECTOR_BODY      "{\"test\": 2432232314}"
#define VECTOR_SIGNATURE "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

/* of the id msg_1, the time 1 and no body under the same secret, by another implementation */
#define EMPTY_SIGNATURE "v1,fUIsxxTK5tKgKbC2AwzF7wnOr3WsI1RCNgGdkLxy5PY="

struct fixture {
    struct fake_host *host;
    const sl_plugin *plugin;
    void *self, *handle;
    sl_values *params;
};

/** Settings and parameters as fake_host.h wants them; either may be NULL for `basic` or none. */
struct fixture fixture_open(const struct fake_setting *settings, const struct fake_setting *params);
/** The same of another action than the first. */
struct fixture fixture_open_action(uint32_t action, const struct fake_setting *settings,
                                   const struct fake_setting *params);
void fixture_close(struct fixture *x);

/** The record of every test: key Zk3-_9aQ, a body with an order, texts and numbers. */
sl_record fixture_record(const char *request, uint32_t attempt);
/** What prepare() makes of it; give it to fake_prepared_finish(). */
void fixture_prepare(struct fixture *x, struct fake_prepared *p);
/** Deliver `request` once; give `d` to fake_done_finish(). */
void fixture_deliver(struct fixture *x, const char *request, struct fake_done *d, uint32_t attempt);
