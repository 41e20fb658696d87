/*
 * fake.c - adapters that exist only here, a scratch folder, and a load of a text.
 */
#include "fake.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include "config/values.h"

int fake_bound, fake_checked;

/* ---- tables ---- */

static const sl_option shopify_settings[] = {
    { .name = "shop",
      .type = SL_OPT_STRING,
      .flags = SL_OPT_REQUIRED,
      .help = "the shop's myshopify.com domain" },
    { .name = "webhook_secret",
      .type = SL_OPT_SECRETS,
      .flags = SL_OPT_REQUIRED,
      .help = "what signs the webhooks" },
    { 0 },
};

static const sl_option salesforce_settings[] = {
    { .name = "instance", .type = SL_OPT_URL, .flags = SL_OPT_REQUIRED, .help = "My Domain" },
    { .name = "auth.flow", .type = SL_OPT_ENUM, .deflt = "jwt", .choices = "jwt|password" },
    { .name = "auth.client_id", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "key" },
    { .name = "auth.username", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "user" },
    { .name = "auth.key", .type = SL_OPT_SECRET, .flags = SL_OPT_REQUIRED, .help = "PEM" },
    { .name = "confirm.query", .type = SL_OPT_STRING, .help = "shares core's block" },
    { 0 },
};

static const sl_option upsert_params[] = {
    { .name = "object", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "sObject" },
    { .name = "external_id", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "field" },
    { .name = "size", .type = SL_OPT_INT, .deflt = "200", .min = 1, .max = 10000 },
    { 0 },
};

static const sl_option find_params[] = {
    { .name = "find", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "sObject" },
    { .name = "fields", .type = SL_OPT_STRINGS },
    { 0 },
};

static const sl_option insert_params[] = {
    { .name = "object", .type = SL_OPT_STRING, .flags = SL_OPT_REQUIRED, .help = "sObject" },
    { 0 },
};

static const sl_option submit_params[] = {
    { .name = "urgent", .type = SL_OPT_BOOL, .deflt = "false" },
    { 0 },
};

static const sl_option cancel_params[] = {
    { .name = "reason", .type = SL_OPT_STRING },
    { .name = "wait", .type = SL_OPT_DURATION, .deflt = "2s", .max = 60000 },
    { 0 },
};

static const sl_option supplier_settings[] = {
    { .name = "base_url", .type = SL_OPT_URL, .flags = SL_OPT_REQUIRED, .help = "address" },
    { .name = "order.body", .type = SL_OPT_JQ, .deflt = "{lines: .lines}" },
    { .name = "cancel.path", .type = SL_OPT_STRING, .help = "how an order is cancelled" },
    { 0 },
};

static const sl_option kinds_settings[] = {
    { .name = "string", .type = SL_OPT_STRING, .deflt = "a: b" },
    { .name = "int", .type = SL_OPT_INT, .deflt = "7", .min = -5, .max = 10 },
    { .name = "bool", .type = SL_OPT_BOOL, .deflt = "true" },
    { .name = "duration", .type = SL_OPT_DURATION, .deflt = "5m", .min = 1000, .max = 3600000 },
    { .name = "size", .type = SL_OPT_SIZE, .deflt = "64KiB", .min = 1024, .max = 1 << 20 },
    { .name = "enum", .type = SL_OPT_ENUM, .deflt = "blue", .choices = "red|green|blue" },
    { .name = "url", .type = SL_OPT_URL, .deflt = "https://example.com/" },
    { .name = "secret", .type = SL_OPT_SECRET },
    { .name = "secrets", .type = SL_OPT_SECRETS },
    { .name = "strings", .type = SL_OPT_STRINGS, .deflt = "[x, \"y\"]" },
    { .name = "ints", .type = SL_OPT_INTS, .deflt = "[200, 201]", .min = 100, .max = 599 },
    { .name = "map", .type = SL_OPT_MAP, .deflt = "{ Accept: application/json }" },
    { .name = "jq", .type = SL_OPT_JQ, .deflt = "." },
    { .name = "pointer", .type = SL_OPT_POINTER, .deflt = "/order/id" },
    { 0 },
};

