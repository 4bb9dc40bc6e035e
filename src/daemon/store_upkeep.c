/*
 * Upkeep: the files looked at again, copied, put back, and put under another
 * key. All of it runs where the database is owned.
 *
 * A backup is the database as it is, so that it says itself whether it is
 * whole, and is worth nothing without the key. What is put back is read row by
 * row and sealed anew, as another store under a generation after all others:
 * no copy from before goes with the mark that is written then.
 */
#include "base/memory.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKUP_MAX (256u * 1024 * 1024)

static const char *name_key(const uint8_t *id, char buf[static 9]) {
        snprintf(buf, 9, "%02x%02x%02x%02x", id[0], id[1], id[2], id[3]);
        return buf;
}

static const char *describe_origin(enum store_origin origin) {
        switch (origin) {
        case STORE_FROM_CREDENTIAL:
                return "the credential " STORE_KEY_CREDENTIAL;
        case STORE_FROM_CREDENTIAL_OLD:
                return "the credential " STORE_KEY_CREDENTIAL ".old";
        case STORE_FROM_FILE:
                return "the file " STORE_KEY;
        case STORE_FROM_FILE_NEW:
        case _STORE_ORIGIN_N:
                break;
        }
        return "the file " STORE_KEY_NEW;
}

/* Return: 0: it is open; STORE_E_SEALED; errno. The text says why. */
static int refuse(struct store *s, char **ret_text) {
        switch ((enum store_state)atomic_load(&s->state)) {
        case STORE_OPEN:
                return 0;
        case STORE_SEALED:
                *ret_text = ocf_duplicate_string(s->why);
                return STORE_E_SEALED;
        case STORE_RESTORED:
                *ret_text = store_text("The store %s was restored: start ocfd again.", s->path);
                return -EROFS;
        case STORE_BROKEN:
                break;
        }
        *ret_text =
                store_text("The disk failed while the store %s was written: see to the disk, and start ocfd "
                           "again.",
                           s->path);
        return -ENOTRECOVERABLE;
}

/* ---- check ---- */

/* The same database on the disk, with the rows that we know. */
static int check_database(struct store *s) {
        struct store_index index = { 0 };
        struct store_meta meta;
        uint8_t digest[STORE_DIGEST];
        int64_t version;
        int r = store_db_version(s->db, &version);

        if (!r && version == 1)
                return 0;
        if (!r)
                r = store_db_read_meta(s->db, &meta, digest);
        if (!r && meta.generation != s->meta.generation)
                r = STORE_E_DAMAGED;
        if (!r)
                r = store_db_verify(s->db, &s->key, &s->meta, digest, &index, NULL);
        store_index_deinit(&index);
        return r;
}

static int check_mark(struct store *s) {
        struct store_meta mark;
        int r;

        if (s->mark_is_behind || !s->meta.generation)
                return 0; /* known, and written with the next commit; or a store of version 1 */
        r = store_mark_read(s->directory, STORE_MARK, &s->keys, &mark);
        if (r < 0)
                return r;
        return r || mark.generation != s->meta.generation ? STORE_E_DAMAGED : 0;
}

int store_run_check(struct store *s, char **ret_text) {
        char key[9];
        int r = refuse(s, ret_text);

        if (r)
                return r;
        sqlite3_db_release_memory(s->db);
        r = check_database(s);
        if (r > 0)
                *ret_text =
                        store_text("The database of the store %s was changed or damaged while ocfd ran. It "
                                   "will be sealed at the next start: make a backup of what still runs only "
                                   "by hand, and 'ocfctl store restore' an earlier one.",
                                   s->path);
        if (!r) {
                r = check_mark(s);
                if (r > 0)
                        *ret_text =
                                store_text("The mark of the store %s was changed or removed while ocfd ran. "
                                           "The next commit writes it anew; see who can write there.",
                                           s->path);
        }
        if (r < 0)
                *ret_text = store_text("The store %s cannot be read: %s.", s->path, strerror(-r));
        if (r)
                return r > 0 ? STORE_E_DAMAGED : r;
        if (!s->meta.generation)
                *ret_text = store_text(
                        "The store %s is of an earlier version, and is brought up to date when ocfd "
                        "starts.",
                        s->path);
        else
                *ret_text = store_text("The store %s is good: %zu rows, generation %" PRIu64
                                       ", %s, under the key %s from %s.",
                                       s->path, s->index.n, s->meta.generation,
                                       s->meta.owned ? "owned" : "not owned", name_key(s->key.id, key),
                                       describe_origin(s->origin));
        return 0;
}

/* ---- backup ---- */

