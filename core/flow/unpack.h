/*
 * unpack.h - a request that holds several events: each a receipt of its own, all of them one
 * append, and one answer.
 */
#pragma once

#include "flow/adapter.h"
#include "net/http_server.h"
#include "store/store.h"

/** What there is to unpack; all borrowed for the call. `headers`: packed, as a receipt has them. */
struct unpack_in {
    const struct adapter *adapter;
    const sl_head *head;
    sl_str endpoint, headers, body;
};

struct unpacked {
    struct store_record *records; /* own: receipts, with their keys; to be freed after the append */
    size_t n;
    struct store_key *keys; /* own */
    size_t room;            /* of both */
    uint64_t bytes;
    sl_status failed; /* the first thing that went wrong */
    bool answered;    /* not by the plugin's ack, but: */
    int status;
    char *content_type;  /* own, or NULL: none */
    char *body;          /* own, or NULL: empty */
    bool follows;        /* nor by that: 202, with the address of the first event's progress */
    struct buf progress; /* that answer, once it was asked for */
    const struct unpack_in *in;
    int64_t now_ms;
};

/** Ask the adapter what is in it. Else an error of sl_plugin.unpack, with `fail`: *ret is
 *  untouched, nothing is left. */
sl_status unpack(const struct unpack_in *in, struct unpacked **ret, sl_fail *fail);
void unpacked_free(struct unpacked *u); /* NULL is fine */
/** Put its answer into `reply`, if it has one of its own; views into `u`. Once all is durable. */
void unpacked_answer(struct unpacked *u, const struct conf_endpoint *e, struct http_reply *reply);

/** The receipt key of what `dup` says, if that names a sender's id: `rec` gets the key, which is
 *  `key`'s memory, and what is to stand in place of a second one; check rec->duplicate.failed.
 *  `crc`: of the body. */
void receipt_key(struct store_record *rec, struct store_key *key, const struct rec_duplicate *dup,
                 uint64_t crc);
