#include "core/style.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24

/* As setlocale(LC_CTYPE, "") would choose it, without touching the program's locale: numbers are
 * printed with a dot everywhere. */
static bool locale_is_utf8(void)
{
    static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *value = getenv(variables[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

void style_init(struct style *style, FILE *out)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct winsize size = {0};
    int fd = fileno(out);
    *style = (struct style){.columns = DEFAULT_COLUMNS, .rows = DEFAULT_ROWS};
    style->is_terminal = isatty(fd) && term && strcmp(term, "dumb") != 0;
    style->colour = style->is_terminal && !(no_color && *no_color);
    style->unicode = locale_is_utf8();
    if (style->is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        style->columns = size.ws_col;
        style->rows = size.ws_row > 0 ? size.ws_row : DEFAULT_ROWS;
    }
}

const char *style_begin(const struct style *style, enum style_colour colour)
{
    static const char *const sequences[] = {
        [STYLE_PLAIN] = "",         [STYLE_BOLD] = "\033[1m",    [STYLE_DIM] = "\033[2m",
        [STYLE_GREEN] = "\033[32m", [STYLE_YELLOW] = "\033[33m", [STYLE_RED] = "\033[31m",
    };
    return style->colour ? sequences[colour] : "";
}

const char *style_end(const struct style *style)
{
    return style->colour ? "\033[0m" : "";
}
