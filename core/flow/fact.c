/*
 * fact.c - one small fact that outlives the process: an acknowledgement, how a replay stands.
 */
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/mem.h"
#include "flow/state.h"

struct fact {
    void (*cb)(struct flow *f, void *ctx, int status);
    void *ctx;
};

static void on_written(struct flow *f, struct commit *c, int status)
{
    struct fact *fact = c->ctx;

    if (fact->cb)
        fact->cb(f, fact->ctx, status);
    free(fact);
}

void flow_fact(struct flow *f, const struct flow_fact *what,
               void (*cb)(struct flow *f, void *ctx, int status), void *ctx)
{
    struct fact *fact = mem_zero(sizeof(*fact));
    struct rec_state_item item = { what->space, what->key, what->value };
    struct rec_state rec = {
        .at_ms = clock_wall_ms(),
        .who = what->who,
        .why = what->why,
        .items = &item,
        .n_items = 1,
    };

    *fact = (struct fact){ cb, ctx };
    struct commit *c = commit_new(f, on_written, fact);
    rec_state_encode(&commit_record(c, REC_STATE)->payload, &rec);
    commit_go(c);
}

void flow_fact_space(struct buf *to, sl_str endpoint, sl_str space)
{
    bool aged = str_starts(space, STR(STORE_AGED));
    size_t skip = aged ? strlen(STORE_AGED) : 0;

    buf_cstr(to, aged ? STORE_AGED : "kept/");
    buf_str(to, endpoint);
    buf_char(to, '/');
    buf_str(to, (sl_str){ space.ptr + skip, space.len - skip });
}
