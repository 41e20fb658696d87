/*
 * test_salesforce_match.c - how names and addresses are compared, and how often the matching is
 * right: measured on made-up worlds whose truth is known. `--json`: the measures alone, for a
 * bench.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "contacts_measure.h"
#include "match/score.h"
#include "match/sets.h"

/* ---- spellings ----------------------------------------------------------------------------- */

static void check_email(const char *in, const char *out)
{
    struct email e;
    sl_status r = email_normalise(str_of(in), &e);

    CHECK_EQ(r, out ? SL_OK : SL_E_INVALID);
    if (out)
        CHECK_STR(e.text, out);
}

static void one_address_in_many_spellings_is_one(void **state)
{
    (void)state;
    check_email("Anna.Schmidt@ACME.example", "anna.schmidt@acme.example");
    check_email("  <a@b.example> ", "a@b.example");
    check_email("mailto:a@b.example", "a@b.example");
    check_email("J.o.h.n+shop@GoogleMail.com", "john@gmail.com");
    check_email("j.o+x@corp.example", "j.o+x@corp.example"); /* elsewhere both may count */
    check_email("+x@gmail.com", "+x@gmail.com");
    check_email("a@XN--MLLER-KVA.de", "a@müller.de");
    check_email("a@MÜLLER.de", "a@müller.de");
    check_email("a@xn--9ca.xn--fiqs8s", "a@é.中国");
    check_email("a@xn--999999999", NULL);
    check_email("a@xn--www-.b.example", "a@xn--www-.b.example"); /* encodes nothing */
    check_email("a@xn--xn--x-nva.de", "a@xn--xn--x-nva.de");
    check_email("a@www.www.b.example", "a@b.example");
    check_email("o'+shop@gmail.com", "o@gmail.com"); /* as o'@gmail.com is read */
    check_email("a@b.example.", "a@b.example");
    check_email("a b", NULL);
    check_email("@b.example", NULL);
    check_email("a@b@c.example", NULL);
    check_email("a@localhost", NULL);
    check_email("", NULL);
}

static void a_mailbox_of_many_is_known_and_so_is_freemail(void **state)
{
    static const char *const more[] = { "provider.example", NULL };
    struct email e;

    (void)state;
    CHECK_EQ(email_normalise(str_of("INFO@acme.example"), &e), SL_OK);
    CHECK(e.role);
    CHECK_EQ(email_normalise(str_of("informatik@acme.example"), &e), SL_OK);
    CHECK(!e.role);
    CHECK(is_freemail(str_of("gmx.de"), NULL));
    CHECK(!is_freemail(str_of("provider.example"), NULL));
    CHECK(is_freemail(str_of("provider.example"), more));
}

static void check_phone(const char *in, const char *country, const char *out)
{
    struct text t = { 0 };

    phone_normalise(str_of(in), str_of(country), &t);
    CHECK_STR(t.ptr ? t.ptr : "", out);
    text_finish(&t);
}

static void one_number_in_many_spellings_is_one(void **state)
{
    (void)state;
    check_phone("+49 30 5550100", "", "+49305550100");
    check_phone("0049 (0)30 / 555 01-00", "", "+49305550100");
    check_phone("030/5550100", "DE", "+49305550100");
    check_phone("030 5550100", "Deutschland", "+49305550100");
    check_phone("030 5550100", "", "0305550100");
    check_phone("(212) 555-0100", "US", "+12125550100");
    check_phone("1-212-555-0100 ext. 17", "us", "+12125550100");
    check_phone("06 1234 5678", "IT", "+390612345678"); /* its zero stays */
    check_phone("tel. 01 23 45 67 89", "FR", "+33123456789");
    check_phone("49 30 5550100", "DE", "+49305550100");
    check_phone("12345", "DE", "");
    check_phone("n/a", "DE", "");
}

static void check_company(const char *in, const char *out)
{
    struct text t = { 0 };

    company_normalise(str_of(in), &t);
    CHECK_STR(t.ptr ? t.ptr : "", out);
    text_finish(&t);
}

