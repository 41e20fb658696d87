/*
 * group.h - groups at work: how their members are, who gets a delivery, and what moves on when one
 * is out.
 *
 * A member is healthy while its lane is usable and, after it was not, has been again for
 * `health.back_after`; it is out when its lane cannot be used for `failover_after`. New work goes
 * to healthy members; what waits at one that is out moves to one that is healthy, and stays there.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

/** A member as it stands. What it is called and its weight stand in the configuration. */
struct member {
    struct lane *lane;
    uint64_t actions;  /* bit by index: those that routes send to the group by */
    bool usable;       /* when it was last looked at ... */
    uint64_t since_ms; /* ... and since when; monotonic, 0: always */
    bool was_bad;      /* usable, but not for long enough yet */
    bool out;          /* what waits for it moves */
    int64_t turn;      /* of the weighted round */
    uint32_t coming;   /* chosen, and not in its lane yet */
    uint64_t chosen;   /* since start; without those that were given back */
    char why[200];     /* why it is not usable */
};

struct group {
    struct flow *flow;
    const struct conf_group *conf; /* of the configuration in force; NULL: it is in none any more */
    char *name;                    /* own */
    struct member *members;        /* own; in the order of conf->members */
    size_t n;
    unsigned epoch; /* counts changes of the members by a reload */
};

void groups_open(struct flow *f);  /* when the lanes are there */
void groups_close(struct flow *f); /* before they go */
struct group *group_new(struct flow *f, const struct conf_group *conf);
/** By which actions each group's members are sent to, as the routes say now. */
void groups_actions(struct flow *f);
/** The flow has another configuration, and its lanes. */
void groups_change(struct flow *f);
/** The health of some lane may have changed: look at the next turn of the loop. */
void groups_wake(struct flow *f);

void group_look(struct group *g);                                 /* how its members are now */
struct group *group_find(const struct flow *f, const char *name); /* NULL: none */

/** Can this lane be used now? If not, `why` (may be NULL) is filled: everything that counts against
 *  a lane is asked here. */
bool lane_usable(const struct lane *l, char why[200]);
/** Live deliveries of a lane that wait for it, those that are not in memory as well. */
uint64_t lane_backlog(const struct lane *l);

/** The group that a delivery's detail names; empty: none. Borrowed. */
sl_str group_of_detail(sl_str detail);

/** What a delivery is chosen by. */
struct group_ask {
    const struct conf_route *route;
    sl_str subject, piece;
    const uint8_t *id;  /* of the delivery, 16 bytes: the key of what has none */
    const char *sticky; /* the member that must have it again: it may have it; NULL: any */
};

/** Who was chosen, so that the turn can be given back. */
struct group_turn {
    struct group *group; /* NULL: nobody */
    unsigned epoch;      /* of the group then */
    size_t chosen;
    uint32_t took_part; /* bit by member; 0: it was nobody's turn */
    bool trial;         /* it is sent to see whether the member is well again */
};

/** The member for a delivery: its target, never NULL. `detail` gets the decision and its reasons as
 *  a JSON object. `ret` is filled. */
const struct conf_target *group_choose(struct flow *f, const struct conf_target *t,
                                       const struct group_ask *ask, struct buf *detail,
                                       struct group_turn *ret);
/** The healthy member that something of `from` moves to; g->n: none. Its turn is taken. */
size_t group_next(struct group *g, const struct member *from, sl_str subject, sl_str piece,
                  const uint8_t id[16]);
/** What is said of a move: a JSON object as group_choose() makes it. */
void group_moved(struct buf *b, const struct group *g, const char *to, sl_str from, sl_str why);
/** The choice is durable; or nothing came of it (superseded, refused): the turn is given back. */
void group_chosen(struct group_turn *t, bool counts);
