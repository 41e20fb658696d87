/*
 * contact.h - a batch of contact.upsert on its way. Private to contacts.c, contact_decide.c and
 * contact_write.c.
 *
 *   QUEUED - WANTING - MATCHING - RECALLING - WRITING (calls of one kind each) - the end
 *
 * One batch of an endpoint at a time: what it writes stands in the index before the next is
 * matched, so that two records of one person never make two contacts.
 */
#pragma once

#include "contacts.h"
#include "crm.h"
#include "record.h"
#include "rows/outcome.h"
#include "salesforce.h"
#include "score.h"

#define CONTACT_RECORDS 200 /* what one call takes */

enum fate {
    FATE_TOLD,   /* it has its outcome */
    FATE_ASK,    /* several could be meant: perhaps somebody has said before */
    FATE_UPDATE, /* the contact of `id` */
    FATE_CREATE, /* by its external id, so that it may be repeated */
};

struct item {
    enum fate fate;
    bool chosen; /* a person has said so, now or before */
    bool merged; /* a person has said so by a merge */
    bool later;  /* create, and merge later */
    bool bare;   /* no e-mail, no phone */
    bool guest;
    bool keeps_external_id; /* the contact has another one, or the record is a guest's */
    bool has_account;       /* the record names its account itself */
    char id[20], account[20];
    char others[MATCH_MOST][20]; /* `later`: whom it may be */
    size_t n_others;
    struct person *who; /* own, unless the index has it: `in_index` */
    bool in_index;      /* provisional, until it is created */
    struct matches found;
};

struct contact_batch {
    struct contact_batch *next; /* in the queue */
    struct contacts *all;
    const struct contact_action *action;
    const sl_batch *batch;
    const sl_done *done;
    struct item *items;
    size_t at;      /* where the turns stand */
    uint64_t timer; /* 0: none */
    struct call call;
    struct contact_record record; /* scratch */
    struct text body, scratch;
    size_t order[CONTACT_RECORDS]; /* items to be written, those of one call side by side */
    size_t n_order, written, n_call;
    bool alone;    /* one record a call: they were refused together */
    size_t *asked; /* items whose memory is looked up */
    size_t n_asked;
    char why[700];
};

struct contacts {
    struct salesforce *sf;
    struct crm crm;
    struct sets_job *report;     /* it goes when no batch does; batches wait for it */
    struct contact_batch *queue; /* the first is under way */
};

/* ---- contacts.c ---- */

void contact_tell(struct contact_batch *b, size_t i, const sl_outcome *o);
void contact_tell_rest(struct contact_batch *b, uint32_t kind, int64_t after_ms, uint32_t status,
                       uint32_t not_sent, const char *why);
/** Every record is told, or the endpoint parks. */
void contact_end(struct contact_batch *b);
void contact_later(struct contact_batch *b, void (*turn)(void *ctx));

/** The report is over: batches go on. */
void contacts_go_on(struct contacts *all);

/* ---- sets_report.c ---- */

/** No batch is under way: begin, if there is one to be made. False: there is none. */
bool sets_begin(struct contacts *all);
void sets_close(struct contacts *all);

/* ---- contact_decide.c ---- */

/** Match one record and settle its fate. */
void contact_match(struct contact_batch *b, size_t i);
/** Look up what was answered before; contact_write() follows. Comes last in its caller. */
void contact_recall(struct contact_batch *b);

#define ANSWER_LINK "salesforce:contact-answer"
#define ANSWER_NEW  "create"

/** Append the id of the link that remembers an answer: "shop:7 = 0035g...". `answer`: an id, or
 *  ANSWER_NEW. Nothing when the record has neither an id of the shop nor an address. */
void contact_answer_id(const struct item *it, const char *answer, struct text *to);

/* ---- contact_ask.c ---- */

/** Hold the record, with its candidates as choices. */
void contact_ask(struct contact_batch *b, size_t i);

/* ---- contact_write.c ---- */

/** Write what is to be written, call by call; then contact_end(). */
void contact_write(struct contact_batch *b);