static void legal_forms_and_marks_do_not_make_another_company(void **state)
{
    (void)state;
    check_company("Müller & Söhne GmbH & Co. KG", "mullersohne");
    check_company("MUELLER und SOEHNE", "mullersohne");
    check_company("Foo-Bar S.A.R.L.", "foobar");
    check_company("The Foo Bar Company, Inc.", "foobar");
    check_company("A.B.C. Ltd", "abc");
    check_company("Zakład Łódź sp. z o.o.", "zakladlodz");
    check_company("O'Hara Ltd", "ohara");
    check_company("Acme Holding AG", "acmeholding"); /* a sister, not the same */
    check_company("Acme AG", "acme");
    check_company("Co", "co");
    check_company("", "");
}

static void check_names(const char *a, const char *b, enum name_relation want)
{
    struct name names[2] = { 0 };
    struct text texts[4] = { 0 };
    const char *in[] = { a, b };

    for (int i = 0; i < 2; i++) {
        const char *comma = strchr(in[i], ',');

        name_normalise(str_of(comma + 1), &texts[2 * i], &names[i].suffix);
        name_normalise((sl_str){ in[i], (size_t)(comma - in[i]) }, &texts[2 * i + 1],
                       &names[i].suffix);
        names[i].first = text_view(&texts[2 * i]);
        names[i].last = text_view(&texts[2 * i + 1]);
    }
    if (name_compare(&names[0], &names[1]) != want)
        fail_msg("%s and %s: %d, not %d", a, b, name_compare(&names[0], &names[1]), want);
    CHECK_EQ(name_compare(&names[1], &names[0]), want); /* either way round */
    for (int i = 0; i < 4; i++)
        text_finish(&texts[i]);
}

static void names_are_alike_or_not(void **state)
{
    (void)state;
    check_names("Müller,Jürgen", "MUELLER,Juergen", NAME_EXACT);
    check_names("Müller,Dr. Jürgen", "Muller,Jurgen", NAME_EXACT);
    check_names("Nguyễn,Thị", "nguyen,thi", NAME_EXACT);
    check_names("Smith,Bob", "Smith,Robert", NAME_VARIANT);
    check_names("Smith,Mike", "Smith,Michael", NAME_VARIANT);
    check_names("Smith,Joe", "Smith,Joseph", NAME_VARIANT);
    check_names("Smith,Sue", "Smith,Susan", NAME_VARIANT);
    check_names("Smith,Sam", "Smith,Samuel", NAME_VARIANT);
    check_names("Smith,Anna-Maria", "Smith,Anna", NAME_VARIANT);
    check_names("Müller-Lang,Eva", "Lang,Eva", NAME_VARIANT);
    check_names("Eva,Müller", "Müller,Eva", NAME_VARIANT);
    check_names("Smith,J.", "Smith,John", NAME_INITIAL);
    check_names("Schmidt,Anna", "Schmitd,Anna", NAME_TYPO);
    check_names("Schmidt,Anna", "Schmidt,Peter", NAME_FIRST_CONFLICT);
    check_names("Schmidt,Anna", "Meyer,Anna", NAME_LAST_CONFLICT);
    check_names("Schmidt,Anna", "Meyer,Peter", NAME_CONFLICT);
    check_names("Schmidt,", "Schmidt,Peter", NAME_LAST_ONLY);
    check_names(",", "Schmidt,Peter", NAME_MISSING);
    check_names("Smith jr.,John", "Smith sen.,John", NAME_FIRST_CONFLICT);
    check_names("Smith jr.,John", "Smith,John", NAME_TYPO);
}

/* ---- verdicts ------------------------------------------------------------------------------ */

struct card {
    const char *id, *first, *last, *email, *phone, *company, *account, *external_id;
};

static struct raw_person raw_of(const struct card *c)
{
    return (struct raw_person){ .id = str_of(c->id),
                                .first = str_of(c->first),
                                .last = str_of(c->last),
                                .email = str_of(c->email),
                                .phone = { str_of(c->phone) },
                                .company = str_of(c->company),
                                .account = str_of(c->account),
                                .external_id = str_of(c->external_id) };
}