static const sl_option clash_settings[] = { { .name = "rate", .type = SL_OPT_INT }, { 0 } };

static const sl_option broken_settings[] = {
    { .name = "wait", .type = SL_OPT_DURATION, .deflt = "60" },
    { 0 },
};

static const sl_action salesforce_actions[] = {
    { .name = "upsert", .batch_records = 5000, .params = upsert_params, .help = "by external id" },
    { .name = "insert", .batch_records = 5000, .params = insert_params },
    { 0 },
};

static const sl_action supplier_actions[] = {
    { .name = "order.submit",
      .flags = SL_ACTION_ONCE,
      .batch_records = 1,
      .params = submit_params },
    { .name = "order.cancel",
      .flags = SL_ACTION_CANCEL,
      .batch_records = 1,
      .params = cancel_params },
    { 0 },
};

static const sl_action plain_actions[] = { { .name = "do", .batch_records = 1 }, { 0 } };

/* ---- functions ---- */

static sl_status fake_check_action(const sl_values *settings, const sl_values_api *values,
                                   uint32_t action, sl_fail *fail)
{
    sl_str path;

    if (action != 1 || values->str(settings, "cancel.path", &path) == SL_OK)
        return SL_OK;
    snprintf(fail->text, sizeof(fail->text), "its \"cancel.path\" is not set");
    return SL_E_INVALID;
}

static sl_status fake_bind(const sl_bind_in *in, void **ret, sl_fail *fail)
{
    sl_str object;

    assert_int_equal(in->values->str(in->params, "object", &object), SL_OK);
    if (object.len > 3 && memcmp(object.ptr, "Nope", 4) == 0) {
        snprintf(fail->text, sizeof(fail->text), "there is no object Nope");
        return SL_E_INVALID;
    }
    fake_bound++;
    *ret = malloc(1);
    return SL_OK;
}

static void fake_unbind(void *handle)
{
    fake_bound--;
    free(handle);
}

static sl_status fake_find_bind(const sl_bind_in *in, void **ret, sl_fail *fail)
{
    sl_str object;

    assert_int_equal(in->values->str(in->params, "find", &object), SL_OK);
    if (object.len == 4 && memcmp(object.ptr, "Nope", 4) == 0) {
        snprintf(fail->text, sizeof(fail->text), "there is no object Nope to look into");
        return SL_E_INVALID;
    }
    fake_bound++;
    *ret = malloc(1);
    return SL_OK;
}

static void fake_ask(void *self, void *handle, const sl_str *keys, size_t n_keys, sl_find_cb cb,
                     void *cb_ctx)
{
    (void)self;
    (void)handle;
    (void)keys;
    (void)n_keys;
    (void)cb;
    (void)cb_ctx;
}

static const sl_find fake_find = {
    .size = sizeof(fake_find),
    .keys = 10,
    .params = find_params,
    .bind = fake_find_bind,
    .unbind = fake_unbind,
    .ask = fake_ask,
};

static sl_status fake_check(const sl_values *settings, const sl_values_api *api, sl_fail *fail)
{
    sl_str text;

    fake_checked++;
    if (api->str(settings, "string", &text) == SL_OK && text.len == 4 &&
        memcmp(text.ptr, "fail", 4) == 0) {
        snprintf(fail->text, sizeof(fail->text), "\"string\" must not say fail");
        return SL_E_INVALID;
    }
    return SL_OK;
}

static void fake_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    (void)self, (void)handle, (void)batch, (void)done;
}

static void fake_poll(void *self, void *handle, sl_str cursor, const sl_poll_out *out)
{
    (void)self, (void)handle, (void)cursor, (void)out;
}

static const sl_feed fake_feeds[] = {
    { .name = "query", .params = insert_params, .help = "rows of an object that have changed" },
    { .name = "stock", .params = insert_params },
    { 0 },
};

