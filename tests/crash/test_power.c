/*
 * test_power.c - the power goes at any moment of a run, and of what comes after it.
 *
 * SLUICE_SEED=n plays one seed, SLUICE_LONG=1 makes 2,000 images, SLUICE_IMAGES=n as many as asked.
 * A failing image stays on the disk; its path is printed with the seed.
 */
#include "../unit/check.h"
#include "../unit/rounds.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include "box.h"
#include "checker.h"
#include "layer.h"
#include "workload.h"

#define LIVES      3
#define RUN_IMAGES 20 /* of one run */
#define IMAGES     100

struct run {
    uint64_t seed;
    char dir[96];
    struct journal *journal;
    struct history history;
    unsigned refused;
    size_t checkpoints;           /* writes to sluice.db itself */
    size_t rolls, recycled, runs; /* segments begun, segments gone, files of keys */
};

static uint64_t from_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* ---- a run ---- */

static bool in_file(const struct run *run, const struct op *op, const char *name)
{
    return op->type == OP_WRITE && strcmp(journal_file_name(run->journal, op->file), name) == 0;
}

static bool ends(const char *name, const char *end)
{
    size_t n = name ? strlen(name) : 0, k = strlen(end);

    return n >= k && strcmp(name + n - k, end) == 0;
}

static void count_ops(struct run *run)
{
    for (size_t i = 0; i < journal_length(run->journal); i++) {
        const struct op *op = journal_op(run->journal, i);

        run->checkpoints += in_file(run, op, "sluice.db");
        run->rolls += op->type == OP_RENAME && ends(op->to, ".seg");
        run->recycled += (op->type == OP_RENAME || op->type == OP_REMOVE) && ends(op->name, ".seg");
        run->runs += op->type == OP_RENAME && ends(op->to, ".keys");
    }
}

/* Lives of a store, each with what the ones before left; nothing fails. keep_ms: 0 for all. */
static void run_keep(struct run *run, uint64_t seed, unsigned events, int64_t keep_ms)
{
    struct workload w;
    struct box box;

    *run = (struct run){ .seed = seed };
    scratch_make(run->dir);
    run->journal = journal_begin(run->dir);
    said_clear();
    for (unsigned life = 0; life < LIVES; life++) {
        box_start(&box, run->dir);
        if (keep_ms)
            box.conf.keep_ms = keep_ms;
        CHECK_EQ(box_open(&box), 0);
        workload_start(&w, &run->history, seed + life, life * 100000);
        w.retire = seed % 2 && !keep_ms ? run->history.n : 0;
        CHECK_EQ(workload_run(&w, &box, events / LIVES), 0);
        run->refused += w.refused;
        CHECK(box_finish(&box));
    }
    CHECK_EQ(said_lines(), 0);
    journal_end(run->journal);
    count_ops(run);
}

static void run_start(struct run *run, uint64_t seed, unsigned events)
{
    run_keep(run, seed, events, 0);
}

static void run_finish(struct run *run)
{
    journal_destroy(run->journal);
    history_finish(&run->history);
    scratch_remove(run->dir);
}

/* ---- images of it ---- */

/* True if it holds. */
static bool one_image(const struct run *run, unsigned i, bool loud, struct finding *finding)
{
    struct journal *resumed = NULL;
    char dir[128];
    struct rng rng;
    struct check c;
    size_t cut;
    bool ok;

    rng_seed(&rng, run->seed * 1000 + i);
    cut = draw_cut(run->journal, 0, &rng);
    snprintf(dir, sizeof(dir), "%s-%u", run->dir, i);
    if (i % 4 == 0) /* killed, and the power goes later */
        resumed = journal_resume(run->journal, cut, dir);
    else
        journal_image(run->journal, cut, rng_next(&rng), dir);
    c = (struct check){ .dir = dir,
                        .journal = resumed,
                        .history = &run->history,

                        .kept = history_kept(&run->history, cut),
                        .acked = history_acked(&run->history, cut),
                        .seed = run->seed * 1000 + i,
                        .more = true,
                        .quiet = !loud,
                        .again = true };
    ok = check_image(&c, finding);
    journal_destroy(resumed);
    if (!ok && loud) {
        print_error("seed %" PRIu64 ", image %u, cut at %zu of %zu: %s\n  left in %s\n", run->seed,
                    i, cut, journal_length(run->journal), finding->text, dir);
        journal_print(run->journal, cut, 30);
    } else {
        char again[160];

        scratch_remove(dir);
        snprintf(again, sizeof(again), "%s-again", dir);
        scratch_remove(again);
    }
    return ok;
}

