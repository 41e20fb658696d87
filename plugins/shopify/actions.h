/*
 * actions.h - what can be done in a shop. Each action is a room's own; actions.c lists them and
 * hands every call to the one that the route has bound.
 */
#pragma once

#include <sluice/sluice.h>

struct body_shape;

/** One action. Its functions are those of sl_plugin, as sluice.h documents them. Static storage. */
struct shopify_action {
    const struct body_shape
        *body; /* of a record: its deliver() checks it by body_take(); or NULL */
    sl_status (*bind)(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
    void (*unbind)(void *handle);
    /** NULL: the body is the request. */
    void (*prepare)(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                    void *cb_ctx);
    void (*deliver)(void *self, void *handle, const sl_batch *batch, const sl_done *done);
    /** NULL: it stores no checkpoints. */
    void (*resume)(void *self, void *handle, const sl_batch *batch, sl_str token,
                   const sl_done *done);
    /** NULL: any two records may share a batch. */
    sl_str (*row_key)(void *self, void *handle, sl_str body);
    /** What may not be worked on twice at a time, such as an order whose state is read and then
     *  written. NULL: nothing. */
    sl_str (*parent_key)(void *self, void *handle, sl_str body);
    /** NULL: it cannot be asked; a person decides. */
    void (*confirm)(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                    void *cb_ctx);
    /** Access scopes that the app needs for it, with spaces between, "a|b" where either will do:
     *  "write_orders read_products|write_products". What is missing is named by `sluice check
     *  --online`. NULL: nobody checks. */
    const char *scopes;
    /** Points of its first question, by admin_points(): it sets out when they are there, and what
     *  it asks later waits for its own. NULL: those of the first question of its last delivery. */
    uint32_t (*cost)(void *self, void *handle, const sl_record *record);
    int local;          /* nothing is asked of the shop for it */
    int64_t gathers_ms; /* so long a batch gathers, unless the endpoint says otherwise; 0: not */
};

/** The table of sl_plugin.actions, and its calls. */
extern const sl_action shopify_actions[];

sl_status shopify_bind(const sl_bind_in *in, void **ret_handle, sl_fail *fail);
void shopify_unbind(void *handle);
sl_status shopify_check_action(const sl_values *settings, const sl_values_api *values,
                               uint32_t action, sl_fail *fail);
void shopify_prepare(void *self, void *handle, const sl_record *record, sl_prepare_cb cb,
                     void *cb_ctx);
void shopify_deliver(void *self, void *handle, const sl_batch *batch, const sl_done *done);
void shopify_resume(void *self, void *handle, const sl_batch *batch, sl_str token,
                    const sl_done *done);
sl_str shopify_row_key(void *self, void *handle, sl_str body);
sl_str shopify_parent_key(void *self, void *handle, sl_str body);
uint32_t shopify_cost(void *self, void *handle, const sl_record *record);
void shopify_batching(uint32_t action, const void *handle, sl_batching *ret);
/** Of what bind() made; NULL: it says none. */
const char *shopify_scopes(const void *handle);
void shopify_body_schema(uint32_t action, sl_schema_cb cb, void *cb_ctx);
void shopify_confirm(void *self, void *handle, const sl_record *record, sl_confirm_cb cb,
                     void *cb_ctx);
