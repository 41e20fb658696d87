/*
 * origin.c - `to: origin`: where the event's subject is from. Which endpoints that may be is
 * settled here; which one it is, each event says.
 */
#include "config/load.h"

#include "base/mem.h"

static bool can_be_origin(const struct conf_endpoint *e, sl_str template, sl_str action)
{
    if (!e->plugin || !e->plugin->deliver ||
        (template.len && !str_eq(str_of(e->template), template)))
        return false;
    for (const sl_action *a = e->plugin->actions; a && a->name; a++)
        if (str_eq(str_of(a->name), action))
            return true;
    return false;
}

/** `origin: origin`, `origin: true`, or a template's name. */
static sl_str origin_of_template(const struct yaml_node *node)
{
    return str_eq(node->text, STR("origin")) || str_eq(node->text, STR("true")) ? STR("")
                                                                                : node->text;
}

void target_origin(struct targets *t, struct conf_target *target, struct draft *d,
                   const struct yaml_item *origin)
{
    struct config *c = t->load->config;
    const struct yaml_item *action = target_action(t, d);
    const struct yaml_node *node = origin->value;
    sl_str template = node->kind == YAML_TEXT ? origin_of_template(node) : STR("");
    char found[96];

    target->kind = TARGET_ORIGIN;
    t->open = true;
    yaml_describe(node, found);
    if (node->kind != YAML_TEXT) {
        report_node(&t->load->rd, node, "\"origin\" wants true or a template's name, found %s",
                    found);
        return;
    }
    if (!action || action->value->kind != YAML_TEXT) {
        report_node(&t->load->rd, origin,
                    "\"origin\" needs \"action\" beside it: what is done where the event is from");
        return;
    }
    target->members = mem_array(c->n_endpoints + 1, sizeof(*target->members));
    for (size_t i = 0; i < c->n_endpoints; i++)
        if (can_be_origin(&c->endpoints[i], template, action->value->text) &&
            target_send(t, &target->members[target->n_members], d, &c->endpoints[i], NULL))
            target->n_members++;
    yaml_describe(action->value, found);
    if (!target->n_members)
        report_node(&t->load->rd, node, "no endpoint%s" STR_FMT "%s has an action %s",
                    template.len ? " of template \"" : "", STR_ARG(template),
                    template.len ? "\"" : "", found);
    t->open = !target->n_members;
}
