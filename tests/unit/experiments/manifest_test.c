#include "experiments/manifest.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/build_info.h"
#include "core/file.h"
#include "core/json.h"
#include "experiments/resultdir.h"
#include "tests/support/run_fixture.h"

static char dir[] = "/tmp/quoit-manifest-XXXXXX";

static void write_file(const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(file_write_atomic(path, text, strlen(text), NULL), 0);
}

static void remove_file(const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", dir, name);
    assert_int_equal(unlink(path), 0);
}

/* A folder with result.json, samples.tsv and the manifest of both, read back. */
static cJSON *write_and_read(void)
{
    static const char *const overrides[] = {"load.requests=5"};
    struct run_fixture fixture;
    struct buf text;
    struct err err;
    run_fixture_open(&fixture, 3, NULL);
    cJSON *made = manifest_make(&fixture.run, overrides, 1, "5.4 patchlevel 4");
    manifest_close(made, &fixture.run);
    run_fixture_close(&fixture);
    write_file("result.json", "{}");
    write_file("samples.tsv", "abc");
    assert_int_equal(manifest_add_file(made, dir, "result.json", NULL), 0);
    assert_int_equal(manifest_add_file(made, dir, "samples.tsv", NULL), 0);
    assert_int_equal(manifest_add_file(made, dir, "missing", NULL), -ENOENT);
    buf_init(&text, 0);
    json_print(&text, made, true);
    cJSON_Delete(made);
    write_file("manifest.json", buf_str(&text));
    buf_done(&text);
    cJSON *manifest = manifest_read(dir, &err);
    if (!manifest)
        fail_msg("%s", err.message);
    return manifest;
}

static void manifest_tells_build_machine_settings_and_seed(void **state)
{
    cJSON *manifest = write_and_read();
    int64_t number;
    (void)state;
    assert_string_equal(json_get_string(manifest, "name"), "T1");
    assert_string_equal(json_get_string(manifest, "date"), "2026-11-21T09:30:12.345Z");
    assert_int_equal(json_get_int64(manifest, "seed", &number), 0);
    assert_int_equal(number, 42);
    const cJSON *build = json_get(manifest, "quoit");
    assert_string_equal(json_get_string(build, "commit"), build_info.commit);
    assert_string_equal(json_get_string(build, "compiler"), build_info.compiler);
    assert_int_equal(cJSON_IsTrue(json_get(build, "dirty")), build_info.dirty);
    const cJSON *host = json_get(manifest, "host");
    assert_int_equal(json_get_int64(host, "cores", &number), 0);
    assert_true(number >= 1);
    assert_int_equal(json_get_int64(host, "memory_bytes", &number), 0);
    assert_true(number > 1024 * 1024);
    assert_true(!strncmp(json_get_string(host, "kernel"), "Linux ", 6));
    assert_non_null(json_get(host, "governor"));
    const cJSON *libraries = json_get(manifest, "libraries");
    static const char *const names[] = {"libev", "libcurl", "cjson", "xxhash", "gnuplot", "libc"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_non_null(json_get_string(libraries, names[i]));
    const cJSON *settings = json_get(manifest, "experiment");
    assert_string_equal(json_get_string(json_get(settings, "cluster"), "placement"), "slots");
    assert_string_equal(json_get_string(json_get(settings, "axis"), "values"), "quadratic xxh64");
    assert_string_equal(cJSON_GetArrayItem(json_get(manifest, "set"), 0)->valuestring,
                        "load.requests=5");
    cJSON_Delete(manifest);
}

static void manifest_knows_its_files_by_checksum(void **state)
{
    cJSON *manifest = write_and_read();
    const cJSON *file = cJSON_GetArrayItem(json_get(manifest, "files"), 1);
    struct err err;
    (void)state;
    /* FIPS 180-4's example: SHA-256 of "abc" */
    assert_string_equal(json_get_string(file, "sha256"),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(manifest_check_files(manifest, dir, &err), 0);
    write_file("samples.tsv", "abd");
    assert_int_equal(manifest_check_files(manifest, dir, &err), -EINVAL);
    assert_non_null(strstr(err.message, "samples.tsv is not what the manifest says"));
    remove_file("samples.tsv");
    assert_int_equal(manifest_check_files(manifest, dir, &err), -EINVAL);
    assert_non_null(strstr(err.message, "samples.tsv is missing"));
    write_file("samples.tsv", "abc");
    write_file("extra.txt", "");
    assert_int_equal(manifest_check_files(manifest, dir, &err), -EINVAL);
    assert_non_null(strstr(err.message, "extra.txt is not named by the manifest"));
    remove_file("extra.txt");
    cJSON_Delete(manifest);
}

static void manifest_refuses_what_is_none(void **state)
{
    struct err err;
    (void)state;
    write_file("manifest.json", "{\"format\":1}");
    assert_null(manifest_read(dir, &err));
    assert_non_null(strstr(err.message, "is not a manifest"));
    write_file("manifest.json", "{");
    assert_null(manifest_read(dir, &err));
    assert_null(manifest_read("/nonexistent", &err));
    assert_non_null(strstr(err.message, "/nonexistent/manifest.json"));
}

static void manifest_refuses_files_outside_its_folder(void **state)
{
    struct err err;
    (void)state;
    cJSON *manifest = json_parse("{\"files\":[{\"name\":\"../x\",\"sha256\":\"00\"}]}", 41, NULL);
    assert_non_null(manifest);
    assert_int_equal(manifest_check_files(manifest, dir, &err), -EINVAL);
    assert_non_null(strstr(err.message, "'files' is broken"));
    cJSON_Delete(manifest);
}

static int open_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int close_dir(void **state)
{
    (void)state;
    resultdir_remove_tree(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_tells_build_machine_settings_and_seed),
        cmocka_unit_test(manifest_knows_its_files_by_checksum),
        cmocka_unit_test(manifest_refuses_what_is_none),
        cmocka_unit_test(manifest_refuses_files_outside_its_folder),
    };
    return cmocka_run_group_tests(tests, open_dir, close_dir);
}
