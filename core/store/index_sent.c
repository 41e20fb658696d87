/*
 * index_sent.c - what was sent and has no outcome yet, in the transaction under way.
 *
 * Most deliveries are answered within the transaction that brings their `sent` record. So a batch
 * of one waits in memory: when its outcome comes, both are written as one, and what the first alone
 * would have written is never there. Whatever else asks how the delivery stands has it written
 * first; what is left is written before the transaction ends.
 */
#include "store/index_int.h"

#include <string.h>
#include <uv.h>

static struct index_sent **bucket_of(struct index *ix, uint64_t num)
{
    /* events follow each other, and have few deliveries */
    return &ix->sent[(delivery_event(num) ^ delivery_ordinal(num)) % INDEX_SENT_BUCKETS];
}

int index_sent_keep(struct index *ix, uint64_t seq, const struct rec_sent *rec)
{
    struct index_sent **at, *s = arena_alloc(&ix->texts, sizeof(*s));
    const struct rec_sent_item *item = &rec->items[0];

    if (!s)
        return UV_ENOMEM;
    *s = (struct index_sent){ .seq = seq, .item = *item, .rec = *rec };
    s->rec.items = &s->item;
    s->rec.endpoint = arena_str(&ix->texts, rec->endpoint);
    s->rec.route = arena_str(&ix->texts, rec->route);
    s->item.key = arena_str(&ix->texts, item->key);
    s->item.request = arena_str(&ix->texts, item->request);
    if (ix->texts.failed)
        return UV_ENOMEM;
    at = bucket_of(ix, item->num);
    s->next = *at;
    *at = s;
    list_append(&ix->sent_order, &s->node);
    return 0;
}

struct index_sent *index_sent_take(struct index *ix, uint64_t num, uint64_t batch)
{
    for (struct index_sent **at = bucket_of(ix, num), *s; (s = *at); at = &s->next)
        if (s->item.num == num && (!batch || s->seq == batch)) {
            *at = s->next;
            list_remove(&s->node);
            return s;
        }
    return NULL;
}

struct index_sent *index_sent_first(struct index *ix)
{
    if (list_empty(&ix->sent_order))
        return NULL;
    return index_sent_take(
        ix, list_entry(list_first(&ix->sent_order), struct index_sent, node)->item.num, 0);
}

void index_sent_drop(struct index *ix)
{
    memset(ix->sent, 0, sizeof(ix->sent));
    list_init(&ix->sent_order);
}
