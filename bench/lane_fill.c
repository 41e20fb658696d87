/*
 * lane_fill.c - a store with so many deliveries ready for one endpoint, as a gateway would have
 * left it.
 *
 *   bench-lane-fill DIRECTORY DELIVERIES [OPTIONS]
 *
 *   --endpoint NAME (sink)  --route NAME (to-sink)  --action NAME (request.send): what the
 * configuration that will send them calls these
 *   --body N    bytes of a delivery's body (256), a JSON object with its number
 *   --keys TEXT  what stands in it before and after the number, cut at '@' ({"n":"@","x":")
 *   --pieces N  deliveries of one event (1): fewer events, a smaller store
 *   --outstanding N  events under way (1024)
 *
 * Through the store's own interface: for each event a receipt, durable, then its `routed` record
 * with its deliveries, each of a subject of its own (its piece apart). Prints {"deliveries",
 * "seconds", "rss_mb"}.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include "store/store.h"

#define OUTSTANDING_MOST 4096
#define PIECES_MOST      1000
#define BODY_LEAST       32

struct slot {
    struct store_append append;
    struct store_record record;
    uint64_t number, id;
};

static struct {
    uv_loop_t loop;
    struct store *store;
    struct slot slots[OUTSTANDING_MOST];
    struct rec_delivery deliveries[PIECES_MOST];
    char piece_names[PIECES_MOST][24];
    sl_str endpoint, route, action;
    struct buf headers, body;
    const char *keys;
    size_t number_at;                                /* in the body */
    uint64_t begun, done, events, deliveries_wanted; /* of all */
    uint64_t outstanding, pieces, under_way;
} fill = {
    .endpoint = STR("sink"),
    .route = STR("to-sink"),
    .action = STR("request.send"),
    .keys = "{\"n\":\"@\",\"x\":\"",
    .outstanding = 1024,
    .pieces = 1,
};

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-lane-fill: %s: %s\n", what, why);
    exit(1);
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

static void submit(struct slot *slot, void (*cb)(struct store_append *, int), bool internal)
{
    slot->append = (struct store_append){ .records = &slot->record, .n = 1, .cb = cb };
    int r = store_append(fill.store, &slot->append, internal);
    if (r < 0)
        die("append", uv_strerror(r));
}

/* {"n":"000000000042","x":"..."}: all of one length. */
static sl_str body_of(uint64_t number)
{
    char text[16];

    snprintf(text, sizeof(text), "%012" PRIu64, number);
    memcpy(fill.body.data + fill.number_at, text, 12);
    return buf_view(&fill.body);
}

static void begin_event(struct slot *slot);

static void on_caught_up(void *ctx, int status, const uint64_t *ids, size_t n)
{
    (void)ctx, (void)ids;
    if (status < 0 || n)
        die("the index", status < 0 ? uv_strerror(status) : "an event is not routed");
    store_close(fill.store, NULL, NULL);
}

static void on_routed(struct store_append *a, int status)
{
    struct slot *slot = container_of(a, struct slot, append);

    if (status < 0)
        die("routed", uv_strerror(status));
    store_append_finish(a);
    fill.done++;
    fill.under_way--;
    if (fill.begun < fill.events)
        begin_event(slot);
    else if (!fill.under_way && store_unrouted(fill.store, false, 0, 1, on_caught_up, NULL) < 0)
        die("the index", "no memory");
}

static void on_received(struct store_append *a, int status)
{
    struct slot *slot = container_of(a, struct slot, append);
    uint64_t first = slot->number * fill.pieces, left = fill.deliveries_wanted - first;
    uint8_t full[DIGEST_SHA256];
    char subject[64], number[24];

    if (status < 0)
        die("receipt", uv_strerror(status));
    slot->id = slot->record.seq;
    store_append_finish(a);

    int n = snprintf(subject, sizeof(subject), "order:example.myshopify.com/%012" PRIu64,
                     slot->number);
    struct rec_about about = { { subject, (uint64_t)n }, STR("2026-11-20T09:15:30Z") };
    struct rec_routed routed = { .event = slot->id,
                                 .at_ms = clock_wall_ms(),
                                 .abouts = &about,
                                 .n_abouts = 1,
                                 .deliveries = fill.deliveries,
                                 .n_deliveries = left < fill.pieces ? left : fill.pieces };
    for (size_t i = 0; i < routed.n_deliveries; i++) {
        struct rec_delivery *d = &fill.deliveries[i];
        *d = (struct rec_delivery){ .num = delivery_num(slot->id, (unsigned)i),
                                    .state = DS_READY,
                                    .priority = 2, /* normal */
                                    .route = fill.route,
                                    .piece = str_of(fill.piece_names[i]),
                                    .endpoint = fill.endpoint,
                                    .action = fill.action,
                                    .subject = about.subject,
                                    .body = body_of(slot->number) };
        snprintf(number, sizeof(number), "%" PRIu64, d->num);
        sl_str parts[] = { str_of(number), d->route, d->piece };
        digest_parts(parts, 3, full);
        memcpy(d->id, full, sizeof(d->id));
    }
    slot->record = (struct store_record){ .type = REC_ROUTED };
    rec_routed_encode(&slot->record.payload, &routed);
    submit(slot, on_routed, true);
}

