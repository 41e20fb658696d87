/*
 * layout.c - the plugin ABI as a plugin was built against it: sizes, offsets and constants that
 * stay, for ever. It need not run: the compiler refuses it when one of them changed.
 *
 * The assertions are renewed by tests/abi/offsets.py --write tests/abi/layout.c, and only after a
 * change that was meant; offsets.py says which change breaks what.
 */
#include <sluice/sluice.h>

#define CHANGED ": the plugin ABI changed; if that is meant, run tests/abi/offsets.py (it says how)"

#define CHECK_VALUE(name, value) _Static_assert((name) == (value), #name CHANGED)
#define CHECK_SIZE(type, bytes)  _Static_assert(sizeof(type) == (bytes), "sizeof " #type CHANGED)
#define CHECK_OFFSET(type, field, bytes) \
    _Static_assert(offsetof(type, field) == (bytes), #type "." #field CHANGED)

#ifdef __LP64__ /* Sluice's own platforms; the numbers are theirs */
/* clang-format off */
/* from offsets.py */
CHECK_VALUE(SL_ABI_MAJOR, 0);
CHECK_VALUE(SL_ACTION_CANCEL, 8);
CHECK_VALUE(SL_ACTION_IDEMPOTENT, 1);
CHECK_VALUE(SL_ACTION_ONCE, 2);
CHECK_VALUE(SL_ACTION_UPSERT, 4);
CHECK_VALUE(SL_ASK_ERASE, 1);
CHECK_VALUE(SL_ASK_HAND_OUT, 2);
CHECK_VALUE(SL_ASK_STOP, 3);
CHECK_VALUE(SL_BUDGET_LEAKY, 2);
CHECK_VALUE(SL_BUDGET_MAX, 1000000000000);
CHECK_VALUE(SL_BUDGET_POINTS, 3);
CHECK_VALUE(SL_BUDGET_QUOTA, 4);
CHECK_VALUE(SL_BUDGET_REQUESTS, 1);
CHECK_VALUE(SL_COMPARED_DIFFERS, 3);
CHECK_VALUE(SL_COMPARED_MISSING, 2);
CHECK_VALUE(SL_COMPARED_SAME, 1);
CHECK_VALUE(SL_COMPARED_UNSURE, 4);
CHECK_VALUE(SL_CONFIRM_AGAIN, 5);
CHECK_VALUE(SL_CONFIRM_EARLY, 3);
CHECK_VALUE(SL_CONFIRM_NO, 2);
CHECK_VALUE(SL_CONFIRM_UNSURE, 4);
CHECK_VALUE(SL_CONFIRM_YES, 1);
CHECK_VALUE(SL_COST_MAX, 1000000);
CHECK_VALUE(SL_DELIVERED, 1);
CHECK_VALUE(SL_E_CANCELLED, -11);
CHECK_VALUE(SL_E_DNS, -9);
CHECK_VALUE(SL_E_INTERNAL, -12);
CHECK_VALUE(SL_E_INVALID, -1);
CHECK_VALUE(SL_E_LIMIT, -4);
CHECK_VALUE(SL_E_NETWORK, -6);
CHECK_VALUE(SL_E_NOT_FOUND, -2);
CHECK_VALUE(SL_E_NO_MEMORY, -3);
CHECK_VALUE(SL_E_PROTOCOL, -10);
CHECK_VALUE(SL_E_TIMEOUT, -7);
CHECK_VALUE(SL_E_TLS, -8);
CHECK_VALUE(SL_E_UNSUPPORTED, -5);
CHECK_VALUE(SL_FEED_MAX_BYTES, 4194304);
CHECK_VALUE(SL_FEED_MAX_CURSOR, 65536);
CHECK_VALUE(SL_FEED_MAX_EVENTS, 1000);
CHECK_VALUE(SL_FEED_SWEEP, 1);
CHECK_VALUE(SL_FINDING_ERROR, 2);
CHECK_VALUE(SL_FINDING_GOOD, 0);
CHECK_VALUE(SL_FINDING_WARN, 1);
CHECK_VALUE(SL_FIND_AGAIN, 2);
CHECK_VALUE(SL_FIND_DONE, 1);
CHECK_VALUE(SL_FIND_REFUSED, 3);
CHECK_VALUE(SL_FOUND_BY_RECONCILIATION, 1);
CHECK_VALUE(SL_FOUND_LIVE, 0);
CHECK_VALUE(SL_LOG_DEBUG, 3);
CHECK_VALUE(SL_LOG_ERROR, 0);
CHECK_VALUE(SL_LOG_INFO, 2);
CHECK_VALUE(SL_LOG_WARN, 1);
CHECK_VALUE(SL_LOOKUP_AGAIN, 3);
CHECK_VALUE(SL_LOOKUP_FOUND, 1);
CHECK_VALUE(SL_LOOKUP_NONE, 2);
CHECK_VALUE(SL_OK, 0);
CHECK_VALUE(SL_OPT_BOOL, 3);
CHECK_VALUE(SL_OPT_DURATION, 4);
CHECK_VALUE(SL_OPT_ENUM, 6);
CHECK_VALUE(SL_OPT_INT, 2);
CHECK_VALUE(SL_OPT_INTS, 11);
CHECK_VALUE(SL_OPT_JQ, 13);
CHECK_VALUE(SL_OPT_MAP, 12);
CHECK_VALUE(SL_OPT_POINTER, 14);
CHECK_VALUE(SL_OPT_REQUIRED, 1);
CHECK_VALUE(SL_OPT_SECRET, 8);
CHECK_VALUE(SL_OPT_SECRETS, 9);
CHECK_VALUE(SL_OPT_SIZE, 5);
CHECK_VALUE(SL_OPT_STRING, 1);
CHECK_VALUE(SL_OPT_STRINGS, 10);
CHECK_VALUE(SL_OPT_URL, 7);
CHECK_VALUE(SL_PRIORITY_CRITICAL, 0);
CHECK_VALUE(SL_PRIORITY_HIGH, 1);
CHECK_VALUE(SL_PRIORITY_LOW, 3);
CHECK_VALUE(SL_PRIORITY_NORMAL, 2);
CHECK_VALUE(SL_RECALL_MAX, 1000);
CHECK_VALUE(SL_REJECTED, 4);
CHECK_VALUE(SL_RESOLVE_AGAIN, 2);
CHECK_VALUE(SL_RESOLVE_DONE, 1);
CHECK_VALUE(SL_RESOLVE_MAX, 50);
CHECK_VALUE(SL_RETRY, 2);
CHECK_VALUE(SL_REVIEW, 5);
CHECK_VALUE(SL_SIGNED_HMAC_SHA256, 1);
CHECK_VALUE(SL_SIGNED_NOT, 0);
CHECK_VALUE(SL_THROTTLED, 3);
CHECK_VALUE(SL_UNKNOWN, 6);
CHECK_VALUE(SL_VERIFY_MAX_SECRETS, 8);

CHECK_SIZE(sl_str, 16);
CHECK_OFFSET(sl_str, ptr, 0);
CHECK_OFFSET(sl_str, len, 8);

CHECK_SIZE(sl_fail, 520);
CHECK_OFFSET(sl_fail, size, 0);
CHECK_OFFSET(sl_fail, _reserved, 4);
CHECK_OFFSET(sl_fail, text, 8);

CHECK_SIZE(sl_header, 32);
CHECK_OFFSET(sl_header, name, 0);
CHECK_OFFSET(sl_header, value, 16);

CHECK_SIZE(sl_option, 56);
CHECK_OFFSET(sl_option, name, 0);
CHECK_OFFSET(sl_option, type, 8);
CHECK_OFFSET(sl_option, flags, 12);
CHECK_OFFSET(sl_option, deflt, 16);
CHECK_OFFSET(sl_option, min, 24);
CHECK_OFFSET(sl_option, max, 32);
CHECK_OFFSET(sl_option, choices, 40);
CHECK_OFFSET(sl_option, help, 48);

CHECK_SIZE(sl_values_api, 48);
CHECK_OFFSET(sl_values_api, size, 0);
CHECK_OFFSET(sl_values_api, _reserved, 4);
CHECK_OFFSET(sl_values_api, str, 8);
CHECK_OFFSET(sl_values_api, num, 16);
CHECK_OFFSET(sl_values_api, json, 24);
CHECK_OFFSET(sl_values_api, secret, 32);
CHECK_OFFSET(sl_values_api, given, 40);

CHECK_SIZE(sl_event, 104);
CHECK_OFFSET(sl_event, size, 0);
CHECK_OFFSET(sl_event, _reserved, 4);
CHECK_OFFSET(sl_event, id, 8);
CHECK_OFFSET(sl_event, received_ms, 16);
CHECK_OFFSET(sl_event, endpoint, 24);
CHECK_OFFSET(sl_event, topic, 40);
CHECK_OFFSET(sl_event, sender_id, 56);
CHECK_OFFSET(sl_event, headers, 72);
CHECK_OFFSET(sl_event, n_headers, 80);
CHECK_OFFSET(sl_event, body, 88);

CHECK_SIZE(sl_ref, 32);
CHECK_OFFSET(sl_ref, kind, 0);
CHECK_OFFSET(sl_ref, id, 16);

CHECK_SIZE(sl_ask, 96);
CHECK_OFFSET(sl_ask, size, 0);
CHECK_OFFSET(sl_ask, kind, 4);
CHECK_OFFSET(sl_ask, who, 8);
CHECK_OFFSET(sl_ask, why, 24);
CHECK_OFFSET(sl_ask, subjects, 40);
CHECK_OFFSET(sl_ask, n_subjects, 48);
CHECK_OFFSET(sl_ask, refs, 56);
CHECK_OFFSET(sl_ask, n_refs, 64);
CHECK_OFFSET(sl_ask, values, 72);
CHECK_OFFSET(sl_ask, n_values, 80);
CHECK_OFFSET(sl_ask, everything, 88);
CHECK_OFFSET(sl_ask, _reserved, 92);

CHECK_SIZE(sl_describe_out, 48);
CHECK_OFFSET(sl_describe_out, size, 0);
CHECK_OFFSET(sl_describe_out, _reserved, 4);
CHECK_OFFSET(sl_describe_out, ctx, 8);
CHECK_OFFSET(sl_describe_out, subject, 16);
CHECK_OFFSET(sl_describe_out, note, 24);
CHECK_OFFSET(sl_describe_out, link, 32);
CHECK_OFFSET(sl_describe_out, ask, 40);

CHECK_SIZE(sl_head, 72);
CHECK_OFFSET(sl_head, size, 0);
CHECK_OFFSET(sl_head, _reserved, 4);
CHECK_OFFSET(sl_head, method, 8);
CHECK_OFFSET(sl_head, rest, 24);
CHECK_OFFSET(sl_head, query, 40);
CHECK_OFFSET(sl_head, headers, 56);
CHECK_OFFSET(sl_head, n_headers, 64);

CHECK_SIZE(sl_verdict, 248);
CHECK_OFFSET(sl_verdict, size, 0);
CHECK_OFFSET(sl_verdict, scheme, 4);
CHECK_OFFSET(sl_verdict, topic, 8);
CHECK_OFFSET(sl_verdict, sender_id, 24);
CHECK_OFFSET(sl_verdict, signature, 40);
CHECK_OFFSET(sl_verdict, signature_len, 104);
CHECK_OFFSET(sl_verdict, n_secrets, 112);
CHECK_OFFSET(sl_verdict, secrets, 120);

CHECK_SIZE(sl_ack, 24);
CHECK_OFFSET(sl_ack, size, 0);
CHECK_OFFSET(sl_ack, status, 4);
CHECK_OFFSET(sl_ack, content_type, 8);
CHECK_OFFSET(sl_ack, body, 16);

CHECK_SIZE(sl_served, 32);
CHECK_OFFSET(sl_served, size, 0);
CHECK_OFFSET(sl_served, status, 4);
CHECK_OFFSET(sl_served, content_type, 8);
CHECK_OFFSET(sl_served, body, 16);

CHECK_SIZE(sl_unpack_out, 40);
CHECK_OFFSET(sl_unpack_out, size, 0);
CHECK_OFFSET(sl_unpack_out, _reserved, 4);
CHECK_OFFSET(sl_unpack_out, ctx, 8);
CHECK_OFFSET(sl_unpack_out, event, 16);
CHECK_OFFSET(sl_unpack_out, answer, 24);
CHECK_OFFSET(sl_unpack_out, follow, 32);

CHECK_SIZE(sl_action, 40);
CHECK_OFFSET(sl_action, name, 0);
CHECK_OFFSET(sl_action, flags, 8);
CHECK_OFFSET(sl_action, batch_records, 12);
CHECK_OFFSET(sl_action, batch_bytes, 16);
CHECK_OFFSET(sl_action, params, 24);
CHECK_OFFSET(sl_action, help, 32);

CHECK_SIZE(sl_batching, 32);
CHECK_OFFSET(sl_batching, size, 0);
CHECK_OFFSET(sl_batching, quick_records, 4);
CHECK_OFFSET(sl_batching, records, 8);
CHECK_OFFSET(sl_batching, chunk, 12);
CHECK_OFFSET(sl_batching, age_ms, 16);
CHECK_OFFSET(sl_batching, quick_ms, 24);

CHECK_SIZE(sl_record, 136);
CHECK_OFFSET(sl_record, size, 0);
CHECK_OFFSET(sl_record, attempt, 4);
CHECK_OFFSET(sl_record, delivery, 8);
CHECK_OFFSET(sl_record, key, 24);
CHECK_OFFSET(sl_record, subject, 40);
CHECK_OFFSET(sl_record, piece, 56);
CHECK_OFFSET(sl_record, topic, 72);
CHECK_OFFSET(sl_record, body, 88);
CHECK_OFFSET(sl_record, request, 104);
CHECK_OFFSET(sl_record, first_sent_ms, 120);
CHECK_OFFSET(sl_record, last_sent_ms, 128);

CHECK_SIZE(sl_batch, 56);
CHECK_OFFSET(sl_batch, size, 0);
CHECK_OFFSET(sl_batch, _reserved, 4);
CHECK_OFFSET(sl_batch, id, 8);
CHECK_OFFSET(sl_batch, records, 16);
CHECK_OFFSET(sl_batch, n_records, 24);
CHECK_OFFSET(sl_batch, oldest_ms, 32);
CHECK_OFFSET(sl_batch, priority, 40);
CHECK_OFFSET(sl_batch, _reserved2, 44);
CHECK_OFFSET(sl_batch, choices, 48);

CHECK_SIZE(sl_link, 32);
CHECK_OFFSET(sl_link, kind, 0);
CHECK_OFFSET(sl_link, id, 16);

CHECK_SIZE(sl_emit, 32);
CHECK_OFFSET(sl_emit, topic, 0);
CHECK_OFFSET(sl_emit, body, 16);

CHECK_SIZE(sl_fact, 32);
CHECK_OFFSET(sl_fact, key, 0);
CHECK_OFFSET(sl_fact, value, 16);

CHECK_SIZE(sl_facts, 40);
CHECK_OFFSET(sl_facts, size, 0);
CHECK_OFFSET(sl_facts, _reserved, 4);
CHECK_OFFSET(sl_facts, space, 8);
CHECK_OFFSET(sl_facts, facts, 24);
CHECK_OFFSET(sl_facts, n_facts, 32);

CHECK_SIZE(sl_outcome, 160);
CHECK_OFFSET(sl_outcome, size, 0);
CHECK_OFFSET(sl_outcome, kind, 4);
CHECK_OFFSET(sl_outcome, after_ms, 8);
CHECK_OFFSET(sl_outcome, status, 16);
CHECK_OFFSET(sl_outcome, not_sent, 20);
CHECK_OFFSET(sl_outcome, why, 24);
CHECK_OFFSET(sl_outcome, reference, 40);
CHECK_OFFSET(sl_outcome, links, 56);
CHECK_OFFSET(sl_outcome, n_links, 64);
CHECK_OFFSET(sl_outcome, emits, 72);
CHECK_OFFSET(sl_outcome, n_emits, 80);
CHECK_OFFSET(sl_outcome, found, 88);
CHECK_OFFSET(sl_outcome, _reserved, 92);
CHECK_OFFSET(sl_outcome, hold_type, 96);
CHECK_OFFSET(sl_outcome, choices, 112);
CHECK_OFFSET(sl_outcome, evidence, 128);
CHECK_OFFSET(sl_outcome, narrow, 144);
CHECK_OFFSET(sl_outcome, _reserved2, 148);
CHECK_OFFSET(sl_outcome, facts, 152);

CHECK_SIZE(sl_done, 56);
CHECK_OFFSET(sl_done, size, 0);
CHECK_OFFSET(sl_done, _reserved, 4);
CHECK_OFFSET(sl_done, ctx, 8);
CHECK_OFFSET(sl_done, outcome, 16);
CHECK_OFFSET(sl_done, checkpoint, 24);
CHECK_OFFSET(sl_done, park, 32);
CHECK_OFFSET(sl_done, finish, 40);
CHECK_OFFSET(sl_done, settled, 48);

CHECK_SIZE(sl_confirmed, 88);
CHECK_OFFSET(sl_confirmed, size, 0);
CHECK_OFFSET(sl_confirmed, verdict, 4);
CHECK_OFFSET(sl_confirmed, after_ms, 8);
CHECK_OFFSET(sl_confirmed, why, 16);
CHECK_OFFSET(sl_confirmed, reference, 32);
CHECK_OFFSET(sl_confirmed, links, 48);
CHECK_OFFSET(sl_confirmed, n_links, 56);
CHECK_OFFSET(sl_confirmed, emits, 64);
CHECK_OFFSET(sl_confirmed, n_emits, 72);
CHECK_OFFSET(sl_confirmed, found, 80);
CHECK_OFFSET(sl_confirmed, _reserved, 84);

CHECK_SIZE(sl_lookup, 40);
CHECK_OFFSET(sl_lookup, size, 0);
CHECK_OFFSET(sl_lookup, _reserved, 4);
CHECK_OFFSET(sl_lookup, topic, 8);
CHECK_OFFSET(sl_lookup, subject, 24);

CHECK_SIZE(sl_looked_up, 48);
CHECK_OFFSET(sl_looked_up, size, 0);
CHECK_OFFSET(sl_looked_up, verdict, 4);
CHECK_OFFSET(sl_looked_up, after_ms, 8);
CHECK_OFFSET(sl_looked_up, why, 16);
CHECK_OFFSET(sl_looked_up, body, 32);

CHECK_SIZE(sl_resolved_ref, 32);
CHECK_OFFSET(sl_resolved_ref, subject, 0);
CHECK_OFFSET(sl_resolved_ref, otherwise, 16);

CHECK_SIZE(sl_resolved, 40);
CHECK_OFFSET(sl_resolved, size, 0);
CHECK_OFFSET(sl_resolved, verdict, 4);
CHECK_OFFSET(sl_resolved, after_ms, 8);
CHECK_OFFSET(sl_resolved, why, 16);
CHECK_OFFSET(sl_resolved, refs, 32);

CHECK_SIZE(sl_feed, 32);
CHECK_OFFSET(sl_feed, name, 0);
CHECK_OFFSET(sl_feed, params, 8);
CHECK_OFFSET(sl_feed, help, 16);
CHECK_OFFSET(sl_feed, flags, 24);
CHECK_OFFSET(sl_feed, _reserved, 28);

CHECK_SIZE(sl_missed, 72);
CHECK_OFFSET(sl_missed, size, 0);
CHECK_OFFSET(sl_missed, _reserved, 4);
CHECK_OFFSET(sl_missed, topic, 8);
CHECK_OFFSET(sl_missed, body, 24);
CHECK_OFFSET(sl_missed, unless, 40);
CHECK_OFFSET(sl_missed, since, 56);

CHECK_SIZE(sl_backfill, 40);
CHECK_OFFSET(sl_backfill, size, 0);
CHECK_OFFSET(sl_backfill, _reserved, 4);
CHECK_OFFSET(sl_backfill, topics, 8);
CHECK_OFFSET(sl_backfill, since_ms, 24);
CHECK_OFFSET(sl_backfill, until_ms, 32);

CHECK_SIZE(sl_poll_out, 80);
CHECK_OFFSET(sl_poll_out, size, 0);
CHECK_OFFSET(sl_poll_out, _reserved, 4);
CHECK_OFFSET(sl_poll_out, ctx, 8);
CHECK_OFFSET(sl_poll_out, feed, 16);
CHECK_OFFSET(sl_poll_out, emit, 32);
CHECK_OFFSET(sl_poll_out, checkpoint, 40);
CHECK_OFFSET(sl_poll_out, finish, 48);
CHECK_OFFSET(sl_poll_out, emit_missed, 56);
CHECK_OFFSET(sl_poll_out, progress, 64);
CHECK_OFFSET(sl_poll_out, finding, 72);

CHECK_SIZE(sl_compare_out, 32);
CHECK_OFFSET(sl_compare_out, size, 0);
CHECK_OFFSET(sl_compare_out, _reserved, 4);
CHECK_OFFSET(sl_compare_out, ctx, 8);
CHECK_OFFSET(sl_compare_out, record, 16);
CHECK_OFFSET(sl_compare_out, finish, 24);

CHECK_SIZE(sl_comparing, 16);
CHECK_OFFSET(sl_comparing, size, 0);
CHECK_OFFSET(sl_comparing, records, 4);
CHECK_OFFSET(sl_comparing, bytes, 8);

CHECK_SIZE(sl_http_request, 96);
CHECK_OFFSET(sl_http_request, size, 0);
CHECK_OFFSET(sl_http_request, _reserved, 4);
CHECK_OFFSET(sl_http_request, method, 8);
CHECK_OFFSET(sl_http_request, url, 24);
CHECK_OFFSET(sl_http_request, headers, 40);
CHECK_OFFSET(sl_http_request, n_headers, 48);
CHECK_OFFSET(sl_http_request, body, 56);
CHECK_OFFSET(sl_http_request, total_ms, 72);
CHECK_OFFSET(sl_http_request, max_answer, 80);
CHECK_OFFSET(sl_http_request, cost, 88);
CHECK_OFFSET(sl_http_request, priority, 92);

CHECK_SIZE(sl_http_answer, 72);
CHECK_OFFSET(sl_http_answer, size, 0);
CHECK_OFFSET(sl_http_answer, error, 4);
CHECK_OFFSET(sl_http_answer, sent, 8);
CHECK_OFFSET(sl_http_answer, status, 12);
CHECK_OFFSET(sl_http_answer, headers, 16);
CHECK_OFFSET(sl_http_answer, n_headers, 24);
CHECK_OFFSET(sl_http_answer, body, 32);
CHECK_OFFSET(sl_http_answer, why, 48);
CHECK_OFFSET(sl_http_answer, retry_after_ms, 64);

CHECK_SIZE(sl_budget, 56);
CHECK_OFFSET(sl_budget, size, 0);
CHECK_OFFSET(sl_budget, kind, 4);
CHECK_OFFSET(sl_budget, limit, 8);
CHECK_OFFSET(sl_budget, remaining, 16);
CHECK_OFFSET(sl_budget, restore_milli, 24);
CHECK_OFFSET(sl_budget, reset_ms, 32);
CHECK_OFFSET(sl_budget, has_taken, 40);
CHECK_OFFSET(sl_budget, _reserved, 44);
CHECK_OFFSET(sl_budget, taken, 48);

CHECK_SIZE(sl_host, 160);
CHECK_OFFSET(sl_host, size, 0);
CHECK_OFFSET(sl_host, abi_minor, 4);
CHECK_OFFSET(sl_host, ctx, 8);
CHECK_OFFSET(sl_host, settings, 16);
CHECK_OFFSET(sl_host, values, 24);
CHECK_OFFSET(sl_host, endpoint, 32);
CHECK_OFFSET(sl_host, log, 48);
CHECK_OFFSET(sl_host, wall_ms, 56);
CHECK_OFFSET(sl_host, mono_ms, 64);
CHECK_OFFSET(sl_host, random, 72);
CHECK_OFFSET(sl_host, http, 80);
CHECK_OFFSET(sl_host, timer, 88);
CHECK_OFFSET(sl_host, timer_cancel, 96);
CHECK_OFFSET(sl_host, transform, 104);
CHECK_OFFSET(sl_host, budget, 112);
CHECK_OFFSET(sl_host, linked, 120);
CHECK_OFFSET(sl_host, poll_soon, 128);
CHECK_OFFSET(sl_host, keep, 136);
CHECK_OFFSET(sl_host, kept, 144);
CHECK_OFFSET(sl_host, recall, 152);

CHECK_SIZE(sl_probe_out, 32);
CHECK_OFFSET(sl_probe_out, size, 0);
CHECK_OFFSET(sl_probe_out, _reserved, 4);
CHECK_OFFSET(sl_probe_out, ctx, 8);
CHECK_OFFSET(sl_probe_out, finding, 16);
CHECK_OFFSET(sl_probe_out, finish, 24);

CHECK_SIZE(sl_bind_in, 24);
CHECK_OFFSET(sl_bind_in, size, 0);
CHECK_OFFSET(sl_bind_in, action, 4);
CHECK_OFFSET(sl_bind_in, params, 8);
CHECK_OFFSET(sl_bind_in, values, 16);

CHECK_SIZE(sl_found_row, 48);
CHECK_OFFSET(sl_found_row, key, 0);
CHECK_OFFSET(sl_found_row, row, 16);
CHECK_OFFSET(sl_found_row, error, 32);

CHECK_SIZE(sl_found, 48);
CHECK_OFFSET(sl_found, size, 0);
CHECK_OFFSET(sl_found, verdict, 4);
CHECK_OFFSET(sl_found, after_ms, 8);
CHECK_OFFSET(sl_found, why, 16);
CHECK_OFFSET(sl_found, rows, 32);
CHECK_OFFSET(sl_found, n_rows, 40);

CHECK_SIZE(sl_find, 40);
CHECK_OFFSET(sl_find, size, 0);
CHECK_OFFSET(sl_find, keys, 4);
CHECK_OFFSET(sl_find, params, 8);
CHECK_OFFSET(sl_find, bind, 16);
CHECK_OFFSET(sl_find, unbind, 24);
CHECK_OFFSET(sl_find, ask, 32);

CHECK_SIZE(sl_plugin, 344);
CHECK_OFFSET(sl_plugin, size, 0);
CHECK_OFFSET(sl_plugin, abi_minor, 4);
CHECK_OFFSET(sl_plugin, name, 8);
CHECK_OFFSET(sl_plugin, version, 16);
CHECK_OFFSET(sl_plugin, help, 24);
CHECK_OFFSET(sl_plugin, settings, 32);
CHECK_OFFSET(sl_plugin, actions, 40);
CHECK_OFFSET(sl_plugin, bind, 48);
CHECK_OFFSET(sl_plugin, unbind, 56);
CHECK_OFFSET(sl_plugin, check, 64);
CHECK_OFFSET(sl_plugin, open, 72);
CHECK_OFFSET(sl_plugin, close, 80);
CHECK_OFFSET(sl_plugin, verify, 88);
CHECK_OFFSET(sl_plugin, ack, 96);
CHECK_OFFSET(sl_plugin, describe, 104);
CHECK_OFFSET(sl_plugin, prepare, 112);
CHECK_OFFSET(sl_plugin, deliver, 120);
CHECK_OFFSET(sl_plugin, resume, 128);
CHECK_OFFSET(sl_plugin, confirm, 136);
CHECK_OFFSET(sl_plugin, row_key, 144);
CHECK_OFFSET(sl_plugin, cost, 152);
CHECK_OFFSET(sl_plugin, check_action, 160);
CHECK_OFFSET(sl_plugin, can_look_up, 168);
CHECK_OFFSET(sl_plugin, lookup, 176);
CHECK_OFFSET(sl_plugin, unpack, 184);
CHECK_OFFSET(sl_plugin, feeds, 192);
CHECK_OFFSET(sl_plugin, bind_feed, 200);
CHECK_OFFSET(sl_plugin, unbind_feed, 208);
CHECK_OFFSET(sl_plugin, poll, 216);
CHECK_OFFSET(sl_plugin, parent_key, 224);
CHECK_OFFSET(sl_plugin, batching, 232);
CHECK_OFFSET(sl_plugin, probe, 240);
CHECK_OFFSET(sl_plugin, find, 248);
CHECK_OFFSET(sl_plugin, report, 256);
CHECK_OFFSET(sl_plugin, compare, 264);
CHECK_OFFSET(sl_plugin, comparing, 272);
CHECK_OFFSET(sl_plugin, body_schema, 280);
CHECK_OFFSET(sl_plugin, owns, 288);
CHECK_OFFSET(sl_plugin, resolve, 296);
CHECK_OFFSET(sl_plugin, serve, 304);
CHECK_OFFSET(sl_plugin, forget, 312);
CHECK_OFFSET(sl_plugin, can_backfill, 320);
CHECK_OFFSET(sl_plugin, backfill, 328);
CHECK_OFFSET(sl_plugin, probe_feed, 336);
/* to here */
/* clang-format on */
#endif

int main(void)
{
    return 0;
}
