/* This program: what it was built from, and the libraries it found. */
#include <curl/curl.h>
#include <ev.h>
#include <gnu/libc-version.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "core/build_info.h"
#include "doctor/check.h"

static void check_version(const struct check *check, const struct doctor_wants *wants,
                          struct doctor_report *report)
{
    (void)wants;
    check_add(report, check, build_info.dirty ? DOCTOR_WARN : DOCTOR_OK,
              build_info.dirty ? "commit, and build again, before you measure" : NULL, "%s%s",
              build_info.version,
              build_info.dirty ? ": built from files that were not committed" : "");
}

/* A build for debugging runs several times slower. */
static void check_flags(const struct check *check, const struct doctor_wants *wants,
                        struct doctor_report *report)
{
    const char *flags = build_info.cflags;
    bool slow = strstr(flags, "-O0") || strstr(flags, "-fsanitize") || strstr(flags, "--coverage");
    (void)wants;
    check_add(report, check, slow ? DOCTOR_WARN : DOCTOR_OK,
              slow ? "measure with make MODE=release" : NULL, "%s%s", build_info.compiler,
              slow ? "; built for debugging, not for speed" : "");
}

static void check_libraries(const struct check *check, const struct doctor_wants *wants,
                            struct doctor_report *report)
{
    unsigned xxhash = XXH_versionNumber();
    (void)wants;
    check_add(report, check, DOCTOR_OK, NULL,
              "libev %d.%d, libcurl %s, cJSON %s, llhttp %d.%d.%d, xxHash %u.%u.%u, OpenSSL %s, "
              "glibc %s",
              ev_version_major(), ev_version_minor(), curl_version_info(CURLVERSION_NOW)->version,
              cJSON_Version(), LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH,
              xxhash / 10000, xxhash / 100 % 100, xxhash % 100,
              OpenSSL_version(OPENSSL_VERSION_STRING), gnu_get_libc_version());
}

const struct check build_checks[] = {
    {"build", "version", "a figure counts only when its source can be found again", true,
     check_version},
    {"build", "compiler", "a debugging build measures the debugging", true, check_flags},
    {"build", "libraries", "another version may be faster or slower", false, check_libraries},
    {0},
};
