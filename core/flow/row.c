/*
 * row.c - see row.h.
 */
#include "flow/row.h"

#include <stdio.h>
#include <stdlib.h>
#include "base/digest.h"
#include "base/mem.h"
#include "flow/hold_asked.h"
#include "store/detail.h"

#define TEXTS(row)                                                                            \
    {                                                                                         \
        &(row)->route, &(row)->piece, &(row)->endpoint, &(row)->action, &(row)->subject,      \
            &(row)->topic, &(row)->hold_type, &(row)->reason, &(row)->version, &(row)->detail \
    }
#define N_TEXTS 10

void row_keep(struct store_delivery *to, const struct store_delivery *row)
{
    *to = *row;
    sl_str *texts[N_TEXTS] = TEXTS(to);
    for (size_t i = 0; i < N_TEXTS; i++)
        texts[i]->ptr = mem_dup(*texts[i]);
}

void row_free(struct store_delivery *row)
{
    sl_str *texts[N_TEXTS] = TEXTS(row);

    for (size_t i = 0; i < N_TEXTS; i++) {
        free((char *)texts[i]->ptr);
        *texts[i] = (sl_str){ 0 };
    }
}

static void replace(sl_str *s, sl_str by)
{
    char *fresh = mem_dup(by);

    free((char *)s->ptr);
    *s = (sl_str){ fresh, by.len };
}

/** The row as the move leaves it. */
void row_follow(struct store_delivery *row, const struct rec_move *m)
{
    if (m->arrival)
        row->arrival = m->arrival;
    if (m->endpoint.len && !str_eq(m->endpoint, row->endpoint)) {
        row->first_sent_ms = 0;
        row->arrival = 0;
        replace(&row->endpoint, m->endpoint);
    }
    if (m->detail.len) {
        char *all = detail_follow(row->detail, m->detail);
        replace(&row->detail, all ? str_of(all) : m->detail);
        free(all);
    }
    replace(&row->hold_type, m->hold_type);
    if (m->state == DS_READY) /* it was decided upon: its age begins anew */
        row->since_ms = 0;
    row->state = m->state;
    row->next_ms = m->next_ms;
    row->generation = m->generation;
    if (m->set_priority)
        row->priority = m->set_priority - 1;
    if (m->body.len)
        row->body_bytes = (uint32_t)m->body.len;
}

int edit_check(const struct store_delivery *row, bool sure, char text[160])
{
    if (str_eq(row->hold_type, STR("unknown-outcome")) || str_eq(row->hold_type, STR("interlock")))
        snprintf(text, 160,
                 "nobody knows whether it arrived: find out first, then say arrived or reject it");
    else if (store_in_doubt(row) && !sure && !hold_is_asked(row))
        snprintf(text, 160,
                 "it was sent and may have arrived: --force if you know that it did not");
    else
        return 0;
    return UV_EINVAL;
}

char *edit_reason(sl_str why, sl_str body_before)
{
    uint8_t digest[DIGEST_SHA256];
    char hex[2 * DIGEST_SHA256 + 1];
    struct buf b = { 0 };

    digest_sha256(body_before.ptr, body_before.len, digest);
    hex_encode(digest, sizeof(digest), hex);
    buf_printf(&b, "edited: " STR_FMT "; the body before had SHA-256 %s", STR_ARG(why), hex);
    return buf_steal(&b, NULL);
}
