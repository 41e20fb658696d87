/*
 * test_salesforce_receive.c - the org as a source: who may send, what an Outbound Message and a
 * callout hold, what each event is about.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORG    "00D5g00000Org01EAB"
#define PATH   "/outbound/a-secret-in-the-path"
#define SECRET "SECRET!SESSION.of.the.user"

#define OPEN                                                                         \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"                                   \
    "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" " \
    "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" "                                \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n <soapenv:Body>\n"    \
    "  <notifications xmlns=\"http://soap.sforce.com/2005/09/outbound\">\n"
#define FROM(org)                                                                              \
    "   <OrganizationId>" org                                                                  \
    "</OrganizationId>\n   <ActionId>04k5g0000000001AAA</ActionId>\n"                          \
    "   <SessionId>" SECRET                                                                    \
    "</SessionId>\n"                                                                           \
    "   <EnterpriseUrl>https://x.my.salesforce.com/services/Soap/c/66.0/00D</EnterpriseUrl>\n" \
    "   <PartnerUrl>https://x.my.salesforce.com/services/Soap/u/66.0/00D</PartnerUrl>\n"
#define NOTE(id, object, fields)                                                 \
    "   <Notification>\n    <Id>" id "</Id>\n    <sObject xsi:type=\"sf:" object \
    "\" xmlns:sf=\"urn:sobject.enterprise.soap.sforce.com\">\n" fields           \
    "    </sObject>\n   </Notification>\n"
#define CLOSE "  </notifications>\n </soapenv:Body>\n</soapenv:Envelope>"

#define ID1    "04l5g0000000001AAA"
#define ID2    "04l5g0000000002AAA"
#define OPP    "0065g00000Opp01AAB"
#define OPP_15 "0065g00000Opp01"
#define ONE \
    NOTE(ID1, "Opportunity", "     <sf:Id>" OPP "</sf:Id>\n     <sf:Amount>45000.0</sf:Amount>\n")
#define MESSAGE    \
    OPEN FROM(ORG) \
    ONE CLOSE

/* ---- the endpoint -------------------------------------------------------------------------- */

static struct fake_setting settings[] = {
    { "instance", SF_BASE },
    { "auth.flow", "client_credentials" },
    { "auth.client_id", "3MVG9.key" },
    { "auth.client_secret", "the consumer's secret" },
    { "receive.organization_id", "00D5g00000Org01" },
    { "receive.path_secret", "a-secret-in-the-path" },
    { "receive.path_secret", "the-one-before-it-was-changed" },
    { "receive.callout_secret", "what callouts are signed with" },
    { "receive.callout_token", "a token for flows that cannot" },
    { "receive.follow", "[\"Quote__c\"]" },
    { 0 },
};

struct opened {
    const sl_plugin *plugin;
    struct fake_host *host;
    void *self;
};

static int setup(void **state)
{
    struct opened *x = calloc(1, sizeof(*x));

    x->plugin = sl_plugin_v0();
    x->host = fake_host_create("crm", x->plugin->settings, settings);
    x->self = fake_host_open(x->host, x->plugin);
    *state = x;
    return 0;
}

static int teardown(void **state)
{
    struct opened *x = *state;

    fake_host_close(x->host, x->plugin, x->self);
    fake_host_destroy(x->host);
    free(x);
    return 0;
}

/* ---- what comes ---------------------------------------------------------------------------- */

#define MAX_EVENTS 120

struct came {
    size_t n;
    char *topic[MAX_EVENTS], *id[MAX_EVENTS], *body[MAX_EVENTS];
    unsigned answers, follows;
    bool cannot_follow;
    char answer[600], type[40];
    uint32_t status;
    sl_fail fail;
    size_t room; /* of events; 0: all of MAX_EVENTS */
};

static char *copy(sl_str s)
{
    return strndup(s.ptr ? s.ptr : "", s.len);
}

static sl_status on_event(void *ctx, sl_str topic, sl_str sender_id, sl_str body)
{
    struct came *c = ctx;

    if (c->n == (c->room ? c->room : MAX_EVENTS))
        return SL_E_LIMIT;
    c->topic[c->n] = copy(topic);
    c->id[c->n] = copy(sender_id);
    c->body[c->n++] = copy(body);
    return SL_OK;
}

