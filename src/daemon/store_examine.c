/*
 * What is found at start-up, and what follows from it.
 *
 * Database and mark go together when the mark says what the database says, or
 * is one generation behind it: the crash fell between the end of the
 * transaction and the mark's, and what was committed counts. A new mark that
 * never took its place counts when it says exactly what the database says: so
 * ends an exchange of the whole database (store_replace()), whose one decisive
 * moment is the rename of the database. Everything else is sealed. What of
 * it may be an accident and what an attack cannot be told apart, so that all is
 * kept; that somebody put back database and mark of the same earlier day cannot
 * be seen at all, without hardware that counts.
 *
 * A store is made only where there is no trace of one: no database, no journal
 * that is not finished, no mark, no store.key. A crash while it is made leaves
 * files whose names end in .new, or all of it. A store of version 1 had no
 * owner and no secrets (that version had no security), so that nothing is
 * given away when its rows are sealed as they are; but beside a mark or a key
 * of ours it is an older copy.
 */
#include "base/memory.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_MAX (256u * 1024 * 1024)

static const char advice_copy[] =
        "If no copy was put back on purpose, somebody changed the files: see who can. "
        "'ocfctl store restore' puts a backup in their place.";
static const char advice_backup[] = "'ocfctl store restore' puts a backup in its place.";
static const char advice_key[] = "Put the key back, as the credential " STORE_KEY_CREDENTIAL
                                 " or the file " STORE_KEY ", and start again.";

/* Return: 0: it is sealed now. */
static int seal(struct store *s, const char *why, const char *advice) {
        store_unload(s);
        atomic_store(&s->state, STORE_SEALED);
        ocf_free(s->why);
        s->why = store_text(
                "The store %s is sealed: %s. Nothing secure is served, and the files are kept as "
                "they are. %s To give up owner and credentials and start as a new device, move the "
                "whole directory away.",
                s->path, why, advice);
        return s->why ? 0 : -ENOMEM;
}

/* ---- what SQLite may touch ---- */

static bool read_start(int directory, const char *name, uint8_t *buf, size_t n) {
        int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
        bool whole = fd >= 0 && read(fd, buf, n) == (ssize_t)n;

        if (fd >= 0)
                close(fd);
        return whole;
}

