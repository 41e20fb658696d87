/*
 * store_fill.c - what does an event cost the store, with few kept and with many?
 *
 *   bench-store fill DIRECTORY EVENTS [OPTIONS]   appends that many events
 *   bench-store open DIRECTORY                    opens it again, and says how long that took
 *
 *   --mark N     (rising, several): with N events kept, measure windows
 *   --window N   events of a window (200000)   --windows N  windows a mark (1)
 *   --outstanding N  events under way (256)    --body N  bytes of a body (256)
 *   --crash      ends in the middle of appending, by SIGKILL, when all is done
 *
 * An event is what one webhook that no route wants writes: a receipt with its key, durable, then
 * its `routed` record with its event key. A window begins when the index has caught up and ends
 * when it has caught up again, so its time is what an event costs in the long run. Prints a JSON
 * object a line: {"kept", "us_per_event" (a list), "cpu_us_per_event" (a list), "lag_most",
 * "rss_mb"} at a mark and {"events" (acknowledged), "seconds", "rss_mb"} at the end.
 */
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/crc.h"
#include "base/digest.h"
#include "base/mem.h"
#include "store/store.h"

#define OUTSTANDING_MOST 4096
#define MARKS_MOST       16
#define WINDOWS_MOST     16
#define CRASH_EVENTS     100000 /* half of them come before the end by SIGKILL */

/* One event under way: first its receipt, then what was made of it. */
struct slot {
    struct store_append append;
    struct store_record record;
    uint64_t number, id;
};

/* What is being done: PHASE_FILL up to `until`, then drain; windows in between. */
enum phase { PHASE_FILL, PHASE_WINDOW, PHASE_CRASH };

static struct {
    uv_loop_t loop;
    struct store *store;
    struct slot slots[OUTSTANDING_MOST];
    char *body;
    size_t body_bytes;
    struct buf headers;
    uint64_t begun, done, until, total; /* events */
    uint64_t run;                       /* seconds of the clock: its ids are of this run alone */
    uint64_t outstanding, under_way;
    uint64_t marks[MARKS_MOST], window;
    size_t n_marks, mark, n_windows, n_taken;
    double us[WINDOWS_MOST], cpu_us[WINDOWS_MOST];
    uint64_t started_us, window_us, lag_most;
    double window_cpu_us;
    enum phase phase;
    bool crash;
    int rc;
} bench;

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-store: %s: %s\n", what, why);
    exit(1);
}

