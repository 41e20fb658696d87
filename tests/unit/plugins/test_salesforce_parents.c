/*
 * test_salesforce_parents.c - which parent a record locks, by its object, its columns and the
 * route's `parent`; and how batches gather.
 */
#include "salesforce_fixture.h"

#include <stdio.h>
#include <string.h>

#include "rows/parents.h"

#define ACCOUNT_15 "0015g00000Acc01"

static char ext[] = "Shopify_Id__c", erp[] = "ERP_No__c", record[] = "Id";

/** The key of a body, upserted by `external_id` into `object`; until the next call. */
static const char *key_by(const char *object, char *external_id, char *parent, const char *body)
{
    static char key[400];
    char name[80], why[600];
    struct action a = { .op = OP_UPSERT, .external_id = external_id, .parent = parent };
    struct row row = { 0 };
    struct text to = { 0 };

    snprintf(name, sizeof(name), "%s", object);
    a.object = name;
    if (row_scan(&row, str_of(body), why, sizeof(why)) < 0)
        fail_msg("%s: %s", body, why);
    parent_key_of(&a, &row, &to);
    CHECK(!to.failed);
    snprintf(key, sizeof(key), "%.*s", (int)to.len, to.len ? to.ptr : "");
    row_finish(&row);
    text_finish(&to);
    return key;
}

static const char *key_of_row(const char *object, const char *body)
{
    return key_by(object, ext, NULL, body);
}

