/*
 * sluice/types.h - the few types that every Sluice header shares.
 *
 * Part of the plugin ABI (sluice.h documents its rules). Fixed widths, size_t and pointers only.
 */
#ifndef SLUICE_TYPES_H
#define SLUICE_TYPES_H

#include <stddef.h>
#include <stdint.h>

/** Borrowed bytes. `ptr` is never NULL when `len` > 0; no NUL after them is promised. */
typedef struct sl_str {
    const char *ptr;
    size_t len; /* bytes */
} sl_str;

/** 0 or more is success, negative is one of SL_E_*. */
typedef int32_t sl_status;

#endif