static sl_status on_answer(void *ctx, const sl_ack *ack)
{
    struct came *c = ctx;

    c->answers++;
    c->status = ack->status;
    snprintf(c->answer, sizeof(c->answer), "%s", ack->body);
    snprintf(c->type, sizeof(c->type), "%s", ack->content_type);
    return SL_OK;
}

static sl_status on_follow(void *ctx)
{
    struct came *c = ctx;

    if (c->cannot_follow)
        return SL_E_UNSUPPORTED;
    c->follows++;
    return SL_OK;
}

static void forget(struct came *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->topic[i]);
        free(c->id[i]);
        free(c->body[i]);
    }
    *c = (struct came){ 0 };
}

/* The body stands in memory of its own length, so that a sanitizer sees a read behind it. */
static sl_status take(struct opened *x, const char *rest, const char *body, size_t len,
                      struct came *c)
{
    sl_head head = { .size = sizeof(head), .method = fake_str("POST"), .rest = fake_str(rest) };
    sl_unpack_out out = {
        .size = sizeof(out), .ctx = c, .event = on_event, .answer = on_answer, .follow = on_follow
    };
    char *own = malloc(len + 1);
    sl_status r;

    memcpy(own, body, len);
    own = realloc(own, len ? len : 1);
    c->fail = (sl_fail){ .size = sizeof(sl_fail) };
    r = x->plugin->unpack(x->self, &head, (sl_str){ own, len }, &out, &c->fail);
    free(own);
    return r;
}

static void taken(struct opened *x, const char *rest, const char *body, struct came *c)
{
    if (take(x, rest, body, strlen(body), c) != SL_OK)
        fail_msg("%s", c->fail.text);
}

static void refused(struct opened *x, const char *rest, const char *text, const char *body)
{
    struct came c = { 0 };

    CHECK_EQ(take(x, rest, body, strlen(body), &c), SL_E_INVALID);
    CHECK_HAS(c.fail.text, text);
    CHECK_EQ(c.answers, 0);
    CHECK(!strstr(c.fail.text, SECRET));
    forget(&c);
}

/* ---- what it is about ---------------------------------------------------------------------- */

struct about {
    unsigned n;
    char subject[100], version[40], key[100];
};

static void on_subject(void *ctx, sl_str subject, sl_str version, sl_str key, const sl_ref *refs,
                       size_t n_refs)
{
    struct about *a = ctx;

    (void)refs;
    CHECK_EQ(n_refs, 0);
    a->n++;
    snprintf(a->subject, sizeof(a->subject), "%.*s", (int)subject.len, subject.ptr);
    snprintf(a->version, sizeof(a->version), "%.*s", (int)version.len, version.ptr);
    snprintf(a->key, sizeof(a->key), "%.*s", (int)key.len, key.ptr);
}

static void on_note(void *ctx, sl_str text)
{
    (void)ctx;
    (void)text;
}

static struct about about(struct opened *x, const char *topic, const char *body)
{
    struct about a = { 0 };
    sl_describe_out out = {
        .size = sizeof(out), .ctx = &a, .subject = on_subject, .note = on_note
    };
    sl_event e = { .size = sizeof(e), .topic = fake_str(topic), .body = fake_str(body) };
    sl_fail fail = { .size = sizeof(fail) };

    if (x->plugin->describe(x->self, &e, &out, &fail) != SL_OK)
        fail_msg("%s", fail.text);
    return a;
}

/* ---- Outbound Messages --------------------------------------------------------------------- */

