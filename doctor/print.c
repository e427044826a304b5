/* The report as text and as JSON. */
#include <string.h>

#include "core/json.h"
#include "doctor/doctor.h"

#define NAME_COLUMNS 18
#define INDENT (6 + NAME_COLUMNS)

const char *doctor_level_name(enum doctor_level level)
{
    static const char *const names[] = {
        [DOCTOR_OK] = "ok", [DOCTOR_NOTE] = "note", [DOCTOR_WARN] = "warn", [DOCTOR_FAIL] = "fail"};
    return names[level];
}

/* Words from `column` on, broken before the terminal's edge and indented. */
static void append_wrapped(struct buf *out, const char *text, size_t column, size_t columns)
{
    bool first = true;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (!first && column + 1 + n > columns) {
            buf_appendf(out, "\n%*s", INDENT, "");
            column = INDENT;
        } else if (!first) {
            buf_append_str(out, " ");
            column++;
        }
        buf_append(out, text, n);
        column += n;
        text += n + strspn(text + n, " ");
        first = false;
    }
    buf_append_str(out, "\n");
}

static void append_finding(struct buf *out, const struct doctor_finding *finding,
                           const struct style *style, bool verbose)
{
    static const enum style_colour colours[] = {[DOCTOR_OK] = STYLE_GREEN,
                                                [DOCTOR_NOTE] = STYLE_DIM,
                                                [DOCTOR_WARN] = STYLE_YELLOW,
                                                [DOCTOR_FAIL] = STYLE_RED};
    size_t columns = style->columns > 60 ? style->columns : 60;
    buf_appendf(out, "%s%-4s%s  %-*s", style_begin(style, colours[finding->level]),
                doctor_level_name(finding->level), style_end(style), NAME_COLUMNS, finding->name);
    append_wrapped(out, finding->found, INDENT, columns);
    if (finding->level < DOCTOR_WARN && !verbose)
        return;
    buf_appendf(out, "%*s", INDENT, "");
    buf_append_str(out, "why: ");
    append_wrapped(out, finding->why, INDENT + 5, columns);
    if (!finding->advice)
        return;
    buf_appendf(out, "%*s", INDENT, "");
    buf_append_str(out, "do:  ");
    append_wrapped(out, finding->advice, INDENT + 5, columns);
}

static void append_count(struct buf *out, size_t n, const char *one, const char *many,
                         const char *end)
{
    buf_appendf(out, "%zu %s%s", n, n == 1 ? one : many, end);
}

void doctor_print(const struct doctor_report *report, const struct style *style, bool verbose,
                  struct buf *out)
{
    const char *group = "";
    for (size_t i = 0; i < report->n; i++) {
        const struct doctor_finding *finding = &report->findings[i];
        if (strcmp(group, finding->group) != 0)
            buf_appendf(out, "%s%s%s%s\n", i > 0 ? "\n" : "", style_begin(style, STYLE_BOLD),
                        finding->group, style_end(style));
        group = finding->group;
        append_finding(out, finding, style, verbose);
    }
    buf_append_str(out, "\n");
    append_count(out, report->n_of[DOCTOR_OK], "ok", "ok", ", ");
    append_count(out, report->n_of[DOCTOR_NOTE], "note", "notes", ", ");
    append_count(out, report->n_of[DOCTOR_WARN], "warning", "warnings", ", ");
    append_count(out, report->n_of[DOCTOR_FAIL], "failure", "failures", "\n");
}

cJSON *doctor_json(const struct doctor_report *report)
{
    cJSON *tree = cJSON_CreateObject();
    json_add_uint64(tree, "ok", report->n_of[DOCTOR_OK]);
    json_add_uint64(tree, "notes", report->n_of[DOCTOR_NOTE]);
    json_add_uint64(tree, "warnings", report->n_of[DOCTOR_WARN]);
    json_add_uint64(tree, "failures", report->n_of[DOCTOR_FAIL]);
    cJSON *findings = cJSON_AddArrayToObject(tree, "findings");
    for (size_t i = 0; i < report->n; i++) {
        const struct doctor_finding *finding = &report->findings[i];
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "level", doctor_level_name(finding->level));
        cJSON_AddStringToObject(object, "group", finding->group);
        cJSON_AddStringToObject(object, "name", finding->name);
        cJSON_AddStringToObject(object, "found", finding->found);
        cJSON_AddStringToObject(object, "why", finding->why);
        if (finding->advice)
            cJSON_AddStringToObject(object, "advice", finding->advice);
        else
            cJSON_AddNullToObject(object, "advice");
        cJSON_AddItemToArray(findings, object);
    }
    return tree;
}
