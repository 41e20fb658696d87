/*
 * feed_kinds.h - what the shop is asked for again and again. Each kind is a room's own;
 * feed_kinds.c lists them and hands every call to the one that a feed is of.
 */
#pragma once

#include <sluice/sluice.h>

struct shopify;

/** One kind. Its functions are those of sl_plugin, as sluice.h documents them. Static storage. */
struct shopify_feed {
    sl_status (*bind)(const sl_bind_in *in, void **ret_handle, sl_fail *fail); /* NULL: nothing */
    void (*unbind)(void *handle);                                              /* likewise */
    void (*poll)(void *self, void *handle, sl_str cursor, const sl_poll_out *out);
    void (*probe)(void *self, void *handle, const sl_probe_out *out); /* NULL: nothing to say */
};

/** The table of sl_plugin.feeds, and its calls. */
extern const sl_feed shopify_feeds[];

sl_status shopify_bind_feed(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void shopify_unbind_feed(void *handle);
void shopify_poll(void *self, void *handle, sl_str cursor, const sl_poll_out *out);
void shopify_probe_feed(void *self, void *handle, const sl_probe_out *out);