/* Whole under another name first. */
static int write_backup(const char *path, const uint8_t *image, size_t n) {
        const char *slash = strrchr(path, '/');
        const char *name = slash ? slash + 1 : path;
        char folder[STORE_PATH_SIZE], new[256];
        size_t n_folder = slash ? (size_t)(slash - path) + 1 : 0;
        int n_new = snprintf(new, sizeof(new), "%s.new", name), directory, r;

        if (n_folder >= sizeof(folder) || n_new >= (int)sizeof(new))
                return -ENAMETOOLONG;
        if (!*name)
                return -EISDIR;
        memcpy(folder, path, n_folder);
        folder[n_folder] = 0;
        directory = open(n_folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (directory < 0)
                return -errno;
        r = store_file_write(directory, new, image, n);
        if (!r && (renameat(directory, new, directory, name) < 0 || fsync(directory) < 0))
                r = -errno;
        if (r)
                (void)unlinkat(directory, new, 0);
        close(directory);
        return r;
}

int store_run_backup(struct store *s, const char *path, char **ret_text) {
        uint8_t *image = NULL;
        char key[9];
        size_t n = 0;
        int r = refuse(s, ret_text);

        if (r)
                return r;
        r = check_database(s);
        if (r > 0)
                r = -EIO; /* it is not what we wrote: no backup, rather than a bad one */
        if (!r)
                r = store_db_image(s->db, &image, &n);
        if (!r)
                r = write_backup(path, image, n);
        store_db_image_free(image);
        if (r) {
                *ret_text = store_text("The backup could not be written: %s.", strerror(-r));
                return r;
        }
        *ret_text =
                store_text("The backup holds generation %" PRIu64
                           ", encrypted. It is worth nothing without the key, which is not in it: %s (%s). "
                           "Keep a copy of that key in another place.",
                           s->meta.generation, describe_origin(s->origin), name_key(s->key.id, key));
        return 0;
}

/* ---- restore ---- */

struct backup {
        struct store_meta meta;
        struct store_key key;
        enum store_origin origin;
        struct store_changes rows;
};

static int read_image(struct store *s, sqlite3 *db, struct backup *ret) {
        struct store_index index = { 0 };
        uint8_t digest[STORE_DIGEST];
        const struct store_key *key;
        int64_t version = 0;
        int r = store_db_version(db, &version);

        if (!r && version == 1)
                return STORE_E_DAMAGED; /* it seals nothing, and anybody may have written it */
        if (!r)
                r = store_db_read_meta(db, &ret->meta, digest);
        if (r)
                return r;
        key = store_keys_find(&s->keys, ret->meta.key_id, &ret->origin);
        if (!key)
                return STORE_E_KEY;
        ret->key = *key;
        r = store_db_verify(db, key, &ret->meta, digest, &index, &ret->rows);
        store_index_deinit(&index);
        return r;
}

static int read_backup(struct store *s, const char *path, struct backup *ret) {
        uint8_t *bytes = NULL;
        sqlite3 *db = NULL;
        size_t n = 0;
        int r = store_file_read(AT_FDCWD, path, BACKUP_MAX, &bytes, &n);

        if (r)
                return r == STORE_E_NONE ? -ENOENT : r == -EFBIG ? STORE_E_DAMAGED : r;
        r = n >= 512 && memcmp(bytes, "SQLite format 3", 16) == 0 ? 0 : STORE_E_DAMAGED;
        if (!r)
                r = store_db_open_image(&db, bytes, n);
        if (!r)
                r = read_image(s, db, ret);
        sqlite3_close(db);
        ocf_free(bytes);
        return r == STORE_E_IN_USE || r == -EINVAL ? STORE_E_DAMAGED : r;
}

/* After whatever was ever written here, as far as it can be known. */
static uint64_t next_generation(struct store *s, const struct backup *b) {
        uint64_t last = b->meta.generation > s->meta.generation ? b->meta.generation : s->meta.generation;
        struct store_meta mark;

        if (store_mark_read(s->directory, STORE_MARK, &s->keys, &mark) == 0 && mark.generation > last)
                last = mark.generation;
        return last + 1;
}

/* The file is not named: who asked knows its name, and we may have been given a copy of it. */
static void explain_restore(int r, char **ret_text) {
        switch (r) {
        case STORE_E_DAMAGED:
                *ret_text =
                        store_text("This is no backup of a store, or it is damaged. Nothing was changed.");
                break;
        case STORE_E_NEWER:
                *ret_text = store_text(
                        "The backup was made by a later version of ocfd: install that version. Nothing was "
                        "changed.");
                break;
        case STORE_E_KEY:
                *ret_text =
                        store_text("The backup was made under another key than those that are here. Put that "
                                   "key where it was, as the credential " STORE_KEY_CREDENTIAL
                                   " or the file " STORE_KEY ", and try again. Nothing was changed.");
                break;
        default: /* an errno */
                *ret_text = store_text("The backup could not be restored: %s.", strerror(-r));
                break;
        }
}

int store_run_restore(struct store *s, const char *path, char **ret_text) {
        struct backup b = { 0 };
        struct store_meta meta = { 0 };
        int r;

        if (atomic_load(&s->state) == STORE_RESTORED || atomic_load(&s->state) == STORE_BROKEN)
                return refuse(s, ret_text);
        if (atomic_load(&s->state) == STORE_SEALED) { /* the key may have come back since */
                store_keys_wipe(&s->keys);
                r = store_keys_load(&s->keys, s->directory);
        } else {
                r = 0;
        }
        if (!r)
                r = read_backup(s, path, &b);
        if (!r && RAND_bytes(meta.store_id, sizeof(meta.store_id)) <= 0)
                r = -EIO;
        if (!r) {
                memcpy(meta.key_id, b.key.id, sizeof(meta.key_id));
                meta.generation = next_generation(s, &b);
                meta.owned = b.meta.owned;
                r = store_replace(s, &b.key, b.origin, &meta, &b.rows);
        }
        if (!r) {
                atomic_store(&s->state, STORE_RESTORED);
                atomic_store(&s->owned, meta.owned);
                *ret_text =
                        store_text("The store %s holds what the backup held: %s. What was there before is "
                                   "kept beside it, as " STORE_DB_OLD ".",
                                   s->path, meta.owned ? "owned" : "not owned");
        } else {
                explain_restore(r, ret_text);
        }
        store_changes_deinit(&b.rows);
        return r;
}

/* ---- another key ---- */

static int choose_key(struct store *s, struct store_key *ret, enum store_origin *ret_origin) {
        int r;

        store_keys_wipe(&s->keys);
        r = store_keys_load(&s->keys, s->directory);
        if (r)
                return r;
        if (s->keys.have[STORE_FROM_CREDENTIAL]) {
                if (memcmp(s->keys.keys[STORE_FROM_CREDENTIAL].id, s->key.id, STORE_ID_SIZE) == 0)
                        return -EALREADY;
                *ret = s->keys.keys[STORE_FROM_CREDENTIAL];
                *ret_origin = STORE_FROM_CREDENTIAL;
                return 0;
        }
        *ret_origin = STORE_FROM_FILE_NEW;
        return store_key_make(ret, s->directory);
}

static int replace_key(struct store *s, const struct store_key *key, enum store_origin origin) {
        struct store_changes rows = { 0 };
        struct store_index index = { 0 };
        struct store_meta meta = s->meta;
        uint8_t digest[STORE_DIGEST];
        int r = store_db_read_meta(s->db, &meta, digest);

        if (!r)
                r = store_db_verify(s->db, &s->key, &s->meta, digest, &index, &rows);
        if (r > 0)
                r = -EIO;
        if (!r) {
                meta.generation++;
                memcpy(meta.key_id, key->id, sizeof(meta.key_id));
                r = store_replace(s, key, origin, &meta, &rows);
        }
        store_index_deinit(&index);
        store_changes_deinit(&rows);
        return r;
}

int store_run_rekey(struct store *s, char **ret_text) {
        struct store_key key = { 0 };
        enum store_origin origin = STORE_FROM_FILE;
        char name[9];
        int r = refuse(s, ret_text);

        if (r)
                return r;
        r = choose_key(s, &key, &origin);
        if (r == -EALREADY) {
                *ret_text = store_text("The store %s is under the credential " STORE_KEY_CREDENTIAL
                                       " as it is now. Give the service another one, and the present one "
                                       "as " STORE_KEY_CREDENTIAL ".old; start it again, and rekey then.",
                                       s->path);
                return r;
        }
        if (!r)
                r = replace_key(s, &key, origin);
        if (!r && s->origin == STORE_FROM_CREDENTIAL) {
                (void)unlinkat(s->directory, STORE_KEY, 0);
                (void)fsync(s->directory);
        }
        if (!r)
                (void)unlinkat(s->directory, STORE_DB_OLD, 0);
        if (r)
                *ret_text = store_text("The store %s is still under its key: %s.", s->path, strerror(-r));
        else
                *ret_text = store_text(
                        "The store %s is under a new key (%s) from %s. Backups from before need the "
                        "old key: make a new one now.",
                        s->path, name_key(s->key.id, name), describe_origin(s->origin));
        return r;
}
