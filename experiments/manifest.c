#include "experiments/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/file.h"
#include "core/json.h"
#include "core/mem.h"
#include "experiments/environment.h"

#define MANIFEST_FILE "manifest.json"
#define MANIFEST_MAX_BYTES (1024 * 1024)
#define MANIFEST_MAX_FILE_BYTES (64 * 1024 * 1024)
#define SHA256_HEX_BYTES 65

cJSON *manifest_make(const struct run *run, const char *const *overrides, size_t n_overrides,
                     const char *gnuplot)
{
    char date[CLOCK_ISO_BYTES];
    cJSON *manifest = cJSON_CreateObject();
    clock_format_iso(run->started_ns, date);
    json_add_uint64(manifest, "format", MANIFEST_FORMAT);
    cJSON_AddStringToObject(manifest, "name", run->experiment->about.name);
    cJSON_AddStringToObject(manifest, "date", date);
    json_add_uint64(manifest, "seed", run->seed);
    cJSON_AddItemToObject(manifest, "quoit", environment_build());
    cJSON_AddItemToObject(manifest, "host", environment_host());
    cJSON_AddItemToObject(manifest, "libraries", environment_libraries(gnuplot));
    /* What servers in containers ran on and from, as tools/with-spawner tells. */
    const char *containers = getenv("QUOIT_CONTAINERS");
    if (containers && *containers)
        cJSON_AddStringToObject(manifest, "containers", containers);
    cJSON_AddItemToObject(manifest, "experiment", cJSON_Duplicate(run->experiment->texts, true));
    cJSON *set = cJSON_AddArrayToObject(manifest, "set");
    for (size_t i = 0; i < n_overrides; i++)
        cJSON_AddItemToArray(set, cJSON_CreateString(overrides[i]));
    return manifest;
}

void manifest_close(cJSON *manifest, const struct run *run)
{
    uint64_t duration_ms = run->duration_ns / NS_PER_MS;
    json_add_double(manifest, "duration_s", (double)duration_ms / 1000.0);
    cJSON_AddBoolToObject(manifest, "interrupted", run->interrupted);
    cJSON_AddArrayToObject(manifest, "files");
}

/* Size and SHA-256 of a file, the latter in hex. */
static int file_digest(const char *path, size_t *ret_bytes, char *ret_hex, struct err *err)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    struct buf text;
    buf_init(&text, MANIFEST_MAX_FILE_BYTES);
    int status = file_read(path, &text, err);
    if (status >= 0) {
        EVP_Digest(buf_head(&text), buf_len(&text), digest, &n, EVP_sha256(), NULL);
        for (unsigned i = 0; i < n; i++)
            snprintf(ret_hex + 2 * i, 3, "%02x", digest[i]);
        *ret_bytes = buf_len(&text);
    }
    buf_done(&text);
    return status;
}

int manifest_add_file(cJSON *manifest, const char *dir, const char *name, struct err *err)
{
    char hex[SHA256_HEX_BYTES];
    size_t bytes;
    char *path = mem_printf("%s/%s", dir, name);
    int status = file_digest(path, &bytes, hex, err);
    free(path);
    if (status < 0)
        return status;
    cJSON *file = cJSON_CreateObject();
    cJSON_AddStringToObject(file, "name", name);
    json_add_uint64(file, "bytes", bytes);
    cJSON_AddStringToObject(file, "sha256", hex);
    cJSON_AddItemToArray(json_get(manifest, "files"), file);
    return 0;
}

cJSON *manifest_read(const char *dir, struct err *err)
{
    struct buf text;
    cJSON *manifest = NULL;
    int64_t format;
    char *path = mem_printf("%s/" MANIFEST_FILE, dir);
    buf_init(&text, MANIFEST_MAX_BYTES);
    if (file_read(path, &text, err) == 0) {
        manifest = json_parse(buf_head(&text), buf_len(&text), err);
        if (!manifest)
            err_prefix(err, "%s", path);
    }
    if (manifest && (json_get_int64(manifest, "format", &format) < 0 || format != MANIFEST_FORMAT ||
                     !json_get_string(manifest, "name") || !json_get_string(manifest, "date") ||
                     !cJSON_IsObject(json_get(manifest, "quoit")) ||
                     !cJSON_IsObject(json_get(manifest, "host")) ||
                     !cJSON_IsArray(json_get(manifest, "files")))) {
        err_set(err, -EINVAL, "%s is not a manifest", path);
        cJSON_Delete(manifest);
        manifest = NULL;
    }
    buf_done(&text);
    free(path);
    return manifest;
}

/* One entry of "files" against the file. */
static int check_file(const cJSON *file, const char *dir, struct err *err)
{
    char hex[SHA256_HEX_BYTES];
    size_t bytes = 0;
    const char *name = json_get_string(file, "name");
    const char *sha256 = json_get_string(file, "sha256");
    if (!name || !sha256 || strchr(name, '/'))
        return err_set(err, -EINVAL, "%s/" MANIFEST_FILE ": 'files' is broken", dir);
    char *path = mem_printf("%s/%s", dir, name);
    int status = file_digest(path, &bytes, hex, err);
    if (status == -ENOENT)
        status = err_set(err, -EINVAL, "%s is missing, but the manifest names it", path);
    else if (status >= 0 && strcmp(hex, sha256))
        status = err_set(err, -EINVAL, "%s is not what the manifest says: sha256 is %s, not %s",
                         path, hex, sha256);
    free(path);
    return status;
}

static bool manifest_names(const cJSON *manifest, const char *name)
{
    const cJSON *file;
    cJSON_ArrayForEach (file, json_get(manifest, "files")) {
        const char *its_name = json_get_string(file, "name");
        if (its_name && !strcmp(its_name, name))
            return true;
    }
    return !strcmp(name, MANIFEST_FILE);
}

int manifest_check_files(const cJSON *manifest, const char *dir, struct err *err)
{
    const cJSON *file;
    int status = 0;
    cJSON_ArrayForEach (file, json_get(manifest, "files")) {
        if ((status = check_file(file, dir, err)) < 0)
            return status;
    }
    if (!manifest_names(manifest, "result.json") ||
        !cJSON_GetArraySize(json_get(manifest, "files")))
        return err_set(err, -EINVAL, "%s/" MANIFEST_FILE " names no result.json", dir);
    DIR *listing = opendir(dir);
    if (!listing)
        return err_set_errno(err, -errno, "%s", dir);
    for (struct dirent *entry; (entry = readdir(listing)) && !status;)
        if (entry->d_name[0] != '.' && !manifest_names(manifest, entry->d_name))
            status =
                err_set(err, -EINVAL, "%s/%s is not named by the manifest", dir, entry->d_name);
    closedir(listing);
    return status;
}
