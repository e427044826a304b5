#include "backends/store/rows.h"

#include <errno.h>
#include <string.h>

void rows_init(struct rows *rows)
{
    btree_init(&rows->index);
    texts_init(&rows->texts);
    rows->checksum = 0;
}

void rows_done(struct rows *rows)
{
    btree_done(&rows->index);
    texts_done(&rows->texts);
    rows->checksum = 0;
}

static struct btree_value keep_text(struct rows *rows, const struct row *row)
{
    rows->checksum += row_checksum(row->text, row->n_bytes);
    return (struct btree_value){.text = texts_add(&rows->texts, row->text, row->n_bytes),
                                .n_bytes = row->n_bytes};
}

static void drop_text(struct rows *rows, struct btree_value value)
{
    rows->checksum -= row_checksum(value.text, value.n_bytes);
    texts_drop(&rows->texts, value.text, value.n_bytes);
}

static bool same_text(const struct btree_value *value, const struct row *row)
{
    return value->n_bytes == row->n_bytes && memcmp(value->text, row->text, row->n_bytes) == 0;
}

/* The new text is kept before the old one is dropped: it may be the one that a read gave out. */
static void set_text(struct rows *rows, struct btree_value *value, const struct row *row)
{
    struct btree_value old = *value;
    *value = keep_text(rows, row);
    drop_text(rows, old);
}

int rows_remove(struct rows *rows, int64_t key)
{
    struct btree_value old;
    if (!btree_remove(&rows->index, key, &old))
        return -ENOENT;
    drop_text(rows, old);
    return 0;
}

/* Adds the rows as they come and takes them out again when one is there: conflicts are rare, and
 * looking first would descend twice for each row. */
int rows_insert(struct rows *rows, const struct row *added, size_t n, int64_t *ret_key)
{
    for (size_t i = 0; i < n; i++) {
        struct btree_value value = keep_text(rows, &added[i]);
        if (btree_insert(&rows->index, added[i].key, value))
            continue;
        drop_text(rows, value);
        *ret_key = added[i].key;
        while (i-- > 0)
            rows_remove(rows, added[i].key);
        return -EEXIST;
    }
    return 0;
}

int rows_update(struct rows *rows, const struct row *row)
{
    struct btree_value *value = btree_find(&rows->index, row->key);
    if (!value)
        return -ENOENT;
    set_text(rows, value, row);
    return 0;
}

void rows_set(struct rows *rows, const struct row *row)
{
    struct btree_value *value = btree_find(&rows->index, row->key);
    if (!value)
        btree_insert(&rows->index, row->key, keep_text(rows, row));
    else if (!same_text(value, row))
        set_text(rows, value, row);
}

/* Removes what is not among the rows first: what is there already, which is most of it when a copy
 * is brought up to date, stays as it is. */
void rows_replace(struct rows *rows, int64_t low, int64_t last, const struct row *held, size_t n)
{
    size_t i = 0;
    struct btree_place at = btree_seek(&rows->index, low);
    while (!btree_at_end(at) && btree_key(at) <= last) {
        int64_t key = btree_key(at);
        while (i < n && held[i].key < key)
            i++;
        if (i < n && held[i].key == key) {
            btree_next(&at);
            continue;
        }
        rows_remove(rows, key);
        at = btree_seek(&rows->index, key);
    }
    for (i = 0; i < n; i++)
        rows_set(rows, &held[i]);
}

int rows_absent(const struct rows *rows, const struct row *asked, size_t n, int64_t *ret_key)
{
    struct btree_place at = btree_first(&rows->index);
    for (size_t i = 0; i < n; i++) {
        int64_t key = asked[i].key;
        at = i == 0 ? btree_seek(&rows->index, key) : btree_seek_on(&rows->index, at, key);
        if (btree_at_end(at))
            break;
        if (btree_key(at) != key)
            continue;
        *ret_key = key;
        return -EEXIST;
    }
    return 0;
}

static void scan(const struct rows *rows, struct store_request *request)
{
    struct btree_place at = btree_seek(&rows->index, request->low);
    for (; !btree_at_end(at) && btree_key(at) <= request->last; btree_next(&at)) {
        struct row row = rows_at(at);
        request->more = request->max_rows > 0 && request->n_rows == request->max_rows;
        if (!request->more && request->op == STORE_READ)
            request->more = !request->on_row(request, &row);
        if (request->more)
            return;
        if (request->op == STORE_DIGEST)
            request->checksum += row_checksum(row.text, row.n_bytes);
        request->key = row.key;
        request->n_rows++;
    }
}

void rows_answer(const struct rows *rows, struct store_request *request)
{
    const struct btree *index = &rows->index;
    request->n_rows = 0;
    request->checksum = 0;
    request->more = false;
    bool whole = request->op == STORE_DIGEST && request->low == INT64_MIN &&
                 request->last == INT64_MAX &&
                 (request->max_rows == 0 || request->max_rows >= index->n);
    if (!whole) {
        scan(rows, request);
        return;
    }
    request->n_rows = index->n;
    request->checksum = rows->checksum;
    if (index->n > 0)
        request->key = index->last->node.keys[index->last->node.n - 1];
}