static void a_record_has_the_key_of_the_parent_that_its_object_hangs_from(void **state)
{
    static const struct {
        const char *object, *body, *key;
    } rows[] = {
        { "Contact", "{\"Shopify_Id__c\":\"1\",\"Account\":{\"ERP_No__c\":\"A-1\"}}",
          "account.erp_no__c=a-1" },
        { "contact", "{\"Account.ERP_No__c\":\"A-1\",\"Shopify_Id__c\":\"1\"}",
          "account.erp_no__c=a-1" },
        { "Order",
          "{\"Pricebook2\":{\"Name\":\"x\"},\"Owner\":{\"Ext__c\":\"o\"},"
          "\"Account\":{\"ERP_No__c\":\"A-1\"}}",
          "account.erp_no__c=a-1" },
        { "Case", "{\"Contact\":{\"Email\":\"a@b.example\"},\"Account\":{\"ERP_No__c\":\"A-1\"}}",
          "account.erp_no__c=a-1" },
        { "OrderItem",
          "{\"PricebookEntry\":{\"Ext__c\":\"p\"},\"Order\":{\"Shopify_Id__c\":\"O-7\"}}",
          "order.shopify_id__c=o-7" },
        { "OpportunityLineItem",
          "{\"Product2\":{\"Ext__c\":\"p\"},\"Opportunity\":{\"Shopify_Id__c\":7001}}",
          "opportunity.shopify_id__c=7001" },
        { "OpportunityContactRole",
          "{\"Contact\":{\"Ext__c\":\"c\"},\"Opportunity\":{\"Shopify_Id__c\":\"o\"}}",
          "opportunity.shopify_id__c=o" },
        { "QuoteLineItem", "{\"Quote\":{\"Shopify_Id__c\":\"q\"}}", "quote.shopify_id__c=q" },
        /* others: the first that is not shared by all */
        { "Shop_Visit__c",
          "{\"Owner\":{\"Ext__c\":\"o\"},\"RecordType\":{\"Name\":\"r\"},"
          "\"Site__r\":{\"Code__c\":\"S-1\"},\"Account\":{\"ERP_No__c\":\"A-1\"}}",
          "site__c.code__c=s-1" },
        { "Task", "{\"Lead:Who\":{\"Email\":\"A@B.example\"}}", "lead.email=a@b.example" },
        { "Case", "{\"Parent\":{\"Shopify_Id__c\":\"c\"}}", "case.shopify_id__c=c" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        CHECK_STR(key_of_row(rows[i].object, rows[i].body), rows[i].key);
}

static void an_id_names_the_same_parent_however_it_is_written(void **state)
{
    char first[400], long_id[19], body[200];

    (void)state;
    snprintf(first, sizeof(first), "%s",
             key_of_row("Contact", "{\"AccountId\":\"" ACCOUNT_15 "\"}"));
    CHECK_EQ(strlen(first), strlen("account.id=") + 18);
    CHECK(!strncmp(first, "account.id=0015g00000acc01", 26));
    CHECK_STR(key_of_row("Contact", "{\"Account\":{\"Id\":\"" ACCOUNT_15 "\"}}"), first);
    CHECK_STR(key_by("Account", record, NULL, "{\"Id\":\"" ACCOUNT_15 "\"}"), first);
    snprintf(long_id, sizeof(long_id), "%s", "0015g00000Acc01AAC"); /* a wrong ending is no id */
    snprintf(body, sizeof(body), "{\"AccountId\":\"%s\"}", long_id);
    CHECK_STR(key_of_row("Contact", body), "account.id=0015g00000acc01aac");
    /* a standard look-up by id, of an object that nobody knows; any other text is no parent */
    CHECK(strstr(key_of_row("Visit__c",
                            "{\"OwnerId\":\"0055g00000Usr01\",\"AccountId\":\"" ACCOUNT_15 "\"}"),
                 "account.id=") != NULL);
    CHECK_STR(key_of_row("Visit__c", "{\"Shopify_Id__c\":\"1\",\"TaxId\":\"DE 1\"}"),
              "visit__c.shopify_id__c=1");
}

static void a_parent_itself_has_the_key_of_its_children(void **state)
{
    char child[400];

    (void)state;
    snprintf(child, sizeof(child), "%s",
             key_of_row("Contact", "{\"Account\":{\"ERP_No__c\":\"A-1\"}}"));
    CHECK_STR(key_by("Account", erp, NULL, "{\"ERP_No__c\":\"a-1\",\"Name\":\"x\"}"), child);
    /* whatever an account hangs from itself */
    CHECK_STR(
        key_by("Account", erp, NULL, "{\"ERP_No__c\":\"A-1\",\"Parent\":{\"ERP_No__c\":\"A-0\"}}"),
        child);
    /* an order that names no account */
    CHECK_STR(key_of_row("Order", "{\"Shopify_Id__c\":\"O-7\"}"), "order.shopify_id__c=o-7");
}

static void what_names_no_parent_stands_for_itself_or_for_nothing(void **state)
{
    (void)state;
    CHECK_STR(key_of_row("Contact", "{\"Shopify_Id__c\":\"1\",\"Account\":{\"ERP_No__c\":null}}"),
              "contact.shopify_id__c=1");
    CHECK_STR(key_of_row("Contact", "{\"Shopify_Id__c\":\"1\",\"AccountId\":\"\"}"),
              "contact.shopify_id__c=1");
    CHECK_STR(key_of_row("Contact", "{\"LastName\":\"x\"}"), ""); /* rejected by itself */
}

static void a_route_names_another_column_or_none(void **state)
{
    static const char body[] =
        "{\"Shopify_Id__c\":\"1\",\"Account\":{\"ERP_No__c\":\"A-1\"},"
        "\"Site__r\":{\"Code__c\":\"S-1\"},\"Region__c\":\"a015g00000Reg01\"}";
    char site[] = "Site__r.Code__c", relation[] = "Site__r", other_key[] = "Site__r.Name",
         region[] = "Region__c", account[] = "AccountId", none[] = "none";

    (void)state;
    CHECK_STR(key_by("Contact", ext, site, body), "site__c.code__c=s-1");
    CHECK_STR(key_by("Contact", ext, relation, body), "site__c.code__c=s-1");
    CHECK_STR(key_by("Contact", ext, other_key, body), "contact.shopify_id__c=1"); /* not there */
    CHECK(strstr(key_by("Contact", ext, region, body), "region__c.id=a015g00000reg01") != NULL);
    CHECK_STR(key_by("Contact", ext, account, body), "contact.shopify_id__c=1");
    CHECK_STR(key_by("Contact", ext, none, body), "");
}

/* ---- by the adapter's table ---------------------------------------------------------------- */

#define PARAMS(...)                 \
    ((const struct fake_setting[]){ \
        { "object", "Contact" }, { "external_id", SF_KEY }, __VA_ARGS__{ 0 } })

static void the_adapter_says_it_to_the_host(void **state)
{
    struct sf_fixture *x = *state;
    static const char body[] = "{\"" SF_KEY "\":\"1\",\"Account\":{\"ERP_No__c\":\"A-1\"}}";
    sl_str key = x->plugin->parent_key(x->self, x->handle, str_of(body));

    CHECK(str_is(key, "account.erp_no__c=a-1"));
    CHECK_EQ(x->plugin->parent_key(x->self, x->handle, str_of("{\"torn")).len, 0);
    sf_use(x, "upsert", PARAMS({ "parent", "none" }, ), SF_CREATE_BODY);
    CHECK_EQ(x->plugin->parent_key(x->self, x->handle, str_of(body)).len, 0);
    CHECK_HAS(sf_refusal(x, "upsert", PARAMS({ "parent", "a b" }, )), "is no relationship column");
    CHECK_HAS(sf_refusal(x, "upsert", PARAMS({ "parent", "A.B.C" }, )),
              "is no relationship column");
}

static void batches_gather_for_a_bulk_job_and_few_go_soon(void **state)
{
    struct sf_fixture *x = *state;
    static const struct {
        const char *transport;
        uint32_t quick_records;
    } table[] = { { "auto", 1400 }, { "collections", 5000 }, { "bulk", 0 } };

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sl_batching how = { .size = sizeof(how) };

        sf_use(x, "upsert", PARAMS({ "parent", "none" }, { "transport", table[i].transport }, ),
               SF_CREATE_BODY);
        x->plugin->batching(0, x->handle, &how);
        CHECK_EQ(how.records, 5000);
        CHECK_EQ(how.age_ms, 60000);
        CHECK_EQ(how.quick_records, table[i].quick_records);
        CHECK_EQ(how.quick_ms, 10000);
        CHECK_EQ(how.chunk, 200);
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, sf_setup, sf_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_has_the_key_of_the_parent_that_its_object_hangs_from),
        cmocka_unit_test(an_id_names_the_same_parent_however_it_is_written),
        cmocka_unit_test(a_parent_itself_has_the_key_of_its_children),
        cmocka_unit_test(what_names_no_parent_stands_for_itself_or_for_nothing),
        cmocka_unit_test(a_route_names_another_column_or_none),
        TEST(the_adapter_says_it_to_the_host),
        TEST(batches_gather_for_a_bulk_job_and_few_go_soon),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
