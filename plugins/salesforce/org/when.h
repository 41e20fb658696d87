/*
 * when.h - the moments that Salesforce names, and its clock beside ours.
 */
#pragma once

#include <sluice/sluice.h>

#include "text.h"

struct salesforce;

/** "Sun, 22 Nov 2026 04:40:59 GMT", as a Date header has it; ms since 1970. false: not one. */
bool when_http(sl_str text, int64_t *ret_ms);
/** "2026-11-20T10:15:00.000+0000" or "...Z": UTC, as all of Salesforce's are. false: not one. */
bool when_iso(sl_str text, int64_t *ret_ms);

/** Learn from an answer how far Salesforce's clock is ahead of ours. */
void when_learn(struct salesforce *sf, const sl_http_answer *a);
/** Now, by Salesforce's clock as far as it is known. */
int64_t when_now(const struct salesforce *sf);
