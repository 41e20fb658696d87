/*
 * schema.c - the shape of the index's file.
 */
#include "store/schema.h"

#include <inttypes.h>
#include <stdio.h>
#include <uv.h>
#include "base/clock.h"
#include "base/log.h"
#include "store/sql.h"

#define TELL_MS    2000   /* between two lines about a migration under way */
#define LOOK_STEPS 100000 /* of SQLite's, between two looks at the clock */

static const struct logger logger = { .room = "store" };

/* ---- sluice.db ---- */

/* Times are wall-clock milliseconds, 0: none. States are enum delivery_state; a partial index's
 * condition is repeated word by word in the queries that are to use it. */
static const char *const index_steps[] = {
    /* new -> 2 */
    /* where the index stands, and in which log; how many of what it holds: kept_from is the event
     * that retention has come to, restored_to the last record of a restored backup */
    "CREATE TABLE position(one INTEGER PRIMARY KEY CHECK (one = 1), log_id BLOB,"
    " watermark INTEGER NOT NULL, events INTEGER NOT NULL, same_id INTEGER NOT NULL,"
    " same_event INTEGER NOT NULL, kept_from INTEGER NOT NULL, restored_to INTEGER NOT NULL,"
    " restored_ms INTEGER NOT NULL);"
    "INSERT INTO position VALUES(1, NULL, 0, 0, 0, 0, 0, 0, 0);"

    /* pos: of its record in the log. routed: 0 not yet, 1 done, 2 waits for a link. The subject's
     * index is cut into spans of 65,536 events, so that what is written is in memory however many
     * there are; a search goes through the spans (INDEX_SPANS in index_int.h). */
    "CREATE TABLE events(id INTEGER PRIMARY KEY, pos INTEGER NOT NULL,"
    " received_ms INTEGER NOT NULL,"
    " origin INTEGER NOT NULL, cause INTEGER NOT NULL, endpoint TEXT NOT NULL,"
    " topic TEXT NOT NULL, sender_id TEXT NOT NULL, subject TEXT NOT NULL, version TEXT NOT NULL,"
    " body_bytes INTEGER NOT NULL, routed INTEGER NOT NULL, routed_ms INTEGER NOT NULL,"
    " n_deliveries INTEGER NOT NULL, duplicate_of INTEGER NOT NULL, note TEXT NOT NULL);"
    "CREATE INDEX events_open ON events(routed, id) WHERE routed <> 1;"
    "CREATE INDEX events_cause ON events(cause) WHERE cause <> 0;"
    "CREATE INDEX events_subject ON events(id >> 16, subject) WHERE subject <> '';"
    "CREATE INDEX events_again ON events(duplicate_of) WHERE duplicate_of <> 0;"
    "CREATE INDEX events_duplicates ON events(id) WHERE duplicate_of <> 0;"

    /* What events.subject does not say: n = -1: the subject an emitted event came with, if it is
     * another; from 1 on: further ones. */
    "CREATE TABLE abouts(event INTEGER NOT NULL, n INTEGER NOT NULL, subject TEXT NOT NULL,"
    " version TEXT NOT NULL, PRIMARY KEY(event, n)) WITHOUT ROWID;"
    "CREATE INDEX abouts_subject ON abouts(event >> 16, subject);"

    /* as received, of events whose segment of the log has gone and that are still needed */
    "CREATE TABLE receipts(event INTEGER PRIMARY KEY, payload BLOB NOT NULL);"

    "CREATE TABLE waits(event INTEGER NOT NULL, n INTEGER NOT NULL, endpoint TEXT NOT NULL,"
    " kind TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY(event, n)) WITHOUT ROWID;"

    /* batch: the newest `sent` record it was in */
    "CREATE TABLE deliveries(num INTEGER PRIMARY KEY, id BLOB NOT NULL, state INTEGER NOT NULL,"
    " priority INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,"
    " generation INTEGER NOT NULL DEFAULT 0, next_ms INTEGER NOT NULL DEFAULT 0,"
    " received_ms INTEGER NOT NULL, first_sent_ms INTEGER NOT NULL DEFAULT 0,"
    " updated_ms INTEGER NOT NULL, batch INTEGER NOT NULL DEFAULT 0,"
    " body_bytes INTEGER NOT NULL, endpoint TEXT NOT NULL, route TEXT NOT NULL,"
    " piece TEXT NOT NULL, action TEXT NOT NULL, subject TEXT NOT NULL, topic TEXT NOT NULL,"
    " hold_type TEXT NOT NULL, reason TEXT NOT NULL, reference TEXT NOT NULL DEFAULT '');"
    "CREATE INDEX deliveries_live ON deliveries(endpoint, priority, num) WHERE state < 6;"
    "CREATE INDEX deliveries_state ON deliveries(state, num) WHERE state > 1 AND state <> 6;"
    "CREATE INDEX deliveries_subject ON deliveries(num >> 28, subject);"

    /* request: NULL when the body is what was sent, as frozen for `generation` */
    "CREATE TABLE bodies(num INTEGER PRIMARY KEY, body BLOB NOT NULL, request BLOB, key TEXT,"
    " digest BLOB, generation INTEGER);"

    "CREATE TABLE attempts(num INTEGER NOT NULL, batch INTEGER NOT NULL, attempt INTEGER NOT NULL,"
    " generation INTEGER NOT NULL, key TEXT NOT NULL, digest BLOB NOT NULL,"
    " endpoint TEXT NOT NULL, sent_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL DEFAULT 0,"
    " state INTEGER NOT NULL DEFAULT 1, burnt INTEGER NOT NULL DEFAULT 0,"
    " status INTEGER NOT NULL DEFAULT 0, latency_ms INTEGER NOT NULL DEFAULT 0,"
    " reason TEXT NOT NULL DEFAULT '', PRIMARY KEY(num, batch)) WITHOUT ROWID;"

    "CREATE TABLE moves(num INTEGER NOT NULL, seq INTEGER NOT NULL, n INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL, state INTEGER NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,"
    " endpoint TEXT NOT NULL, PRIMARY KEY(num, seq, n)) WITHOUT ROWID;"

    /* hash: of endpoint, kind, id */
    "CREATE TABLE links(hash BLOB PRIMARY KEY, endpoint TEXT NOT NULL, kind TEXT NOT NULL,"
    " id TEXT NOT NULL, subject TEXT NOT NULL, num INTEGER NOT NULL,"
    " at_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX links_num ON links(num);"

    /* members: nums, 8 bytes each, little endian; of one: until it has its outcome */
    "CREATE TABLE batches(id INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, endpoint TEXT NOT NULL,"
    " route TEXT NOT NULL, members BLOB NOT NULL, token BLOB NOT NULL DEFAULT x'',"
    " done INTEGER NOT NULL DEFAULT 0);"

    /* so that a summary counts no rows */
    "CREATE TABLE counts(endpoint TEXT NOT NULL, route TEXT NOT NULL, state INTEGER NOT NULL,"
    " n INTEGER NOT NULL, PRIMARY KEY(endpoint, route, state)) WITHOUT ROWID;",

    /* 2 -> 3: what lanes, holds and replays remember */
    /* version: of the event; detail: a JSON object for people */
    "ALTER TABLE deliveries ADD COLUMN version TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE deliveries ADD COLUMN detail TEXT NOT NULL DEFAULT '';"
    /* enum delivery_arrival */
    "ALTER TABLE deliveries ADD COLUMN arrival INTEGER NOT NULL DEFAULT 0;"
    /* since_ms: of the retry policy's age; 0: its next attempt begins it */
    "ALTER TABLE deliveries ADD COLUMN since_ms INTEGER NOT NULL DEFAULT 0;"
    "UPDATE deliveries INDEXED BY deliveries_live SET since_ms = first_sent_ms"
    " WHERE state < 6 AND state > 0;"

    /* held ones by their clock, and by what they are about */
    "CREATE INDEX deliveries_due ON deliveries(next_ms, num) WHERE state = 5 AND next_ms > 0;"
    "CREATE INDEX deliveries_held ON deliveries(subject, num) WHERE state = 5;"

    /* state: 0 open, else enum deadline_what; expect: topics, a line each */
    "CREATE TABLE deadlines(num INTEGER PRIMARY KEY, state INTEGER NOT NULL DEFAULT 0,"
    " began_ms INTEGER NOT NULL, next_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL DEFAULT 0, event INTEGER NOT NULL DEFAULT 0,"
    " expect TEXT NOT NULL, topic TEXT NOT NULL, owner TEXT NOT NULL, route TEXT NOT NULL,"
    " subject TEXT NOT NULL, endpoint TEXT NOT NULL);"
    "CREATE INDEX deadlines_due ON deadlines(next_ms, num) WHERE state = 0;"
    "CREATE INDEX deadlines_subject ON deadlines(subject, due_ms) WHERE state = 0;"
    "CREATE INDEX deadlines_missed ON deadlines(num) WHERE state = 3;"

    /* facts that outlive the process: who paused what, and why */
    "CREATE TABLE state(space TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL,"
    " at_ms INTEGER NOT NULL, who TEXT NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY(space, key)) WITHOUT ROWID;"

    /* issue: what it died of last (its fingerprint); job: the replay that sent it again; 0: none.
     * Dead letters are looked through by these two alone, however many there are: the second one
     * for an issue's and for what stands in their reasons (reason.h). */
    "ALTER TABLE deliveries ADD COLUMN issue INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE deliveries ADD COLUMN job INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX deliveries_dead ON deliveries(num, route, endpoint, topic, hold_type,"
    " updated_ms, issue) WHERE state = 7;"
    "CREATE INDEX deliveries_issue ON deliveries(issue, num, reason) WHERE state = 7;"

    /* dead, live: deliveries that died of it and stand so now */
    "CREATE TABLE issues(id INTEGER PRIMARY KEY, route TEXT NOT NULL, endpoint TEXT NOT NULL,"
    " class TEXT NOT NULL, reason TEXT NOT NULL, example TEXT NOT NULL,"
    " example_num INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,"
    " opened_ms INTEGER NOT NULL, n INTEGER NOT NULL, dead INTEGER NOT NULL,"
    " live INTEGER NOT NULL, reopened INTEGER NOT NULL, resolved_ms INTEGER NOT NULL,"
    " resolved_who TEXT NOT NULL, resolved_why TEXT NOT NULL, ack_ms INTEGER NOT NULL,"
    " ack_who TEXT NOT NULL, ack_why TEXT NOT NULL);"
    "CREATE INDEX issues_open ON issues(ack_ms, dead) WHERE resolved_ms = 0;"
    "CREATE INDEX issues_resolved ON issues(resolved_ms) WHERE resolved_ms <> 0;"

    /* issue: -1: sent again; 0: arrived; else died again, of that */
    "CREATE TABLE replays(job INTEGER NOT NULL, issue INTEGER NOT NULL, n INTEGER NOT NULL,"
    " PRIMARY KEY(job, issue)) WITHOUT ROWID;"

    /* bodies as they were before somebody edited them, by the record that did */
    "CREATE TABLE edits(num INTEGER NOT NULL, seq INTEGER NOT NULL, body BLOB NOT NULL,"
    " PRIMARY KEY(num, seq));"

    /* where it stood when it was brought here, 0: it is not older. Its older rows know no issue,
     * and batches of one stay until their time has come: it is not what the log alone would give.
     */
    "ALTER TABLE position ADD COLUMN migrated INTEGER NOT NULL DEFAULT 0;"
    "UPDATE position SET migrated = watermark;"

    /* second deliveries of one event, route and piece that were refused */
    "ALTER TABLE position ADD COLUMN doubled INTEGER NOT NULL DEFAULT 0;"

    /* dead letters of a route: what blocks, where it says so */
    "CREATE INDEX deliveries_blocks ON deliveries(route, num) WHERE state = 7;"

    /* 1: what it said has been erased; its row stays, so that what is counted adds up */
    "ALTER TABLE events ADD COLUMN erased INTEGER NOT NULL DEFAULT 0;"

    /* what was asked about a person, by the event that asked; state: enum privacy_what; last: the
     * newest record that says anything of it; none of it is in the log from log_due_ms on */
    "CREATE TABLE privacy(event INTEGER PRIMARY KEY, kind INTEGER NOT NULL,"
    " state INTEGER NOT NULL, endpoint TEXT NOT NULL, topic TEXT NOT NULL, asked TEXT NOT NULL,"
    " asked_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, events INTEGER NOT NULL DEFAULT 0,"
    " deliveries INTEGER NOT NULL DEFAULT 0, last INTEGER NOT NULL,"
    " log_due_ms INTEGER NOT NULL DEFAULT 0, done_ms INTEGER NOT NULL DEFAULT 0,"
    " ended_ms INTEGER NOT NULL DEFAULT 0, who TEXT NOT NULL DEFAULT '',"
    " why TEXT NOT NULL DEFAULT '');"

    /* always empty: free pages are taken into it, and so written over */
    "CREATE TABLE wipe(page BLOB NOT NULL);",
};