static void begin_event(struct slot *slot)
{
    char sender[40];

    slot->number = fill.begun++;
    fill.under_way++;
    snprintf(sender, sizeof(sender), "%012" PRIu64, slot->number);
    struct rec_receipt receipt = { .origin = EO_WEBHOOK,
                                   .received_ms = clock_wall_ms(),
                                   .endpoint = STR("acme-shop"),
                                   .topic = STR("orders/create"),
                                   .sender_id = str_of(sender),
                                   .headers = buf_view(&fill.headers),
                                   .body = body_of(slot->number) };
    slot->record = (struct store_record){ .type = REC_RECEIPT };
    rec_receipt_encode(&slot->record.payload, &receipt);
    submit(slot, on_received, false);
}

/* ---- the command line ---- */

static int usage(void)
{
    fprintf(stderr,
            "usage: bench-lane-fill DIRECTORY DELIVERIES [--endpoint NAME] [--route NAME]\n"
            "           [--action NAME] [--body N] [--keys TEXT] [--pieces N] [--outstanding N]\n");
    return 2;
}

static void options(int argc, char **argv, uint64_t *body_bytes)
{
    static const struct option known[] = {
        { "endpoint", required_argument, NULL, 'e' },    { "route", required_argument, NULL, 'r' },
        { "action", required_argument, NULL, 'a' },      { "body", required_argument, NULL, 'b' },
        { "keys", required_argument, NULL, 'k' },        { "pieces", required_argument, NULL, 'p' },
        { "outstanding", required_argument, NULL, 'o' }, { 0 }
    };
    int o;

    while ((o = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (o == 'e')
            fill.endpoint = str_of(optarg);
        else if (o == 'r')
            fill.route = str_of(optarg);
        else if (o == 'a')
            fill.action = str_of(optarg);
        else if (o == 'b')
            *body_bytes = strtoull(optarg, NULL, 10);
        else if (o == 'k')
            fill.keys = optarg;
        else if (o == 'p')
            fill.pieces = strtoull(optarg, NULL, 10);
        else if (o == 'o')
            fill.outstanding = strtoull(optarg, NULL, 10);
        else
            exit(usage());
    }
    if (!fill.pieces || fill.pieces > PIECES_MOST || !fill.outstanding ||
        fill.outstanding > OUTSTANDING_MOST || *body_bytes < BODY_LEAST ||
        !strchr(fill.keys, '@') || optind + 2 != argc)
        exit(usage());
}

static void prepare(uint64_t body_bytes)
{
    sl_header headers[] = { { STR("Content-Type"), STR("application/json") },
                            { STR("X-Shopify-Topic"), STR("orders/create") },
                            { STR("X-Shopify-Shop-Domain"), STR("example.myshopify.com") } };

    rec_headers_encode(&fill.headers, headers, sizeof(headers) / sizeof(headers[0]));
    fill.number_at = (size_t)(strchr(fill.keys, '@') - fill.keys);
    buf_append(&fill.body, fill.keys, fill.number_at);
    buf_cstr(&fill.body, "000000000000");
    buf_cstr(&fill.body, fill.keys + fill.number_at + 1);
    while (fill.body.len < body_bytes - 2)
        buf_cstr(&fill.body, "x");
    buf_cstr(&fill.body, "\"}");
    for (size_t i = 0; i < fill.pieces && fill.pieces > 1; i++)
        snprintf(fill.piece_names[i], sizeof(fill.piece_names[i]), "%zu", i);
}

int main(int argc, char **argv)
{
    uint64_t started_us = clock_mono_us(), body_bytes = 256;
    struct store_conf conf;
    struct fail fail = { 0 };

    options(argc, argv, &body_bytes);
    fill.deliveries_wanted = strtoull(argv[optind + 1], NULL, 10);
    fill.events = (fill.deliveries_wanted + fill.pieces - 1) / fill.pieces;
    if (!fill.events)
        return usage();
    prepare(body_bytes);
    store_defaults(&conf);
    conf.path = argv[optind];
    if (uv_loop_init(&fill.loop) < 0 || store_open(&fill.store, &fill.loop, &conf, &fail) < 0)
        die("cannot open", fail.text);
    for (uint64_t i = 0; i < fill.outstanding && fill.begun < fill.events; i++)
        begin_event(&fill.slots[i]);
    uv_run(&fill.loop, UV_RUN_DEFAULT);
    printf("{\"deliveries\":%" PRIu64 ",\"seconds\":%.3f,\"rss_mb\":%.1f}\n",
           fill.deliveries_wanted, (double)(clock_mono_us() - started_us) / 1e6, rss_mb());
    buf_finish(&fill.headers);
    buf_finish(&fill.body);
    return uv_loop_close(&fill.loop) == 0 ? 0 : 1;
}
