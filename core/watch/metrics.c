/*
 * metrics.c - the Prometheus page. Labels are endpoints of the configuration and fixed words, never
 * shops, orders or addresses.
 */
#include "base/clock.h"
#include "store/backup.h"
#include "watch/watch_int.h"

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
    buf_printf(b, "# HELP sluice_%s %s\n# TYPE sluice_%s %s\n", name, help, name, type);
}

static void plain(struct buf *b, const char *name, const char *type, const char *help, uint64_t v)
{
    head(b, name, type, help);
    buf_printf(b, "sluice_%s %" PRIu64 "\n", name, v);
}

static void intake(struct buf *b, const struct flow_stats *s)
{
    const struct {
        const char *result;
        uint64_t n;
    } results[] = {
        { "received", s->received },
        { "duplicate", s->duplicates },
        { "bad_signature", s->bad_signature },
        { "malformed", s->malformed },
        { "too_large", s->too_large },
        { "unknown_path", s->unknown_path },
        { "refused", s->refused },
    };

    head(b, "webhooks_total", "counter", "Requests at the intake listener by what became of them.");
    for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++)
        buf_printf(b, "sluice_webhooks_total{result=\"%s\"} %" PRIu64 "\n", results[i].result,
                   results[i].n);
    plain(b, "events_routed_total", "counter", "Events whose deliveries were recorded.", s->routed);
    plain(b, "events_same_total", "counter",
          "Events found to repeat an earlier one under a new id.", s->same_events);
    plain(b, "events_emitted_total", "counter", "Events that outcomes caused.", s->emitted);
    plain(b, "events_looked_up_total", "counter",
          "Events that had not come and were found at their source.", s->looked_up);
    plain(b, "events_polled_total", "counter", "Events that feeds found.", s->polled);
    plain(b, "events_missed_total", "counter",
          "Events that had not come by themselves and were found by reconciliation.", s->missed);
    plain(b, "events_late_total", "counter",
          "Events that came after reconciliation had found what they say.", s->late);
    plain(b, "resolve_calls_total", "counter", "Questions what foreign ids of events belong to.",
          s->resolve_calls);
    plain(b, "resolve_ids_total", "counter", "Foreign ids in them.", s->resolve_refs);
    plain(b, "find_calls_total", "counter", "Questions for rows that routes are `with`.",
          s->find_calls);
    plain(b, "find_keys_total", "counter", "Keys in these questions.", s->find_keys);
    plain(b, "find_hits_total", "counter", "Keys of events that needed no question.", s->find_hits);
    plain(b, "routing_errors_total", "counter", "Events or pieces that could not be routed.",
          s->routing_errors);
    plain(b, "router_events", "gauge", "Events in memory that are not routed yet.",
          s->router_queue);
    plain(b, "deadlines_total", "counter", "Deadlines that began with a delivery.", s->deadlines);
    plain(b, "deadlines_met_total", "counter", "Deadlines met by the event they expected.",
          s->deadlines_met);
    plain(b, "deadlines_missed_total", "counter", "Deadlines whose event did not come in time.",
          s->deadlines_missed);
    plain(b, "events_waiting_for_link", "gauge", "Events whose subject is not known yet.",
          s->waiting_for_link);
}

static void connections(struct buf *b, const struct http_server *intake)
{
    plain(b, "connections", "gauge", "Open connections of the intake listener.",
          http_server_connections(intake));
    plain(b, "connections_turned_away_total", "counter",
          "Connections closed because their address had too many.",
          http_server_turned_away(intake));
}

