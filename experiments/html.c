#include "experiments/html.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/endpoints.h"
#include "experiments/outcome.h"
#include "experiments/report.h"
#include "experiments/table.h"

#define HTML_MAX_FIGURE_BYTES (8 * 1024 * 1024)
#define MAX_RESULTS 256

/* Text colours stand out from their grounds by 4.5 and more (WCAG 2.1); they are the figures'. */
static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
    "<title>quoit: measured results</title>\n"
    "<style>\n"
    ":root{--ground:#fff;--ink:#1f2328;--muted:#59636e;--line:#d1d7dd;--link:#0072b2;"
    "--good:#00694c;--bad:#b3261e}\n"
    "@media (prefers-color-scheme:dark){:root{--ground:#0d1117;--ink:#e6edf3;--muted:#9aa4af;"
    "--line:#3a424c;--link:#56b4e9;--good:#2fbf93;--bad:#ff8a80}}\n"
    "*{box-sizing:border-box}\n"
    "body{margin:0 auto;padding:1.5rem 1rem 4rem;max-width:58rem;background:var(--ground);"
    "color:var(--ink);font:1rem/1.5 system-ui,-apple-system,\"Segoe UI\",Helvetica,Arial,"
    "sans-serif}\n"
    "h1{font-size:1.7rem;line-height:1.2;margin:0 0 .5rem}\n"
    "h2{font-size:1.35rem;line-height:1.25;margin:0 0 .5rem}\n"
    "h3{font-size:1.05rem;margin:1.5rem 0 .5rem}\n"
    "a{color:var(--link)}\n"
    "section{margin-top:2.5rem;padding-top:1.5rem;border-top:1px solid var(--line)}\n"
    ".question{font-weight:600;margin:0 0 1rem}\n"
    ".wide{overflow-x:auto}\n"
    ".wide:focus-visible{outline:2px solid var(--link);outline-offset:2px}\n"
    "figure{margin:1rem 0}\n"
    "figure svg{display:block;width:100%;min-width:40rem;height:auto}\n"
    ".dark{display:none}\n"
    "@media (prefers-color-scheme:dark){.light{display:none}.dark{display:block}}\n"
    "table{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;color:var(--muted);padding-bottom:.25rem}\n"
    "th,td{padding:.3rem .75rem .3rem 0;text-align:left;vertical-align:top;"
    "border-bottom:1px solid var(--line)}\n"
    "th{font-weight:600}\n"
    ".number{text-align:right;white-space:nowrap}\n"
    ".endpoints table{min-width:38rem}\n"
    ".endpoints td{overflow-wrap:anywhere}\n"
    ".verdict{font-weight:600}\n"
    ".good{color:var(--good)}\n"
    ".bad{color:var(--bad)}\n"
    ".conditions,footer{color:var(--muted);font-size:.875rem}\n"
    "summary{cursor:pointer}\n"
    "pre{overflow-x:auto;font-size:.75rem;line-height:1.4;border:1px solid var(--line);"
    "padding:.75rem}\n"
    "@media print{:root{--ground:#fff;--ink:#000;--muted:#444;--line:#bbb;--link:#000;"
    "--good:#000;--bad:#000}.dark{display:none}.light{display:block}body{max-width:none;padding:0}"
    "section{break-inside:auto}figure,tr{break-inside:avoid}figure svg{min-width:0}"
    ".wide{overflow:visible}details:not([open]){display:none}}\n"
    "</style>\n</head>\n<body>\n";

/* ——— pieces ——— */

void html_print_text(const char *text, struct buf *out)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_append_str(out, "&amp;");
        else if (*text == '<')
            buf_append_str(out, "&lt;");
        else if (*text == '>')
            buf_append_str(out, "&gt;");
        else if (*text == '"')
            buf_append_str(out, "&quot;");
        else
            buf_append(out, text, 1);
    }
}

