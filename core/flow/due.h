/*
 * due.h - the one clock of all that waits for a time to come: held deliveries and deadlines.
 *
 * What is due next is read from the store in pages and stands in a heap; beyond the heap's horizon
 * the store knows more, and is asked when the heap has come there. So a million of them cost no
 * memory, and what a process before left is found as what this one made. A time in the heap is a
 * hint: what is to be done is decided on what stands in the store then.
 *
 * Thread: loop.
 */
#pragma once

#include "flow/state.h"

void due_open(struct flow *f);
void due_close(struct flow *f);
/** It was made durable that this is due then; 0: never. */
void due_add(struct flow *f, bool deadline, uint64_t num, int64_t at_ms);

/** Of deadline.c: these are due, as far as is known. Ends with due_fired(). */
void deadline_fire(struct flow *f, const uint64_t *nums, size_t n);
/** Look at it again after so many ms. */
void due_again(struct flow *f, bool deadline, uint64_t num, int64_t clock_ms, int64_t ms);
void due_fired(struct flow *f);