static bool exists(const struct store *s, const char *name) {
        return faccessat(s->directory, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_hot(const struct store *s) {
        uint8_t start[1];

        return read_start(s->directory, STORE_JOURNAL, start, sizeof(start)) && start[0];
}

/*
 * The file format of SQLite: at 18 and 19 the versions that write and read it, 1 without a log of its own; at
 * 68 the application's id. A log beside it would be read in the place of the database.
 */
static bool looks_like_ours(const struct store *s) {
        static const uint8_t id[4] = { 'o', 'c', 'f', 'd' };
        uint8_t header[72];

        return read_start(s->directory, STORE_DB, header, sizeof(header)) &&
               memcmp(header, "SQLite format 3", 16) == 0 && header[18] == 1 && header[19] == 1 &&
               memcmp(header + 68, id, sizeof(id)) == 0 && !exists(s, STORE_DB "-wal");
}

static int copy(struct store *s, const char *from, const char *to) {
        uint8_t *bytes = NULL;
        size_t n = 0;
        int r = store_file_read(s->directory, from, COPY_MAX, &bytes, &n);

        if (!r)
                r = store_file_write(s->directory, to, bytes, n);
        ocf_free(bytes);
        return r > 0 ? -EIO : r;
}

static void remove_try(struct store *s) {
        (void)unlinkat(s->directory, STORE_DB_TRY, 0);
        (void)unlinkat(s->directory, STORE_DB_TRY "-journal", 0);
}

/* ---- database and mark ---- */

static bool is_same(const struct store_meta *a, const struct store_meta *b) {
        return memcmp(a->store_id, b->store_id, STORE_ID_SIZE) == 0 &&
               memcmp(a->key_id, b->key_id, STORE_ID_SIZE) == 0 && a->generation == b->generation &&
               a->owned == b->owned;
}

static int judge_mark(struct store *s) {
        struct store_meta mark, new;
        int r_new = store_mark_read(s->directory, STORE_MARK_NEW, &s->keys, &new);
        int r = store_mark_read(s->directory, STORE_MARK, &s->keys, &mark);

        if (r < 0 || r_new == -ENOMEM)
                return r < 0 ? r : r_new;
        s->mark_is_behind = s->mark_is_prepared = false;
        if (!r && is_same(&mark, &s->meta))
                return 0;
        s->mark_is_behind = true;
        s->mark_is_prepared = !r_new && is_same(&new, &s->meta);
        if (s->mark_is_prepared)
                return 0;
        if (r == STORE_E_NONE)
                return seal(s, "its mark, " STORE_MARK ", is gone", advice_copy);
        if (r == STORE_E_KEY)
                return seal(s, "its mark was made under a key that is not there, or is damaged", advice_key);
        if (r)
                return seal(s, "its mark, " STORE_MARK ", is damaged", advice_backup);
        if (memcmp(mark.store_id, s->meta.store_id, STORE_ID_SIZE) != 0)
                return seal(s, "database and mark are not of the same store", advice_copy);
        if (s->meta.generation == mark.generation + 1)
                return 0;
        if (s->meta.generation < mark.generation)
                return seal(s, "the database is older than its mark", advice_copy);
        return seal(s, "the mark is older than the database, or says something else", advice_copy);
}

static int find_key(struct store *s) {
        const struct store_key *key = store_keys_find(&s->keys, s->meta.key_id, &s->origin);
        char why[256];

        if (key) {
                s->key = *key;
                return 0;
        }
        if (s->keys.trouble)
                snprintf(why, sizeof(why), "its key is not there, and %s", s->keys.trouble);
        else if (s->keys.have[STORE_FROM_CREDENTIAL] || s->keys.have[STORE_FROM_FILE])
                snprintf(why, sizeof(why), "the key that is there is another one, or was changed");
        else
                snprintf(why, sizeof(why), "its key is gone");
        return seal(s, why, advice_key);
}

static int load_v2(struct store *s) {
        uint8_t digest[STORE_DIGEST];
        int r = store_db_read_meta(s->db, &s->meta, digest);

        if (!r)
                r = find_key(s);
        if (!r && atomic_load(&s->state) == STORE_OPEN)
                r = store_db_verify(s->db, &s->key, &s->meta, digest, &s->index, NULL);
        if (!r && atomic_load(&s->state) == STORE_OPEN)
                r = judge_mark(s);
        return r;
}

/* ---- the first start, and the first of this version ---- */

static int begin(struct store *s, const struct store_changes *rows) {
        struct store_key key = s->keys.keys[STORE_FROM_CREDENTIAL];
        enum store_origin origin = STORE_FROM_CREDENTIAL;
        struct store_meta meta = { .generation = 1 };
        int r = RAND_bytes(meta.store_id, sizeof(meta.store_id)) > 0 ? 0 : -EIO;

        if (!s->keys.have[STORE_FROM_CREDENTIAL]) {
                origin = STORE_FROM_FILE_NEW;
                if (!r)
                        r = store_key_make(&key, s->directory);
        }
        memcpy(meta.key_id, key.id, sizeof(meta.key_id));
        return r ? r : store_replace(s, &key, origin, &meta, rows);
}

static int migrate(struct store *s) {
        struct store_changes rows = { 0 };
        int r;

        if (exists(s, STORE_MARK) || exists(s, STORE_KEY))
                return seal(s, "the database is one of an earlier version that was put back", advice_copy);
        if (s->keys.trouble && !s->keys.have[STORE_FROM_CREDENTIAL])
                return seal(s, s->keys.trouble, advice_key);
        r = store_db_collect_v1(s->db, &rows);
        if (!r && !s->is_visit && !s->is_trial) {
                store_unload(s);
                r = begin(s, &rows);
        }
        store_changes_deinit(&rows);
        return r;
}

static int make(struct store *s) {
        const struct store_changes none = { 0 };

        if (is_hot(s))
                return seal(s, "the database is gone, a journal of it is still there", advice_backup);
        if (exists(s, STORE_MARK))
                return seal(s, "the database is gone, its mark is still there", advice_backup);
        if (exists(s, STORE_KEY))
                return seal(s, "the database is gone, its key is still there", advice_backup);
        if (s->keys.trouble && !s->keys.have[STORE_FROM_CREDENTIAL])
                return seal(s, s->keys.trouble, advice_key);
        if (s->is_visit)
                return STORE_E_NONE;
        return begin(s, &none);
}

/* ---- all of it ---- */

int store_load(struct store *s, const char *name) {
        char path[STORE_PATH_SIZE];
        int64_t version = 0;
        int r = store_path(s, name, path);

        store_unload(s);
        if (!r)
                r = store_db_open(&s->db, path);
        if (!r)
                r = store_db_version(s->db, &version);
        if (!r)
                r = version == 1 ? migrate(s) : load_v2(s);
        if (r == STORE_E_DAMAGED)
                r = seal(s, "the database is damaged, or was changed by somebody else", advice_backup);
        else if (r)
                store_unload(s);
        return r;
}

/*
 * A journal that is not finished is rolled back, in a copy first: if what comes out is not right, the files
 * must be as they were. Where there is no room for a copy there may be room for the rollback.
 */
static int try_rollback(struct store *s) {
        int r = copy(s, STORE_DB, STORE_DB_TRY);

        if (!r)
                r = copy(s, STORE_JOURNAL, STORE_DB_TRY "-journal");
        if (!r) {
                s->is_trial = true;
                r = store_load(s, STORE_DB_TRY);
                s->is_trial = false;
                if (!s->is_visit)
                        store_unload(s);
        } else if ((r == -ENOSPC || r == -EDQUOT) && !s->is_visit) {
                r = 0;
        }
        remove_try(s);
        return r;
}

/* What a crash left half done behind the decisive moment. */
static void finish(struct store *s) {
        (void)store_complete_mark(s); /* when the disk is full: before the next commit */
        if (s->origin == STORE_FROM_FILE_NEW &&
            renameat(s->directory, STORE_KEY_NEW, s->directory, STORE_KEY) == 0)
                s->origin = STORE_FROM_FILE;
        else if (s->origin != STORE_FROM_FILE_NEW)
                (void)unlinkat(s->directory, STORE_KEY_NEW, 0);
        if (!s->mark_is_behind)
                (void)unlinkat(s->directory, STORE_MARK_NEW, 0);
        (void)unlinkat(s->directory, STORE_DB_NEW, 0);
        (void)unlinkat(s->directory, STORE_DB_NEW "-journal", 0);
        (void)fsync(s->directory);
}

int store_examine(struct store *s) {
        int r = store_keys_load(&s->keys, s->directory);

        if (r)
                return r;
        if (!s->is_visit && faccessat(s->directory, ".", W_OK | X_OK, 0) < 0)
                return -errno; /* what SQLite tries after that would hide the reason */
        if (faccessat(s->directory, STORE_DB, F_OK, 0) < 0) {
                r = errno == ENOENT ? make(s) : -errno;
        } else if (faccessat(s->directory, STORE_DB, R_OK | W_OK, 0) < 0) {
                r = -errno;
        } else if (is_hot(s) && !exists(s, STORE_DB "-wal")) {
                r = try_rollback(s);
                if (!r && !s->is_visit && atomic_load(&s->state) == STORE_OPEN)
                        r = store_load(s, STORE_DB);
        } else if (looks_like_ours(s)) {
                r = store_load(s, STORE_DB);
        } else {
                r = seal(s, "the database is damaged, or is not ours", advice_backup);
        }
        if (r)
                return r;
        atomic_store(&s->owned, s->meta.owned);
        if (!s->is_visit && atomic_load(&s->state) == STORE_OPEN)
                finish(s);
        return 0;
}
