#include "lb/intents.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/file.h"
#include "core/mailbox.h"
#include "core/mem.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)
/* Past this and twice of what is open, the file is written anew. */
#define COMPACT_BYTES (4u << 20)
#define RETRY_NS 100000000

/* What a batch of the thread came to. */
struct news {
    struct letter letter; /* first member */
    struct intent *first; /* through next_queued */
};

struct intents {
    struct mailbox mailbox; /* to the loop */
    struct intents_handler handler;
    char *path; /* NULL: no file */
    bool sync;
    uint64_t next_id;
    struct intent *left; /* through next */

    pthread_t thread;
    pthread_mutex_t mutex; /* of what follows */
    pthread_cond_t work;
    struct intent *queued, **last;
    bool closing;

    /* The thread's. */
    int fd;
    size_t n_bytes;      /* of the file that are whole lines, written */
    size_t n_compacted;  /* of the file when it was written anew */
    struct intent *open; /* begun on disk and not ended there */
    struct buf text;
};

/* ---- lines ------------------------------------------------------------------------------------
 *
 *     begin ID N KEY … KEY .      end ID .
 *
 * A line without its point was cut off with the power: nothing was done for it. */

static void print_begin(const struct intent *intent, struct buf *out)
{
    buf_appendf(out, "begin %" PRIu64 " %zu", intent->id, intent->n_keys);
    for (size_t i = 0; i < intent->n_keys; i++)
        buf_appendf(out, " %" PRId64, intent->keys[i]);
    buf_append_str(out, " .\n");
}

static bool read_word(const char **at, const char *word)
{
    size_t n = strlen(word);
    if (strncmp(*at, word, n) != 0)
        return false;
    *at += n;
    return true;
}

static bool read_uint64(const char **at, uint64_t *ret_value)
{
    char *end;
    if (**at < '0' || **at > '9')
        return false;
    errno = 0;
    *ret_value = strtoull(*at, &end, 10);
    *at = end;
    return errno == 0;
}

static bool read_key(const char **at, int64_t *ret_key)
{
    char *end;
    if (**at != ' ')
        return false;
    errno = 0;
    *ret_key = strtoll(*at + 1, &end, 10);
    bool good = errno == 0 && end > *at + 1;
    *at = end;
    return good;
}

static void link_open(struct intents *intents, struct intent *intent)
{
    intent->next_open = intents->open;
    intent->open_link = &intents->open;
    if (intent
            ->next_open) /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as unlink_open() left it */
        intent->next_open->open_link = &intent->next_open;
    intents->open = intent;
}

static void unlink_open(struct intent *intent)
{
    if (!intent->open_link)
        return;
    *intent->open_link = intent->next_open;
    if (intent->next_open)
        intent->next_open->open_link = intent->open_link;
    intent->open_link = NULL;
}

static bool read_begin(struct intents *intents, const char *at)
{
    uint64_t id, n;
    /* No more keys than the line has bytes. */
    if (!read_uint64(&at, &id) || !read_word(&at, " ") || !read_uint64(&at, &n) || n > strlen(at))
        return false;
    int64_t *keys = mem_zalloc((size_t)n + 1, sizeof(*keys));
    bool good = n > 0;
    for (size_t i = 0; i < n && good; i++)
        good = read_key(&at, &keys[i]) && (i == 0 || keys[i - 1] < keys[i]);
    good = good && strcmp(at, " .") == 0;
    if (good) {
        struct intent *intent = intent_new(keys, (size_t)n);
        intent->id = id;
        if (id >= intents->next_id)
            intents->next_id = id + 1;
        link_open(intents, intent);
    }
    free(keys);
    return good;
}

static bool read_end(struct intents *intents, const char *at)
{
    uint64_t id;
    if (!read_uint64(&at, &id) || strcmp(at, " .") != 0)
        return false;
    for (struct intent *intent = intents->open; intent; intent = intent->next_open)
        if (intent->id == id) {
            unlink_open(intent);
            intent_free(intent);
            break;
        }
    return true;
}

/* The lines up to the first that is not whole. 0, or -EINVAL where the file does not even begin as
 * one of ours. */
