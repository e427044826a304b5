#include "experiments/experiment_ini.h"

#include <errno.h>
#include <ini.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* inih cuts names at 50 bytes, NUL included. */
#define INI_NAME_BYTES 50

struct reading {
    const char *at; /* what inih has not read yet */
    const char *end;
    const char *origin;
    struct arena *arena;
    struct ini_entries *entries;
    struct err *err;
    int line;       /* of the line inih works on, from 1 */
    bool indented;  /* that line begins with a blank */
    bool continues; /* an entry stands right above, in the same section */
    int status;     /* first error */
};

struct ini_entry *ini_find(struct ini_entries *entries, const char *section, const char *key)
{
    for (size_t i = 0; i < entries->n; i++) {
        struct ini_entry *entry = &entries->at[i];
        if (entry->key && !strcmp(entry->section, section) && !strcmp(entry->key, key))
            return entry;
    }
    return NULL;
}

static int reading_fail(struct reading *reading, const char *what)
{
    if (!reading->status)
        reading->status =
            err_set(reading->err, -EINVAL, "%s:%d: %s", reading->origin, reading->line, what);
    return reading->status;
}

static void reading_push(struct reading *reading, const char *section, const char *key,
                         const char *value)
{
    struct ini_entries *entries = reading->entries;
    if (entries->n == INI_MAX_ENTRIES) {
        reading_fail(reading, "too many keys");
        return;
    }
    entries->at[entries->n++] = (struct ini_entry){
        .section = arena_strdup(reading->arena, section),
        .key = key ? arena_strdup(reading->arena, key) : NULL,
        .value = value ? arena_strdup(reading->arena, value) : NULL,
        .line = reading->line,
    };
}

/* A heading is noted by itself, since inih calls nobody for a section without keys. */
static void reading_note_heading(struct reading *reading, const char *line, size_t n)
{
    char name[INI_NAME_BYTES];
    const char *close = memchr(line, ']', n);
    if (!close) {
        reading_fail(reading, "'[' without ']'");
        return;
    }
    size_t length = (size_t)(close - line) - 1;
    if (length >= sizeof(name)) {
        reading_fail(reading, "the name of the section is too long");
        return;
    }
    memcpy(name, line + 1, length);
    name[length] = '\0';
    reading_push(reading, name, NULL, NULL);
    reading->continues = false;
}

/* inih's reader, fgets-like: one whole line, or NULL at the end and at the first error. */
static char *reading_next_line(char *out, int size, void *stream)
{
    struct reading *reading = stream;
    if (reading->at == reading->end || reading->status)
        return NULL;
    reading->line++;
    size_t left = (size_t)(reading->end - reading->at);
    const char *newline = memchr(reading->at, '\n', left);
    size_t n = newline ? (size_t)(newline - reading->at) : left;
    if (n + 2 > (size_t)size) {
        reading_fail(reading, "the line is too long (go on in the next one, indented)");
        return NULL;
    }
    if (memchr(reading->at, '\0', n)) {
        reading_fail(reading, "there is a NUL byte");
        return NULL;
    }
    memcpy(out, reading->at, n);
    out[n] = '\n';
    out[n + 1] = '\0';
    reading->at += n + (newline ? 1 : 0);
    size_t blanks = strspn(out, " \t\r\v\f");
    reading->indented = blanks > 0;
    if (out[blanks] == '[' && !(reading->indented && reading->continues))
        reading_note_heading(reading, out + blanks, n - blanks);
    return out;
}

static int reading_on_entry(void *user, const char *section, const char *key, const char *value)
{
    struct reading *reading = user;
    if (reading->status)
        return 1;
    struct ini_entries *entries = reading->entries;
    if (reading->indented && reading->continues) {
        struct ini_entry *last = &entries->at[entries->n - 1];
        last->value = arena_printf(reading->arena, "%s %s", last->value, value);
        return 1;
    }
    if (!*section)
        reading_fail(reading, "a key stands before the first [section]");
    else if (!*key)
        reading_fail(reading, "nothing stands before the '='");
    else if (strlen(key) >= INI_NAME_BYTES - 1)
        reading_fail(reading, "the key is too long");
    else if (ini_find(entries, section, key))
        reading->status = err_set(reading->err, -EINVAL,
                                  "%s:%d: '%s' is set twice in [%s], first "
                                  "in line %d",
                                  reading->origin, reading->line, key, section,
                                  ini_find(entries, section, key)->line);
    else
        reading_push(reading, section, key, value);
    reading->continues = true;
    return 1;
}

int ini_read_entries(const char *text, size_t n, const char *origin, struct arena *arena,
                     struct ini_entries *ret_entries, struct err *err)
{
    ret_entries->n = 0;
    struct reading reading = {.at = text,
                              .end = text + n,
                              .origin = origin,
                              .arena = arena,
                              .entries = ret_entries,
                              .err = err};
    int bad_line = ini_parse_stream(reading_next_line, &reading, reading_on_entry, &reading);
    if (reading.status)
        return reading.status;
    if (bad_line > 0)
        return err_set(err, -EINVAL, "%s:%d: neither [section], key = value nor a comment", origin,
                       bad_line);
    return 0;
}
