/* fake_facts.h - what outcomes had the fake host's endpoint remember: between its files only. */
#pragma once

#include <sluice/sluice.h>

struct fake_facts;

/** Checked as the host checks them. */
void fake_facts_tell(struct fake_facts **all, const sl_facts *told);
/** Own: a question, answered by fake_facts_answer(), which frees it. */
char *fake_facts_ask(sl_str space, sl_str prefix, sl_str after);
void fake_facts_answer(const struct fake_facts *all, char *asked, sl_status status, sl_recall_cb cb,
                       void *ctx);
void fake_facts_free(struct fake_facts *all);
