/*
 * What the files of the store share: keys, what database and mark say of
 * themselves, the index of rows, and the calls between the files.
 */
#ifndef OCF_DAEMON_STORE_PRIVATE_H
#define OCF_DAEMON_STORE_PRIVATE_H

#include "daemon/store.h"

#include <sqlite3.h>
#include <stdatomic.h>

#define STORE_DB        "ocfd.db"
#define STORE_DB_NEW    "ocfd.db.new"
#define STORE_DB_TRY    "ocfd.db.try"
#define STORE_DB_OLD    "ocfd.db.replaced"
#define STORE_JOURNAL   "ocfd.db-journal"
#define STORE_MARK      "ocfd.mark"
#define STORE_MARK_NEW  "ocfd.mark.new"
#define STORE_KEY       "store.key"
#define STORE_KEY_NEW   "store.key.new"

#define STORE_PATH_SIZE 4096
#define STORE_ID_SIZE   16
#define STORE_KEY_SIZE  32
#define STORE_NONCE     12
#define STORE_TAG       16
#define STORE_DIGEST    32

/* ---- keys (store_seal.c, store_key.c) ---- */

/* What is made of a key: its name, which is no secret, and a key for each purpose. */
struct store_key {
        uint8_t id[STORE_ID_SIZE];
        uint8_t rows[STORE_KEY_SIZE], digest[STORE_KEY_SIZE], mark[STORE_KEY_SIZE];
};

/* Where a key may be, the preferred one first. */
enum store_origin {
        STORE_FROM_CREDENTIAL,
        STORE_FROM_CREDENTIAL_OLD, /* "ocfd.store-key.old", while the credential is replaced by another */
        STORE_FROM_FILE,
        STORE_FROM_FILE_NEW, /* a change of the key that did not come to its end */
        _STORE_ORIGIN_N
};

struct store_keys {
        struct store_key keys[_STORE_ORIGIN_N];
        bool have[_STORE_ORIGIN_N];
        const char *trouble; /* what is wrong with one that is there; NULL: nothing */
};

int store_keys_load(struct store_keys *ret, int directory); /* 0, errno */
void store_keys_wipe(struct store_keys *keys);
const struct store_key *store_keys_find(const struct store_keys *keys, const uint8_t *id,
                                        enum store_origin *ret_origin);
int store_key_make(struct store_key *ret, int directory); /* store.key.new */

int store_key_derive(struct store_key *ret, struct span material);

/* ---- what database and mark say of themselves ---- */

struct store_meta {
        uint8_t store_id[STORE_ID_SIZE], key_id[STORE_ID_SIZE];
        uint64_t generation;
        bool owned;
};

#define STORE_MARK_SIZE 88u

/* 0; STORE_E_NONE: there is no such file; STORE_E_DAMAGED; STORE_E_KEY: of a key that we do not have; errno.
 */
int store_mark_read(int directory, const char *name, const struct store_keys *keys, struct store_meta *ret);
int store_mark_prepare(int directory, const struct store_meta *meta, const struct store_key *key);
int store_mark_finish(int directory); /* the prepared one counts, durably */

/* A file of ours, whole and on the disk when this returns 0. It belongs to whom the directory belongs to. */
int store_file_write(int directory, const char *name, const void *bytes, size_t n);
int store_file_adopt(int directory, int fd);
/* 0 and the caller's memory; STORE_E_NONE; -EFBIG; errno */
int store_file_read(int directory, const char *name, size_t n_max, uint8_t **ret, size_t *ret_n);

/* ---- rows ---- */

struct store_row {
        uint16_t device;
        char name[STORE_NAME_MAX + 1];
        uint64_t generation;
        uint8_t tag[STORE_TAG];
};

/* All rows, by device and name: what the database must hold, whoever else writes to it. */
struct store_index {
        struct store_row *rows;
        size_t n;
};

int store_index_compare(const struct store_row *row, uint16_t device, const char *name);
struct store_row *store_index_find(const struct store_index *index, uint16_t device, const char *name);
int store_index_copy(struct store_index *ret, const struct store_index *index, size_t n_more);
void store_index_put(struct store_index *index, const struct store_row *row); /* there is room */
void store_index_remove(struct store_index *index, uint16_t device, const char *name);
void store_index_deinit(struct store_index *index);

/* sealed has as many bytes as the value. 0, errno */
int store_seal_row(const struct store_key *key, const uint8_t *store_id, struct store_row *row,
                   struct span value, uint8_t ret_nonce[static STORE_NONCE], uint8_t *ret_sealed);
/* 0; STORE_E_DAMAGED; errno */
int store_unseal_row(const struct store_key *key, const uint8_t *store_id, const struct store_row *row,
                     const uint8_t *nonce, struct span sealed, uint8_t *ret_value);
