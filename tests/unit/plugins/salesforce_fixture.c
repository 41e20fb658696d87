/*
 * salesforce_fixture.c - set up, script and check.
 */
#include "salesforce_fixture.h"

#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *sf_pem(void)
{
    static char pem[4096]; /* made once: a key takes a while */
    EVP_PKEY *key;
    BIO *bio;
    int n;

    if (pem[0])
        return pem;
    key = EVP_RSA_gen(2048);
    assert_non_null(key);
    bio = BIO_new(BIO_s_mem());
    CHECK_EQ(PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL), 1);
    n = BIO_read(bio, pem, sizeof(pem) - 1);
    CHECK(n > 0);
    pem[n] = '\0';
    BIO_free(bio);
    EVP_PKEY_free(key);
    return pem;
}

static struct fake_setting settings[] = {
    { "instance", SF_BASE "/" },
    { "login", SF_LOGIN },
    { "auth.client_id", "3MVG9.key" },
    { "auth.username", "sync@acme.example" },
    { "auth.key", NULL },
    { "describe_every", "0s" }, /* scripts have what they are about, and nothing else */
    { "limits_every", "0s" },
    { "delete_jobs", "false" },
    { "contacts.external_id", SF_KEY },
    { "contacts.tax_id", "Tax_Id__c" },
    { "contacts.country", "DE" },
    { 0 },
};

static const struct fake_setting params[] = {
    { "object", "Contact" },
    { "external_id", SF_KEY },
    { 0 },
};

static sl_status bind_action(struct sf_fixture *x, const char *action,
                             const struct fake_setting *values, sl_fail *fail)
{
    sl_bind_in in = { .size = sizeof(in), .values = &fake_values_api };
    const sl_action *a = x->plugin->actions;
    struct fake_setting all[8] = { 0 };
    size_t n = 0;
    bool given = true;

    while (a->name && strcmp(a->name, action) != 0)
        a++;
    assert_non_null(a->name);
    for (const sl_option *p = a->params; p->name; p++)
        given &= strcmp(p->name, "transport") != 0; /* not every action has one */
    for (; values[n].name; n++) {
        CHECK(n < 6);
        all[n] = values[n];
        given |= strcmp(values[n].name, "transport") == 0;
    }
    if (!given) /* the tests of jobs have few records */
        all[n] = (struct fake_setting){ "transport", "bulk" };
    in.action = (uint32_t)(a - x->plugin->actions);
    x->params = fake_values_create(a->params, all);
    in.params = x->params;
    return x->plugin->bind(&in, &x->handle, fail);
}

static void drop_action(struct sf_fixture *x)
{
    x->plugin->unbind(x->handle);
    fake_values_destroy(x->params);
    x->handle = NULL;
    x->params = NULL;
}

void sf_use(struct sf_fixture *x, const char *action, const struct fake_setting *values,
            const char *create_body)
{
    sl_fail fail = { .size = sizeof(fail) };

    drop_action(x);
    if (bind_action(x, action, values, &fail) < 0)
        fail_msg("%s", fail.text);
    x->create_body = create_body;
}

const char *sf_refusal(struct sf_fixture *x, const char *action, const struct fake_setting *values)
{
    static sl_fail fail;

    fail = (sl_fail){ .size = sizeof(fail) };
    drop_action(x);
    CHECK_EQ(bind_action(x, action, values, &fail), SL_E_INVALID);
    return fail.text;
}