static void a_message_becomes_an_event_without_its_session(void **state)
{
    struct opened *x = *state;
    struct came c = { 0 };

    taken(x, PATH, MESSAGE, &c);
    CHECK_EQ(c.n, 1);
    CHECK_STR(c.topic[0], "outbound/Opportunity");
    CHECK_STR(c.id[0], ID1);
    CHECK_STR(c.body[0], "{\"organization_id\":\"" ORG
                         "\",\"action_id\":\"04k5g0000000001AAA\","
                         "\"notification_id\":\"" ID1
                         "\",\"object\":\"Opportunity\","
                         "\"record\":{\"Id\":\"" OPP "\",\"Amount\":\"45000.0\"}}");
    CHECK_EQ(c.status, 200);
    CHECK_STR(c.type, "text/xml");
    CHECK_STR(c.answer,
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
              "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\">"
              "<soapenv:Body>"
              "<notificationsResponse xmlns=\"http://soap.sforce.com/2005/09/outbound\">"
              "<Ack>true</Ack></notificationsResponse></soapenv:Body></soapenv:Envelope>");
    struct about a = about(x, c.topic[0], c.body[0]);
    CHECK_EQ(a.n, 1);
    CHECK_STR(a.subject, "salesforce:Opportunity/" OPP);
    CHECK_STR(a.version, "");
    CHECK_STR(a.key, "notification:" ID1);
    CHECK_STR(fake_host_last_log(x->host), "");
    forget(&c);
}

static void each_notification_is_an_event_of_its_own(void **state)
{
    struct opened *x = *state;
    struct came c = { 0 };

    taken(x, PATH,
          OPEN FROM("00D5g00000Org01")
              ONE NOTE(ID2, "Opportunity",
                       "<sf:Id>" OPP_15 "</sf:Id><sf:SystemModstamp>2026-11-20T11:15:00.000+0100"
                       "</sf:SystemModstamp>") CLOSE,
          &c);
    CHECK_EQ(c.n, 2);
    CHECK_EQ(c.answers, 1);
    CHECK_STR(c.id[1], ID2);
    struct about a = about(x, c.topic[1], c.body[1]);
    CHECK_STR(a.subject, "salesforce:Opportunity/" OPP); /* 15 characters or 18: one record */
    CHECK_STR(a.version, "2026-11-20T10:15:00.000Z");
    forget(&c);
    c.room = 1;
    CHECK_EQ(take(x, PATH, OPEN FROM(ORG) ONE ONE CLOSE, strlen(OPEN FROM(ORG) ONE ONE CLOSE), &c),
             SL_E_LIMIT); /* the host's own bound is handed on */
    CHECK_EQ(c.answers, 0);
    forget(&c);
}

static void fields_are_text_null_is_left_out_and_what_comes_again_is_a_list(void **state)
{
    struct opened *x = *state;
    struct came c = { 0 };

    taken(x, PATH,
          OPEN FROM(ORG)
              NOTE(ID1, "My_Object__c",
                   "<sf:Id>" OPP "</sf:Id><sf:Name>A &amp; B &lt;c&gt; &#246; \"d\"</sf:Name>"
                   "<sf:Empty/><sf:Null xsi:nil=\"true\"/><sf:Kind>a</sf:Kind><sf:Kind>b</sf:Kind>"
                   "<sf:Kind>c</sf:Kind><sf:Text><![CDATA[<x>&y]]></sf:Text>"
                   "<sf:Address><sf:City>Ulm</sf:City></sf:Address>") CLOSE,
          &c);
    CHECK_STR(c.topic[0], "outbound/My_Object__c");
    CHECK_STR(strstr(c.body[0], "\"record\":"),
              "\"record\":{\"Id\":\"" OPP
              "\",\"Name\":\"A & B <c> \xc3\xb6 \\\"d\\\"\","
              "\"Empty\":\"\",\"Kind\":[\"a\",\"b\",\"c\"],\"Text\":\"<x>&y\"}}");
    forget(&c);
}

