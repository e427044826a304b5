/* The published results: report/NAME/ holds one run of each experiment, committed; README.md shows
 * them between markers. What stands between them is made from the files alone, so that a check can
 * compare byte for byte without running anything.
 *
 *     <!-- quoit:report A1 -->
 *     …question, figure, table, conditions…
 *     <!-- /quoit:report -->
 */
#ifndef QUOIT_EXPERIMENTS_REPORT_H
#define QUOIT_EXPERIMENTS_REPORT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "core/buf.h"
#include "core/err.h"

/* One published result, read. */
struct report_entry {
    cJSON *manifest;
    cJSON *result;
};

/* Opens report_dir/NAME, checking what report_print_block() says. Pair with report_entry_close().
 */
int report_entry_open(const char *dir, const char *name, struct report_entry *ret_entry,
                      struct err *err);
/* Takes a zeroed one. */
void report_entry_close(struct report_entry *entry);
/* "Measured DATE, commit C, on CPU with N cores: N = 3 servers, …." */
void report_print_conditions(const struct report_entry *entry, struct buf *out);

/* Appends what stands between the markers for report_dir/NAME, after checking the folder: every
 * file is there and what the manifest says, manifest and result agree, the verdict is VALID, the
 * figures are in both themes. 0, or a negative errno with the first flaw. */
int report_print_block(const char *report_dir, const char *name, struct buf *out, struct err *err);
/* The README's n bytes with every block made anew. 0, or a negative errno: a marker without its
 * end, a name twice, a folder without a block (it would be published but not shown), a broken
 * folder. */
int report_rewrite(const char *readme, size_t n, const char *report_dir, struct buf *out,
                   struct err *err);
/* Lines that differ, as "-old" and "+new" with a heading that names file and line; the lines both
 * have in common before and after are left out. */
void report_print_difference(const char *file, const struct buf *is, const struct buf *should,
                             struct buf *out);
/* Copies the result folder to report_dir/NAME, in place of what was there. 0; -EBADMSG when it is
 * INVALID; -EPERM when the build was dirty and allow_dirty is not set; else a negative errno.
 * ret_name: of the experiment, a new string. */
int report_adopt(const char *result_dir, const char *report_dir, bool allow_dirty, char **ret_name,
                 struct err *err);

#endif
