/*
 * outcome.c - delivered, or refused.
 */
#include "outcome.h"

#define LINK_KIND      "salesforce:"
#define NARROW_RECORDS 50 /* of rows that met a lock; one such batch at a time */

void outcome_delivered(struct outcome *to, const struct action *a, sl_str id)
{
    say(to->kind, sizeof(to->kind), LINK_KIND "%s", a->object);
    to->link = (sl_link){ .kind = str_of(to->kind), .id = id };
    to->o = (sl_outcome){ .size = sizeof(sl_outcome),
                          .kind = SL_DELIVERED,
                          .reference = id,
                          .links = &to->link,
                          .n_links = id.len > 0 };
}

void outcome_refused(struct outcome *to, const struct row_verdict *v)
{
    to->o = (sl_outcome){ .size = sizeof(sl_outcome),
                          .kind = v->kind,
                          .after_ms = v->after_ms,
                          .why = str_of(v->why),
                          .hold_type = str_of(v->hold_type),
                          .choices = text_view(&v->choices),
                          .evidence = text_view(&v->evidence),
                          .narrow = v->narrow ? NARROW_RECORDS : 0 };
}
