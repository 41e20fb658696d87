/*
 * crc.h - check sums of bytes, over ISA-L (which uses what the processor has): CRC32C for what must
 * be found damaged, CRC-64 to tell bodies apart. Neither is a defence against anybody.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/** CRC32C of bytes that follow those `crc` stands for; 0 to begin. @thread any */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

/** CRC-64 (ECMA-182, reflected) of bytes that follow those `crc` stands for; 0 to begin. */
uint64_t crc64(uint64_t crc, const void *p, size_t n);
