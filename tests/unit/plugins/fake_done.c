/*
 * fake_done.c - what a plugin answers to the fake host, kept and checked: outcomes, checkpoints,
 * look-ups.
 */
#include <stdlib.h>
#include <string.h>

#include "fake_host.h"
#include "fake_host_parts.h"

static void keep_links(struct fake_outcome *to, const sl_link *links, size_t n_links,
                       const sl_emit *emits, size_t n_emits)
{
    CHECK(n_links <= FAKE_MAX_LINKS && n_emits <= FAKE_MAX_LINKS);
    to->n_links = n_links;
    to->n_emits = n_emits;
    for (size_t i = 0; i < n_links; i++) {
        to->link_kind[i] = fake_copy(links[i].kind);
        to->link_id[i] = fake_copy(links[i].id);
    }
    for (size_t i = 0; i < n_emits; i++) {
        to->emit_topic[i] = fake_copy(emits[i].topic);
        to->emit_body[i] = fake_copy(emits[i].body);
    }
}

static void outcome_finish(struct fake_outcome *o)
{
    free(o->why);
    free(o->reference);
    free(o->hold_type);
    free(o->choices);
    free(o->evidence);
    for (size_t i = 0; i < FAKE_MAX_LINKS; i++) {
        free(o->link_kind[i]);
        free(o->link_id[i]);
        free(o->emit_topic[i]);
        free(o->emit_body[i]);
    }
    *o = (struct fake_outcome){ 0 };
}

static void on_outcome(void *ctx, size_t index, const sl_outcome *o)
{
    struct fake_done *d = ctx;
    struct fake_outcome *to;

    CHECK(!d->finished && index < d->n_records && o->size == sizeof(*o));
    CHECK(o->kind >= SL_DELIVERED && o->kind <= SL_UNKNOWN);
    fake_host_check_no_secret(d->host, o->why, "an outcome's why");
    to = &d->outcomes[index];
    CHECK_EQ(to->told, 0); /* once for each record */
    to->told = 1;
    to->kind = o->kind;
    to->after_ms = o->after_ms;
    to->status = o->status;
    to->not_sent = o->not_sent;
    to->narrow = o->narrow;
    CHECK(o->kind == SL_RETRY || o->narrow == 0);
    to->why = fake_copy(o->why);
    to->reference = fake_copy(o->reference);
    to->hold_type = fake_copy(o->hold_type);
    to->choices = fake_copy(o->choices);
    to->evidence = fake_copy(o->evidence);
    CHECK(o->kind == SL_REVIEW || o->hold_type.len + o->choices.len + o->evidence.len == 0);
    fake_host_check_no_secret(d->host, o->choices, "an outcome's choices");
    fake_host_check_no_secret(d->host, o->evidence, "an outcome's evidence");
    keep_links(to, o->links, o->n_links, o->emits, o->n_emits);
    if (o->facts)
        fake_host_tell_facts(d->host, o->facts);
}

static void on_checkpoint(void *ctx, sl_str token, uint32_t done, sl_durable_cb cb, void *cb_ctx)
{
    struct fake_done *d = ctx;

    CHECK(!d->finished && token.len > 0 && token.len <= 65536 && cb);
    fake_host_check_no_secret(d->host, token, "a checkpoint");
    d->n_checkpoints++;
    if (d->withhold_after >= 0 && d->n_checkpoints > (size_t)d->withhold_after)
        return; /* the crash: not durable either */
    fake_replace(&d->token, token);
    d->token_len = token.len;
    d->token_done = done;
    fake_host_durable(d->host, cb, cb_ctx, SL_OK);
}

static void on_park(void *ctx, sl_str why, int64_t after_ms)
{
    struct fake_done *d = ctx;

    CHECK(!d->finished && !d->parked);
    fake_host_check_no_secret(d->host, why, "a park's why");
    d->parked = true;
    d->park_why = fake_copy(why);
    d->park_after_ms = after_ms;
}

static void on_finish(void *ctx)
{
    struct fake_done *d = ctx;

    CHECK(!d->finished);
    d->finished = true;
    if (!d->settled || d->never_settled)
        return;
    fake_host_durable(d->host, d->settled, d->settled_ctx, d->not_settled ? SL_E_INTERNAL : SL_OK);
}

static void on_settled(void *ctx, sl_durable_cb cb, void *cb_ctx)
{
    struct fake_done *d = ctx;

    CHECK(!d->finished && !d->settled && cb);
    d->settled = cb;
    d->settled_ctx = cb_ctx;
}

void fake_done_init(struct fake_done *d, struct fake_host *f, size_t n_records)
{
    CHECK(n_records <= FAKE_MAX_RECORDS);
    *d = (struct fake_done){ .host = f, .n_records = n_records, .withhold_after = -1 };
    d->done = (sl_done){
        .size = sizeof(d->done),
        .ctx = d,
        .outcome = on_outcome,
        .checkpoint = on_checkpoint,
        .park = on_park,
        .finish = on_finish,
        .settled = on_settled,
    };
}

void fake_done_finish(struct fake_done *d)
{
    for (size_t i = 0; i < d->n_records; i++)
        outcome_finish(&d->outcomes[i]);
    free(d->token);
    free(d->park_why);
    *d = (struct fake_done){ 0 };
}

void fake_on_confirmed(void *ctx, const sl_confirmed *answer)
{
    struct fake_confirmed *c = ctx;

    CHECK_EQ(c->calls, 0);
    CHECK(answer->size == sizeof(*answer));
    CHECK(answer->verdict >= SL_CONFIRM_YES && answer->verdict <= SL_CONFIRM_AGAIN);
    if (c->host)
        fake_host_check_no_secret(c->host, answer->why, "a confirm's why");
    c->calls++;
    c->verdict = answer->verdict;
    c->outcome.after_ms = answer->after_ms;
    c->outcome.why = fake_copy(answer->why);
    c->outcome.reference = fake_copy(answer->reference);
    keep_links(&c->outcome, answer->links, answer->n_links, answer->emits, answer->n_emits);
}

void fake_confirmed_finish(struct fake_confirmed *c)
{
    outcome_finish(&c->outcome);
    *c = (struct fake_confirmed){ .host = c->host };
}

void fake_on_looked_up(void *ctx, const sl_looked_up *answer)
{
    struct fake_looked_up *l = ctx;

    CHECK_EQ(l->calls, 0);
    CHECK(answer->size == sizeof(*answer));
    CHECK(answer->verdict >= SL_LOOKUP_FOUND && answer->verdict <= SL_LOOKUP_AGAIN);
    if (l->host)
        fake_host_check_no_secret(l->host, answer->why, "a look-up's why");
    l->calls++;
    l->verdict = answer->verdict;
    l->after_ms = answer->after_ms;
    l->why = fake_copy(answer->why);
    l->body = fake_copy(answer->body);
}

void fake_looked_up_finish(struct fake_looked_up *l)
{
    free(l->why);
    free(l->body);
    *l = (struct fake_looked_up){ .host = l->host };
}

void fake_on_prepared(void *ctx, sl_status status, sl_str request, sl_str why)
{
    struct fake_prepared *p = ctx;

    CHECK_EQ(p->calls, 0);
    p->calls++;
    p->status = status;
    p->request = fake_copy(request);
    p->why = fake_copy(why);
}

void fake_prepared_finish(struct fake_prepared *p)
{
    free(p->request);
    free(p->why);
    *p = (struct fake_prepared){ 0 };
}