static struct match_index *small_crm(void)
{
    static const struct card cards[] = {
        { "003A", "Anna", "Schmidt", "anna@acme.example", "+49305550100", .account = "001A",
          .external_id = "7" },
        { "003B", "Peter", "Schmidt", "info@acme.example", "+49305550100", .account = "001A" },
        { "003C", "John", "Smith", "jsmith@gmail.com", .phone = "+442079460000" },
        { "003D", "John", "Smith", "john.smith@acme.example", .account = "001A" },
        { "003E", "Eva", "Twin", "eva@twin.example" },
        { "003F", "Eva", "Twin", "eva@twin.example" },
    };
    struct match_index *ix = calloc(1, sizeof(*ix));

    CHECK_EQ(index_put_account(ix, str_of("001A"), str_of("Acme GmbH"), str_of("DE 123456789"),
                               str_of("https://www.acme.example/de")),
             SL_OK);
    for (size_t i = 0; i < sizeof(cards) / sizeof(cards[0]); i++) {
        struct raw_person raw = raw_of(&cards[i]);

        CHECK_EQ(index_put(ix, &raw), SL_OK);
    }
    return ix;
}

static void check_verdict(struct match_index *ix, const struct card *c, enum verdict_of_match want,
                          const char *id)
{
    struct raw_person raw = raw_of(c);
    struct person *p = person_make(ix, &raw);
    struct matches m;

    match_find(ix, p, &m);
    if (m.verdict != want)
        fail_msg("%s %s %s: verdict %d, not %d (best %d)", c->first, c->last, c->email, m.verdict,
                 want, m.n > 0 ? m.items[0].score : 0);
    if (id)
        CHECK(m.n > 0 && str_is(m.items[0].person->id, id));
    person_free(p);
}

static void what_is_certain_what_is_new_and_what_must_be_asked(void **state)
{
    struct match_index *ix = small_crm();

    (void)state;
    /* the same address, in another spelling of it and of the name */
    check_verdict(
        ix, &(struct card){ .first = "Anna", .last = "SCHMIDT", .email = "ANNA@Acme.example" },
        MATCH_CERTAIN, "003A");
    check_verdict(ix,
                  &(struct card){ .first = "Jon", .last = "Smith", .email = "j.smith+x@gmail.com" },
                  MATCH_CERTAIN, "003C");
    /* the shop's own id beats what else differs */
    check_verdict(ix,
                  &(struct card){
                      .first = "A", .last = "Meyer", .email = "new@x.example", .external_id = "7" },
                  MATCH_CERTAIN, "003A");
    /* a colleague at a shared mailbox, a shared number, one family's name: somebody new */
    check_verdict(
        ix,
        &(struct card){
            .first = "Rita", .last = "Neu", .email = "info@acme.example", .phone = "+49305550100" },
        MATCH_NONE, NULL);
    check_verdict(
        ix, &(struct card){ .first = "Rita", .last = "Schmidt", .email = "rita@acme.example" },
        MATCH_NONE, NULL);
    /* the same name at a shared mailbox of the company */
    check_verdict(
        ix,
        &(struct card){
            .first = "Peter", .last = "Schmidt", .email = "info@acme.example", .company = "ACME" },
        MATCH_CERTAIN, "003B");
    /* a personal address with another name: perhaps married, perhaps the successor */
    check_verdict(ix,
                  &(struct card){ .first = "Anna", .last = "Meyer", .email = "anna@acme.example" },
                  MATCH_AMBIGUOUS, "003A");
    check_verdict(ix,
                  &(struct card){ .first = "Rita", .last = "Neu", .email = "anna@acme.example" },
                  MATCH_AMBIGUOUS, "003A");
    /* a namesake with another address at the same company */
    check_verdict(
        ix,
        &(struct card){
            .first = "Anna", .last = "Schmidt", .email = "anna2@acme.example", .company = "Acme" },
        MATCH_AMBIGUOUS, "003A");
    /* nothing but a name */
    check_verdict(ix, &(struct card){ .first = "John", .last = "Smith" }, MATCH_NONE, NULL);
    /* two contacts that are the same in all that counts */
    check_verdict(ix, &(struct card){ .first = "Eva", .last = "Twin", .email = "eva@twin.example" },
                  MATCH_AMBIGUOUS, NULL);
    index_finish(ix);
    free(ix);
}

