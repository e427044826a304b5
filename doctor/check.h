/* What the checks are made of. Shared by the files of doctor/. */
#ifndef QUOIT_DOCTOR_CHECK_H
#define QUOIT_DOCTOR_CHECK_H

#include <stdbool.h>
#include <stddef.h>

#include "doctor/doctor.h"

/* One line of the table of checks. */
struct check {
    const char *group, *name, *why;
    bool quick;
    /* Adds one finding with check_add(), or none where there is nothing to say. */
    void (*run)(const struct check *check, const struct doctor_wants *wants,
                struct doctor_report *report);
};

/* Tables, ended by a NULL name. */
extern const struct check limit_checks[];
extern const struct check machine_checks[];
extern const struct check program_checks[];
extern const struct check build_checks[];

/* Adds a finding of this check. advice: static; NULL where there is nothing to do. The format makes
 * what was found. */
void check_add(struct doctor_report *report, const struct check *check, enum doctor_level level,
               const char *advice, const char *format, ...) __attribute__((format(printf, 5, 6)));
/* The program's path, looked for in $PATH and the folders for administration; false where it is
 * nowhere. path holds PATH_MAX bytes. */
bool check_find_program(const char *name, char *path);
/* Starts a program without a shell, waits for its end at most 3 s and takes the first line that it
 * prints (stdout, else stderr) into text. Its exit status, or a negative errno. */
int check_ask_program(const char *const *argv, char *text, size_t bytes);

#endif