/* ---- images of a run that keeps nothing it need not ---- */

static void on_event(void *ctx, int status, const struct store_event *e)
{
    struct box *b = ctx;

    b->status = status;
    b->body = status == 0 ? e->receipt.body.len : 0;
    b->done = true;
}

/* Is the event there with its body? */
static bool event_is_whole(struct box *b, const struct note *note)
{
    struct rec_receipt want;

    CHECK_EQ(rec_receipt_decode((sl_str){ (const char *)note->payload, note->len }, &want), 0);
    b->done = false;
    if (store_event_get(b->s, note->seq, on_event, b) < 0)
        return false;
    box_wait(b);
    return b->status == 0 && b->body == want.body.len;
}

/* The events that are still needed after the first n records: unrouted, or with a delivery that is
 * open or dead. Own. */
static bool *needed(const struct history *h, size_t n)
{
    bool *ret = calloc(n + 1, sizeof(*ret));
    struct standing *all;
    size_t count;

    assert_non_null(ret);
    for (size_t i = 0; i < n; i++) {
        struct rec_routed rec;

        ret[h->at[i].seq] = h->at[i].type == REC_RECEIPT;
        if (h->at[i].type != REC_ROUTED)
            continue;
        CHECK_EQ(rec_routed_decode((sl_str){ (const char *)h->at[i].payload, h->at[i].len }, &rec),
                 0);
        ret[rec.event] = false;
        rec_routed_finish(&rec);
    }
    all = history_deliveries(h, n, &count);
    for (size_t i = 0; i < count; i++)
        if (all[i].state < DS_DELIVERED || all[i].state == DS_DEAD)
            ret[delivery_event(all[i].num)] = true;
    free(all);
    return ret;
}

/* How many events that are needed are not there, whatever of the log has gone. */
static size_t missing_in(struct box *b, const struct history *h)
{
    uint64_t n = box_stats(b).log_seq;
    bool *need = needed(h, n);
    size_t missing = 0;

    for (uint64_t seq = 1; seq <= n; seq++)
        if (need[seq] && !event_is_whole(b, &h->at[seq - 1])) {
            print_error("event %" PRIu64 " of %" PRIu64 ": %s\n", seq, n, uv_strerror(b->status));
            missing++;
        }
    free(need);
    return missing;
}

static bool image_has_what_is_needed(const struct run *run, unsigned i)
{
    char dir[128];
    struct rng rng;
    struct box box;
    size_t cut;
    bool ok;

    rng_seed(&rng, run->seed * 1000 + i);
    cut = draw_cut(run->journal, 0, &rng);
    snprintf(dir, sizeof(dir), "%s-%u", run->dir, i);
    journal_image(run->journal, cut, rng_next(&rng), dir);
    box_start(&box, dir);
    ok = box_open(&box) == 0;
    if (!ok)
        print_error("seed %" PRIu64 ", image %u: %s\n", run->seed, i, box.fail.text);
    else
        ok = box_stats(&box).log_seq >= history_acked(&run->history, cut) &&
             missing_in(&box, &run->history) == 0;
    CHECK(box_finish(&box));
    scratch_remove(dir);
    return ok;
}

/* ---- the tests ---- */