static void freemail_never_means_a_company(void **state)
{
    struct match_index *ix = small_crm();
    struct card c = { .first = "Mia", .last = "Lang", .email = "mia@gmail.com" };
    struct raw_person raw = raw_of(&c);
    struct person *p;

    (void)state;
    CHECK_EQ(
        index_put_account(ix, str_of("001G"), str_of("Lang Foto"), str_of(""), str_of("gmail.com")),
        SL_OK);
    p = person_make(ix, &raw);
    assert_null(match_account(ix, p));
    person_free(p);
    index_finish(ix);
    free(ix);
}

static void what_changes_in_the_crm_changes_the_index(void **state)
{
    struct match_index *ix = small_crm();
    struct card moved = { "003A", "Anna", "Meyer", "anna@new.example" };
    struct raw_person raw = raw_of(&moved);

    (void)state;
    CHECK_EQ(index_put(ix, &raw), SL_OK);
    check_verdict(ix,
                  &(struct card){ .first = "Anna", .last = "Meyer", .email = "anna@new.example" },
                  MATCH_CERTAIN, "003A");
    check_verdict(
        ix, &(struct card){ .first = "Anna", .last = "Schmidt", .email = "anna@acme.example" },
        MATCH_NONE, NULL);
    index_remove(ix, str_of("003A"));
    check_verdict(ix,
                  &(struct card){ .first = "Anna", .last = "Meyer", .email = "anna@new.example" },
                  MATCH_NONE, NULL);
    assert_null(index_find(ix, str_of("003A")));
    /* an account goes and comes: its people stay, and find the next one of its id */
    CHECK_EQ(index_find_account(ix, str_of("001A"))->n_people, 2);
    CHECK_EQ(index_put_account(ix, str_of("001A"), str_of("Acme Neu"), str_of(""), str_of("")),
             SL_OK);
    CHECK_EQ(index_find_account(ix, str_of("001A"))->n_people, 2);
    index_remove_account(ix, str_of("001A"));
    assert_null(index_find(ix, str_of("003B"))->account);
    index_finish(ix);
    free(ix);
}

/* ---- how often it is right ----------------------------------------------------------------- */

static void matching_alone_is_right_and_leaves_what_is_ambiguous_to_people(void **state)
{
    (void)state;
    for (size_t i = 0; i < CONTACTS_SEEDS; i++) {
        struct contacts_measure m = contacts_measure(contacts_seeds[i]);

        printf(
            "seed %llu: %d automatic, precision %.4f, recall %.4f (with questions %.4f), "
            "%d asked (%.4f hold the right one), %d doubled, %d ambiguous of which %d "
            "automatic, %.1f us each\n",
            (unsigned long long)contacts_seeds[i], m.automatic, share(m.right, m.automatic),
            share(m.right, m.known), share(m.found, m.known), m.asked,
            share(m.asked_right, m.asked), m.doubled, m.ambiguous, m.ambiguous_automatic, m.us);
        CHECK(share(m.right, m.automatic) >= 0.995);
        CHECK(share(m.right, m.known) >= 0.86);
        CHECK(share(m.found, m.known) >= 0.93); /* of the rest nothing but the name is known */
        CHECK(m.ambiguous >= 100);
        CHECK_EQ(m.ambiguous_automatic, 0);
    }
}

/* ---- what is twice there already ------------------------------------------------------------ */

static int contact_of(const json_t *member)
{
    return atoi(json_string_value(json_object_get(member, "id")) + 9);
}

/* Sets of one person, of all that are certain; and contacts of one person that stand in a set. */
static void judge_sets(const struct world *w, json_t *sets, int *ret_right, int *ret_certain,
                       bool *in_set)
{
    json_t *set, *member;
    size_t i, k;

    json_array_foreach(sets, i, set)
    {
        json_t *members = json_object_get(set, "members");
        int person = w->contacts[contact_of(json_array_get(members, 0))].person;
        bool same = true, certain = json_is_true(json_object_get(set, "certain"));

        CHECK(json_array_size(members) >= 2);
        json_array_foreach(members, k, member)
        {
            same &= w->contacts[contact_of(member)].person == person;
            in_set[contact_of(member)] = true;
        }
        *ret_certain += certain;
        *ret_right += certain && same;
    }
}

