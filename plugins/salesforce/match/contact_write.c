/*
 * contact_write.c - updates by Id and creates by external id, up to 200 a call, and what came of
 * them. Own writes stand in the index at once.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "contact.h"
#include "rows/sobject.h"

#define JSON_TYPE "application/json; charset=UTF-8"

/* ---- what goes into one call --------------------------------------------------------------- */

/* Records of one group go together: another path, or another header. */
static int group_of(const struct item *it)
{
    return (it->fate == FATE_CREATE ? 2 : 0) + it->chosen;
}

static void put_in_order(struct contact_batch *b)
{
    b->n_order = b->written = 0;
    for (int group = 0; group < 4; group++)
        for (size_t i = 0; i < b->batch->n_records; i++)
            if (b->items[i].fate >= FATE_UPDATE && group_of(&b->items[i]) == group)
                b->order[b->n_order++] = i;
}

static size_t call_size(const struct contact_batch *b)
{
    size_t n = 1;

    while (!b->alone && b->written + n < b->n_order &&
           group_of(&b->items[b->order[b->written + n]]) ==
               group_of(&b->items[b->order[b->written]]))
        n++;
    return n;
}

static void append(struct text *to, const char *name, const char *value)
{
    to->len--; /* the closing brace comes again */
    text_str(to, ",\"");
    text_str(to, name);
    text_str(to, "\":\"");
    text_str(to, value); /* an id: nothing to escape */
    text_str(to, "\"}");
}

/* The fields that name the contact stay out where they stay as they are, or where Salesforce does
 * not want them beside the Id; and the account, where somebody has put the contact into one. */
static bool stays_out(const struct contact_batch *b, const struct item *it, const struct cell *c)
{
    const struct person *p = it->fate == FATE_UPDATE ? index_find(&b->all->crm.ix, str_of(it->id))
                                                     : NULL;

    if (str_is_nocase(c->name, "Id"))
        return true;
    if (str_is_nocase(c->name, "Account") || str_is_nocase(c->name, "AccountId"))
        return p && p->account;
    return it->fate == FATE_UPDATE && it->keeps_external_id && c->sub.len == 0 &&
           str_is_nocase(c->name, b->all->crm.external_id);
}

/* As it was read when it was matched. */
static bool write_record(struct contact_batch *b, size_t i)
{
    struct item *it = &b->items[i];
    struct row *row = &b->record.row;
    size_t kept = 0;

    if (record_read(&b->record, b->batch->records[i].request, b->all->crm.external_id, b->why,
                    sizeof(b->why)) < 0)
        return false;
    for (size_t k = 0; k < row->n; k++)
        if (!stays_out(b, it, &row->cells[k]))
            row->cells[kept++] = row->cells[k];
    row->n = kept;
    sobject_write(&b->body, &b->action->base, NULL, row, &b->scratch);
    if (it->fate == FATE_UPDATE)
        append(&b->body, "id", it->id);
    else if (it->account[0])
        append(&b->body, "AccountId", it->account);
    return true;
}

static void on_written(void *ctx, const struct answer *a);

static void write_next(struct contact_batch *b)
{
    struct salesforce *sf = b->all->sf;
    const struct item *first;

    if (b->written == b->n_order) {
        contact_end(b);
        return;
    }
    first = &b->items[b->order[b->written]];
    b->n_call = call_size(b);
    text_clear(&b->body);
    text_str(&b->body, "{\"allOrNone\":false,\"records\":[");
    for (size_t k = 0; k < b->n_call; k++) {
        if (k > 0)
            text_char(&b->body, ',');
        b->body.failed |= !write_record(b, b->order[b->written + k]);
    }
    text_str(&b->body, "]}");
    if (b->body.failed) {
        contact_tell_rest(b, SL_RETRY, 0, 0, 1, "out of memory");
        contact_end(b);
        return;
    }
    b->call = (struct call){ .sf = sf,
                             .method = str_of("PATCH"),
                             .type = JSON_TYPE,
                             .accept = "application/json",
                             .body = text_view(&b->body),
                             .duplicates = first->chosen,
                             .cb = on_written,
                             .ctx = b };
    say(b->call.path, sizeof(b->call.path), "/services/data/v%.*s/composite/sobjects%s%s",
        (int)sf->api_version.len, sf->api_version.ptr,
        first->fate == FATE_CREATE ? "/Contact/" : "",
        first->fate == FATE_CREATE ? b->all->crm.external_id : "");
    call_start(&b->call);
}