static void store(struct buf *b, const struct store_stats *s, int64_t backup_ms)
{
    plain(b, "store_failed", "gauge", "1: the store has latched failed; restart after mending it.",
          s->failed);
    plain(b, "store_disk_low", "gauge", "1: free space is below the reserve; webhooks get 503.",
          s->disk_low);
    plain(b, "store_records_total", "counter", "Records in the log since the start.", s->records);
    plain(b, "store_commits_total", "counter", "Group commits of the log.", s->commits);
    head(b, "store_commit_seconds_total", "counter", "Time spent in group commits.");
    buf_printf(b, "sluice_store_commit_seconds_total %.6f\n", (double)s->commit_us_sum / 1e6);
    plain(b, "store_queue_bytes", "gauge", "Bytes waiting for the disk.", s->queue_bytes);
    plain(b, "store_index_lag_records", "gauge", "How far the index is behind the log.",
          s->log_seq - s->index_seq);
    head(b, "store_wait_seconds", "gauge",
         "How long what comes in now would wait for the disk; over 3 s webhooks get 503.");
    buf_printf(b, "sluice_store_wait_seconds %.3f\n", (double)s->wait_ms / 1e3);
    plain(b, "store_first_record", "gauge", "The oldest record that the log keeps.", s->first_seq);
    plain(b, "store_segments", "gauge", "Files of the log.", s->segments);
    plain(b, "store_keys_bytes", "gauge", "Memory that duplicates are known by.", s->keys_bytes);
    plain(b, "store_damaged_records", "gauge",
          "Records that were durable and cannot be read; see sluice db check.", s->damaged);
    plain(b, "store_doubled_deliveries", "gauge",
          "Second deliveries of one event, route and piece that the index refused; none is right.",
          s->doubled);
    head(b, "store_backup_timestamp_seconds", "gauge",
         "When the last whole backup since the start began; 0: there was none.");
    buf_printf(b, "sluice_store_backup_timestamp_seconds %.3f\n", (double)backup_ms / 1e3);
    head(b, "issues", "gauge", "What dead letters have in common, and is not resolved.");
    buf_printf(b,
               "sluice_issues{state=\"open\"} %" PRIu64
               "\nsluice_issues{state=\"acknowledged\"} %" PRIu64 "\n",
               s->issues_open, s->issues_acknowledged);
    plain(b, "issues_dead_letters", "gauge", "Dead letters of issues that are not resolved.",
          s->issues_dead);
    plain(b, "store_housekeeping_errors_total", "counter",
          "Steps of housekeeping that failed and were tried again later.", s->keeper_errors);
}

/** One metric over all lanes. */
static void lanes(struct buf *b, const struct flow *f, const char *name, const char *type,
                  const char *help, size_t offset)
{
    struct lane_stats s;

    head(b, name, type, help);
    for (size_t i = 0; i < flow_lanes(f); i++) {
        flow_lane_stats(f, i, &s);
        buf_printf(b, "sluice_%s{endpoint=\"%s\"} %" PRIu64 "\n", name, s.endpoint,
                   *(const uint64_t *)((const char *)&s + offset));
    }
}

static void lane_states(struct buf *b, const struct flow *f)
{
    struct lane_stats s;

    head(b, "lane_deliveries", "gauge", "Deliveries in memory by state.");
    for (size_t i = 0; i < flow_lanes(f); i++) {
        flow_lane_stats(f, i, &s);
        const struct {
            const char *state;
            uint64_t n;
        } states[] = { { "ready", s.ready },
                       { "inflight", s.inflight },
                       { "waiting", s.waiting },
                       { "unknown", s.unknown },
                       { "held", s.held } };
        for (size_t k = 0; k < sizeof(states) / sizeof(states[0]); k++)
            buf_printf(b, "sluice_lane_deliveries{endpoint=\"%s\",state=\"%s\"} %" PRIu64 "\n",
                       s.endpoint, states[k].state, states[k].n);
    }
    head(b, "lane_oldest_timestamp_seconds", "gauge",
         "When the event of the oldest ready delivery was received; 0: none is ready.");
    head(b, "breaker_open", "gauge", "1: the breaker is open or half-open.");
    head(b, "endpoint_paused", "gauge", "1: a person has paused or drained the endpoint.");
    head(b, "endpoint_parked", "gauge", "1: the endpoint cannot be used at all at the moment.");
    for (size_t i = 0; i < flow_lanes(f); i++) {
        flow_lane_stats(f, i, &s);
        buf_printf(b,
                   "sluice_lane_oldest_timestamp_seconds{endpoint=\"%s\"} %.3f\n"
                   "sluice_breaker_open{endpoint=\"%s\"} %d\n"
                   "sluice_endpoint_paused{endpoint=\"%s\"} %d\n"
                   "sluice_endpoint_parked{endpoint=\"%s\"} %d\n",
                   s.endpoint, (double)s.oldest_ms / 1e3, s.endpoint, s.breaker[0] != 'c',
                   s.endpoint, s.pause.paused, s.endpoint, s.parked);
    }
}

