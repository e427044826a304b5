#include "experiments/report.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "core/name.h"
#include "experiments/endpoints.h"
#include "experiments/manifest.h"
#include "experiments/outcome.h"
#include "experiments/resultdir.h"
#include "experiments/table.h"

#define BEGIN_MARKER "<!-- quoit:report "
#define END_MARKER "<!-- /quoit:report -->"
#define REPORT_MAX_FILE_BYTES (64 * 1024 * 1024)
#define COMMIT_DIGITS 10

/* ——— one folder, read and checked ——— */

void report_entry_close(struct report_entry *entry)
{
    cJSON_Delete(entry->manifest);
    cJSON_Delete(entry->result);
    *entry = (struct report_entry){0};
}

/* Rows of samples.tsv below its heading. */
static int count_samples(const char *dir, double *ret_n, struct err *err)
{
    struct buf text;
    char *path = mem_printf("%s/samples.tsv", dir);
    int n_lines = 0;
    buf_init(&text, REPORT_MAX_FILE_BYTES);
    int status = file_read(path, &text, err);
    if (status >= 0) {
        for (const char *line = buf_str(&text); *line;) {
            const char *end = strchr(line, '\n');
            n_lines += *line != '#';
            line = end ? end + 1 : line + strlen(line);
        }
        *ret_n = n_lines - 1;
    }
    buf_done(&text);
    free(path);
    return status;
}

/* The manifest's list has that file. */
static bool manifest_has(const cJSON *manifest, const char *name)
{
    const cJSON *file;
    cJSON_ArrayForEach (file, json_get(manifest, "files")) {
        if (!strcmp(outcome_text(file, "name"), name))
            return true;
    }
    return false;
}

static int check_figures(const struct report_entry *entry, const char *dir, struct err *err)
{
    static const char *const themes[] = {"light", "dark"};
    const cJSON *kind;
    cJSON_ArrayForEach (kind, json_get(entry->result, "figures")) {
        for (size_t i = 0; i < 2; i++) {
            char *name = mem_printf("%s-%s.svg", kind->valuestring, themes[i]);
            bool there = manifest_has(entry->manifest, name);
            if (!there)
                err_set(err, -EINVAL, "%s/%s is missing", dir, name);
            free(name);
            if (!there)
                return -EINVAL;
        }
    }
    return 0;
}

/* Reads both files and holds them against the folder and each other. */
static int entry_open(const char *dir, struct report_entry *ret_entry, struct err *err)
{
    struct report_entry entry = {0};
    double n_samples = 0;
    char *path = mem_printf("%s/result.json", dir);
    int status = -EINVAL;
    if (!(entry.manifest = manifest_read(dir, err)))
        goto out;
    if (manifest_check_files(entry.manifest, dir, err) < 0)
        goto out;
    if (!(entry.result = outcome_read(path, err)) || count_samples(dir, &n_samples, err) < 0)
        goto out;
    if (strcmp(outcome_text(entry.result, "name"), outcome_text(entry.manifest, "name")) ||
        cJSON_IsTrue(json_get(entry.result, "interrupted")) !=
            cJSON_IsTrue(json_get(entry.manifest, "interrupted")))
        err_set(err, status, "%s: manifest.json and result.json are not of the same run", dir);
    else if (fabs(n_samples - outcome_number(entry.result, "n_samples")) > 0.5)
        err_set(err, status, "%s: samples.tsv has %.0f rows, result.json %.0f samples", dir,
                n_samples, outcome_number(entry.result, "n_samples"));
    else
        status = 0;
out:
    free(path);
    if (status < 0)
        report_entry_close(&entry);
    else
        *ret_entry = entry;
    return status;
}

/* ——— a block ——— */

static void print_html(const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_append_str(out, "&amp;");
        else if (*text == '<')
            buf_append_str(out, "&lt;");
        else if (*text == '"')
            buf_append_str(out, "&quot;");
        else
            buf_append(out, text, 1);
    }
}

