/*
 * programs.h - what is known of jq programs, by their text: a reload compiles only what is new, and
 * off the loop.
 *
 * Thread: one at a time.
 */
#pragma once

#include <stdbool.h>
#include "base/buf.h"
#include "base/fail.h"

struct programs;

struct programs *programs_create(void);
void programs_destroy(struct programs *p);           /* NULL is fine */
void programs_good(struct programs *p, sl_str text); /* it was compiled */
/** A load begins: nothing is met yet. */
void programs_begin(struct programs *p);
/** The load met this one: 0, good as far as is known; or its error. */
int programs_ask(struct programs *p, sl_str text, struct fail *fail);

/** Of the last load_again(): are there programs that nobody has compiled? */
bool programs_unknown(const struct programs *p);
/** Compile them, all in a process of their own. Blocking; on any thread, if nobody else looks at
 *  them meanwhile. Whoever loads again after this is told what is wrong with which. */
void programs_compile(struct programs *p);
/** Is one of those that the last load_again() met known to be bad? */
bool programs_bad(const struct programs *p);
/** What is bad is asked for anew the next time; of the good ones not too many are kept. */
void programs_forget(struct programs *p);