void contact_write(struct contact_batch *b)
{
    put_in_order(b);
    write_next(b);
}

/* ---- what the index learns ----------------------------------------------------------------- */

static sl_str newer(sl_str now, sl_str before)
{
    return now.len > 0 ? now : before;
}

/* What the record says of the contact, and what was known before of the rest. */
static void learn(struct contact_batch *b, struct item *it)
{
    struct match_index *ix = &b->all->crm.ix;
    static const struct person nobody;
    const struct person *old = index_find(ix, str_of(it->id)), *now = it->who;
    bool named = now->name.last.len > 0;
    struct raw_person raw;

    old = old ? old : &nobody;
    raw = (struct raw_person){
        .id = str_of(it->id),
        .external_id = it->keeps_external_id ? old->external_id
                                             : newer(now->external_id, old->external_id),
        .first = newer(now->name.first, old->name.first),
        .last = newer(now->name.last, old->name.last),
        .shown = named ? now->shown : old->shown,
        .suffix = named ? now->name.suffix : old->name.suffix,
        .email = newer(now->email, old->email),
        .phone = { newer(now->phone[0], old->phone[0]), newer(now->phone[1], old->phone[1]) },
        .account = it->account[0] ? str_of(it->account)
                   : old->account ? old->account->id
                                  : (sl_str){ 0 },
        .created = old->created,
        .filled = old->filled,
    };
    if (index_put(ix, &raw) < 0)
        sf_log(b->all->sf, SL_LOG_WARN,
               "contact %s is not in the index until it is read again: out of memory", it->id);
}

/* ---- outcomes ------------------------------------------------------------------------------ */

/* What happened that somebody may want to act on. */
static char *note_of(const struct item *it, const char *subject)
{
    json_t *matches = json_array(), *root;
    char *text;

    for (size_t k = 0; k < it->n_others; k++)
        json_array_append_new(matches, json_string(it->others[k]));
    root = json_pack("{s:s, s:s, s:o}", "contact", it->id, "subject", subject, "matches", matches);
    text = root ? json_dumps(root, JSON_COMPACT) : NULL;
    json_decref(root);
    return text;
}

static void tell_written(struct contact_batch *b, size_t i, bool created)
{
    struct item *it = &b->items[i];
    struct text answer = { 0 };
    char subject[300], *note = NULL;
    sl_link links[2] = { { str_of("salesforce:Contact"), str_of(it->id) } };
    sl_emit emit;
    sl_outcome o = { .size = sizeof(o),
                     .kind = SL_DELIVERED,
                     .reference = str_of(it->id),
                     .links = links,
                     .n_links = 1 };

    if (it->chosen || it->merged) /* the bin forgets merges after some days */
        contact_answer_id(it, created ? ANSWER_NEW : it->id, &answer);
    if (answer.len > 0)
        links[o.n_links++] = (sl_link){ str_of(ANSWER_LINK), text_view(&answer) };
    if (created && (it->bare || it->later)) {
        say(subject, sizeof(subject), "%.*s", (int)b->batch->records[i].subject.len,
            b->batch->records[i].subject.ptr ? b->batch->records[i].subject.ptr : "");
        note = note_of(it, subject);
        emit = (sl_emit){ str_of(it->later ? "salesforce/merge-later" : "salesforce/contact-bare"),
                          str_of(note) };
        o.emits = &emit;
        o.n_emits = note != NULL;
        if (it->bare)
            o.why = str_of("created without e-mail and phone: nothing tells it from its namesakes");
    }
    contact_tell(b, i, &o);
    free(note);
    text_finish(&answer);
}

static void written(struct contact_batch *b, size_t i, const json_t *result)
{
    struct item *it = &b->items[i];
    bool created = it->fate == FATE_CREATE;
    const char *id = json_string_value(json_object_get(result, "id"));

    if (created && id)
        say(it->id, sizeof(it->id), "%s", id);
    if (it->in_index) { /* provisional until now */
        struct person *own = it->who;

        it->in_index = false;
        it->who = NULL;
        own->provisional = false;
        index_release(&b->all->crm.ix, own);
        it->who = own;
    }
    learn(b, it);
    tell_written(b, i, created);
}

