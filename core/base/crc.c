#include "base/crc.h"

#include <isa-l/crc.h>
#include <isa-l/crc64.h>

#define PIECE (1u << 30) /* ISA-L counts in int */

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    const unsigned char *at = p;

    crc = ~crc; /* the inversions at both ends are ours to make */
    for (; n > PIECE; n -= PIECE, at += PIECE)
        crc = crc32_iscsi((unsigned char *)at, PIECE, crc);
    return ~crc32_iscsi((unsigned char *)at, (int)n, crc);
}

uint64_t crc64(uint64_t crc, const void *p, size_t n)
{
    return crc64_ecma_refl(crc, p, n);
}
