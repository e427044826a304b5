#include "core/build_info.h"

#include "generated/build_info.h"

const struct build_info build_info = {
    .version = QUOIT_VERSION,
    .commit = QUOIT_COMMIT,
    .dirty = QUOIT_DIRTY,
    .compiler = QUOIT_COMPILER,
    .cflags = QUOIT_CFLAGS,
    .prefix = QUOIT_PREFIX,
};
