/*
 * restore_hold.c - decisions appended to a restored log, so that nothing of it is sent by itself.
 * They are records as others are: whatever is made of this log later says the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>
#include "base/clock.h"
#include "store/arena.h"
#include "store/restore_int.h"
#include "store/sql.h"
#include "store/store.h"

#define MOVES 500 /* in a record */

struct hold {
    struct restore_report *report;
    uv_loop_t loop;
    struct store *s;
    sqlite3 *db;
    sqlite3_stmt *st; /* all that is not final, as it was before the first move */
    struct arena arena;
    struct rec_move moves[MOVES];
    size_t n;
    char why[160];
    int64_t now_ms;
    struct store_append append;
    bool done;
    int status; /* of the append */
};

/* ---- what becomes of a delivery ---- */

static sl_str text(struct hold *h, sl_str a, const char *b)
{
    char *p = arena_alloc(&h->arena, a.len + strlen(b));

    if (!p)
        return STR("");
    memcpy(p, a.ptr, a.len);
    memcpy(p + a.len, b, strlen(b));
    return (sl_str){ p, a.len + strlen(b) };
}

/* Columns: num, state, attempts, generation, hold_type, reason. */
static void add_row(struct hold *h, sqlite3_stmt *st)
{
    struct rec_move *m = &h->moves[h->n];
    int state = sqlite3_column_int(st, 1);
    sl_str reason = sql_view(st, 5);

    *m = (struct rec_move){ .num = sql_u64(st, 0), .generation = (uint32_t)sql_u64(st, 3) };
    if (state == DS_UNKNOWN) {
        h->report->unknown++;
        return;
    }
    if (state == DS_INFLIGHT) {
        h->report->unknown++;
        m->state = DS_UNKNOWN;
        m->burnt = 1;
        m->attempt = (uint32_t)sql_u64(st, 2) + 1;
        m->next_ms = h->now_ms;
        m->reason = text(h, STR("it was under way; "), h->why);
    } else if (state == DS_HELD) {
        h->report->held_before++;
        m->state = DS_HELD;
        m->hold_type = text(h, sql_view(st, 4), "");
        m->reason = reason.len ? text(h, text(h, reason, "; "), h->why) : str_of(h->why);
    } else {
        h->report->held++;
        m->state = DS_HELD;
        m->hold_type = STR(RESTORE_HOLD);
        m->reason = str_of(h->why);
    }
    h->n++;
}

/* ---- the store ---- */

static void on_appended(struct store_append *a, int status)
{
    struct hold *h = container_of(a, struct hold, append);

    h->status = status;
    h->done = true;
}

/* What was gathered, as a decision; one without moves marks the store all the same. */
static int flush(struct hold *h)
{
    struct rec_moves rec = {
        .at_ms = h->now_ms, .who = STR(REC_WHO_RESTORE), .moves = h->moves, .n_moves = h->n
    };
    struct store_record r = { .type = REC_DECISION };
    int err = h->arena.failed ? UV_ENOMEM : 0;

    rec_moves_encode(&r.payload, &rec);
    h->append = (struct store_append){ .records = &r, .n = 1, .cb = on_appended };
    h->done = false;
    if (err == 0)
        err = store_append(h->s, &h->append, true);
    while (err == 0 && !h->done)
        uv_run(&h->loop, UV_RUN_ONCE);
    store_append_finish(&h->append);
    arena_finish(&h->arena);
    h->n = 0;
    return err < 0 ? err : h->status;
}

static int hold_rows(struct hold *h)
{
    int r = sql_prepare(h->db, &h->st,
                        "SELECT num, state, attempts, generation, hold_type, reason"
                        " FROM deliveries WHERE state < 6");

    while (r == 0 && (r = sql_row(h->st)) > 0) {
        add_row(h, h->st);
        r = h->n == MOVES ? flush(h) : 0;
    }
    sqlite3_finalize(h->st);
    return r == 0 ? flush(h) : r;
}

static int count_unrouted(struct hold *h)
{
    sqlite3_stmt *st = NULL;
    int r = sql_prepare(h->db, &st, "SELECT count(*) FROM events WHERE routed <> 1");

    if (r == 0 && (r = sql_row(st)) > 0)
        h->report->unrouted = sql_u64(st, 0);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

static int open_store(struct hold *h, const char *path, struct fail *fail)
{
    struct store_conf conf;

    store_defaults(&conf);
    conf.path = path;
    conf.disk_reserve = 0;
    conf.keep_ms = INT64_MAX / 4; /* nothing goes from it now */
    return store_open(&h->s, &h->loop, &conf, fail);
}

static int hold_all(struct hold *h, const char *path, struct fail *fail)
{
    char db[4096], when[32];
    int r;

    snprintf(db, sizeof(db), "%s/sluice.db", path);
    clock_format(h->report->made_ms, when);
    h->now_ms = clock_wall_ms();
    snprintf(h->why, sizeof(h->why),
             "restored from a backup of %s: what became of it since is not known", when);
    if ((r = sql_open(&h->db, db, SQL_READER, false, fail)) < 0)
        return r;
    r = count_unrouted(h);
    if (r == 0)
        r = hold_rows(h);
    sql_close(h->db);
    return r < 0 ? fail_set(fail, r, "%s: holding what is not to be sent: %s", path, uv_strerror(r))
                 : 0;
}

int restore_hold(const char *path, struct restore_report *report, struct fail *fail)
{
    struct hold *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return fail_set(fail, UV_ENOMEM, "no memory");
    h->report = report;
    uv_loop_init(&h->loop);
    r = open_store(h, path, fail);
    if (r == 0) {
        r = hold_all(h, path, fail);
        store_close(h->s, NULL, NULL);
    }
    uv_run(&h->loop, UV_RUN_DEFAULT);
    uv_loop_close(&h->loop);
    free(h);
    return r;
}