static void lane_sources(struct buf *b, const struct flow *f)
{
    struct lane_stats s;

    head(b, "webhooks_signed_total", "counter",
         "Webhooks by the secret that signed them, counted as they are listed.");
    head(b, "webhooks_signed_timestamp_seconds", "gauge", "When one last came; 0: none has.");
    head(b, "resolving_ids", "gauge",
         "Foreign ids that events wait for, and that the endpoint is asked for.");
    for (size_t i = 0; i < flow_lanes(f); i++) {
        flow_lane_stats(f, i, &s);
        for (size_t k = 0; k < s.n_secrets; k++)
            buf_printf(b,
                       "sluice_webhooks_signed_total{endpoint=\"%s\",secret=\"%zu\"} %" PRIu64
                       "\n"
                       "sluice_webhooks_signed_timestamp_seconds{endpoint=\"%s\",secret=\"%zu\"}"
                       " %.3f\n",
                       s.endpoint, k + 1, s.signed_by[k].webhooks, s.endpoint, k + 1,
                       (double)s.signed_by[k].last_ms / 1e3);
        buf_printf(b, "sluice_resolving_ids{endpoint=\"%s\"} %zu\n", s.endpoint, s.resolving);
    }
}

static void routes(struct buf *b, const struct flow *f)
{
    struct route_stats s;

    head(b, "route_paused", "gauge", "1: paused by a person, or by the errors of its program.");
    for (size_t i = 0; i < flow_routes(f); i++) {
        flow_route_stats(f, i, &s);
        buf_printf(b,
                   "sluice_route_paused{route=\"%s\",by=\"person\"} %d\n"
                   "sluice_route_paused{route=\"%s\",by=\"errors\"} %d\n",
                   s.route, s.pause.paused, s.route, s.failing);
    }
}

static void put_feed(void *ctx, const struct feed_stats *s)
{
    struct buf *b = ctx;

    buf_printf(b,
               "sluice_feed_rows_total{endpoint=\"%s\",feed=\"%s\"} %" PRIu64
               "\n"
               "sluice_feed_known_total{endpoint=\"%s\",feed=\"%s\"} %" PRIu64
               "\n"
               "sluice_feed_failures{endpoint=\"%s\",feed=\"%s\"} %" PRIu32
               "\n"
               "sluice_feed_good_timestamp_seconds{endpoint=\"%s\",feed=\"%s\"} %.3f\n",
               s->endpoint, s->feed, s->rows, s->endpoint, s->feed, s->known, s->endpoint, s->feed,
               s->failures, s->endpoint, s->feed, (double)s->good_ms / 1e3);
}

static void feeds(struct buf *b, const struct flow *f)
{
    head(b, "feed_rows_total", "counter", "Events that a feed found and that were new.");
    head(b, "feed_known_total", "counter", "What a feed found and was known already.");
    head(b, "feed_failures", "gauge", "Polls of a feed that failed in a row.");
    head(b, "feed_good_timestamp_seconds", "gauge",
         "When a poll of the feed last ended well; 0: none has.");
    flow_feed_each(f, put_feed, b);
}

static void privacy(struct buf *b, const struct flow *f)
{
    struct privacy_stats s;

    flow_privacy_stats(f, &s);
    head(b, "privacy_requests", "gauge",
         "What was asked about persons and has not ended: to be erased, erased but for the log, to "
         "be handed out by somebody.");
    buf_printf(b,
               "sluice_privacy_requests{state=\"erase\"} %" PRIu64
               "\nsluice_privacy_requests{state=\"in_log\"} %" PRIu64
               "\nsluice_privacy_requests{state=\"hand_out\"} %" PRIu64 "\n",
               s.erase, s.log, s.hand_out);
    plain(b, "privacy_events_under_way", "gauge",
          "Events that erasures wait for: something of them is still to be sent.", s.under_way);
    plain(b, "privacy_events_erased_total", "counter", "Events erased since the start.", s.erased);
    plain(b, "privacy_requests_done_total", "counter", "Requests done since the start.", s.done);
}

