/*
 * contact_decide.c - what becomes of a record: by its external id, by what a person chose, by
 * matching, or by what was chosen for the same person before.
 */
#include <stdlib.h>
#include <string.h>

#include "contact.h"
#include "rows/duplicates.h"

#define CHOICE_LATER "later"
#define MOST_REFS    4000

static void tell(struct contact_batch *b, size_t i, uint32_t kind, uint32_t not_sent,
                 const char *why)
{
    contact_tell(
        b, i,
        &(sl_outcome){
            .size = sizeof(sl_outcome), .kind = kind, .not_sent = not_sent, .why = str_of(why) });
}

/* ---- fates --------------------------------------------------------------------------------- */

static bool same_id(const char *a, sl_str id)
{
    return strlen(a) >= 15 && id.len >= 15 && memcmp(a, id.ptr, 15) == 0;
}

/* Salesforce refuses two rows of one record in a call. */
static bool is_in_hand(const struct contact_batch *b, sl_str id)
{
    for (size_t i = 0; i < b->at; i++)
        if (b->items[i].fate == FATE_UPDATE && same_id(b->items[i].id, id))
            return true;
    return false;
}

static void update(struct contact_batch *b, size_t i, sl_str id)
{
    struct item *it = &b->items[i];
    const struct person *p = index_find(&b->all->crm.ix, id);

    if (is_in_hand(b, id)) {
        tell(b, i, SL_RETRY, 1, "another record of the same contact goes first");
        return;
    }
    say(it->id, sizeof(it->id), "%.*s", (int)id.len, id.ptr);
    it->fate = FATE_UPDATE;
    it->keeps_external_id = it->guest || (p && p->external_id.len > 0 &&
                                          !str_same_nocase(p->external_id, it->who->external_id));
}

/* From now on it is found by the records after it. */
static void create(struct contact_batch *b, size_t i)
{
    struct item *it = &b->items[i];

    if (it->found.account && !it->has_account)
        say(it->account, sizeof(it->account), "%.*s", (int)it->found.account->id.len,
            it->found.account->id.ptr);
    it->fate = FATE_CREATE;
    if (it->in_index)
        return;
    it->who->provisional = true;
    it->in_index = index_take(&b->all->crm.ix, it->who) == SL_OK;
}

static bool meets_provisional(const struct matches *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->items[i].person->provisional)
            return true;
    return false;
}

static void by_matching(struct contact_batch *b, size_t i)
{
    struct item *it = &b->items[i];

    if (meets_provisional(&it->found)) {
        tell(b, i, SL_RETRY, 1, "another record of perhaps the same person goes first");
        return;
    }
    it->merged = it->found.n > 0 && (it->found.items[0].why & WHY_MERGED);
    if (it->found.verdict == MATCH_CERTAIN)
        update(b, i, it->found.items[0].person->id);
    else if (it->found.verdict == MATCH_NONE)
        create(b, i);
    else
        it->fate = FATE_ASK;
}

/* A guest is nobody but his order, if the route says so. */
static void by_external_id(struct contact_batch *b, size_t i)
{
    struct item *it = &b->items[i];
    struct person *p = index_find_external(&b->all->crm.ix, it->who->external_id);

    if (p && p->provisional)
        tell(b, i, SL_RETRY, 1, "another record of the same external id goes first");
    else if (p)
        update(b, i, p->id);
    else
        create(b, i);
}

static sl_str choice_of(const struct contact_batch *b, size_t i)
{
    return SL_HAS(sl_batch, b->batch, choices) ? b->batch->choices[i] : (sl_str){ 0 };
}

static bool by_choice(struct contact_batch *b, size_t i)
{
    struct item *it = &b->items[i];
    sl_str choice = choice_of(b, i), id = duplicates_chosen(choice);

    it->later = str_is(choice, CHOICE_LATER);
    it->chosen = id.len > 0 || it->later || str_is(choice, CHOICE_CREATE);
    for (size_t k = 0; it->later && k < it->found.n;
         k++) /* the index may move on before it is told */
        say(it->others[it->n_others++], sizeof(it->others[0]), "%.*s",
            (int)it->found.items[k].person->id.len, it->found.items[k].person->id.ptr);
    if (id.len > 0)
        update(b, i, id);
    else if (it->chosen)
        create(b, i);
    return it->chosen;
}