static void what_is_not_exactly_a_message_of_this_org_is_refused(void **state)
{
    struct opened *x = *state;

    refused(x, PATH, "it is from the organisation 00D000000000062EAA, not from the configured " ORG,
            OPEN FROM("00D000000000062") ONE CLOSE);
    refused(x, PATH, "OrganizationId is not an id", OPEN FROM("00D-00000000062") ONE CLOSE);
    refused(x, PATH, "stands before OrganizationId", OPEN ONE FROM(ORG) CLOSE);
    refused(x, PATH, "there is no Notification in it", OPEN FROM(ORG) CLOSE);
    refused(x, PATH, "a Notification has no Id",
            OPEN FROM(ORG) "<Notification></Notification>" CLOSE);
    refused(x, PATH, "a Notification's Id is not an id",
            OPEN FROM(ORG) NOTE("04l", "Quote", "") CLOSE);
    refused(x, PATH, "has no sObject",
            OPEN FROM(ORG) "<Notification><Id>" ID1 "</Id></Notification>" CLOSE);
    refused(x, PATH, "the sObject of Notification " ID1 " has no Id",
            OPEN FROM(ORG) NOTE(ID1, "Quote", "<sf:Name>x</sf:Name>") CLOSE);
    refused(x, PATH, "has no Id", /* its case was lost */
            OPEN FROM(ORG) NOTE(ID1, "Quote", "<sf:Id>0065g00000opp01AAB</sf:Id>") CLOSE);
    refused(x, PATH, "xsi:type does not name an object", OPEN FROM(ORG) NOTE(ID1, "a b", "") CLOSE);
    refused(x, PATH, "Name is not a field",
            OPEN FROM(ORG) NOTE(ID1, "Quote", "<Name xmlns=\"urn:other\">x</Name>") CLOSE);
    refused(x, PATH, "two messages",
            OPEN FROM(ORG) ONE
            "</notifications><notifications "
            "xmlns=\"http://soap.sforce.com/2005/09/outbound\">" FROM(ORG) ONE CLOSE);
    refused(x, PATH, "no SOAP 1.1 envelope: it begins with Envelope",
            "<Envelope xmlns=\"http://www.w3.org/2003/05/soap-envelope\"/>");
    refused(x, PATH, "the SOAP body holds Fault, not notifications",
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><s:Fault/>"
            "</s:Body></s:Envelope>");
    refused(x, PATH, "line 2: XML or text declaration not at start", "\n" MESSAGE);
    refused(x, PATH, "undefined entity", OPEN FROM(ORG) NOTE(ID1, "Quote", "&who;") CLOSE);
    refused(x, PATH, "not well-formed", "{\"no\": \"XML\"}");
    refused(x, PATH, "", "");
}

static void nothing_is_expanded_and_nothing_grows(void **state)
{
    struct opened *x = *state;
    struct came c = { 0 };
    size_t n;
    char *deep = calloc(1, 4 << 20);

    refused(x, PATH, "a DOCTYPE is not taken", "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>");
    refused(
        x, PATH, "a DOCTYPE is not taken",
        "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]><a>&b;</a>");
    strcpy(deep, OPEN FROM(ORG));
    for (int i = 0; i < 1000; i++)
        strcat(deep, "<a>");
    refused(x, PATH, "elements stand 17 deep", deep);
    n = (size_t)sprintf(deep, "%s",
                        OPEN FROM(ORG) "<Notification><Id>" ID1
                                       "</Id><sObject "
                                       "xsi:type=\"f:Quote\" xmlns:f=\"urn:sobject.partner\">");
    for (int i = 0; i < 2001; i++)
        n += (size_t)sprintf(deep + n, "<f:F%d>1</f:F%d>", i, i);
    refused(x, PATH, "more than 2000 fields", deep);
    /* a megabyte in one field is a long text and no more */
    n = (size_t)sprintf(deep,
                        "%s<Notification><Id>" ID1
                        "</Id><sObject xsi:type=\"f:Quote\" "
                        "xmlns:f=\"urn:sobject.partner\"><f:Id>" OPP "</f:Id><f:T>",
                        OPEN FROM(ORG));
    memset(deep + n, 'x', 1 << 20);
    strcpy(deep + n + (1 << 20), "</f:T></sObject></Notification>" CLOSE);
    taken(x, PATH, deep, &c);
    CHECK(strlen(c.body[0]) > 1 << 20);
    forget(&c);
    free(deep);
}

static void a_message_that_breaks_off_anywhere_is_refused(void **state)
{
    struct opened *x = *state;

    for (size_t n = 0; n < strlen(MESSAGE); n++) {
        struct came c = { 0 };
        CHECK_EQ(take(x, PATH, MESSAGE, n, &c), SL_E_INVALID);
        CHECK_EQ(c.answers, 0);
        forget(&c);
    }
}

