/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing past U+10FFFF. */
#ifndef QUOIT_CORE_UTF8_H
#define QUOIT_CORE_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length in bytes, 1 … 4, of the well-formed character at the start of text's n bytes; 0 if what
 * stands there is malformed or cut off, or n is 0. ret_code (may be NULL): its code point. */
size_t utf8_char(const char *text, size_t n, uint32_t *ret_code);
/* Writes the character (not a surrogate, at most U+10FFFF) into to (4 bytes); returns its length.
 */
size_t utf8_put(uint32_t code, char *to);

#endif
