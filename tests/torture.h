/*
 * torture.h - every allocation made to fail in turn (as curl's torture tests do).
 *
 * A test that depends on `torture_dep` has malloc(3) and its kin in all that is linked into it
 * statically - the project's own code - go through here; SQLite and jansson as well, once asked.
 * What a shared library allocates by itself is left alone.
 *
 *     for (uint64_t n = 1; ; n++) {
 *         torture_arm(TORTURE_OWN, n, false);
 *         ... what is to be tortured; the test's own allocations between torture_pause() and
 *         ... torture_resume()
 *         if (!torture_disarm())
 *             break;                    // it has fewer than n
 *     }
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    TORTURE_OWN = 1,
    TORTURE_SQLITE = 2,
    TORTURE_JANSSON = 4,
};

/** The nth allocation from now on, of any thread and of these kinds, fails; all after it too when
 *  `lasting`. n = 0: none, they are only counted. */
void torture_arm(unsigned kinds, uint64_t n, bool lasting);
/** No more. True if one has failed. */
bool torture_disarm(void);
/** Allocations since torture_arm(). */
uint64_t torture_count(void);

/** This thread's allocations neither count nor fail meanwhile. They nest. */
void torture_pause(void);
void torture_resume(void);

/** Before SQLite is first used, in main(). */
void torture_sqlite(void);
/** For json_set_alloc_funcs(); what they gave goes to free(). */
void *torture_jansson_malloc(size_t n);
