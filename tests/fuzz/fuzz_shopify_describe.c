/*
 * fuzz_shopify_describe.c - what the shopify adapter makes of an accepted event's body: one subject
 * or an error that says why, never both, and the same one each time.
 *
 * Input: the topic, a line's end, then the body.
 */
#include "fuzz.h"

#include <string.h>
#include <sluice/sluice.h>

#include "../unit/plugins/fake_host.h"
#include "base/buf.h"

static const struct fake_setting settings[] = {
    { "shop", "acme.myshopify.com" },
    { "webhook_secret", "sandbox-app-secret-current" },
    { 0 },
};

static const sl_plugin *plugin;
static void *self;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct fake_host *host; /* lives as long as the process */

    (void)argc, (void)argv;
    plugin = sl_plugin_v0();
    host = fake_host_create("acme", plugin->settings, settings);
    self = fake_host_open(host, plugin);
    return 0;
}

struct heard {
    struct buf text;
    int subjects;
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str event_key,
                       const sl_ref *refs, size_t n_refs)
{
    struct heard *h = ctx;

    PROMISE(subject.len > 0 || n_refs > 0, "about nothing");
    h->subjects++;
    buf_printf(&h->text, STR_FMT "|" STR_FMT "|" STR_FMT, STR_ARG(subject), STR_ARG(version),
               STR_ARG(event_key));
    for (size_t i = 0; i < n_refs; i++)
        buf_printf(&h->text, "|" STR_FMT "=" STR_FMT, STR_ARG(refs[i].kind), STR_ARG(refs[i].id));
}

static void on_note(void *ctx, sl_str text)
{
    struct heard *h = ctx;

    buf_str(&h->text, text);
}

static sl_status on_ask(void *ctx, const sl_ask *ask)
{
    struct heard *h = ctx;
    bool nobody = !ask->everything && !ask->n_subjects && !ask->n_values && !ask->n_refs;

    PROMISE(ask->kind >= SL_ASK_ERASE && ask->kind <= SL_ASK_STOP, "asks for %u", ask->kind);
    for (size_t i = 0; i < ask->n_subjects; i++)
        buf_printf(&h->text, "|" STR_FMT, STR_ARG(ask->subjects[i]));
    for (size_t i = 0; i < ask->n_values; i++) {
        PROMISE(ask->values[i].len >= 5, "a value that stands everywhere");
        buf_printf(&h->text, "|" STR_FMT, STR_ARG(ask->values[i]));
    }
    return ask->kind != SL_ASK_STOP && nobody ? SL_E_INVALID : SL_OK;
}

static sl_status describe(const sl_event *event, struct heard *h)
{
    sl_describe_out out = {
        .size = sizeof(out), .ctx = h, .subject = on_subject, .note = on_note, .ask = on_ask
    };
    sl_fail fail = { .size = sizeof(fail) };
    sl_status r = plugin->describe(self, event, &out, &fail);

    PROMISE(memchr(fail.text, '\0', sizeof(fail.text)), "a text without an end");
    PROMISE(r == SL_OK || fail.text[0], "no reason");
    PROMISE((r == SL_OK) == (h->subjects == 1), "%d, %d subjects", r, h->subjects);
    return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t topic = line ? (size_t)(line - data) : size;
    sl_header header = { fake_str("X-Shopify-Topic"), whole(data, topic) };
    sl_event event = {
        .size = sizeof(event),
        .id = 7,
        .endpoint = fake_str("acme"),
        .topic = whole(data, topic),
        .headers = &header,
        .n_headers = 1,
        .body = line ? whole(line + 1, size - topic - 1) : (sl_str){ "", 0 },
    };
    struct heard first = { 0 }, second = { 0 };

    if (topic == 0)
        return 0; /* verify() lets none through */
    PROMISE(describe(&event, &first) == describe(&event, &second), "two verdicts");
    PROMISE(str_eq(buf_view(&first.text), buf_view(&second.text)), "two descriptions");
    buf_finish(&first.text);
    buf_finish(&second.text);
    return 0;
}
