/*
 * key_ring.c - see key_ring.h.
 */
#define HASH_NONFATAL_OOM 1 /* an entry that finds no memory is not added: see key_ring_of() */

#include "flow/key_ring.h"

#include <stdlib.h>
#include <string.h>
#include "base/digest.h"
#include "flow/intake.h"
#include "flow/state.h"

#define SPARE_MACS 16 /* kept for each secret */

/** A keyed HMAC per secret, made once; and more of it, for bodies that come in pieces. */
struct key_ring {
    UT_hash_handle hh; /* flow.rings, by secret; not once it is stale */
    struct hmac *hmac;
    struct hmac *spare[SPARE_MACS];
    size_t n_spare;
    size_t n_out; /* of bodies that are under way */
    bool stale;   /* of before a reload: the last of those frees it */
    size_t len;
    char secret[];
};

static void ring_free(struct key_ring *k)
{
    for (size_t i = 0; i < k->n_spare; i++)
        hmac_destroy(k->spare[i]);
    hmac_destroy(k->hmac);
    explicit_bzero(k->secret, k->len);
    free(k);
}

void intake_forget_keys(struct flow *f)
{
    struct key_ring *k, *tmp;

    HASH_ITER (hh, f->rings, k, tmp) {
        HASH_DEL(f->rings, k);
        k->stale = true;
        if (!k->n_out)
            ring_free(k);
    }
}

struct key_ring *key_ring_of(struct flow *f, sl_str secret)
{
    struct key_ring *k;

    HASH_FIND(hh, f->rings, secret.ptr, secret.len, k);
    if (k)
        return k;
    k = calloc(1, sizeof(*k) + secret.len);
    if (!k)
        return NULL;
    k->hmac = hmac_create(secret.ptr, secret.len);
    k->len = secret.len;
    memcpy(k->secret, secret.ptr, secret.len);
    if (k->hmac)
        HASH_ADD_KEYPTR(hh, f->rings, k->secret, k->len, k);
    if (!k->hmac || !k->hh.tbl) { /* not in the hash: no memory for its place there */
        ring_free(k);
        return NULL;
    }
    return k;
}

int key_mac_begin(struct key_mac *m, struct key_ring *ring)
{
    if (!ring)
        return UV_ENOMEM;
    m->ring = ring;
    m->hmac = ring->n_spare ? ring->spare[--ring->n_spare] : hmac_fork(ring->hmac);
    ring->n_out += m->hmac != NULL;
    return m->hmac ? hmac_begin(m->hmac) : UV_ENOMEM;
}

void key_mac_give_back(struct key_mac *m)
{
    struct key_ring *k = m->ring;

    if (!m->hmac)
        return;
    k->n_out--;
    if (k->n_spare < SPARE_MACS)
        k->spare[k->n_spare++] = m->hmac;
    else
        hmac_destroy(m->hmac);
    m->hmac = NULL;
    if (k->stale && !k->n_out)
        ring_free(k);
}

struct hmac *key_ring_hmac(struct key_ring *k)
{
    return k->hmac;
}