static void lane_lag(struct buf *b, const struct flow *f)
{
    struct lane_stats s;

    head(b, "delivery_lag_seconds", "histogram", "From an event's receipt to its delivery.");
    for (size_t i = 0; i < flow_lanes(f); i++) {
        uint64_t sum = 0;
        flow_lane_stats(f, i, &s);
        for (unsigned k = 0; k < 15; k++) {
            sum += s.lag_ms_buckets[k];
            buf_printf(
                b, "sluice_delivery_lag_seconds_bucket{endpoint=\"%s\",le=\"%.2f\"} %" PRIu64 "\n",
                s.endpoint, (double)(10u << k) / 1e3, sum);
        }
        sum += s.lag_ms_buckets[15];
        buf_printf(b,
                   "sluice_delivery_lag_seconds_bucket{endpoint=\"%s\",le=\"+Inf\"} %" PRIu64
                   "\n"
                   "sluice_delivery_lag_seconds_sum{endpoint=\"%s\"} %.3f\n"
                   "sluice_delivery_lag_seconds_count{endpoint=\"%s\"} %" PRIu64 "\n",
                   s.endpoint, sum, s.endpoint, (double)s.lag_ms_sum / 1e3, s.endpoint, sum);
    }
}

void watch_metrics(struct watch *w, struct buf *out)
{
    struct flow_stats fs;
    struct store_stats ss;
    struct backup_status bs;
    struct mapper_stats ms;

    head(out, "build_info", "gauge", "The running version.");
    buf_printf(out, "sluice_build_info{version=\"%s\"} 1\n", SLUICE_VERSION);
    head(out, "config_reloads_total", "counter", "Reloads of the configuration by their verdict.");
    buf_printf(out,
               "sluice_config_reloads_total{result=\"done\"} %" PRIu64
               "\n"
               "sluice_config_reloads_total{result=\"refused\"} %" PRIu64 "\n",
               w->reloads, w->reloads_refused);
    head(out, "config_timestamp_seconds", "gauge", "When the configuration in force was read.");
    buf_printf(out, "sluice_config_timestamp_seconds %.3f\n", (double)w->reloaded_ms / 1e3);
    if (!w->flow)
        return;
    flow_stats(w->flow, &fs);
    intake(out, &fs);
    if (w->intake)
        connections(out, w->intake);
    store_stats(w->store, &ss);
    store_backup_status(w->store, &bs);
    store(out, &ss, bs.good_ms);
    mapper_stats(w->mapper, &ms);
    plain(out, "map_jobs_total", "counter", "Events given to the mapping workers.", ms.jobs);
    plain(out, "map_worker_deaths_total", "counter", "Mapping workers that died or were killed.",
          ms.deaths);
    plain(out, "map_workers", "gauge", "Mapping workers that are up.", ms.workers_up);
    lane_states(out, w->flow);
    lane_sources(out, w->flow);
    routes(out, w->flow);
    feeds(out, w->flow);
    privacy(out, w->flow);
    lane_lag(out, w->flow);
#define LANES(name, type, help, field) \
    lanes(out, w->flow, name, type, help, offsetof(struct lane_stats, field))
    LANES("deliveries_delivered_total", "counter", "Deliveries that arrived.", delivered);
    LANES("deliveries_dead_total", "counter", "Deliveries that became dead letters.", dead);
    LANES("attempts_total", "counter", "Records handed to the adapter.", attempts);
    LANES("retries_total", "counter", "Attempts that failed and are tried again.", retries);
    LANES("retries_delayed_total", "counter", "Retries that waited for the endpoint's budget.",
          retries_delayed);
    LANES("throttled_total", "counter", "Attempts refused for pace.", throttled);
    LANES("unknown_total", "counter", "Attempts whose outcome was not known.", unknowns);
    LANES("confirms_total", "counter", "Questions whether something arrived.", confirms);
    LANES("http_calls_total", "counter", "HTTP requests of the adapter.", calls);
    LANES("breaker_trips_total", "counter", "How often the breaker opened.", breaker_trips);
#undef LANES
}