/* ---- who may send -------------------------------------------------------------------------- */

static sl_status ask(struct opened *x, const char *method, const char *rest,
                     const char *const *lines, sl_verdict *v)
{
    sl_header headers[8];
    sl_head head = {
        .size = sizeof(head), .method = fake_str(method), .rest = fake_str(rest), .headers = headers
    };
    sl_fail fail = { .size = sizeof(fail) };

    for (; lines && lines[head.n_headers]; head.n_headers++) {
        const char *line = lines[head.n_headers], *colon = strchr(line, ':');
        headers[head.n_headers] = (sl_header){ { line, (size_t)(colon - line) },
                                               fake_str(colon + 2) };
    }
    *v = (sl_verdict){ .size = sizeof(*v) };
    return x->plugin->verify(x->self, &head, v, &fail);
}

#define HEADERS(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void a_message_is_taken_at_its_secret_path_alone(void **state)
{
    static const char *const wrong[] = { "",
                                         "/",
                                         "/outbound",
                                         "/outbound/",
                                         "/outbound/a-secret-in-the-pat",
                                         "/outbound/a-secret-in-the-path/",
                                         "/outbound/a-secret-in-the-patH",
                                         "/outbound/another-of-that-length",
                                         "/Outbound/a-secret-in-the-path",
                                         "/callout/",
                                         "/a-secret-in-the-path" };
    struct opened *x = *state;
    sl_verdict v;

    CHECK_EQ(ask(x, "POST", PATH, NULL, &v), SL_OK);
    CHECK_EQ(v.scheme, SL_SIGNED_NOT);
    CHECK_EQ(ask(x, "POST", "/outbound/the-one-before-it-was-changed", NULL, &v), SL_OK);
    CHECK_EQ(ask(x, "GET", PATH, NULL, &v), SL_E_UNSUPPORTED);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        CHECK_EQ(ask(x, "POST", wrong[i], NULL, &v), SL_E_NOT_FOUND);
        CHECK_EQ(ask(x, "GET", wrong[i], NULL, &v), SL_E_NOT_FOUND); /* which tells nothing */
    }
}

static void is_refused(struct opened *x, const char *const *headers)
{
    sl_verdict v;

    CHECK_EQ(ask(x, "POST", "/callout", headers, &v), SL_OK);
    CHECK_EQ(v.scheme, SL_SIGNED_HMAC_SHA256);
    CHECK_EQ(v.signature_len, 0);
}

#define MAC_HEX "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4"
#define MAC_64  "j0NDRmSPa5bfid2pAcUXaxCm2Dlh3TwayItZstwyeqQ="

static void a_callout_is_signed_or_has_a_token(void **state)
{
    struct opened *x = *state;
    sl_verdict v, other;

    CHECK_EQ(ask(x, "POST", "/callout", HEADERS("x-signature-sha256: " MAC_HEX), &v), SL_OK);
    CHECK_EQ(v.scheme, SL_SIGNED_HMAC_SHA256);
    CHECK_EQ(v.signature_len, 32);
    CHECK_EQ(v.n_secrets, 1);
    CHECK_EQ(v.secrets[0].len, strlen("what callouts are signed with"));
    CHECK_EQ(ask(x, "POST", "/callout", HEADERS("X-Signature-SHA256: " MAC_64), &other), SL_OK);
    CHECK(memcmp(v.signature, other.signature, 32) == 0);
    CHECK_EQ(ask(x, "POST", "/callout",
                 HEADERS("Authorization: Bearer a token for flows that cannot"), &v),
             SL_OK);
    CHECK_EQ(v.scheme, SL_SIGNED_NOT);
    CHECK_EQ(ask(x, "GET", "/callout", NULL, &v), SL_E_UNSUPPORTED);
    is_refused(x, NULL);
    is_refused(x, HEADERS("Authorization: Bearer a token for flows that canno"));
    is_refused(x, HEADERS("Authorization: Bearer "));
    is_refused(x, HEADERS("Authorization: Basic a token for flows that cannot"));
    is_refused(x, HEADERS("Authorization: Bearer a token for flows that cannot",
                          "Authorization: Bearer a token for flows that cannot"));
    is_refused(x, HEADERS("X-Signature-SHA256: " MAC_HEX, "X-Signature-SHA256: " MAC_HEX));
    is_refused(x, HEADERS("X-Signature-SHA256: 00"));
    is_refused(x, HEADERS("X-Signature-SHA256: g" MAC_HEX));
    /* a wrong signature is not made good by a token */
    is_refused(x, HEADERS("X-Signature-SHA256: nonsense",
                          "Authorization: Bearer a token for flows that cannot"));
}