static double cpu_us(void)
{
    struct rusage use;

    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e6 +
           (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static double rss_mb(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f) {
        if (fscanf(f, "%*u %lu", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* ---- one event ---- */

static void set_key(struct store_record *rec, const sl_str *parts, size_t n, uint64_t value)
{
    uint8_t full[DIGEST_SHA256];

    digest_parts(parts, n, full);
    rec->keys = mem_array(1, sizeof(*rec->keys));
    rec->keys[0] = (struct store_key){ .refuse = true, .value = value };
    memcpy(rec->keys[0].hash, full, sizeof(rec->keys[0].hash));
    rec->n_keys = 1;
}

static void submit(struct slot *slot, void (*cb)(struct store_append *, int), bool internal)
{
    slot->append = (struct store_append){ .records = &slot->record, .n = 1, .cb = cb };
    int r = store_append(bench.store, &slot->append, internal);
    if (r < 0)
        die("append", uv_strerror(r));
}

static void report_end(void)
{
    printf("{\"events\":%" PRIu64 ",\"seconds\":%.3f,\"rss_mb\":%.1f}\n", bench.done,
           (double)(clock_mono_us() - bench.started_us) / 1e6, rss_mb());
    fflush(stdout);
}

/* In the middle of appending, the index behind. */
static void crash(void)
{
    report_end();
    raise(SIGKILL);
}

static void next_step(void);
static void begin_event(struct slot *slot);

static void on_routed(struct store_append *a, int status)
{
    struct slot *slot = container_of(a, struct slot, append);

    if (status < 0 || slot->record.refused)
        die("routed", status < 0 ? uv_strerror(status) : "refused");
    store_append_finish(a);
    bench.done++;
    bench.under_way--;
    if (bench.phase == PHASE_CRASH && bench.done + CRASH_EVENTS / 2 >= bench.until)
        crash();
    if (bench.begun < bench.until)
        begin_event(slot);
    else if (!bench.under_way)
        next_step();
}

static void on_received(struct store_append *a, int status)
{
    struct slot *slot = container_of(a, struct slot, append);
    char subject[64], version[] = "2026-11-20T09:15:30Z";

    if (status < 0 || slot->record.refused)
        die("receipt", status < 0 ? uv_strerror(status) : "refused");
    slot->id = slot->record.seq;
    store_append_finish(a);

    int n = snprintf(subject, sizeof(subject), "order:example.myshopify.com/%" PRIu64 "%09" PRIu64,
                     bench.run, slot->number);
    struct rec_about about = { { subject, (uint64_t)n }, str_of(version) };
    struct rec_routed routed = {
        .event = slot->id, .at_ms = clock_wall_ms(), .abouts = &about, .n_abouts = 1
    };
    sl_str parts[] = { STR("event"), STR("acme-shop"), STR("orders/create"), about.subject,
                       about.version };
    slot->record = (struct store_record){ .type = REC_ROUTED };
    rec_routed_encode(&slot->record.payload, &routed);
    set_key(&slot->record, parts, 5, slot->id);
    submit(slot, on_routed, true);
}

static void begin_event(struct slot *slot)
{
    char sender_id[40];

    slot->number = bench.begun++;
    bench.under_way++;
    int n = snprintf(sender_id, sizeof(sender_id), "%08" PRIx64 "-0000-4000-8000-%012" PRIx64,
                     bench.run, slot->number);
    struct rec_receipt receipt = { .origin = EO_WEBHOOK,
                                   .received_ms = clock_wall_ms(),
                                   .endpoint = STR("acme-shop"),
                                   .topic = STR("orders/create"),
                                   .sender_id = { sender_id, (uint64_t)n },
                                   .headers = buf_view(&bench.headers),
                                   .body = { bench.body, bench.body_bytes } };
    struct rec_duplicate duplicate = { .received_ms = receipt.received_ms,
                                       .body_bytes = bench.body_bytes,
                                       .endpoint = receipt.endpoint,
                                       .topic = receipt.topic,
                                       .sender_id = receipt.sender_id };
    sl_str parts[] = { STR("receipt"), receipt.endpoint, receipt.sender_id };
    memcpy(bench.body, &slot->number, sizeof(slot->number)); /* so that no two are the same */
    slot->record = (struct store_record){ .type = REC_RECEIPT };
    rec_receipt_encode(&slot->record.payload, &receipt);
    rec_duplicate_encode(&slot->record.duplicate, &duplicate);
    set_key(&slot->record, parts, 3, crc64(0, bench.body, bench.body_bytes));
    submit(slot, on_received, false);
}

/* ---- the steps: fill to a mark, its windows, and so on to the end ---- */

static void run_until(uint64_t until)
{
    bench.until = until;
    for (uint64_t i = 0; i < bench.outstanding && bench.begun < until; i++)
        begin_event(&bench.slots[i]);
}

static void report_mark(void)
{
    printf("{\"kept\":%" PRIu64 ",\"us_per_event\":[", bench.marks[bench.mark]);
    for (size_t i = 0; i < bench.n_taken; i++)
        printf("%s%.3f", i ? "," : "", bench.us[i]);
    printf("],\"cpu_us_per_event\":[");
    for (size_t i = 0; i < bench.n_taken; i++)
        printf("%s%.3f", i ? "," : "", bench.cpu_us[i]);
    printf("],\"lag_most\":%" PRIu64 ",\"rss_mb\":%.1f}\n", bench.lag_most, rss_mb());
    fflush(stdout);
}

/* The index has caught up: take the time of a window, and begin the next thing. */
static void on_caught_up(void *ctx, int status, const uint64_t *ids, size_t n)
{
    (void)ctx, (void)ids, (void)n;
    if (status < 0)
        die("the index", uv_strerror(status));
    if (bench.phase == PHASE_WINDOW) {
        double events = (double)bench.window;
        bench.us[bench.n_taken] = (double)(clock_mono_us() - bench.window_us) / events;
        bench.cpu_us[bench.n_taken++] = (cpu_us() - bench.window_cpu_us) / events;
        if (bench.n_taken == bench.n_windows) {
            report_mark();
            bench.mark++;
            bench.n_taken = 0;
            bench.lag_most = 0;
            bench.phase = PHASE_FILL;
        }
    }
    if (bench.phase == PHASE_FILL && bench.mark < bench.n_marks &&
        bench.done >= bench.marks[bench.mark])
        bench.phase = PHASE_WINDOW;
    if (bench.phase == PHASE_WINDOW) {
        bench.window_us = clock_mono_us();
        bench.window_cpu_us = cpu_us();
        run_until(bench.done + bench.window);
    } else if (bench.mark < bench.n_marks) {
        run_until(bench.marks[bench.mark]);
    } else if (bench.done < bench.total) {
        run_until(bench.total);
    } else if (bench.crash) {
        bench.phase = PHASE_CRASH;
        run_until(bench.done + CRASH_EVENTS);
    } else {
        store_close(bench.store, NULL, NULL);
    }
}

/* All of a step are durable. */
static void next_step(void)
{
    struct store_stats st;

    store_stats(bench.store, &st);
    if (st.log_seq - st.index_seq > bench.lag_most)
        bench.lag_most = st.log_seq - st.index_seq;
    int r = store_unrouted(bench.store, false, UINT64_MAX >> 1, 1, on_caught_up, NULL);
    if (r < 0)
        die("the index", uv_strerror(r));
}

/* ---- opening ---- */

static void on_summary(void *ctx, int status, sl_str json)
{
    (void)ctx;
    if (status < 0)
        die("summary", uv_strerror(status));
    printf("%.*s}\n", (int)json.len, json.ptr);
    store_close(bench.store, NULL, NULL);
}

static void open_store(const char *dir)
{
    struct store_conf conf;
    struct store_stats st;
    struct fail fail = { 0 };

    store_defaults(&conf);
    conf.path = dir;
    bench.started_us = clock_mono_us();
    if (uv_loop_init(&bench.loop) < 0 || store_open(&bench.store, &bench.loop, &conf, &fail) < 0)
        die("cannot open", fail.text);
    store_stats(bench.store, &st);
}

static void open_again(const char *dir)
{
    open_store(dir);
    printf("{\"open_s\":%.3f,\"rss_mb\":%.1f,\"summary\":",
           (double)(clock_mono_us() - bench.started_us) / 1e6, rss_mb());
    if (store_report(bench.store, REPORT_SUMMARY, NULL, on_summary, NULL) < 0)
        die("summary", "no memory");
}

/* ---- the command line ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: bench-store fill DIRECTORY EVENTS [--mark N]... [--window N]\n"
            "           [--windows N] [--outstanding N] [--body N] [--crash]\n"
            "       bench-store open DIRECTORY\n");
    return 2;
}

static void options(int argc, char **argv)
{
    static const struct option known[] = { { "mark", required_argument, NULL, 'm' },
                                           { "window", required_argument, NULL, 'w' },
                                           { "windows", required_argument, NULL, 'n' },
                                           { "outstanding", required_argument, NULL, 'o' },
                                           { "body", required_argument, NULL, 'b' },
                                           { "crash", no_argument, NULL, 'c' },
                                           { 0 } };
    int o;

    bench.window = 200000;
    bench.n_windows = 1;
    bench.outstanding = 256;
    bench.body_bytes = 256;
    while ((o = getopt_long(argc, argv, "", known, NULL)) != -1) {
        uint64_t n = optarg ? strtoull(optarg, NULL, 10) : 0;
        if (o == 'm' && bench.n_marks < MARKS_MOST)
            bench.marks[bench.n_marks++] = n;
        else if (o == 'w')
            bench.window = n;
        else if (o == 'n')
            bench.n_windows = (size_t)n;
        else if (o == 'o')
            bench.outstanding = n;
        else if (o == 'b')
            bench.body_bytes = (size_t)n;
        else if (o == 'c')
            bench.crash = true;
        else
            exit(usage());
    }
    if (!bench.window || !bench.n_windows || bench.n_windows > WINDOWS_MOST || !bench.outstanding ||
        bench.outstanding > OUTSTANDING_MOST || bench.body_bytes < 16)
        exit(usage());
}

static void prepare(void)
{
    sl_header headers[] = { { STR("Content-Type"), STR("application/json") },
                            { STR("X-Shopify-Topic"), STR("orders/create") },
                            { STR("X-Shopify-Shop-Domain"), STR("example.myshopify.com") } };

    rec_headers_encode(&bench.headers, headers, sizeof(headers) / sizeof(headers[0]));
    bench.body = mem_zero(bench.body_bytes);
    memset(bench.body, 'x', bench.body_bytes);
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "open") == 0) {
        open_again(argv[2]);
    } else if (argc >= 4 && strcmp(argv[1], "fill") == 0) {
        bench.total = strtoull(argv[3], NULL, 10);
        options(argc - 3, argv + 3);
        prepare();
        bench.run = (uint64_t)clock_wall_ms() / 1000;
        open_store(argv[2]);
        next_step();
    } else {
        return usage();
    }
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    if (argc > 3)
        report_end();
    free(bench.body);
    buf_finish(&bench.headers);
    return uv_loop_close(&bench.loop) == 0 ? 0 : 1;
}
