/* fake_links.h - the links of the fake host: between its two files only. */
#pragma once

#include <sluice/sluice.h>

struct fake_links;

void fake_links_add(struct fake_links **all, sl_str kind, sl_str id, sl_str subject);
/** Own: what is asked for, answered by fake_links_answer(), which frees it. */
char *fake_links_ask(const sl_ref *refs, size_t n);
void fake_links_answer(const struct fake_links *all, char *asked, sl_status status, sl_linked_cb cb,
                       void *ctx);
void fake_links_free(struct fake_links *all);
