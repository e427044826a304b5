#include "experiments/environment.h"

#include <curl/curl.h>
#include <ev.h>
#include <gnu/libc-version.h>
#include <llhttp.h>
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/build_info.h"
#include "core/file.h"
#include "core/json.h"

/* The value of "KEY : value" in a file of such lines. */
static bool read_field(const char *path, const char *key, char *text, size_t bytes)
{
    char line[4096];
    bool found = false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    while (!found && fgets(line, sizeof(line), file)) {
        size_t n = strlen(key);
        if (strncmp(line, key, n) || !strchr(" \t:", line[n]))
            continue;
        const char *value = strchr(line, ':');
        value = value ? value + 1 + strspn(value + 1, " \t") : "";
        snprintf(text, bytes, "%.*s", (int)strcspn(value, "\n"), value);
        found = true;
    }
    fclose(file);
    return found;
}

static void add_text(cJSON *object, const char *key, const char *text)
{
    if (text)
        cJSON_AddStringToObject(object, key, text);
    else
        cJSON_AddNullToObject(object, key);
}

/* A hypervisor shows itself among the CPU's flags (x86). */
static bool cpu_is_virtual(void)
{
    char flags[4096];
    return read_field("/proc/cpuinfo", "flags", flags, sizeof(flags)) &&
           strstr(flags, " hypervisor");
}

cJSON *environment_host(void)
{
    char text[256];
    struct utsname name;
    double load[3];
    cJSON *host = cJSON_CreateObject();
    bool known = read_field("/proc/cpuinfo", "model name", text, sizeof(text)) ||
                 read_field("/proc/cpuinfo", "Model", text, sizeof(text));
    add_text(host, "cpu", known ? text : NULL);
    long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    json_add_int64(host, "cores", n_cores > 0 ? n_cores : 0);
    known =
        file_read_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof(text));
    add_text(host, "governor", known ? text : NULL);
    known = file_read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", text,
                           sizeof(text));
    add_text(host, "clocksource", known ? text : NULL);
    cJSON_AddBoolToObject(host, "virtual", cpu_is_virtual());
    if (read_field("/proc/meminfo", "MemTotal", text, sizeof(text)))
        json_add_uint64(host, "memory_bytes", strtoull(text, NULL, 10) * 1024);
    else
        cJSON_AddNullToObject(host, "memory_bytes");
    if (uname(&name) == 0) {
        snprintf(text, sizeof(text), "%s %s", name.sysname, name.release);
        add_text(host, "kernel", text);
        add_text(host, "machine", name.machine);
    }
    cJSON *average = cJSON_AddArrayToObject(host, "load_average");
    int n = getloadavg(load, 3);
    for (int i = 0; i < n; i++)
        cJSON_AddItemToArray(average, json_double(load[i]));
    return host;
}

cJSON *environment_libraries(const char *gnuplot)
{
    char text[64];
    cJSON *libraries = cJSON_CreateObject();
    snprintf(text, sizeof(text), "%d.%d", ev_version_major(), ev_version_minor());
    add_text(libraries, "libev", text);
    add_text(libraries, "libcurl", curl_version_info(CURLVERSION_NOW)->version);
    add_text(libraries, "cjson", cJSON_Version());
    unsigned xxhash = XXH_versionNumber();
    snprintf(text, sizeof(text), "%u.%u.%u", xxhash / 10000, xxhash / 100 % 100, xxhash % 100);
    add_text(libraries, "xxhash", text);
    add_text(libraries, "openssl", OpenSSL_version(OPENSSL_VERSION_STRING));
    snprintf(text, sizeof(text), "%d.%d.%d", LLHTTP_VERSION_MAJOR, LLHTTP_VERSION_MINOR,
             LLHTTP_VERSION_PATCH);
    add_text(libraries, "llhttp", text);
    add_text(libraries, "gnuplot", gnuplot);
    snprintf(text, sizeof(text), "glibc %s", gnu_get_libc_version());
    add_text(libraries, "libc", text);
    return libraries;
}

cJSON *environment_build(void)
{
    cJSON *build = cJSON_CreateObject();
    add_text(build, "version", build_info.version);
    add_text(build, "commit", build_info.commit);
    cJSON_AddBoolToObject(build, "dirty", build_info.dirty);
    add_text(build, "compiler", build_info.compiler);
    add_text(build, "cflags", build_info.cflags);
    return build;
}

const char *environment_filesystem(const char *path, char *text, size_t bytes)
{
    static const struct {
        uint32_t magic; /* statfs(2) */
        const char *name;
    } kinds[] = {{0xef53, "ext4"},      {0x01021994, "tmpfs"},   {0x58465342, "xfs"},
                 {0x9123683e, "btrfs"}, {0x794c7630, "overlay"}, {0x2fc12fc1, "zfs"},
                 {0xf2f52010, "f2fs"},  {0x858458f6, "ramfs"}};
    struct statfs found;
    text[0] = '\0';
    if (statfs(path, &found) < 0)
        return text;
    snprintf(text, bytes, "%#jx", (uintmax_t)(uint32_t)found.f_type);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (kinds[i].magic == (uint32_t)found.f_type)
            snprintf(text, bytes, "%s", kinds[i].name);
    return text;
}
