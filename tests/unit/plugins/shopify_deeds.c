/*
 * shopify_deeds.c - see shopify_deeds.h.
 */
#include "shopify_deeds.h"

#include <stdlib.h>
#include <string.h>

static const struct fake_setting settings[] = {
    { "shop", "acme.myshopify.com" }, { "webhook_secret", "sandbox-app-secret-current" },
    { "admin.version", "2026-10" },   { "admin.token", "shpat_secret" },
    { "admin.settle", "60s" },        { 0 },
};

int deeds_setup(void **state)
{
    struct deed_rig *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    x->plugin = sl_plugin_v0();
    x->host = fake_host_create("acme", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    x->confirmed.host = x->host;
    *state = x;
    return 0;
}

int deeds_teardown(void **state)
{
    struct deed_rig *x = *state;

    fake_host_close(x->host, x->plugin, x->self);
    if (x->handle)
        x->plugin->unbind(x->handle);
    fake_values_destroy(x->params);
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_confirmed_finish(&x->confirmed);
    fake_host_destroy(x->host);
    free(x);
    return 0;
}

void deed_take_action(struct deed_rig *x, const char *action, const struct fake_setting *params)
{
    static const struct fake_setting none[] = { { 0 } };
    static const sl_option no_options[] = { { 0 } };
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    sl_fail fail = { .size = sizeof(fail) };

    while (x->plugin->actions[in.action].name &&
           strcmp(x->plugin->actions[in.action].name, action) != 0)
        in.action++;
    assert_non_null(x->plugin->actions[in.action].name);
    if (x->handle)
        x->plugin->unbind(x->handle);
    fake_values_destroy(x->params);
    in.params = x->params = fake_values_create(
        x->plugin->actions[in.action].params ? x->plugin->actions[in.action].params : no_options,
        params ? params : none);
    CHECK_EQ(x->plugin->bind(&in, &x->handle, &fail), SL_OK);
}

void deed_expect(struct deed_rig *x, const char *answer)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = DEED_URL, .headers = DEED_TOKEN, .status = 200,
                .answer = answer);
}

void deed_expect_torn(struct deed_rig *x)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = DEED_URL, .error = SL_E_NETWORK, .sent = 1);
}

static void begin(struct deed_rig *x, const char *body, const char *request)
{
    x->record = (sl_record){ .size = sizeof(sl_record),
                             .attempt = x->first_ms ? 2 : 1,
                             .delivery = fake_str("1.0"),
                             .key = fake_str(DEED_KEY),
                             .subject = fake_str("order:acme.myshopify.com/1"),
                             .body = fake_str(body),
                             .request = fake_str(request),
                             .first_sent_ms = x->first_ms,
                             .last_sent_ms = x->first_ms };
    x->batch = (sl_batch){
        .size = sizeof(sl_batch), .records = &x->record, .n_records = 1, .priority = x->priority
    };
    if (x->choice.len)
        x->batch.choices = &x->choice;
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_done_init(&x->done, x->host, 1);
}

const struct fake_outcome *deed_run(struct deed_rig *x, const char *body)
{
    struct fake_prepared frozen = { 0 };

    begin(x, body, body);
    x->plugin->prepare(x->self, x->handle, &x->record, fake_on_prepared, &frozen);
    fake_host_run(x->host);
    CHECK_EQ(frozen.calls, 1);
    if (frozen.status < 0) {
        x->done.outcomes[0].kind = frozen.status == SL_E_INVALID ? SL_REJECTED : SL_RETRY;
        x->done.outcomes[0].why = strdup(frozen.why ? frozen.why : "");
        fake_prepared_finish(&frozen);
        return &x->done.outcomes[0];
    }
    x->record.request = fake_str(frozen.request);
    x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    fake_prepared_finish(&frozen);
    return &x->done.outcomes[0];
}

const struct fake_outcome *deed_go_on(struct deed_rig *x, const char *body, const char *token)
{
    begin(x, body, body);
    x->plugin->resume(x->self, x->handle, &x->batch, fake_str(token), &x->done.done);
    fake_host_run(x->host);
    CHECK(x->done.finished);
    return &x->done.outcomes[0];
}

const struct fake_confirmed *deed_asked(struct deed_rig *x, const char *body, int64_t ago_ms)
{
    x->first_ms = fake_host_wall_ms(x->host) - ago_ms;
    begin(x, body, body);
    fake_confirmed_finish(&x->confirmed);
    x->confirmed = (struct fake_confirmed){ .host = x->host };
    x->plugin->confirm(x->self, x->handle, &x->record, fake_on_confirmed, &x->confirmed);
    fake_host_run(x->host);
    CHECK_EQ(x->confirmed.calls, 1);
    return &x->confirmed;
}

const char *deed_variables(struct deed_rig *x)
{
    static char text[65536];
    sl_str body = fake_host_last_body(x->host);
    size_t n = body.len < sizeof(text) - 1 ? body.len : sizeof(text) - 1;
    const char *at;

    memcpy(text, body.ptr, n);
    text[n] = '\0';
    at = strstr(text, "\"variables\":");
    return at ? at + strlen("\"variables\":") : text;
}