static void what_was_acknowledged_outlives_a_power_cut_at_any_moment(void **state)
{
    unsigned images = (unsigned)from_env("SLUICE_IMAGES",
                                         getenv("SLUICE_LONG") ? 2000 : part_of(IMAGES));
    uint64_t seed = from_env("SLUICE_SEED", (uint64_t)time(NULL));
    struct finding finding;
    unsigned done = 0, failed = 0;

    (void)state;
    print_message("seed %" PRIu64 ", %u images\n", seed, images);
    for (; done < images; seed++) {
        struct run run;

        run_start(&run, seed, 160);
        for (unsigned i = 0; i < RUN_IMAGES && done < images; i++, done++)
            failed += !one_image(&run, i, true, &finding);
        run_finish(&run);
    }
    CHECK_EQ(failed, 0);
}

/* The log forgets a segment only when what the index kept of it is on the disk. */
static void what_is_still_needed_of_old_events_outlives_a_power_cut(void **state)
{
    unsigned images = getenv("SLUICE_LONG") ? 400 : part_of(60), done = 0, failed = 0;
    uint64_t seed = from_env("SLUICE_SEED", (uint64_t)time(NULL));
    size_t recycled = 0;

    (void)state;
    print_message("seed %" PRIu64 ", %u images\n", seed, images);
    for (; done < images; seed++) {
        struct run run;

        run_keep(&run, seed, 900, 1);
        recycled += run.recycled;
        for (unsigned i = 0; i < RUN_IMAGES && done < images; i++, done++)
            failed += !image_has_what_is_needed(&run, i);
        run_finish(&run);
    }
    print_message("%zu segments went\n", recycled);
    CHECK_EQ(failed, 0);
    CHECK(recycled > 0);
}

static void no_callback_comes_before_the_sync_of_its_bytes(void **state)
{
    char why[256] = "";
    struct run run;
    bool ok;

    (void)state;
    run_start(&run, from_env("SLUICE_SEED", 7), 400);
    ok = history_was_synced(&run.history, run.journal, why);
    if (!ok)
        print_error("%s\n", why);
    CHECK(ok);
    CHECK(run.history.n > 800);
    CHECK(run.refused > 10);
    CHECK(run.checkpoints > 0);
    CHECK(run.rolls > 16);
    CHECK(run.recycled > 4);
    CHECK(run.runs > 8);
    print_message("%zu records, %zu operations, %zu segments, %zu gone, %zu runs of keys\n",
                  run.history.n, journal_length(run.journal), run.rolls, run.recycled, run.runs);
    run_finish(&run);
}

/* Of twelve images, do so many fail when the layer lies about syncs? */
static bool found_with(unsigned lies, unsigned enough, struct finding *finding)
{
    struct finding each;
    unsigned found = 0;
    struct run run;

    layer_lie(lies);
    run_start(&run, 11, 240);
    layer_lie(0);
    for (unsigned i = 0; i < 12 && found < enough; i++)
        if (!one_image(&run, i, false, &each)) {
            found++;
            *finding = each;
        }
    run_finish(&run);
    return found == enough;
}

static void a_disk_that_lies_about_syncs_is_found_out(void **state)
{
    struct finding finding = { "" };

    (void)state;
    CHECK(found_with(LIE_SYNC, 6, &finding));
    print_message("found: %s\n", finding.text);
    CHECK(found_with(LIE_SYNC_DIR, 3, &finding));
    print_message("found: %s\n", finding.text);
}

static void a_callback_before_the_sync_is_found_out(void **state)
{
    char why[256] = "";
    struct run run;

    (void)state;
    layer_lie(LIE_SYNC);
    run_start(&run, 12, 60);
    layer_lie(0);
    CHECK(!history_was_synced(&run.history, run.journal, why));
    run_finish(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_callback_comes_before_the_sync_of_its_bytes),
        cmocka_unit_test(a_callback_before_the_sync_is_found_out),
        cmocka_unit_test(a_disk_that_lies_about_syncs_is_found_out),
        cmocka_unit_test(what_was_acknowledged_outlives_a_power_cut_at_any_moment),
        cmocka_unit_test(what_is_still_needed_of_old_events_outlives_a_power_cut),
    };

    layer_install();
    cmocka_set_test_filter(getenv("SLUICE_TEST")); /* NULL: all */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