static void open_fixture(struct sf_fixture *x)
{
    sl_fail fail = { .size = sizeof(fail) };

    if (bind_action(x, "upsert", params, &fail) < 0)
        fail_msg("%s", fail.text);
    x->create_body = SF_CREATE_BODY;
    x->host = fake_host_create("crm", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    x->closed = false;
}

static void set(const char *name, const char *value)
{
    size_t i = 0;

    while (settings[i].name && strcmp(settings[i].name, name) != 0)
        i++;
    assert_non_null(settings[i].name);
    settings[i].value = value;
}

int sf_setup(void **state)
{
    struct sf_fixture *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    settings[4].value = sf_pem();
    set("delete_jobs", "false");
    x->plugin = sl_plugin_v0();
    open_fixture(x);
    *state = x;
    return 0;
}

void sf_close(struct sf_fixture *x)
{
    if (x->closed)
        return;
    x->closed = true;
    fake_host_close(x->host, x->plugin, x->self);
    drop_action(x);
    fake_host_destroy(x->host);
    if (x->done.host)
        fake_done_finish(&x->done);
}

void sf_reopen(struct sf_fixture *x)
{
    sf_close(x);
    open_fixture(x);
}

void sf_reopen_with(struct sf_fixture *x, const char *name, const char *value)
{
    set(name, value);
    sf_reopen(x);
}

int sf_teardown(void **state)
{
    sf_close(*state);
    free(*state);
    return 0;
}

void sf_deliver(struct sf_fixture *x, const char *const *bodies, const char *token)
{
    size_t n = 0;

    for (; bodies[n]; n++) {
        CHECK(n < SF_MAX);
        x->records[n] = (sl_record){ .size = sizeof(sl_record),
                                     .attempt = 1,
                                     .delivery = fake_str("1.0"),
                                     .key = fake_str("k"),
                                     .body = fake_str(bodies[n]),
                                     .request = fake_str(bodies[n]) };
    }
    x->batch = (sl_batch){ .size = sizeof(x->batch),
                           .id = 7,
                           .records = x->records,
                           .n_records = n,
                           .choices = x->choices,
                           .oldest_ms = x->oldest_ms,
                           .priority = x->priority };
    if (x->done.host)
        fake_done_finish(&x->done);
    fake_done_init(&x->done, x->host, n);
    if (token)
        x->plugin->resume(x->self, x->handle, &x->batch, fake_str(token), &x->done.done);
    else
        x->plugin->deliver(x->self, x->handle, &x->batch, &x->done.done);
    CHECK(!x->done.finished); /* nothing before it returns */
}

/* ---- scripts ------------------------------------------------------------------------------- */

/* Texts of the script live until the end of the process. */
static const char *keep(const char *a, const char *b, const char *c)
{
    static char pool[1 << 18];
    static size_t used;
    char *at = pool + used;
    int n = snprintf(at, sizeof(pool) - used, "%s%s%s", a, b, c);

    CHECK(n >= 0 && used + (size_t)n + 1 < sizeof(pool));
    used += (size_t)n + 1;
    return at;
}

void sf_expect_token(struct sf_fixture *x)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_LOGIN "/services/oauth2/token",
                .headers = "Content-Type: application/x-www-form-urlencoded\n!Authorization",
                .status = 200, .answer = SF_TOKEN);
}

void sf_expect_create(struct sf_fixture *x, const char *id)
{
    FAKE_EXPECT(x->host, .method = "POST", .url = SF_JOBS,
                .headers =
                    "Content-Type: application/json; charset=UTF-8\n"
                    "Accept: application/json\nSforce-Call-Options: client=sluice",
                .body = x->create_body, .status = 200,
                .answer = keep("{\"id\":\"", id, "\",\"state\":\"Open\",\"apiVersion\":66.0}"));
}

void sf_expect_upload(struct sf_fixture *x, const char *job, const char *csv)
{
    FAKE_EXPECT(x->host, .method = "PUT", .url = keep(job, "/batches", ""),
                .headers = "Content-Type: text/csv; charset=UTF-8", .body = csv, .status = 201);
}

void sf_expect_close(struct sf_fixture *x, const char *job)
{
    FAKE_EXPECT(x->host, .method = "PATCH", .url = job, .body = "{\"state\":\"UploadComplete\"}",
                .headers = "Content-Type: application/json; charset=UTF-8", .status = 200,
                .answer = "{\"state\":\"UploadComplete\"}");
}

void sf_expect_abort(struct sf_fixture *x, const char *job)
{
    FAKE_EXPECT(x->host, .method = "PATCH", .url = job, .body = "{\"state\":\"Aborted\"}",
                .status = 200, .answer = "{\"state\":\"Aborted\"}");
}

