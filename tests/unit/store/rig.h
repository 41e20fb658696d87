/*
 * rig.h - a real store in a directory of its own, driven step by step.
 *
 * Every call that waits runs the loop until the answer is there. Answers are copied; the rig owns
 * them until the next call of the same kind, and rig_finish() checks that the loop closes clean.
 */
#pragma once

#include "../check.h"

#include <uv.h>
#include "store/store.h"

struct rig {
    uv_loop_t loop;
    struct store *s;
    struct store_conf conf;
    char dir[64];
    struct fail fail; /* of the last opening */

    /* answers, own */
    bool done;
    int status;
    struct store_delivery d[256]; /* views into `text` */
    uint64_t nums[256];
    size_t n;
    struct buf text, body, request;
    uint64_t event_id;
    uint32_t event_deliveries;
};

void rig_start(struct rig *rig); /* directory and loop; nothing is opened */
int rig_open(struct rig *rig);   /* store_open() with its code, text in rig->fail */
void rig_must_open(struct rig *rig);
void rig_close(struct rig *rig);
void rig_reopen(struct rig *rig);
void rig_finish(struct rig *rig); /* closes what is open, removes the directory */
void rig_path(const struct rig *rig, const char *name, char out[128]);
void rig_wait(struct rig *rig); /* until rig->done */

/* ---- records, own payload ---- */

/** One of the sender's: `id` is its key, NULL for none. */
struct store_record receipt(const char *endpoint, const char *topic, const char *id,
                            const char *body);
struct store_record encoded(enum record_type type, const void *rec);
void add_key(struct store_record *r, const char *name, bool refuse, uint32_t mark_at,
             uint8_t mark_value);

/** A delivery with what most tests want; set what differs. */
struct rec_delivery delivery(uint64_t event, unsigned ordinal, const char *endpoint);

/* ---- steps ---- */

/** Append records together and wait; payloads and keys are freed, results stay in `r`. */
int rig_append(struct rig *rig, struct store_record *r, size_t n);
/** One record; its seq. Must be durable. */
uint64_t rig_put(struct rig *rig, struct store_record r);
uint64_t rig_receipt(struct rig *rig, const char *endpoint, const char *topic, const char *id,
                     const char *body);
uint64_t rig_routed(struct rig *rig, uint64_t event, struct rec_delivery *d, size_t n);
/** One batch of deliveries; its number. */
uint64_t rig_sent(struct rig *rig, const uint64_t *nums, size_t n, uint32_t attempt);
uint64_t rig_move(struct rig *rig, struct rec_move m, uint64_t batch);

int rig_claim(struct rig *rig, const char *endpoint, uint8_t priority, uint64_t after,
              uint32_t limit);                     /* d, n */
int rig_get(struct rig *rig, uint64_t num);        /* d[0], body, request */
int rig_event(struct rig *rig, uint64_t id);       /* body, event_* */
int rig_unrouted(struct rig *rig, bool waiting);   /* nums */
int rig_link(struct rig *rig, struct rec_ref ref); /* text */
int rig_state(struct rig *rig, const char *space); /* text: a line each; n */
int rig_state_page(struct rig *rig, const char *space, const char *prefix, const char *after,
                   uint32_t limit);                     /* likewise */
int rig_batch(struct rig *rig, uint64_t batch);         /* text: token; nums */
int rig_select(struct rig *rig, struct store_filter f); /* nums */
int rig_report(struct rig *rig, enum store_report what, struct store_filter f); /* text */
