#include "core/utf8.h"

#include <assert.h>

size_t utf8_char(const char *text, size_t n, uint32_t *ret_code)
{
    const unsigned char *byte = (const unsigned char *)text;
    /* The smallest code point that needs so many bytes. */
    static const uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t code;
    size_t len;

    if (n == 0)
        return 0;
    if (byte[0] < 0x80)
        len = 1, code = byte[0];
    else if ((byte[0] & 0xe0) == 0xc0)
        len = 2, code = byte[0] & 0x1fu;
    else if ((byte[0] & 0xf0) == 0xe0)
        len = 3, code = byte[0] & 0x0fu;
    else if ((byte[0] & 0xf8) == 0xf0)
        len = 4, code = byte[0] & 0x07u;
    else
        return 0;
    if (len > n)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((byte[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (byte[i] & 0x3fu);
    }
    if (code < smallest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    if (ret_code != NULL)
        *ret_code = code;
    return len;
}

size_t utf8_put(uint32_t code, char *to)
{
    assert(code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff));
    if (code < 0x80) {
        to[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        to[0] = (char)(0xc0 | code >> 6);
        to[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        to[0] = (char)(0xe0 | code >> 12);
        to[1] = (char)(0x80 | (code >> 6 & 0x3f));
        to[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}