/* ---- callouts ------------------------------------------------------------------------------ */

#define CALLOUT(object, id, change, fields)                                                        \
    "{\"eventId\":\"flow-7\",\"object\":\"" object "\",\"id\":\"" id "\",\"changeType\":\"" change \
    "\",\"occurredAt\":\"2026-11-20T10:15:00Z\",\"fields\":" fields "}"

static void a_callout_is_an_event_as_it_came(void **state)
{
    const char *body = CALLOUT("Quote", "0Q05g0000000001", "UPDATE",
                               "{\"Total\":19.90,\"n\":null}");
    struct opened *x = *state;
    struct came c = { 0 };

    taken(x, "/callout", body, &c);
    CHECK_EQ(c.n, 1);
    CHECK_STR(c.topic[0], "callout/Quote/update");
    CHECK_STR(c.id[0], "flow-7");
    CHECK_STR(c.body[0], body);
    CHECK_EQ(c.status, 200);
    CHECK_STR(c.type, "application/json");
    CHECK_STR(c.answer, "{}");
    struct about a = about(x, c.topic[0], c.body[0]);
    CHECK_STR(a.subject, "salesforce:Quote/0Q05g0000000001CAA");
    CHECK_STR(a.version, "2026-11-20T10:15:00.000Z");
    CHECK_STR(a.key, "callout:flow-7");
    forget(&c);
    a = about(x, "callout/Quote/update",
              CALLOUT("Quote", "0Q05g0000000001CAA", "UPDATE",
                      "{\"LastModifiedDate\":\"2026-11-20T10:16:00.000+0000\"}"));
    CHECK_STR(a.version, "2026-11-20T10:16:00.000Z");
    CHECK_EQ(about(x, "stock/level", "whatever").n, 0);
}

static void a_callout_that_lacks_something_is_told_what(void **state)
{
    struct opened *x = *state;

    refused(x, "/callout", "not a JSON object", "[]");
    refused(x, "/callout", "not JSON: '[' or '{' expected at byte 0", "");
    refused(x, "/callout", "not JSON: duplicate object key at byte 24",
            "{\"eventId\":\"a\",\"eventId\":\"b\"}");
    refused(x, "/callout", "not JSON: too big integer at byte ", "{\"n\":99999999999999999999}");
    refused(x, "/callout", "eventId: it wants", "{}");
    refused(x, "/callout", "eventId: it wants", "{\"eventId\":\"a b\"}");
    refused(x, "/callout", "object: it wants", CALLOUT("a/b", "0Q05g0000000001", "UPDATE", "{}"));
    refused(x, "/callout", "id: it wants", CALLOUT("Quote", "7", "UPDATE", "{}"));
    refused(x, "/callout", "changeType: it wants",
            CALLOUT("Quote", "0Q05g0000000001", "up/date", "{}"));
    refused(x, "/callout", "fields: it wants", CALLOUT("Quote", "0Q05g0000000001", "UPDATE", "[]"));
}

