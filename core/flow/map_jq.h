/*
 * map_jq.h - one jq program, compiled and run. Lives in the worker process only: libjq may abort.
 *
 * The only room of the source that includes jq's headers is map_jq.c; a parsed document is passed
 * around as struct map_doc.
 */
#pragma once

#include "base/buf.h"

struct map_jq;
struct map_doc;

/** Called once, first: draws the key that marks the values of int64(), and says what to do when
 *  libjq finds no memory (it aborts when this returns). */
void map_jq_init(void (*on_nomem)(void));

/** Parse a document (own; destroy it). NULL: not JSON, `why` says what jq thinks of it. The numbers
 *  are treated as mapper.h says. */
struct map_doc *map_doc_parse(sl_str json, struct buf *why);
void map_doc_destroy(struct map_doc *doc); /* NULL is fine */

/** Compile. 0 with *ret (own), or MAP_E_PROGRAM with one line appended to `why`.
 *  @param names  the variables, n of them; copied */
int map_jq_compile(struct map_jq **ret, sl_str text, const sl_str *names, size_t n,
                   struct buf *why);
void map_jq_destroy(struct map_jq *q); /* NULL is fine */
/** It halted: the state must not be used again. */
bool map_jq_spent(const struct map_jq *q);

/** Run on one document; appends the outputs to `out`, each as pack_str does.
 *  @param vars    JSON object; empty: every variable is null
 *  @param budget  bytes that may be appended; on failure what was appended is taken back
 *  @return the number of outputs, MAP_E_PROGRAM, MAP_E_INPUT (vars), MAP_E_OUTPUT; then one line in
 *          `why` */
int64_t map_jq_run(struct map_jq *q, const struct map_doc *doc, sl_str vars, uint64_t budget,
                   struct buf *out, struct buf *why);