static int read_lines(struct intents *intents, char *text, struct err *err)
{
    char *line = text, *end;
    for (; (end = strchr(line, '\n')); line = end + 1) {
        const char *at = line;
        *end = '\0';
        bool good = read_word(&at, "begin ") ? read_begin(intents, at)
                    : read_word(&at, "end ") ? read_end(intents, at)
                                             : false;
        if (!good)
            break;
    }
    if (line == text && *text != '\0' && strncmp(text, "begin ", 6) != 0 &&
        strncmp("begin ", text, strlen(text)) != 0)
        return err_set(err, -EINVAL, "%s is no file of intents (move it away to begin anew)",
                       intents->path);
    return 0;
}

/* ---- intents ----------------------------------------------------------------------------------
 */

struct intent *intent_new(const int64_t *keys, size_t n)
{
    struct intent *intent = mem_zalloc(1, sizeof(*intent));
    intent->keys = mem_zalloc(n + 1, sizeof(*intent->keys));
    memcpy(intent->keys, keys, n * sizeof(*keys));
    intent->n_keys = n;
    return intent;
}

void intent_free(struct intent *intent)
{
    if (!intent)
        return;
    free(intent->keys);
    free(intent);
}

/* ---- the thread -------------------------------------------------------------------------------
 */

static int append(struct intents *intents, const char *bytes, size_t n)
{
    for (size_t done = 0; done < n;) {
        ssize_t written =
            pwrite(intents->fd, bytes + done, n - done, (off_t)(intents->n_bytes + done));
        if (written < 0 && errno != EINTR)
            return -errno;
        done += written > 0 ? (size_t)written : 0;
    }
    if (intents->sync && fdatasync(intents->fd) != 0)
        return -errno;
    intents->n_bytes += n;
    return 0;
}

static int reopen(struct intents *intents)
{
    int fd = open(intents->path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return -errno;
    if (intents->fd >= 0)
        close(intents->fd);
    intents->fd = fd;
    return 0;
}

/* The file anew, with what is open. */
static int compact(struct intents *intents, struct err *err)
{
    struct buf text;
    buf_init(&text, 0);
    for (const struct intent *intent = intents->open; intent; intent = intent->next_open)
        print_begin(intent, &text);
    int rc = file_write_atomic(intents->path, buf_head(&text), buf_len(&text), err);
    if (rc == 0)
        rc = reopen(intents);
    if (rc == 0)
        intents->n_bytes = intents->n_compacted = buf_len(&text);
    buf_done(&text);
    return rc;
}

static void note(struct intents *intents, struct intent *batch, int code)
{
    for (struct intent *intent = batch; intent; intent = intent->next_queued) {
        intent->code = code;
        if (code != 0)
            continue;
        if (intent->ends)
            unlink_open(intent);
        else
            link_open(intents, intent);
    }
}

/* Begins that could not be written are told so; ends are tried again, for their keys must stay
 * locked until then. Returns what is told. */
static struct intent *sort_failed(struct intents *intents, struct intent *batch)
{
    struct intent *told = NULL, *next;
    pthread_mutex_lock(&intents->mutex);
    for (; batch; batch = next) {
        next = batch->next_queued;
        if (!batch->ends) {
            batch->next_queued = told;
            told = batch;
        } else if (intents->closing) {
            continue; /* the next life looks at it */
        } else {
            batch->next_queued = NULL;
            *intents->last = batch;
            intents->last = &batch->next_queued;
        }
    }
    pthread_mutex_unlock(&intents->mutex);
    return told;
}

static void write_batch(struct intents *intents, struct intent *batch)
{
    buf_clear(&intents->text);
    for (const struct intent *intent = batch; intent; intent = intent->next_queued) {
        if (intent->ends)
            buf_appendf(&intents->text, "end %" PRIu64 " .\n", intent->id);
        else
            print_begin(intent, &intents->text);
    }
    int rc = append(intents, buf_head(&intents->text), buf_len(&intents->text));
    note(intents, batch, rc);
    if (rc != 0) {
        struct timespec pause = {.tv_nsec = RETRY_NS};
        batch = sort_failed(intents, batch);
        nanosleep(&pause, NULL);
        compact(intents, NULL); /* a file whose sync has failed is not written to again */
    } else if (intents->n_bytes > COMPACT_BYTES && intents->n_bytes > 2 * intents->n_compacted) {
        compact(intents, NULL);
    }
    if (!batch)
        return;
    struct news *news = mem_zalloc(1, sizeof(*news));
    news->first = batch;
    mailbox_post(&intents->mailbox, &news->letter);
}

static void *run(void *context)
{
    struct intents *intents = context;
    pthread_mutex_lock(&intents->mutex);
    for (;;) {
        while (!intents->queued && !intents->closing)
            pthread_cond_wait(&intents->work, &intents->mutex);
        struct intent *batch = intents->queued;
        if (!batch)
            break;
        intents->queued = NULL;
        intents->last = &intents->queued;
        pthread_mutex_unlock(&intents->mutex);
        write_batch(intents, batch);
        pthread_mutex_lock(&intents->mutex);
    }
    pthread_mutex_unlock(&intents->mutex);
    return NULL;
}

/* ---- the loop ---------------------------------------------------------------------------------
 */

static void on_news(void *context, struct letter *letter)
{
    struct intents *intents = context;
    struct news *news = (struct news *)letter;
    struct intent *next;
    for (struct intent *intent = news->first; intent; intent = next) {
        next = intent->next_queued;
        if (intents->closing) /* read without the mutex: the thread has ended by then */
            continue;
        if (intent->ends)
            intents->handler.on_ended(intents->handler.context, intent);
        else
            intents->handler.on_open(intents->handler.context, intent, intent->code);
    }
    free(news);
}

static bool queue(struct intents *intents, struct intent *intent)
{
    if (!intents->path)
        return true;
    pthread_mutex_lock(&intents->mutex);
    intent->next_queued = NULL;
    *intents->last = intent;
    intents->last = &intent->next_queued;
    pthread_cond_signal(&intents->work);
    pthread_mutex_unlock(&intents->mutex);
    return false;
}

bool intents_begin(struct intents *intents, struct intent *intent)
{
    intent->id = intents->next_id++;
    return queue(intents, intent);
}

bool intents_end(struct intents *intents, struct intent *intent)
{
    intent->ends = true;
    return queue(intents, intent);
}

struct intent *intents_take_left(struct intents *intents)
{
    struct intent *intent = intents->left;
    if (intent)
        intents->left = intent->next;
    return intent;
}

void intents_set_handler(struct intents *intents, const struct intents_handler *handler)
{
    intents->handler = *handler;
}

/* ---- life -------------------------------------------------------------------------------------
 */

static int read_file(struct intents *intents, struct err *err)
{
    struct buf text;
    buf_init(&text, MAX_FILE_BYTES);
    int rc = file_read(intents->path, &text, err);
    if (rc == 0)
        rc = read_lines(intents, (char *)buf_str(&text), err);
    else if (rc == -ENOENT)
        rc = 0;
    buf_done(&text);
    for (struct intent *intent = intents->open; intent; intent = intent->next_open) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): as unlink_open() left it */
        intent->next = intents->left;
        intents->left = intent;
    }
    return rc;
}