const struct schema schema_index = {
    .kind = "index",
    .application_id = 0x534c4958, /* SLIX */
    .oldest = 2,
    .steps = index_steps,
    .version = 1 + sizeof(index_steps) / sizeof(index_steps[0]),
};

/* ---- applying ---- */

static int read_int(sqlite3 *db, const char *sql, int *ret)
{
    sqlite3_stmt *st;
    int r = sql_prepare(db, &st, sql);

    if (r < 0)
        return r;
    r = sql_row(st);
    if (r > 0)
        *ret = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    return r < 0 ? r : 0;
}

/* How far a step is, for who waits for a start after an upgrade. */
struct progress {
    const char *path;
    int version, statement, statements;
    uint64_t begun_ms, told_ms;
};

static int on_progress(void *ctx)
{
    struct progress *p = ctx;
    uint64_t now = clock_mono_ms();

    if (now - p->told_ms >= TELL_MS) {
        p->told_ms = now;
        log_info(&logger, "migration to version %d: at %d of %d, %llu s so far: path=%s",
                 p->version, p->statement, p->statements,
                 (unsigned long long)(now - p->begun_ms) / 1000, p->path);
    }
    return 0;
}

/* One statement after the other; no text in one has a semicolon. */
static int run_all(sqlite3 *db, const char *sql, struct progress *p)
{
    int r = 0;

    for (const char *c = sql; *c; c++)
        p->statements += *c == ';';
    while (r == 0 && *sql) {
        sqlite3_stmt *st = NULL;
        int rc = sqlite3_prepare_v2(db, sql, -1, &st, &sql);

        p->statement++;
        r = rc == SQLITE_OK ? 0 : sql_code(db, rc);
        if (r == 0 && st)
            r = sql_run(st);
        sqlite3_finalize(st);
    }
    return r;
}

