/*
 * token.h - the access token: a static one, one of client credentials (24 hours), or one of a
 * rotating refresh token (60 minutes; each refresh gives a new pair, which is durable before it is
 * used). One request for all who wait, some minutes before the old one ends, and once after a 401.
 *
 * What a refresh gave is kept by the host (sl_host.keep), encrypted with a key that is made of the
 * app's client secret: neither the store nor a backup of it holds a usable token.
 */
#pragma once

#include "admin/admin.h"

/** One that waits for a token; in the caller's memory. */
struct token_wait {
    struct token_wait *next;
    /** There is one: token_header(). `refusal`: why not; then NULL is not given. May free itself
     * and ask for more. */
    void (*ready)(struct token_wait *w, const struct admin_answer *refusal);
};

struct token;

/** By the settings. NULL in *ret with SL_OK: no credentials. On failure `fail` says what lacks. */
sl_status token_open(struct shopify *s, struct token **ret, sl_fail *fail);
/** Whatever waited has been told, or is forgotten. NULL is fine. */
void token_close(struct token *t);

/** `ready` runs at once where there is a valid token, else when there is one or why not. */
void token_get(struct token *t, struct token_wait *w);
/** The token now; valid until the next turn of the loop. */
sl_str token_now(const struct token *t);
/** Which token that is; a refused one is dropped by it, so that of several 401s only the first
 * does. 0: nothing better is to be had: it is a static one. */
uint64_t token_generation(const struct token *t);
/** It was refused (401). 1: token_get() fetches another. */
int token_drop(struct token *t, uint64_t generation);
/** There is an admin.token as well, which is not used: TOKEN_UNUSED says so. */
int token_has_unused(const struct token *t);
#define TOKEN_UNUSED                                                                          \
    "admin.token is not used, since admin.client_id stands beside it: take out the one that " \
    "is not meant"
/** "a static access token", "client credentials", "a refresh token" */
const char *token_kind(const struct token *t);

/* ---- seal.c: what is kept ---- */

/** Encrypt (AES-256-GCM) under a key made of `secret`; own, text. NULL: no memory. */
char *seal_close(const struct shopify *s, sl_str secret, const char *text);
/** NULL: it was sealed with another secret, or is none. Own; wipe() it. */
char *seal_open(sl_str secret, sl_str sealed);
void seal_wipe(char *text); /* NULL is fine */
/** A hex digest of a text that may stand beside it. */
#define SEAL_DIGEST_SIZE 33
int seal_digest(sl_str text, char ret[SEAL_DIGEST_SIZE]);