int intents_open(struct ev_loop *loop, const char *dir, bool sync, struct intents **ret_intents,
                 struct err *err)
{
    struct intents *intents = mem_zalloc(1, sizeof(*intents));
    intents->sync = sync;
    intents->next_id = 1;
    intents->fd = -1;
    intents->last = &intents->queued;
    buf_init(&intents->text, 0);
    pthread_mutex_init(&intents->mutex, NULL);
    pthread_cond_init(&intents->work, NULL);
    mailbox_open(&intents->mailbox, loop, on_news, intents);
    int rc = 0;
    if (dir) {
        intents->path = mem_printf("%s/intents", dir);
        rc = read_file(intents, err);
        if (rc == 0)
            rc = compact(intents, err);
        if (rc == 0) {
            rc = -pthread_create(&intents->thread, NULL, run, intents);
            if (rc != 0)
                err_set_errno(err, rc, "cannot start the thread that writes %s", intents->path);
        }
    }
    if (rc != 0) {
        free(intents->path);
        intents->path = NULL;
        intents_close(intents);
        return rc;
    }
    *ret_intents = intents;
    return 0;
}

void intents_close(struct intents *intents)
{
    if (!intents)
        return;
    pthread_mutex_lock(&intents->mutex);
    intents->closing = true;
    pthread_cond_signal(&intents->work);
    pthread_mutex_unlock(&intents->mutex);
    if (intents->path)
        pthread_join(intents->thread, NULL);
    mailbox_close(&intents->mailbox);
    struct intent *intent;
    while ((intent = intents_take_left(intents)))
        intent_free(intent);
    if (intents->fd >= 0)
        close(intents->fd);
    buf_done(&intents->text);
    pthread_mutex_destroy(&intents->mutex);
    pthread_cond_destroy(&intents->work);
    free(intents->path);
    free(intents);
}