const sl_plugin fake_plugins[] = {
    { .size = sizeof(sl_plugin), .name = "shopify", .settings = shopify_settings },
    { .size = sizeof(sl_plugin),
      .name = "salesforce",
      .settings = salesforce_settings,
      .actions = salesforce_actions,
      .bind = fake_bind,
      .unbind = fake_unbind,
      .deliver = fake_deliver,
      .feeds = fake_feeds,
      .bind_feed = fake_bind,
      .unbind_feed = fake_unbind,
      .poll = fake_poll,
      .find = &fake_find },
    { .size = sizeof(sl_plugin),
      .name = "supplier-http",
      .help = "a supplier's HTTP API",
      .settings = supplier_settings,
      .actions = supplier_actions,
      .check_action = fake_check_action,
      .deliver = fake_deliver },
    { .size = sizeof(sl_plugin),
      .name = "kinds",
      .settings = kinds_settings,
      .actions = plain_actions,
      .check = fake_check,
      .deliver = fake_deliver },
    { .size = sizeof(sl_plugin), .name = "clash", .settings = clash_settings },
    { .size = sizeof(sl_plugin), .name = "broken", .settings = broken_settings },
    { 0 },
};

static const sl_plugin *find_adapter(void *ctx, const char *name, struct fail *fail)
{
    (void)ctx;
    if (strcmp(name, "refused") == 0) {
        fail_set(fail, UV_EACCES, "refused.so can be written by others");
        return NULL;
    }
    for (const sl_plugin *p = fake_plugins; p->name; p++)
        if (strcmp(p->name, name) == 0)
            return p;
    fail_set(fail, UV_ENOENT, "no such file");
    return NULL;
}

static const char *name_of(void *ctx, size_t index)
{
    (void)ctx;
    return index < 4 ? fake_plugins[index].name : NULL; /* the good ones */
}

static int compile(void *ctx, sl_str program, struct fail *fail)
{
    (void)ctx;
    if (program.len >= 3 && memmem(program.ptr, program.len, "BAD", 3))
        return fail_set(fail, UV_EINVAL, "syntax error, unexpected BAD");
    return 0;
}

const struct config_env fake_env = { .adapter = find_adapter,
                                     .adapter_name = name_of,
                                     .compile = compile };

/* ---- scratch ---- */

static char scratch[64];

void scratch_enter(void)
{
    snprintf(scratch, sizeof(scratch), "/tmp/sluice-config-XXXXXX");
    assert_non_null(mkdtemp(scratch));
    assert_int_equal(chdir(scratch), 0);
}

static int on_entry(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}

void scratch_leave(void)
{
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(nftw(scratch, on_entry, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void scratch_write(const char *name, const char *text, unsigned mode)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    assert_int_equal(chmod(name, mode), 0);
}

/* ---- loading ---- */

char *printed(const struct config_errors *errors)
{
    struct buf b = { 0 };

    buf_reserve(&b, 1);
    config_errors_print(&b, errors);
    return buf_steal(&b, NULL);
}

struct config *load_good(const char *text)
{
    struct config_errors errors;
    struct config *c = NULL;

    scratch_write("t.yaml", text, 0644);
    if (config_load("t.yaml", &fake_env, &c, &errors) != 0)
        fail_msg("refused:\n%s", printed(&errors));
    assert_int_equal(errors.n, 0);
    config_errors_finish(&errors);
    return c;
}

char *load_bad(const char *text)
{
    struct config_errors errors;
    struct config *c = NULL;
    struct buf b = { 0 };

    scratch_write("t.yaml", text, 0644);
    if (config_load("t.yaml", &fake_env, &c, &errors) == 0)
        fail_msg("loaded, and should not have:\n%s", text);
    assert_null(c);
    for (size_t i = 0; i < errors.n; i++)
        buf_printf(&b, "%u:%u: %s\n", errors.list[i].line, errors.list[i].column,
                   errors.list[i].text);
    config_errors_finish(&errors);
    return buf_steal(&b, NULL);
}

sl_str str_param(const sl_values *v, const char *name)
{
    sl_str s = { 0 };

    CHECK_EQ(config_values_api()->str(v, name, &s), SL_OK);
    return s;
}
