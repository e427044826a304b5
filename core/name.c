#include "core/name.h"

#include <string.h>

static bool name_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Not isalnum(): that follows the locale. */
static bool name_is_alnum(char c)
{
    return name_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool name_valid(const char *name)
{
    size_t n = strnlen(name, NAME_MAX_BYTES + 1);

    if (n == 0 || n > NAME_MAX_BYTES || !name_is_alnum(name[0]))
        return false;
    for (size_t i = 1; i < n; i++)
        if (!name_is_alnum(name[i]) && name[i] != '_' && name[i] != '.' && name[i] != '-')
            return false;
    return true;
}

bool name_trailing_id(const char *name, uint64_t *ret_id)
{
    size_t n = strlen(name);
    size_t first = n;
    uint64_t id = 0;

    while (first > 0 && name_is_digit(name[first - 1]))
        first--;
    if (first == n)
        return false;
    for (size_t i = first; i < n; i++)
        if (__builtin_mul_overflow(id, 10, &id) ||
            __builtin_add_overflow(id, (uint64_t)(name[i] - '0'), &id))
            return false;
    *ret_id = id;
    return true;
}
