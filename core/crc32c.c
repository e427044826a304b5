#include "core/crc32c.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

/* 0x1EDC6F41 with its bits reversed. */
#define CRC32C_POLYNOMIAL UINT32_C(0x82f63b78)

/* table[k][b]: what the byte b does to the register when k bytes follow it. Eight bytes are then
 * eight independent loads ("slicing by 8": Kounavis and Berry 2005). */
static uint32_t table[8][256];

/* Before main(), hence before any thread: no lock and no check on the way. */
__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t crc = b;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ CRC32C_POLYNOMIAL : crc >> 1;
        table[0][b] = crc;
    }
    for (uint32_t b = 0; b < 256; b++)
        for (int k = 1; k < 8; k++)
            table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xff];
}

uint32_t crc32c_by_table(uint32_t seed, const void *bytes, size_t n)
{
    const unsigned char *at = bytes;
    uint32_t crc = ~seed;
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word = le64toh(word) ^ crc;
        crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^ table[5][word >> 16 & 0xff] ^
              table[4][word >> 24 & 0xff] ^ table[3][word >> 32 & 0xff] ^
              table[2][word >> 40 & 0xff] ^ table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
    }
    for (; n > 0; n--, at++)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return ~crc;
}

#if defined(__x86_64__)

bool crc32c_has_instruction(void)
{
    return __builtin_cpu_supports("sse4.2") != 0;
}

__attribute__((target("sse4.2"))) uint32_t crc32c_by_instruction(uint32_t seed, const void *bytes,
                                                                 size_t n)
{
    const unsigned char *at = bytes;
    uint64_t crc = ~seed;
    for (; n >= 8; n -= 8, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        crc = __builtin_ia32_crc32di(crc, word);
    }
    uint32_t rest = (uint32_t)crc;
    for (; n > 0; n--, at++)
        rest = __builtin_ia32_crc32qi(rest, *at);
    return ~rest;
}

#else

bool crc32c_has_instruction(void)
{
    return false;
}

uint32_t crc32c_by_instruction(uint32_t seed, const void *bytes, size_t n)
{
    assert(!"crc32c_by_instruction() without crc32c_has_instruction()");
    return crc32c_by_table(seed, bytes, n);
}

#endif

uint32_t crc32c(uint32_t seed, const void *bytes, size_t n)
{
    if (__builtin_expect(crc32c_has_instruction(), 1))
        return crc32c_by_instruction(seed, bytes, n);
    return crc32c_by_table(seed, bytes, n);
}