void sf_expect_state(struct sf_fixture *x, const char *job, const char *state)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = job, .body = "",
                .headers = "Accept: application/json\n!Content-Type", .status = 200,
                .answer = keep("{\"id\":\"x\",\"state\":\"", state, "\",\"retries\":0}"));
}

static void expect_file(struct sf_fixture *x, const char *job, const char *file, const char *rows)
{
    if (rows)
        FAKE_EXPECT(x->host, .method = "GET", .url = keep(job, "/", file),
                    .headers = "Accept: text/csv", .status = 200, .answer = rows);
}

void sf_expect_results(struct sf_fixture *x, const char *job, const char *ok, const char *failed,
                       const char *unprocessed)
{
    expect_file(x, job, "successfulResults", ok);
    expect_file(x, job, "failedResults", failed);
    expect_file(x, job, "unprocessedrecords", unprocessed);
}

void sf_expect_list(struct sf_fixture *x, const char *jobs)
{
    FAKE_EXPECT(x->host, .method = "GET", .url = SF_JOBS "?jobType=V2Ingest",
                .headers = "Accept: application/json", .status = 200,
                .answer = keep("{\"done\":true,\"records\":[", jobs, "],\"nextRecordsUrl\":null}"));
}

void sf_expect_lookup(struct sf_fixture *x, const char *keys, const char *records)
{
    FAKE_EXPECT(x->host, .method = "GET",
                .url = keep(SF_BASE "/services/data/v66.0/query?q=SELECT+Id," SF_KEY
                                    ",SystemModstamp,LastModifiedById+FROM+Contact+WHERE+" SF_KEY
                                    "+IN+(",
                            keys, ")"),
                .status = 200,
                .answer = keep("{\"totalSize\":0,\"done\":true,\"records\":[", records, "]}"));
}

void sf_expect_sent(struct sf_fixture *x, const char *id, const char *job, const char *csv)
{
    sf_expect_create(x, id);
    sf_expect_upload(x, job, csv);
    sf_expect_close(x, job);
}

/* ---- checks -------------------------------------------------------------------------------- */

void sf_check_all(struct sf_fixture *x, uint32_t kind)
{
    CHECK(x->done.finished);
    for (size_t i = 0; i < x->done.n_records; i++) {
        const struct fake_outcome *o = &x->done.outcomes[i];

        if (o->told == 0 || o->kind != kind)
            fail_msg("record %zu: told %u kind %u, expected %u; %s", i, o->told, o->kind, kind,
                     o->told ? o->why : "");
    }
}

void sf_check_two(struct sf_fixture *x)
{
    sf_check_all(x, SL_DELIVERED);
    CHECK(!x->done.parked);
    CHECK_STR(x->done.outcomes[0].reference, "0035g00000Tst01AAB");
    CHECK_STR(x->done.outcomes[1].reference, "0035g00000Tst02AAB");
}

void sf_check_resumed(struct sf_fixture *x, const struct sf_resumed *r)
{
    const char *job = r->fresh ? SF_JOB2 : SF_JOB;

    sf_expect_token(x);
    if (r->first)
        sf_expect_state(x, SF_JOB, r->first);
    else
        FAKE_EXPECT(x->host, .url = SF_JOB, .status = 404, .answer = SF_GONE);
    if (r->abort)
        sf_expect_abort(x, SF_JOB);
    if (r->fresh)
        sf_expect_sent(x, SF_ID2, SF_JOB2, SF_TWO_CSV);
    if (r->close)
        sf_expect_close(x, SF_JOB);
    if (!r->first || strcmp(r->first, "JobComplete") != 0)
        sf_expect_state(x, job, "JobComplete");
    sf_expect_results(x, job, SF_OK_TWO, NULL, NULL);
    sf_deliver(x, SF_TWO, r->token);
    fake_host_run(x->host);
    sf_check_two(x);
    sf_reopen(x);
}
