/*
 * One commit, and the exchange of the whole database, with what a disk can do
 * to them.
 *
 * A commit: the new mark, whole beside the old one; the rows and their digest,
 * in a transaction; its end; the mark takes its place. Whatever fails before the end is undone. When the end
 * itself fails, nobody knows whether it happened: the database is read again, and if the new generation is
 * there it must be possible to write once more, or else the answer is -ENOTRECOVERABLE and only another start
 * tells.
 */
#include "base/memory.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int store_complete_mark(struct store *s) {
        int r = 0;

        if (!s->mark_is_behind)
                return 0;
        if (!s->mark_is_prepared)
                r = store_mark_prepare(s->directory, &s->meta, &s->key);
        s->mark_is_prepared = !r;
        if (!r)
                r = store_mark_finish(s->directory);
        s->mark_is_behind = r != 0;
        if (faccessat(s->directory, STORE_MARK_NEW, F_OK, 0) < 0)
                s->mark_is_prepared = false; /* it took its place, though that may not be on the disk yet */
        return r;
}

/* The transaction has ended; the mark may follow now, or before the next one. */
static void take(struct store *s, const struct store_meta *meta, struct store_index *index_take) {
        store_index_deinit(&s->index);
        s->index = *index_take;
        s->meta = *meta;
        s->mark_is_behind = s->mark_is_prepared = true;
        atomic_store(&s->owned, meta->owned);
        (void)store_complete_mark(s);
}

/* Return: 0: it has ended after all; error: it has not; -ENOTRECOVERABLE. */
static int find_out(struct store *s, const struct store_meta *after, int error) {
        const struct store_meta before = s->meta;
        int r = store_load(s, STORE_DB);

        if (!r && atomic_load(&s->state) == STORE_OPEN) {
                if (s->meta.generation == before.generation)
                        return error;
                if (s->meta.generation == after->generation && store_db_touch(s->db) == 0)
                        return 0;
        }
        store_unload(s);
        atomic_store(&s->state, STORE_BROKEN);
        return -ENOTRECOVERABLE;
}

/* Before the end: undone, and seen to be undone. */
static int undo(struct store *s, const struct store_meta *after, int error) {
        uint8_t digest[STORE_DIGEST];
        struct store_meta now;

        store_db_rollback(s->db);
        if (store_db_read_meta(s->db, &now, digest) == 0 && now.generation == s->meta.generation)
                return error;
        return find_out(s, after, error);
}

int store_write(struct store *s, const struct store_change *changes, size_t n, bool owned) {
        struct store_index index = { 0 };
        struct store_meta meta = s->meta;
        int r;

        switch ((enum store_state)atomic_load(&s->state)) {
        case STORE_OPEN:
                break;
        case STORE_SEALED:
        case STORE_RESTORED:
                return -EROFS;
        case STORE_BROKEN:
                return -ENOTRECOVERABLE;
        }
        r = store_complete_mark(s);
        if (r)
                return r;
        meta.generation++;
        meta.owned = owned;
        r = store_mark_prepare(s->directory, &meta, &s->key);
        if (r)
                return r;
        r = store_db_write(s->db, &s->key, &meta, &s->index, changes, n, &index);
        if (r) {
                store_index_deinit(&index);
                return undo(s, &meta, r);
        }
        r = store_db_commit(s->db);
        if (!r) {
                take(s, &meta, &index);
                return 0;
        }
        store_index_deinit(&index);
        r = find_out(s, &meta, r);
        if (!r) {
                atomic_store(&s->owned, s->meta.owned);
                (void)store_complete_mark(s);
        }
        return r;
}

/* ---- the whole of it ---- */

static int build(struct store *s, const struct store_key *key, const struct store_meta *meta,
                 const struct store_changes *rows) {
        char path[STORE_PATH_SIZE];
        int r = store_path(s, STORE_DB_NEW, path);

        (void)unlinkat(s->directory, STORE_DB_NEW "-journal", 0);
        if (!r)
                r = store_file_write(s->directory, STORE_DB_NEW, NULL, 0);
        if (!r)
                r = store_db_build(path, key, meta, rows);
        if (!r)
                r = store_mark_prepare(s->directory, meta, key);
        if (!r && fsync(s->directory) < 0)
                r = -errno;
        return r;
}

/* SQLite would play a journal that it finds into the new database. */
static int exchange(struct store *s) {
        if (unlinkat(s->directory, STORE_JOURNAL, 0) < 0 && errno != ENOENT)
                return -errno;
        (void)unlinkat(s->directory, STORE_DB "-wal", 0);
        (void)unlinkat(s->directory, STORE_DB_OLD, 0);
        (void)linkat(s->directory, STORE_DB, s->directory, STORE_DB_OLD, 0);
        if (renameat(s->directory, STORE_DB_NEW, s->directory, STORE_DB) < 0)
                return -errno;
        return fsync(s->directory) < 0 ? -errno : 0;
}

static void discard(struct store *s, enum store_origin origin) {
        (void)unlinkat(s->directory, STORE_DB_NEW, 0);
        (void)unlinkat(s->directory, STORE_DB_NEW "-journal", 0);
        if (origin == STORE_FROM_FILE_NEW)
                (void)unlinkat(s->directory, STORE_KEY_NEW, 0);
}

int store_replace(struct store *s, const struct store_key *key, enum store_origin origin,
                  const struct store_meta *meta, const struct store_changes *rows) {
        bool was_open = s->db != NULL;
        int r = build(s, key, meta, rows);

        if (r) {
                discard(s, origin);
                return r;
        }
        if (was_open)
                store_unload(s);
        r = exchange(s);
        if (r < 0 && faccessat(s->directory, STORE_DB_NEW, F_OK, 0) == 0) {
                discard(s, origin); /* it has not happened */
                if (was_open && (store_load(s, STORE_DB) || atomic_load(&s->state) != STORE_OPEN))
                        atomic_store(&s->state, STORE_BROKEN);
                return r;
        }
        if (!r)
                r = store_mark_finish(s->directory);
        if (!r && origin == STORE_FROM_FILE_NEW &&
            renameat(s->directory, STORE_KEY_NEW, s->directory, STORE_KEY) < 0)
                r = -errno;
        if (!r && fsync(s->directory) < 0)
                r = -errno;
        store_keys_wipe(&s->keys);
        if (!r)
                r = store_keys_load(&s->keys, s->directory);
        if (!r) {
                atomic_store(&s->state, STORE_OPEN);
                r = store_load(s, STORE_DB);
        }
        if (r)
                atomic_store(&s->state, STORE_BROKEN);
        return r;
}