void contact_match(struct contact_batch *b, size_t i)
{
    struct crm *crm = &b->all->crm;
    struct item *it = &b->items[i];
    sl_status r = record_read(&b->record, b->batch->records[i].request, crm->external_id, b->why,
                              sizeof(b->why));

    if (r == SL_OK && b->record.guest && b->action->guests == GUESTS_SKIP) {
        tell(b, i, SL_DELIVERED, 0, "a guest: the route skips them");
        return;
    }
    if (r == SL_OK) {
        it->who = person_make(&crm->ix, &b->record.raw);
        r = it->who ? SL_OK : SL_E_NO_MEMORY;
    }
    if (r < 0) {
        tell(b, i, r == SL_E_INVALID ? SL_REJECTED : SL_RETRY, r != SL_E_INVALID,
             r == SL_E_NO_MEMORY ? "out of memory" : b->why);
        return;
    }
    it->guest = b->record.guest;
    it->has_account = b->record.has_account;
    it->bare = it->who->email.len == 0 && it->who->phone[0].len == 0 && it->who->phone[1].len == 0;
    match_find(&crm->ix, it->who, &it->found);
    if (by_choice(b, i))
        return;
    if (it->guest && b->action->guests == GUESTS_CREATE)
        by_external_id(b, i);
    else
        by_matching(b, i);
}

/* ---- what was answered before -------------------------------------------------------------- */

void contact_answer_id(const struct item *it, const char *answer, struct text *to)
{
    const struct person *p = it->who;

    if (!it->guest && p->external_id.len > 0) {
        text_str(to, "shop:");
        text_add(to, p->external_id.ptr, p->external_id.len);
    } else if (p->email.len > 0) {
        text_str(to, "mail:");
        text_add(to, p->email.ptr, p->email.len);
        text_char(to, '|');
        text_add(to, p->name_key.ptr, p->name_key.len);
    } else {
        return;
    }
    text_str(to, " = ");
    text_str(to, answer);
}

/* The questions of one record: each candidate, and that it is none of them. */
static size_t add_refs(const struct item *it, struct text *texts, sl_ref *refs, size_t n)
{
    for (size_t k = 0; k <= it->found.n; k++) {
        char id[24] = ANSWER_NEW;
        struct text *t = &texts[n];

        if (k < it->found.n)
            say(id, sizeof(id), "%.*s", (int)it->found.items[k].person->id.len,
                it->found.items[k].person->id.ptr);
        contact_answer_id(it, id, t);
        refs[n++] = (sl_ref){ str_of(ANSWER_LINK), text_view(t) };
    }
    return n;
}

static void take_answer(struct contact_batch *b, size_t i, const sl_str *subjects)
{
    struct item *it = &b->items[i];
    size_t k = 0;

    while (k <= it->found.n && (!subjects || subjects[k].len == 0))
        k++;
    it->chosen = k <= it->found.n;
    b->at = b->batch->n_records; /* all of the batch are in hand */
    it->fate = FATE_TOLD;        /* not this one itself, while it is looked for */
    if (!it->chosen) {
        it->fate = FATE_ASK;
        contact_ask(b, i);
    } else if (k < it->found.n) {
        update(b, i, it->found.items[k].person->id);
    } else {
        create(b, i);
    }
}

static void on_recalled(void *ctx, sl_status status, const sl_str *subjects, size_t n)
{
    struct contact_batch *b = ctx;
    size_t at = 0;

    if (status == SL_E_CANCELLED)
        return; /* contacts_close() frees it */
    for (size_t k = 0; k < b->n_asked; k++) {
        size_t i = b->asked[k], refs = b->items[i].found.n + 1;

        take_answer(b, i, at + refs <= n ? subjects + at : NULL);
        at += refs;
    }
    contact_write(b);
}

void contact_recall(struct contact_batch *b)
{
    const sl_host *h = b->all->sf->host;
    size_t most = b->batch->n_records * (MATCH_MOST + 1), n = 0;
    struct text *texts = calloc(most, sizeof(*texts));
    sl_ref *refs = calloc(most, sizeof(*refs));
    sl_status status = SL_E_NO_MEMORY;

    b->n_asked = 0;
    for (size_t i = 0; texts && refs && i < b->batch->n_records; i++)
        if (b->items[i].fate == FATE_ASK && n < MOST_REFS) {
            b->asked[b->n_asked++] = i;
            n = add_refs(&b->items[i], texts, refs, n);
        }
    if (n > 0 && SL_HAS(sl_host, h, linked))
        status = h->linked(h->ctx, refs, n, on_recalled, b);
    for (size_t k = 0; texts && k < n; k++)
        text_finish(&texts[k]);
    free(texts);
    free(refs);
    if (b->n_asked == 0)
        contact_write(b);
    else if (status < 0) /* nothing is remembered: a person is asked */
        on_recalled(b, SL_E_NO_MEMORY, NULL, 0);
}
