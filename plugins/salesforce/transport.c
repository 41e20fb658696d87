/*
 * transport.c - which transport a batch takes, and the line about it in the log.
 */
#include "transport.h"

#include "choose.h"
#include "collections/collections.h"

#define GATHER_RECORDS      5000
#define GATHER_AGE_MS       60000
#define GATHER_QUICK_MS     10000 /* people expect their order there within half a minute */
#define USUAL_POLL_FIRST_MS 2000
#define USUAL_POLL_CAP_MS   30000
#define BELIEVED_MS         3600000 /* how long jobs took, since the last one that was seen */

/* Once for each reason where an operator sees it, then at debug. */
static void log_choice(struct salesforce *sf, const struct action *a, const sl_batch *batch,
                       const struct choice *c)
{
    uint32_t bit = 1u << c->reason << (c->transport == TRANSPORT_BULK ? CHOSEN__COUNT : 0);
    bool told = sf->reasons_told & bit;

    sf->reasons_told |= bit;
    sf_log(sf, told ? SL_LOG_DEBUG : SL_LOG_INFO,
           "batch %llu: %zu records of %s by %s: %s (calls by Collections %u, by a job about %u)%s",
           (unsigned long long)batch->id, batch->n_records, a->object,
           c->transport == TRANSPORT_BULK ? "a bulk job" : "Collections",
           choose_reason_text(c->reason), c->collections_calls, c->bulk_calls,
           told ? "" : "; further ones for this reason are logged at debug");
}

/* What was learnt grows old: a bad hour that made jobs dear would keep them so for ever, as no
 * other would be tried. */
static int64_t job_ms(const struct salesforce *sf)
{
    uint64_t now = sf->host->mono_ms(sf->host->ctx);

    return sf->job_seen_ms && now - sf->job_seen_ms < BELIEVED_MS ? sf->job_ms : EXPECTED_JOB_MS;
}

/* What is known of the endpoint. */
static struct choose_in known(const struct salesforce *sf)
{
    return (struct choose_in){ .urgent_after_ms = sf->urgent_after_ms,
                               .poll_first_ms = sf->poll_first_ms,
                               .poll_cap_ms = sf->poll_cap_ms,
                               .job_ms = job_ms(sf),
                               .deletes_jobs = sf->delete_jobs != 0,
                               .left = { .calls = sf->limits.calls_left,
                                         .calls_limit = sf->limits.calls_max,
                                         .batches = sf->limits.batches_left,
                                         .batches_limit = sf->limits.batches_max } };
}

void transport_saw_job(struct salesforce *sf, uint64_t took_ms)
{
    sf->job_ms = choose_expected_job_ms(job_ms(sf), (int64_t)took_ms);
    sf->job_seen_ms = sf->host->mono_ms(sf->host->ctx);
}

int64_t transport_first_poll_ms(const struct salesforce *sf)
{
    struct choose_in in = known(sf);

    return choose_first_poll_ms(&in);
}

static struct choice choose(struct salesforce *sf, const struct action *a, const sl_batch *batch)
{
    struct choose_in in = known(sf);
    struct choice c;

    in.wanted = a->transport;
    in.rows = batch->n_records;
    for (size_t i = 0; i < batch->n_records; i++)
        in.bytes += batch->records[i].request.len;
    if (SL_HAS(sl_batch, batch, oldest_ms)) { /* and with it the priority */
        in.critical = batch->priority == SL_PRIORITY_CRITICAL;
        in.age_ms = sf->host->wall_ms(sf->host->ctx) - batch->oldest_ms;
    }
    c = choose_transport(&in);
    log_choice(sf, a, batch, &c);
    return c;
}

void transport_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done)
{
    struct choice c = choose(self, handle, batch);

    if (c.transport == TRANSPORT_BULK)
        bulk_deliver(self, handle, batch, done);
    else
        collections_deliver(self, handle, batch, done);
}

/* Before anything was seen of the org: as the settings are without a word of the operator. */
void transport_batching(uint32_t action, const void *handle, sl_batching *ret)
{
    const struct action *a = action < OP__COUNT ? handle : NULL; /* others have no choice */
    enum transport wanted = a ? a->transport : TRANSPORT_AUTO;
    struct choose_in usual = { .poll_first_ms = USUAL_POLL_FIRST_MS,
                               .poll_cap_ms = USUAL_POLL_CAP_MS,
                               .job_ms = EXPECTED_JOB_MS };

    ret->chunk = COLLECTION_ROWS; /* a job works in chunks of as many */
    ret->records = GATHER_RECORDS;
    ret->age_ms = GATHER_AGE_MS;
    ret->quick_ms = GATHER_QUICK_MS;
    if (wanted == TRANSPORT_AUTO)
        ret->quick_records = choose_even_rows(&usual);
    else if (wanted == TRANSPORT_COLLECTIONS)
        ret->quick_records = GATHER_RECORDS;
}
