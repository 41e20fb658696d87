/*
 * fuzz_salesforce_contact.c - the body of a contact.upsert: what is taken apart lies within it, and
 * what is normalised stays as it is when it is normalised again.
 */
#include "fuzz.h"

#include <string.h>
#include "match/record.h"

static void check_email(sl_str in)
{
    struct email once, twice;

    if (email_normalise(in, &once) < 0)
        return;
    PROMISE(once.domain > 1 && once.domain < once.len, "%s", once.text);
    PROMISE(email_normalise((sl_str){ once.text, once.len }, &twice) == SL_OK, "%s", once.text);
    PROMISE(twice.len == once.len && memcmp(twice.text, once.text, once.len) == 0, "%s then %s",
            once.text, twice.text);
}

static void check_text(sl_str in, void (*normalise)(sl_str in, struct text *to))
{
    struct text once = { 0 }, twice = { 0 };

    normalise(in, &once);
    normalise(text_view(&once), &twice);
    PROMISE(twice.len == once.len && (once.len == 0 || memcmp(twice.ptr, once.ptr, once.len) == 0),
            "%s then %s", once.ptr ? once.ptr : "", twice.ptr ? twice.ptr : "");
    text_finish(&once);
    text_finish(&twice);
}

static void name(sl_str in, struct text *to)
{
    int suffix = SUFFIX_NONE;

    name_normalise(in, to, &suffix);
}

static void phone(sl_str in, struct text *to)
{
    phone_normalise(in, (sl_str){ "DE", 2 }, to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct contact_record r = { 0 };
    struct match_index ix = { 0 };
    struct person *p;
    char why[200] = "";
    sl_str in = { (const char *)data, size };

    if (record_read(&r, in, "K__c", why, sizeof(why)) == SL_OK) {
        check_email(r.raw.email);
        check_text(r.raw.first, name);
        check_text(r.raw.phone[0], phone);
        check_text(r.raw.tax_id, tax_id_normalise);
        p = person_make(&ix, &r.raw);
        PROMISE(p && p->external_id.len > 0, "no person of it");
        person_free(p);
    } else {
        PROMISE(why[0], "refused without a reason");
    }
    record_finish(&r);
    return 0;
}