void html_print_table(const struct grid *grid, const char *caption, struct buf *out)
{
    buf_append_str(out, "<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"");
    html_print_text(caption, out);
    buf_append_str(out, "\">\n<table>\n<caption>");
    html_print_text(caption, out);
    buf_append_str(out, "</caption>\n<thead><tr>");
    for (size_t c = 0; c < grid->n_columns; c++) {
        buf_appendf(out, "<th scope=\"col\"%s>", grid->numeric[c] ? " class=\"number\"" : "");
        html_print_text(grid->headings[c], out);
        buf_append_str(out, "</th>");
    }
    buf_append_str(out, "</tr></thead>\n<tbody>\n");
    for (size_t r = 0; r < grid->n_rows; r++) {
        buf_append_str(out, "<tr>");
        for (size_t c = 0; c < grid->n_columns; c++) {
            buf_appendf(out, "<td%s>", grid->numeric[c] ? " class=\"number\"" : "");
            html_print_text(grid->cells[r * grid->n_columns + c], out);
            buf_append_str(out, "</td>");
        }
        buf_append_str(out, "</tr>\n");
    }
    buf_append_str(out, "</tbody>\n</table>\n</div>\n");
}

static bool begins(const char *text, const char *with)
{
    return !strncmp(text, with, strlen(with));
}

/* How much of the text here is left out: namespaces, and gnuplot's titles of its plots. */
static size_t svg_left_out(const char *at)
{
    if (begins(at, "xmlns=\"") || begins(at, "xmlns:xlink=\"")) {
        const char *end = strchr(strchr(at, '"') + 1, '"');
        return end ? (size_t)(end + 1 - at) : 0;
    }
    if (begins(at, "<title>gnuplot")) {
        const char *end = strstr(at, "</title>");
        return end ? (size_t)(end - at) + strlen("</title>") : 0;
    }
    return 0;
}

int html_print_svg(const char *svg, const char *prefix, const char *label, struct buf *out)
{
    static const char *const references[] = {" id=\"",  " id='", "href=\"#",
                                             "href='#", "url(#", "url('#"};
    const char *at = strstr(svg, "<svg");
    if (!at || !strstr(at, "</svg>"))
        return -EINVAL;
    buf_append_str(out, "<svg role=\"img\" aria-label=\"");
    html_print_text(label, out);
    buf_append_str(out, "\"");
    for (at += strlen("<svg"); *at;) {
        size_t n = svg_left_out(at);
        at += n;
        for (size_t i = 0; !n && i < sizeof(references) / sizeof(references[0]); i++) {
            if (!begins(at, references[i]))
                continue;
            n = strlen(references[i]);
            buf_append(out, at, n);
            buf_append_str(out, prefix);
            at += n;
        }
        if (!n)
            buf_append(out, at++, 1);
    }
    return 0;
}

/* ——— one result ——— */

static int print_figure(const struct report_entry *entry, const char *dir, const char *kind,
                        const char *theme, struct buf *out, struct err *err)
{
    struct buf svg;
    char *path = mem_printf("%s/%s-%s.svg", dir, kind, theme);
    char *prefix = mem_printf("%s-%s-%s-", outcome_text(entry->result, "name"), kind, theme);
    char *label =
        mem_printf("Figure: %s. %s The numbers are in the table below.",
                   outcome_text(entry->result, "title"), outcome_text(entry->result, "question"));
    buf_init(&svg, HTML_MAX_FIGURE_BYTES);
    int status = file_read(path, &svg, err);
    if (status >= 0) {
        buf_appendf(out, "<div class=\"wide %s\" tabindex=\"0\">\n", theme);
        status = html_print_svg(buf_str(&svg), prefix, label, out);
        if (status < 0)
            err_set(err, status, "%s is no SVG", path);
        buf_append_str(out, "</div>\n");
    }
    buf_done(&svg);
    free(path);
    free(prefix);
    free(label);
    return status;
}

static int print_figures(const struct report_entry *entry, const char *dir, struct buf *out,
                         struct err *err)
{
    const cJSON *kind;
    int status = 0;
    cJSON_ArrayForEach (kind, json_get(entry->result, "figures")) {
        buf_append_str(out, "<figure>\n");
        status = print_figure(entry, dir, kind->valuestring, "light", out, err);
        if (status >= 0)
            status = print_figure(entry, dir, kind->valuestring, "dark", out, err);
        buf_append_str(out, "</figure>\n");
        if (status < 0)
            return status;
    }
    return 0;
}

static void print_lines(const char *text, struct buf *out)
{
    buf_append_str(out, "<ul>\n");
    while (*text) {
        size_t n = strcspn(text, "\n");
        char *line = mem_strndup(text, n);
        buf_append_str(out, "<li>");
        html_print_text(line, out);
        buf_append_str(out, "</li>\n");
        free(line);
        text += n + (text[n] == '\n');
    }
    buf_append_str(out, "</ul>\n");
}

static void print_tables(const cJSON *result, struct buf *out)
{
    struct grid grid;
    struct buf fits;
    const cJSON *endpoints = json_get(result, "endpoints");
    table_make(result, &grid);
    html_print_table(&grid, "The numbers: medians of the repeats", out);
    grid_done(&grid);
    buf_init(&fits, 0);
    table_print_fits(result, "", &fits);
    if (buf_len(&fits))
        print_lines(buf_str(&fits), out);
    buf_done(&fits);
    if (!endpoints)
        return;
    buf_append_str(out, "<h3>Every endpoint, asked once</h3>\n<div class=\"endpoints\">\n");
    grid_init(&grid);
    endpoints_make_table(endpoints, &grid);
    html_print_table(&grid, "Requests and answers, held against CONTRACT.md", out);
    grid_done(&grid);
    buf_append_str(out, "</div>\n");
}

static void print_verdict(const struct report_entry *entry, struct buf *out)
{
    const cJSON *warning;
    struct buf text;
    bool valid = outcome_valid(entry->result);
    buf_appendf(out, "<p><span class=\"verdict %s\">%s</span></p>\n", valid ? "good" : "bad",
                valid ? "VALID" : "INVALID");
    buf_init(&text, 0);
    cJSON_ArrayForEach (warning, json_get(json_get(entry->result, "verdict"), "warnings")) {
        if (cJSON_IsString(warning))
            buf_appendf(&text, "note: %s\n", warning->valuestring);
    }
    if (buf_len(&text))
        print_lines(buf_str(&text), out);
    buf_clear(&text);
    report_print_conditions(entry, &text);
    buf_append_str(out, "<p class=\"conditions\">");
    html_print_text(buf_str(&text), out);
    buf_append_str(out, "</p>\n<details>\n<summary>Manifest: machine, libraries, build, settings, "
                        "checksums</summary>\n<pre tabindex=\"0\">");
    buf_clear(&text);
    json_print(&text, entry->manifest, true);
    html_print_text(buf_str(&text), out);
    buf_append_str(out, "</pre>\n</details>\n");
    buf_done(&text);
}

/* Adds the section to out and its line to the list of links. */
static int print_section(const char *report_dir, const char *name, struct buf *links,
                         struct buf *out, struct err *err)
{
    struct report_entry entry;
    char *dir = mem_printf("%s/%s", report_dir, name);
    int status = report_entry_open(dir, name, &entry, err);
    if (status >= 0) {
        buf_appendf(links, "<li><a href=\"#%s\">%s: ", name, name);
        html_print_text(outcome_text(entry.result, "title"), links);
        buf_appendf(links, "</a>%s</li>\n", outcome_valid(entry.result) ? "" : " (INVALID)");
        buf_appendf(
            out, "<section id=\"%s\" aria-labelledby=\"%s-title\">\n<h2 id=\"%s-title\">%s: ", name,
            name, name, name);
        html_print_text(outcome_text(entry.result, "title"), out);
        buf_append_str(out, "</h2>\n<p class=\"question\">");
        html_print_text(outcome_text(entry.result, "question"), out);
        buf_append_str(out, "</p>\n");
        status = print_figures(&entry, dir, out, err);
        print_tables(entry.result, out);
        print_verdict(&entry, out);
        buf_append_str(out, "</section>\n");
        report_entry_close(&entry);
    }
    free(dir);
    return status;
}

/* ——— the page ——— */

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Folders with a manifest, in order: new strings. */
static int list_results(const char *report_dir, char **names, size_t *ret_n, struct err *err)
{
    DIR *listing = opendir(report_dir);
    if (!listing)
        return errno == ENOENT ? 0 : err_set_errno(err, -errno, "%s", report_dir);
    for (struct dirent *entry; (entry = readdir(listing)) && *ret_n < MAX_RESULTS;) {
        char *path = mem_printf("%s/%s/manifest.json", report_dir, entry->d_name);
        if (entry->d_name[0] != '.' && access(path, F_OK) == 0)
            names[(*ret_n)++] = mem_strdup(entry->d_name);
        free(path);
    }
    closedir(listing);
    qsort(names, *ret_n, sizeof(*names), compare_names);
    return 0;
}

int html_print_page(const char *report_dir, struct buf *out, size_t *ret_n, struct err *err)
{
    char *names[MAX_RESULTS];
    size_t n = 0;
    int status = list_results(report_dir, names, &n, err);
    struct buf links, sections;
    buf_init(&links, 0);
    buf_init(&sections, 0);
    for (size_t i = 0; i < n && status >= 0; i++)
        status = print_section(report_dir, names[i], &links, &sections, err);
    if (status >= 0 && n) {
        buf_append_str(out, page_head);
        buf_append_str(
            out, "<header>\n<h1>quoit: measured results</h1>\n<p>A load balancer over a cluster "
                 "of its own, loaded, broken and measured. Each result below was measured "
                 "by <code>quoit run</code> and is made from the files beside this page.</p>\n"
                 "<nav aria-label=\"Results\">\n<ul>\n");
        buf_append(out, buf_head(&links), buf_len(&links));
        buf_append_str(out, "</ul>\n</nav>\n</header>\n<main>\n");
        buf_append(out, buf_head(&sections), buf_len(&sections));
        buf_append_str(out, "</main>\n</body>\n</html>\n");
    }
    buf_done(&links);
    buf_done(&sections);
    for (size_t i = 0; i < n; i++)
        free(names[i]);
    if (status >= 0)
        *ret_n = n;
    return status;
}
