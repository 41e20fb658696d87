/*
 * group_rig.h - the flow of flow_rig.h with a group of its three endpoints.
 */
#pragma once

#include "flow/group.h"
#include "flow_rig.h"

struct group_rig {
    struct flow_rig rig; /* first: its pointers may be kept */
    struct conf_group group;
    struct conf_member members[RIG_ENDPOINTS];
    struct conf_target parts[RIG_ENDPOINTS];
};

/** Members in the order crm, other, shop: as many as `n`; route "r" from "t" sends to the group. */
static inline struct group_rig *group_rig(enum group_policy policy, size_t n, uint32_t action)
{
    static const int order[] = { CRM, OTHER, SHOP };
    struct group_rig *g = mem_zero(sizeof(*g));

    rig_init(&g->rig);
    rig_route(&g->rig, "r", "t", CRM, action);
    g->group = (struct conf_group){
        .name = "both", .policy = policy, .members = g->members, .n_members = n
    };
    for (size_t i = 0; i < n; i++) {
        struct conf_endpoint *e = &g->rig.endpoints[order[i]];
        g->members[i] = (struct conf_member){ .endpoint = e, .weight = 1 };
        g->parts[i] = (struct conf_target){
            .kind = TARGET_SEND, .endpoint = e, .action = action, .group = &g->group
        };
    }
    g->rig.targets[0] = (struct conf_target){
        .kind = TARGET_GROUP, .group = &g->group, .members = g->parts, .n_members = n
    };
    g->rig.config.groups = &g->group;
    g->rig.config.n_groups = 1;
    return g;
}

static inline void group_rig_finish(struct group_rig *g)
{
    rig_finish(&g->rig);
    free(g);
}