static void a_callout_that_is_followed_says_that_it_is_processed(void **state)
{
    const char *body = CALLOUT("Quote__c", "a015g0000000001", "CHECKOUT", "{}");
    struct opened *x = *state;
    struct came c = { 0 };

    taken(x, "/callout", body, &c);
    CHECK_EQ(c.n, 2);
    CHECK_STR(c.topic[0], "callout/Quote__c/checkout");
    CHECK_STR(c.topic[1], "quote__c/processing");
    CHECK_STR(c.id[1], "flow-7/processing");
    CHECK_STR(c.body[1],
              "{\"status\":\"processing\",\"object\":\"Quote__c\",\"id\":"
              "\"a015g0000000001AAA\",\"event_id\":\"flow-7\","
              "\"occurred_at\":\"2026-11-20T10:15:00Z\"}");
    CHECK_EQ(c.follows, 1);
    CHECK_EQ(c.answers, 0);
    struct about a = about(x, c.topic[1], c.body[1]);
    CHECK_STR(a.subject, "salesforce:Quote__c/a015g0000000001AAA");
    CHECK_STR(a.key, "processing:flow-7");
    forget(&c);
    c.cannot_follow = true; /* the endpoint has no `status` */
    taken(x, "/callout", body, &c);
    CHECK_STR(c.answer, "{}");
    CHECK_HAS(fake_host_last_log(x->host), "no status: { url, secret }");
    forget(&c);
}

/* ---- settings ------------------------------------------------------------------------------ */

static void cannot_open(const char *text, const struct fake_setting *more)
{
    struct fake_setting all[12] = { settings[0], settings[1], settings[2], settings[3] };
    struct fake_host *host;
    sl_fail fail = { .size = sizeof(fail) };
    void *self;

    for (size_t i = 0; more[i].name; i++)
        all[4 + i] = more[i];
    host = fake_host_create("crm", sl_plugin_v0()->settings, all);
    CHECK_EQ(sl_plugin_v0()->open(fake_host_table(host), &self, &fail), SL_E_INVALID);
    CHECK_HAS(fail.text, text);
    fake_host_destroy(host);
}
#define SETTINGS(...) ((const struct fake_setting[]){ __VA_ARGS__, { 0 } })

static void settings_that_do_not_do_are_named(void **state)
{
    (void)state;
    cannot_open("receive.organization_id is missing",
                SETTINGS({ "receive.path_secret", "a-secret-in-the-path" }));
    cannot_open("receive.organization_id: it is",
                SETTINGS({ "receive.organization_id", "0065g00000Opp01AAB" }));
    cannot_open("entry 1 has fewer than 16 characters",
                SETTINGS({ "receive.callout_token", "short" }));
    cannot_open("receive.follow: \"a b\" is not", SETTINGS({ "receive.follow", "[\"a b\"]" }));
    cannot_open("entry 2 has characters that an address would have to escape",
                SETTINGS({ "receive.organization_id", ORG },
                         { "receive.path_secret", "a-secret-in-the-path" },
                         { "receive.path_secret", "a secret/in the path" }));
}

static void an_endpoint_that_receives_nothing_has_no_path(void **state)
{
    struct opened x = { .plugin = sl_plugin_v0() };
    struct fake_setting few[] = { settings[0], settings[1], settings[2], settings[3], { 0 } };
    sl_verdict v;

    (void)state;
    x.host = fake_host_create("crm", x.plugin->settings, few);
    x.self = fake_host_open(x.host, x.plugin);
    CHECK_EQ(ask(&x, "POST", PATH, NULL, &v), SL_E_NOT_FOUND);
    CHECK_EQ(ask(&x, "POST", "/callout", NULL, &v), SL_E_NOT_FOUND);
    fake_host_close(x.host, x.plugin, x.self);
    fake_host_destroy(x.host);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(a_message_becomes_an_event_without_its_session),
        TEST(each_notification_is_an_event_of_its_own),
        TEST(fields_are_text_null_is_left_out_and_what_comes_again_is_a_list),
        TEST(what_is_not_exactly_a_message_of_this_org_is_refused),
        TEST(nothing_is_expanded_and_nothing_grows),
        TEST(a_message_that_breaks_off_anywhere_is_refused),
        TEST(a_message_is_taken_at_its_secret_path_alone),
        TEST(a_callout_is_signed_or_has_a_token),
        TEST(a_callout_is_an_event_as_it_came),
        TEST(a_callout_that_lacks_something_is_told_what),
        TEST(a_callout_that_is_followed_says_that_it_is_processed),
        cmocka_unit_test(settings_that_do_not_do_are_named),
        cmocka_unit_test(an_endpoint_that_receives_nothing_has_no_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