static void print_figures(const cJSON *result, const char *dir, struct buf *out)
{
    const cJSON *kind;
    cJSON_ArrayForEach (kind, json_get(result, "figures")) {
        const char *name = kind->valuestring;
        buf_appendf(out,
                    "<picture>\n  <source media=\"(prefers-color-scheme: dark)\" "
                    "srcset=\"%s/%s-dark.svg\">\n  <img alt=\"",
                    dir, name);
        print_html(outcome_text(result, "title"), out);
        buf_appendf(out, "\" src=\"%s/%s-light.svg\">\n</picture>\n\n", dir, name);
    }
}

void report_print_conditions(const struct report_entry *entry, struct buf *out)
{
    const cJSON *host = json_get(entry->manifest, "host");
    const cJSON *build = json_get(entry->manifest, "quoit");
    bool dirty = cJSON_IsTrue(json_get(build, "dirty"));
    buf_appendf(out, "Measured %.10s, commit %.*s%s, on ", outcome_text(entry->manifest, "date"),
                COMMIT_DIGITS, outcome_text(build, "commit"),
                dirty ? " with uncommitted changes" : "");
    const char *cpu = json_get_string(host, "cpu");
    buf_appendf(out, "%s with %.0f cores: ", cpu ? cpu : "an unnamed CPU",
                outcome_number(host, "cores"));
    table_print_conditions(entry->result, out);
    buf_append_str(out, ".");
}

/* Date, commit, machine, sizes, verdict. */
static void print_conditions(const struct report_entry *entry, const char *dir, struct buf *out)
{
    const cJSON *warning;
    buf_append_str(out, "*");
    report_print_conditions(entry, out);
    buf_appendf(out, " Verdict: %s.", outcome_valid(entry->result) ? "VALID" : "INVALID");
    cJSON_ArrayForEach (warning, json_get(json_get(entry->result, "verdict"), "warnings")) {
        if (cJSON_IsString(warning))
            buf_appendf(out, " Note: %s.", warning->valuestring);
    }
    buf_appendf(out, " All of it: [%s](%s).*\n", dir, dir);
}

/* A folder that may be shown: whole, of that name, VALID, with all figures. */
int report_entry_open(const char *dir, const char *name, struct report_entry *ret_entry,
                      struct err *err)
{
    struct report_entry entry;
    int status = entry_open(dir, &entry, err);
    if (status < 0)
        return status;
    if (strcmp(outcome_text(entry.result, "name"), name))
        status = err_set(err, -EINVAL, "%s holds a result of '%s'", dir,
                         outcome_text(entry.result, "name"));
    else if (!outcome_valid(entry.result))
        status = err_set(err, -EINVAL, "%s holds an INVALID result", dir);
    else
        status = check_figures(&entry, dir, err);
    if (status < 0)
        report_entry_close(&entry);
    else
        *ret_entry = entry;
    return status;
}

int report_print_block(const char *report_dir, const char *name, struct buf *out, struct err *err)
{
    struct report_entry entry;
    struct grid grid;
    char *dir = mem_printf("%s/%s", report_dir, name);
    int status = report_entry_open(dir, name, &entry, err);
    if (status < 0)
        goto out_dir;
    buf_appendf(out, "**%s**\n\n", outcome_text(entry.result, "question"));
    print_figures(entry.result, dir, out);
    table_make(entry.result, &grid);
    grid_print_markdown(&grid, out);
    grid_done(&grid);
    buf_append_str(out, "\n");
    table_print_fits(entry.result, "- ", out);
    buf_append_str(out, "\n");
    if (json_get(entry.result, "endpoints")) {
        buf_append_str(out, "<details>\n<summary>Every endpoint, asked once</summary>\n\n");
        grid_init(&grid);
        endpoints_make_table(json_get(entry.result, "endpoints"), &grid);
        grid_print_markdown(&grid, out);
        grid_done(&grid);
        buf_append_str(out, "\n</details>\n\n");
    }
    print_conditions(&entry, dir, out);
    report_entry_close(&entry);
out_dir:
    free(dir);
    return status;
}