/* A contact that somebody deleted or merged away: the record is matched anew. */
static bool is_gone(const json_t *errors)
{
    const char *code = json_string_value(json_object_get(json_array_get(errors, 0), "statusCode"));

    return code && (strcmp(code, "ENTITY_IS_DELETED") == 0 ||
                    strcmp(code, "INVALID_CROSS_REFERENCE_KEY") == 0);
}

static void refused(struct contact_batch *b, size_t i, const json_t *errors)
{
    struct item *it = &b->items[i];
    struct row_about about = { "Contact",
                               it->fate == FATE_CREATE ? b->all->crm.external_id : NULL };
    struct row_verdict v = { 0 };
    struct outcome o = { 0 };

    if (it->fate == FATE_UPDATE && is_gone(errors)) {
        index_remove(&b->all->crm.ix, str_of(it->id));
        b->all->crm.stale = true; /* into whom it was merged stands in Salesforce */
        if (!it->chosen) {
            contact_tell(b, i,
                         &(sl_outcome){ .size = sizeof(sl_outcome),
                                        .kind = SL_RETRY,
                                        .why = str_of("the contact is gone; matched anew") });
            return;
        }
        contact_tell(b, i,
                     &(sl_outcome){ .size = sizeof(sl_outcome),
                                    .kind = SL_REVIEW,
                                    .hold_type = str_of("contact-merge"),
                                    .choices = str_of("[{\"name\":\"again\",\"do\":\"release\","
                                                      "\"text\":\"match it anew\"},{\"name\":"
                                                      "\"drop\",\"do\":\"reject\"}]"),
                                    .why = str_of("the contact that was chosen is gone") });
        return;
    }
    row_errors_judge(errors, &about, &v);
    outcome_refused(&o, &v);
    contact_tell(b, i, &o.o);
    row_verdict_finish(&v);
}

static bool read_results(struct contact_batch *b, sl_str body)
{
    struct elements all;
    sl_str one;

    if (elements_open(&all, body) != (long)b->n_call)
        return false;
    for (size_t k = 0; k < b->n_call && elements_next(&all, &one); k++) {
        json_t *result = json_loadb(one.ptr, one.len, 0, NULL);
        size_t i = b->order[b->written + k];

        if (json_is_true(json_object_get(result, "success")))
            written(b, i, result);
        else
            refused(b, i, json_object_get(result, "errors"));
        json_decref(result);
    }
    return true;
}

/* One record that Salesforce does not understand makes it refuse the call: each goes by itself. */
static void on_refused(struct contact_batch *b, const struct answer *a)
{
    if (b->n_call > 1) {
        b->alone = true;
        write_next(b);
        return;
    }
    contact_tell(b, b->order[b->written],
                 &(sl_outcome){ .size = sizeof(sl_outcome),
                                .kind = SL_REJECTED,
                                .status = a->status,
                                .why = str_of(a->why) });
    b->written++;
    write_next(b);
}

static void on_written(void *ctx, const struct answer *a)
{
    struct contact_batch *b = ctx;

    switch (a->verdict) {
    case ANSWER_CANCELLED: /* contacts_close() frees it */
        return;
    case ANSWER_OK:
        if (!read_results(b, a->body)) {
            contact_tell_rest(b, SL_RETRY, 0, a->status, 0,
                              "Salesforce's answer does not have one element for each record");
            contact_end(b);
            return;
        }
        b->written += b->n_call;
        write_next(b);
        return;
    case ANSWER_REFUSED:
        on_refused(b, a);
        return;
    case ANSWER_NOT_FOUND:
        say(b->why, sizeof(b->why), "%s; check contacts.external_id", a->why);
        b->done->park(b->done->ctx, str_of(b->why), 0);
        break;
    case ANSWER_PARK:
        b->done->park(b->done->ctx, str_of(a->why), a->after_ms);
        break;
    default:
        contact_tell_rest(b, a->verdict == ANSWER_THROTTLED ? SL_THROTTLED : SL_RETRY, a->after_ms,
                          a->status, a->verdict == ANSWER_NOT_SENT, a->why);
    }
    contact_end(b);
}
