/*
 * regroup.c - groups over a reload: who stays a member keeps its health and its turn.
 *
 * A group that is no longer configured stays in memory, without members to choose from: a turn that
 * was taken before may still be given back.
 */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "flow/group.h"

static struct group *any_group(const struct flow *f, const char *name)
{
    for (size_t i = 0; i < f->n_all_groups; i++)
        if (!strcmp(f->groups[i]->name, name))
            return f->groups[i];
    return NULL;
}

static bool same_members(const struct group *g, const struct conf_group *conf)
{
    if (g->n != conf->n_members)
        return false;
    for (size_t i = 0; i < g->n; i++)
        if (strcmp(g->members[i].lane->name, conf->members[i].endpoint->name) != 0)
            return false;
    return true;
}

/** Those that leave count as out no more; `kept`: who stays. */
static void forget_out(struct group *g, const struct member *kept, size_t n)
{
    for (size_t i = 0; i < g->n; i++) {
        struct member *m = &g->members[i];
        bool stays = false;

        for (size_t k = 0; k < n; k++)
            stays |= kept[k].lane == m->lane;
        if (m->out && !stays) {
            m->lane->outs--;
            m->out = false;
        }
    }
}

static void change_members(struct group *g, const struct conf_group *conf)
{
    struct member *members = mem_array(conf->n_members, sizeof(*members));

    for (size_t i = 0; i < conf->n_members; i++) {
        struct member *m = &members[i];
        m->lane = flow_lane(g->flow, str_of(conf->members[i].endpoint->name));
        m->usable = true;
        for (size_t k = 0; k < g->n; k++)
            if (g->members[k].lane == m->lane)
                *m = g->members[k];
        m->turn = 0;
        m->coming = 0;
    }
    forget_out(g, members, conf->n_members);
    free(g->members);
    g->members = members;
    g->n = conf->n_members;
    g->epoch++; /* turns that were taken before count no more */
}

void groups_change(struct flow *f)
{
    size_t n = f->config->n_groups, all = n;
    struct group **groups = mem_array(n + f->n_all_groups + 1, sizeof(struct group *));

    for (size_t i = 0; i < n; i++) {
        const struct conf_group *conf = &f->config->groups[i];
        struct group *g = any_group(f, conf->name);
        if (!g)
            g = group_new(f, conf);
        else if (!same_members(g, conf))
            change_members(g, conf);
        g->conf = conf;
        groups[i] = g;
    }
    for (size_t i = 0; i < f->n_all_groups; i++) {
        struct group *g = f->groups[i];
        if (config_group(f->config, str_of(g->name)))
            continue;
        forget_out(g, NULL, 0);
        g->conf = NULL;
        g->epoch++;
        groups[all++] = g;
    }
    free(f->groups);
    f->groups = groups;
    f->n_groups = n;
    f->n_all_groups = all;
    groups_actions(f);
    groups_wake(f);
}