/* To `version`, from the one before it or from nothing. */
static int step(const struct schema *schema, sqlite3 *db, int version, bool migrates,
                const char *path)
{
    struct progress p = { .path = path, .version = version, .begun_ms = clock_mono_ms() };
    char pragmas[128];
    int r;

    p.told_ms = p.begun_ms;
    if (migrates) {
        log_info(
            &logger,
            "migration to version %d begins, once after an upgrade; with millions of deliveries "
            "it takes some seconds: path=%s",
            version, path);
        sqlite3_progress_handler(db, LOOK_STEPS, on_progress, &p);
    }

    snprintf(pragmas, sizeof(pragmas), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT;",
             schema->application_id, version);
    r = sql_exec(db, "BEGIN IMMEDIATE");
    if (r == 0)
        r = run_all(db, schema->steps[version - schema->oldest], &p);
    if (r == 0)
        r = sql_exec(db, pragmas);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    if (r < 0)
        sql_rollback(db);
    else if (migrates)
        log_info(&logger, "migration to version %d is done: took_ms=%llu path=%s", version,
                 (unsigned long long)(clock_mono_ms() - p.begun_ms), path);
    return r;
}

int schema_apply(const struct schema *schema, sqlite3 *db, const char *path, struct fail *fail)
{
    int app = 0, version = 0, tables = 0, r;
    bool migrates;

    if ((r = read_int(db, "PRAGMA application_id", &app)) < 0 ||
        (r = read_int(db, "PRAGMA user_version", &version)) < 0 ||
        (r = read_int(db, "SELECT count(*) FROM sqlite_schema", &tables)) < 0)
        return fail_set(fail, r, "%s: %s", path, sqlite3_errmsg(db));
    if (app != schema->application_id && (app != 0 || tables != 0))
        return fail_set(fail, UV_EINVAL, "%s is not a Sluice %s (application_id 0x%08x)", path,
                        schema->kind, (unsigned)app);
    if (version > schema->version)
        return fail_set(fail, UV_ENOTSUP,
                        "%s has schema version %d, this program knows up to version %d; "
                        "use the newer program that wrote it",
                        path, version, schema->version);
    if (version > 0 && version < schema->oldest)
        return fail_set(fail, UV_ENOTSUP,
                        "%s has schema version %d, from before the first release; this program "
                        "reads version %d on and has changed nothing: move the store's directory "
                        "away to begin a new one",
                        path, version, schema->oldest);
    migrates = version >= schema->oldest;
    version = version < schema->oldest ? schema->oldest - 1 : version;
    while (version < schema->version) {
        r = step(schema, db, ++version, migrates, path);
        if (r < 0)
            return fail_set(fail, r, "%s: migration to schema version %d: %s", path, version,
                            sqlite3_errmsg(db));
    }
    return 0;
}
