/*
 * test_bit_rot.c - a bit of the log flips while nobody looks: in a segment or in a run of keys.
 *
 * Wrong bytes are never given out as right ones: the store refuses to open and names the place, or
 * opens and says of the one record that it cannot be read. Keys stay known: a damaged run is made
 * anew from its segments.
 */
#include "../unit/check.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "box.h"
#include "history.h"
#include "journal.h"
#include "layer.h"
#include "workload.h"

#define EVENTS 60

/* A store that was closed, and a journal that copies it: its image at 0. */
struct origin {
    char dir[96];
    struct history history;
    struct journal *journal;
};

static void origin_make(struct origin *o)
{
    struct workload w;
    struct box box;

    *o = (struct origin){ 0 };
    scratch_make(o->dir);
    box_start(&box, o->dir);
    box.conf.segment_bytes = 12 << 10;
    CHECK_EQ(box_open(&box), 0);
    workload_start(&w, &o->history, 9, 0);
    CHECK_EQ(workload_run(&w, &box, EVENTS), 0);
    CHECK_EQ(box_settle(&box), 0);
    CHECK(box_finish(&box));
    o->journal = journal_begin(o->dir);
    journal_end(o->journal);
}

static void origin_finish(struct origin *o)
{
    journal_destroy(o->journal);
    history_finish(&o->history);
    scratch_remove(o->dir);
}

/* ---- what the store says of it ---- */

struct asking {
    struct box *box;
    const struct note *note;
    bool right;
};

static void on_event(void *ctx, int status, const struct store_event *e)
{
    struct asking *ask = ctx;
    struct rec_receipt want;
    sl_str payload = { (const char *)ask->note->payload, ask->note->len };

    if (status == 0) {
        CHECK_EQ(rec_receipt_decode(payload, &want), 0);
        ask->right = str_eq(e->receipt.body, want.body) &&
                     str_eq(e->receipt.sender_id, want.sender_id) &&
                     str_eq(e->receipt.endpoint, want.endpoint);
    }
    ask->box->status = status;
    ask->box->done = true;
}

/* How many events cannot be read; the others must be as they were. */
static unsigned ask_all(struct box *box, const struct history *h)
{
    unsigned lost = 0;

    for (size_t i = 0; i < h->n; i++) {
        struct asking ask = { .box = box, .note = &h->at[i] };

        if (h->at[i].type != REC_RECEIPT)
            continue;
        box->done = false;
        CHECK_EQ(store_event_get(box->s, i + 1, on_event, &ask), 0);
        box_wait(box);
        if (box->status == 0)
            CHECK(ask.right);
        else
            CHECK_EQ(box->status, UV_EILSEQ);
        lost += box->status < 0;
    }
    return lost;
}

/* How many keys are known no more; or the code of the append that asked. */
static int forgotten(struct box *box, const struct history *h)
{
    struct store_record *recs = calloc(h->n, sizeof(*recs));
    struct store_append a = { .records = recs };
    int n = 0, r;

    assert_non_null(recs);
    for (size_t i = 0; i < h->n; i++)
        if (h->at[i].n_keys) {
            recs[a.n] = make_receipt("again", (unsigned)i, 0, 0);
            recs[a.n].keys[0] = h->at[i].keys[0];
            recs[a.n++].keys[0].refuse = true;
        }
    r = box_append(box, &a, true);
    for (size_t i = 0; i < a.n && r == 0; i++)
        n += !recs[i].refused;
    store_append_finish(&a);
    free(recs);
    return r < 0 ? r : n;
}

/* A page of a run that turns out damaged when it is asked latches the store; the next opening makes
 * the run anew. */
static void keys_must_be_known(struct box *box, const struct origin *o)
{
    int r = forgotten(box, &o->history);

    if (r == UV_EIO) {
        CHECK(box_stats(box).failed);
        box_close(box);
        CHECK_EQ(box_open(box), 0);
        r = forgotten(box, &o->history);
    }
    CHECK_EQ(r, 0);
    CHECK(!box_stats(box).failed);
}

/* ---- one bit ---- */

static void flip(const char *path, uint64_t at)
{
    FILE *f = fopen(path, "r+");
    int c;

    assert_non_null(f);
    fseek(f, (long)at, SEEK_SET);
    c = fgetc(f);
    fseek(f, (long)at, SEEK_SET);
    fputc(c ^ 1 << at % 8, f);
    fclose(f);
}

struct tally {
    unsigned refused, lost, none;
};

static void one_flip(const struct origin *o, const char *name, uint64_t at, bool keys,
                     struct tally *t)
{
    char dir[160], path[420];
    unsigned lost;
    struct box box;
    int r;

    snprintf(dir, sizeof(dir), "%s-rot", o->dir);
    journal_image(o->journal, 0, 1, dir);
    snprintf(path, sizeof(path), "%s/log/%s", dir, name);
    flip(path, at);
    box_start(&box, dir);
    box.conf.segment_bytes = 12 << 10;
    r = box_open(&box);
    if (r < 0) {
        if (keys || !box.fail.text[0])
            print_error("%s at %" PRIu64 ": %s\n", name, at, box.fail.text);
        CHECK(!keys);
        CHECK(box.fail.text[0]);
        t->refused++;
    } else {
        lost = ask_all(&box, &o->history);
        if (lost > (keys ? 0 : 1))
            print_error("%s at %" PRIu64 ": %u events are lost\n", name, at, lost);
        CHECK(lost <= (keys ? 0 : 1));
        CHECK(!box_stats(&box).failed);
        if (keys)
            keys_must_be_known(&box, o);
        t->lost += lost;
        t->none += lost == 0;
    }
    CHECK(box_finish(&box));
    scratch_remove(dir);
}

/* Bits of each file with this ending, `step` bytes apart. */
static void flip_files(const struct origin *o, const char *ending, uint64_t step, struct tally *t)
{
    char path[300];
    struct stat st;
    DIR *d;

    *t = (struct tally){ 0 };
    snprintf(path, sizeof(path), "%.90s/log", o->dir);
    d = opendir(path);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        size_t n = strlen(e->d_name), k = strlen(ending);

        if (n < k || strcmp(e->d_name + n - k, ending) != 0)
            continue;
        snprintf(path, sizeof(path), "%.90s/log/%.80s", o->dir, e->d_name);
        CHECK_EQ(stat(path, &st), 0);
        for (uint64_t at = n % 7; at < (uint64_t)st.st_size; at += step)
            one_flip(o, e->d_name, at, strcmp(ending, ".keys") == 0, t);
    }
    closedir(d);
    print_message("*%s: %u refused, %u events lost, %u without effect\n", ending, t->refused,
                  t->lost, t->none);
}

static void wrong_bytes_are_never_given_out_as_right_ones(void **state)
{
    struct origin o;
    struct tally t;

    (void)state;
    origin_make(&o);
    flip_files(&o, ".seg", getenv("SLUICE_LONG") ? 61 : 1201, &t);
    CHECK(t.lost > 5);
    origin_finish(&o);
}

static void a_damaged_run_of_keys_forgets_none(void **state)
{
    struct origin o;
    struct tally t;

    (void)state;
    origin_make(&o);
    flip_files(&o, ".keys", getenv("SLUICE_LONG") ? 61 : 1201, &t);
    CHECK(t.none > 5);
    origin_finish(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_bytes_are_never_given_out_as_right_ones),
        cmocka_unit_test(a_damaged_run_of_keys_forgets_none),
    };

    layer_install();
    cmocka_set_test_filter(getenv("SLUICE_TEST")); /* NULL: all */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
