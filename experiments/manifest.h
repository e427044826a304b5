/* manifest.json: under which conditions a run took place, and the checksums of the files beside it.
 *
 *     {"format":1, "name", "date":"2026-11-21T09:30:12.345Z", "seed",
 *      "quoit":{…}, "host":{…}, "libraries":{…},
 *      "experiment":{"cluster":{"servers":"3",…},…}, "set":["load.requests=1000"],
 *      "duration_s", "interrupted",
 *      "files":[{"name":"result.json","bytes":1234,"sha256":"…"},…]}
 *
 * It is written last: a folder with a manifest is whole. */
#ifndef QUOIT_EXPERIMENTS_MANIFEST_H
#define QUOIT_EXPERIMENTS_MANIFEST_H

#include <cjson/cJSON.h>

#include "core/err.h"
#include "experiments/run.h"

#define MANIFEST_FORMAT 1

/* What is known before the first sample. gnuplot: its version or NULL. */
cJSON *manifest_make(const struct run *run, const char *const *overrides, size_t n_overrides,
                     const char *gnuplot);
/* What is known after the last one, and an empty list of files. */
void manifest_close(cJSON *manifest, const struct run *run);
/* Adds DIR/NAME as it stands. 0 or a negative errno. */
int manifest_add_file(cJSON *manifest, const char *dir, const char *name, struct err *err);
/* DIR/manifest.json, for cJSON_Delete(); NULL with the reason. */
cJSON *manifest_read(const char *dir, struct err *err);
/* Every file it names is there and has its size and checksum; there is no other. 0 or -EINVAL with
 * the first flaw. */
int manifest_check_files(const cJSON *manifest, const char *dir, struct err *err);

#endif
