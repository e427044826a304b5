#include "experiments/usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "core/clock.h"
#include "core/json.h"
#include "core/rng.h"
#include "experiments/ask.h"

/* Adds the CPU time of a process's threads. Not of those that ended: a cluster at work keeps its
 * own. */
static bool add_process(int64_t pid, struct usage *usage)
{
    char path[sizeof("/proc//task//schedstat") + 2 * 20];
    bool found = false;
    if (pid <= 0)
        return false;
    snprintf(path, sizeof(path), "/proc/%" PRId64 "/task", pid);
    DIR *threads = opendir(path);
    if (!threads)
        return false;
    for (struct dirent *entry; (entry = readdir(threads));) {
        uint64_t ns;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%" PRId64 "/task/%.20s/schedstat", pid, entry->d_name);
        FILE *file = fopen(path, "re");
        if (!file)
            continue;
        if (fscanf(file, "%" SCNu64, &ns) == 1) {
            usage->cpu_ns += ns;
            found = true;
        }
        fclose(file);
    }
    closedir(threads);
    usage->processes += rng_mix64((uint64_t)pid);
    return found;
}

void usage_read(const struct testbed *testbed, struct usage *ret_usage)
{
    struct asker asker;
    const cJSON *server;
    *ret_usage = (struct usage){0};
    asker_init(&asker);
    cJSON *cluster = asker_ask_json(&asker, "GET", testbed->address, "/cluster", NULL, NULL);
    asker_done(&asker);
    if (!cluster)
        return;
    ret_usage->known = add_process(testbed->lb.pid, ret_usage);
    cJSON_ArrayForEach (server, json_get(cluster, "servers")) {
        int64_t pid = 0;
        if (json_get_int64(server, "pid", &pid) < 0 || !add_process(pid, ret_usage))
            ret_usage->known = false;
    }
    cJSON_Delete(cluster);
}

double usage_per_request_us(const struct usage *before, const struct usage *after,
                            uint64_t n_requests)
{
    if (!before->known || !after->known || before->processes != after->processes || !n_requests ||
        after->cpu_ns < before->cpu_ns)
        return NAN;
    return (double)(after->cpu_ns - before->cpu_ns) / (double)NS_PER_US / (double)n_requests;
}