int store_digest(const struct store_key *key, const struct store_meta *meta, const struct store_index *index,
                 uint8_t ret[static STORE_DIGEST]);

/* ---- changes that are ours ---- */

struct store_changes {
        struct store_change *list;
        size_t n;
};

int store_changes_add(struct store_changes *c,
                      const struct store_change *change); /* copies; the later counts */
void store_changes_remove(struct store_changes *c, uint16_t device, const char *name);
void store_changes_deinit(struct store_changes *c); /* wipes them */
bool store_changes_are_valid(const struct store_change *changes, size_t n);
void store_wipe_free(void *p, size_t n);

/* ---- the database (store_db.c): all SQL is there ---- */

int store_db_open(sqlite3 **ret, const char *path);
int store_db_open_image(sqlite3 **ret, const uint8_t *image, size_t n); /* in memory */
int store_db_version(sqlite3 *db, int64_t *ret); /* 0; STORE_E_DAMAGED: not ours, or broken; NEWER; errno */
int store_db_read_meta(sqlite3 *db, struct store_meta *ret, uint8_t ret_digest[static STORE_DIGEST]);

/* Every row against the key and the digest. collect may be NULL: then the values go there. */
int store_db_verify(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                    const uint8_t *digest, struct store_index *ret, struct store_changes *collect);
int store_db_collect_v1(sqlite3 *db, struct store_changes *ret);
int store_db_get(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                 const struct store_row *row, uint8_t **ret, size_t *ret_n);

/*
 * A transaction from the rows in index to meta, without its end. *ret_index: the rows there are once
 * store_db_commit() has returned 0.
 */
int store_db_write(sqlite3 *db, const struct store_key *key, const struct store_meta *meta,
                   const struct store_index *index, const struct store_change *changes, size_t n,
                   struct store_index *ret_index);
int store_db_commit(sqlite3 *db);
void store_db_rollback(sqlite3 *db);
int store_db_touch(sqlite3 *db); /* a transaction that changes nothing, but is written and synced */

/* The file is there, and empty. */
int store_db_build(const char *path, const struct store_key *key, const struct store_meta *meta,
                   const struct store_changes *rows);
int store_db_image(sqlite3 *db, uint8_t **ret, size_t *ret_n); /* store_db_image_free() */
void store_db_image_free(uint8_t *image);

/* ---- the store ---- */

enum store_state {
        STORE_OPEN,
        STORE_SEALED,
        STORE_RESTORED, /* what we know is of before: start again */
        STORE_BROKEN    /* the disk failed while a commit ended */
};

struct store_thread;

struct store {
        char path[STORE_PATH_SIZE]; /* of the directory */
        int directory;              /* locked as long as we are here; -1: not open */
        bool is_visit;              /* only looked at: nothing is finished or made */
        bool is_trial;              /* what is loaded is a copy of the database */
        sqlite3 *db;
        struct store_keys keys;
        struct store_key key;
        enum store_origin origin;
        struct store_meta meta;
        struct store_index index;
        bool mark_is_behind;   /* by one, or the new one has not taken its place */
        bool mark_is_prepared; /* ocfd.mark.new says what the database says */
        atomic_int state;
        atomic_bool owned;
        char *why;
        struct store_thread *thread;
};

OCF_PRINTF(1, 2) char *store_text(const char *format, ...); /* NULL: no memory */
int store_path(const struct store *s, const char *name, char ret[static STORE_PATH_SIZE]);

int store_lock(struct store **ret, const char *directory, bool make); /* 0, STORE_E_IN_USE, errno */
int store_examine(struct store *s);                                   /* as store_open(); sealed or not */
int store_load(struct store *s, const char *name); /* the database of that name, verified, into s; as above */
void store_unload(struct store *s);
struct store *store_free(struct store *s);
void store_explain_outcome(int r, const char *path, char **ret_why);

/* Everything that was there is exchanged for these rows, or nothing is. The old key may stop to exist. */
int store_replace(struct store *s, const struct store_key *key, enum store_origin origin,
                  const struct store_meta *meta, const struct store_changes *rows);

int store_write(struct store *s, const struct store_change *changes, size_t n,
                bool owned); /* store_commit.c */
int store_complete_mark(struct store *s);

/* store_upkeep.c: on the store thread, or without one */
int store_run_check(struct store *s, char **ret_text);
int store_run_backup(struct store *s, const char *path, char **ret_text);
int store_run_restore(struct store *s, const char *path, char **ret_text);
int store_run_rekey(struct store *s, char **ret_text);

void store_thread_stop(struct store *s); /* drains; calls what was to be called */

#endif