/* ——— the README ——— */

static int line_of(const char *text, const char *at)
{
    int line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* The name in a begin marker at `marker`, as a new string, and what follows its line. */
static char *marker_name(const char *marker, const char **ret_after)
{
    const char *name = marker + strlen(BEGIN_MARKER);
    size_t n = strcspn(name, " \n");
    if (strncmp(name + n, " -->\n", 5))
        return NULL;
    *ret_after = name + n + 5;
    char *copy = mem_strndup(name, n);
    if (name_valid(copy))
        return copy;
    free(copy);
    return NULL;
}

/* Every folder of report_dir has its marker in the text. */
static int check_all_shown(const char *text, const char *report_dir, struct err *err)
{
    int status = 0;
    DIR *listing = opendir(report_dir);
    if (!listing)
        return errno == ENOENT ? 0 : err_set_errno(err, -errno, "%s", report_dir);
    for (struct dirent *entry; (entry = readdir(listing)) && !status;) {
        char *manifest = mem_printf("%s/%s/manifest.json", report_dir, entry->d_name);
        char *marker = mem_printf(BEGIN_MARKER "%s -->\n", entry->d_name);
        if (entry->d_name[0] != '.' && access(manifest, F_OK) == 0 && !strstr(text, marker))
            status = err_set(err, -EINVAL,
                             "%s/%s is shown nowhere: the README lacks the lines\n%s" END_MARKER,
                             report_dir, entry->d_name, marker);
        free(manifest);
        free(marker);
    }
    closedir(listing);
    return status;
}

static int rewrite_blocks(const char *text, const char *report_dir, struct buf *out,
                          struct err *err)
{
    const char *at = text;
    for (;;) {
        const char *marker = strstr(at, BEGIN_MARKER);
        const char *after = NULL;
        if (!marker) {
            buf_append_str(out, at);
            return 0;
        }
        char *name = marker_name(marker, &after);
        if (!name)
            return err_set(err, -EINVAL, "line %d: not of the form '" BEGIN_MARKER "NAME -->'",
                           line_of(text, marker));
        buf_append(out, at, (size_t)(after - at));
        const char *end = strstr(after, END_MARKER);
        const char *next = strstr(after, BEGIN_MARKER);
        int status = 0;
        if (!end || (next && next < end))
            status = err_set(err, -EINVAL, "line %d: the block of '%s' has no '" END_MARKER "'",
                             line_of(text, marker), name);
        else
            status = report_print_block(report_dir, name, out, err);
        free(name);
        if (status < 0)
            return status;
        at = end;
    }
}

int report_rewrite(const char *readme, size_t n, const char *report_dir, struct buf *out,
                   struct err *err)
{
    if (memchr(readme, '\0', n))
        return err_set(err, -EINVAL, "there is a NUL byte in the README");
    char *text = mem_strndup(readme, n);
    int status = rewrite_blocks(text, report_dir, out, err);
    if (status >= 0)
        status = check_all_shown(text, report_dir, err);
    free(text);
    return status;
}

/* ——— the difference ——— */

static void print_lines(const char *from, const char *to, char sign, struct buf *out)
{
    while (from < to) {
        const char *end = memchr(from, '\n', (size_t)(to - from));
        size_t n = end ? (size_t)(end - from) : (size_t)(to - from);
        buf_appendf(out, "%c", sign);
        buf_append(out, from, n);
        buf_append_str(out, "\n");
        from += n + 1;
    }
}

void report_print_difference(const char *file, const struct buf *is, const struct buf *should,
                             struct buf *out)
{
    const char *a = buf_head(is), *b = buf_head(should);
    const char *a_end = a + buf_len(is), *b_end = b + buf_len(should);
    const char *a_line = a, *b_line = b;
    for (; a < a_end && b < b_end && *a == *b; a++, b++)
        if (*a == '\n') {
            a_line = a + 1;
            b_line = b + 1;
        }
    if (a == a_end && b == b_end)
        return;
    /* From the end, as far as whole lines are the same. */
    const char *a_tail = a_end, *b_tail = b_end;
    for (a = a_end, b = b_end; a > a_line && b > b_line && a[-1] == b[-1]; a--, b--)
        if (a[-1] == '\n' && a < a_end) {
            a_tail = a;
            b_tail = b;
        }
    if ((a == a_line || a[-1] == '\n') && (b == b_line || b[-1] == '\n')) {
        a_tail = a;
        b_tail = b;
    }
    buf_appendf(out, "%s:%d: differs\n", file, line_of(buf_head(is), a_line));
    print_lines(a_line, a_tail, '-', out);
    print_lines(b_line, b_tail, '+', out);
}

/* ——— adopt ——— */

static int copy_file(const char *from_dir, const char *to_dir, const char *name, struct err *err)
{
    struct buf text;
    char *from = mem_printf("%s/%s", from_dir, name);
    char *to = mem_printf("%s/%s", to_dir, name);
    buf_init(&text, REPORT_MAX_FILE_BYTES);
    int status = file_read(from, &text, err);
    if (status >= 0)
        status = file_write_atomic(to, buf_head(&text), buf_len(&text), err);
    buf_done(&text);
    free(from);
    free(to);
    return status;
}

/* Copies into a folder beside it, then puts that in its place. */
static int replace_folder(const cJSON *manifest, const char *from, const char *to,
                          const char *report_dir, struct err *err)
{
    const cJSON *file;
    char *work = mem_printf("%s/.adopt-%ld", report_dir, (long)getpid());
    int status = file_make_dirs(work, err);
    cJSON_ArrayForEach (file, json_get(manifest, "files")) {
        if (status >= 0)
            status = copy_file(from, work, outcome_text(file, "name"), err);
    }
    if (status >= 0)
        status = copy_file(from, work, "manifest.json", err);
    if (status >= 0) {
        resultdir_remove_tree(to);
        if (rename(work, to) < 0)
            status = err_set_errno(err, -errno, "cannot rename %s to %s", work, to);
    }
    if (status < 0)
        resultdir_remove_tree(work);
    free(work);
    return status;
}

int report_adopt(const char *result_dir, const char *report_dir, bool allow_dirty, char **ret_name,
                 struct err *err)
{
    struct report_entry entry;
    int status = entry_open(result_dir, &entry, err);
    if (status < 0)
        return status;
    const char *name = outcome_text(entry.result, "name");
    const cJSON *reasons = json_get(json_get(entry.result, "verdict"), "reasons");
    const cJSON *reason = cJSON_GetArrayItem(reasons, 0);
    if (!outcome_valid(entry.result))
        status = err_set(err, -EBADMSG, "%s is INVALID%s%s", result_dir, reason ? ": " : "",
                         reason && cJSON_IsString(reason) ? reason->valuestring : "");
    else if (cJSON_IsTrue(json_get(json_get(entry.manifest, "quoit"), "dirty")) && !allow_dirty)
        status =
            err_set(err, -EPERM,
                    "%s was measured with uncommitted changes: commit, build and run again, or "
                    "give --allow-dirty",
                    result_dir);
    else if (!name_valid(name))
        status = err_set(err, -EINVAL, "%s: '%s' is not a name", result_dir, name);
    else
        status = check_figures(&entry, result_dir, err);
    if (status >= 0) {
        char *to = mem_printf("%s/%s", report_dir, name);
        status = replace_folder(entry.manifest, result_dir, to, report_dir, err);
        free(to);
    }
    if (status >= 0)
        *ret_name = mem_strdup(name);
    report_entry_close(&entry);
    return status;
}