static void duplicates_that_are_there_are_found_and_no_two_people_taken_for_one(void **state)
{
    struct world *w = world_create(20261122);
    struct match_index *ix = calloc(1, sizeof(*ix));
    bool *in_set = calloc(WORLD_CONTACTS, sizeof(*in_set));
    struct sets *s;
    const char *text;
    json_t *report;
    int right = 0, certain = 0, twice = 0, found = 0;
    size_t len;

    (void)state;
    contacts_load(ix, w);
    s = sets_create(ix, NULL);
    while (!sets_turn(s))
        ;
    text = sets_json(s, &len);
    report = json_loadb(text, len, 0, NULL);
    assert_non_null(report);
    CHECK_EQ(json_integer_value(json_object_get(report, "contacts")), w->n_contacts);
    judge_sets(w, json_object_get(report, "sets"), &right, &certain, in_set);
    CHECK_EQ(json_integer_value(json_object_get(report, "certain")), certain);
    for (int i = 0; i < w->n_people; i++) {
        const struct world_person *p = &w->people[i];

        /* nothing but a name in one of them: nobody can say that it is the same */
        if (p->n_contacts != 2 || !w->contacts[p->contacts[0]].email[0] ||
            !w->contacts[p->contacts[1]].email[0])
            continue;
        twice++;
        found += in_set[p->contacts[0]] && in_set[p->contacts[1]];
    }
    printf("%d people twice in the CRM, %d found; %d sets certain, %d right\n", twice, found,
           certain, right);
    CHECK(twice > 100);
    CHECK_EQ(found, twice);
    CHECK(share(right, certain) >= 0.995);
    json_decref(report);
    sets_destroy(s);
    free(in_set);
    index_finish(ix);
    free(ix);
    world_destroy(w);
}

static void of_a_set_stays_who_has_the_shops_id_then_the_fullest_then_the_oldest(void **state)
{
    static const struct raw_person people[] = {
        { .id = { "003A", 4 }, .created = { "2020", 4 }, .filled = 3 },
        { .id = { "003B", 4 }, .created = { "2019", 4 }, .filled = 5 },
        { .id = { "003C", 4 }, .created = { "2018", 4 }, .filled = 5 },
        { .id = { "003D", 4 }, .created = { "2021", 4 }, .filled = 1, .external_id = { "7", 1 } },
    };
    static const char *const masters[] = { "003A", "003B", "003C", "003D" };

    (void)state;
    for (size_t n = 2; n <= 4; n++) {
        struct match_index *ix = calloc(1, sizeof(*ix));
        struct sets *s;
        size_t len;

        for (size_t i = 0; i < n; i++) {
            struct raw_person raw = people[i];

            raw.first = str_of("Eva");
            raw.last = str_of("Twin");
            raw.email = str_of("eva@twin.example");
            CHECK_EQ(index_put(ix, &raw), SL_OK);
        }
        s = sets_create(ix, NULL);
        while (!sets_turn(s))
            ;
        CHECK_HAS(sets_json(s, &len), "\"certain\":true");
        CHECK(strncmp(strstr(sets_json(s, &len), "\"master\":\"") + 10, masters[n - 1], 4) == 0);
        sets_destroy(s);
        index_finish(ix);
        free(ix);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_in_many_spellings_is_one),
        cmocka_unit_test(a_mailbox_of_many_is_known_and_so_is_freemail),
        cmocka_unit_test(one_number_in_many_spellings_is_one),
        cmocka_unit_test(legal_forms_and_marks_do_not_make_another_company),
        cmocka_unit_test(names_are_alike_or_not),
        cmocka_unit_test(what_is_certain_what_is_new_and_what_must_be_asked),
        cmocka_unit_test(freemail_never_means_a_company),
        cmocka_unit_test(what_changes_in_the_crm_changes_the_index),
        cmocka_unit_test(duplicates_that_are_there_are_found_and_no_two_people_taken_for_one),
        cmocka_unit_test(of_a_set_stays_who_has_the_shops_id_then_the_fullest_then_the_oldest),
        cmocka_unit_test(matching_alone_is_right_and_leaves_what_is_ambiguous_to_people),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
