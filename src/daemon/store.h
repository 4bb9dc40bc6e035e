/*
 * What survives a restart: who we are, our ports, and the secure resources of
 * each logical device, as rows of bytes in one SQLite database.
 *
 * Each change is one durable transaction over all that belongs together. Rows
 * are encrypted and bound to their place and generation, a digest covers them
 * all, and a mark beside the database knows how far it had come: what was
 * changed, taken out or put back by somebody else shows. Such a store is
 * sealed: nothing is served from it, nothing is written to it, and its files
 * stay as they are. Never is it replaced by a new, unowned one.
 *
 * A copy of all the files of an earlier day, put back together, cannot be told
 * from that day without hardware that counts.
 */
#ifndef OCF_DAEMON_STORE_H
#define OCF_DAEMON_STORE_H

#include "base/span.h"
#include "base/uuid.h"

#include <uv.h>

#define STORE_NAME_MAX       31u             /* characters of a row's name */
#define STORE_VALUE_MAX      (1024u * 1024u) /* bytes of a row */
#define STORE_TOOL           0x8000u /* the number of the onboarding tool's device, however many others there are */
#define STORE_LAZY_DELAY_MS  5000u
#define STORE_KEY_CREDENTIAL "ocfd.store-key" /* systemd's credential; without it the key is in store.key */

struct store;

/* Ports are 0 until one is chosen. */
struct store_device {
        struct uuid di, piid;
        uint16_t port_coap, port_coaps, port_tcp, port_coaps_tcp;
};

enum {
        STORE_E_NONE = 1, /* there is no such row */
        STORE_E_DAMAGED,  /* of a backup, and of a directory that is checked: not ours, corrupt, or incomplete
                           */
        STORE_E_NEWER,    /* written by a later version */
        STORE_E_IN_USE,   /* another ocfd has it */
        STORE_E_SEALED,   /* store_is_sealed() says why */
        STORE_E_KEY       /* of a backup: made under a key that we do not have */
};

/*
 * Opens, or makes, the store in the directory (made 0700 when absent). *ret_why, the caller's, is a sentence
 * for each outcome and errno, and about a store that opened sealed. Return: 0, STORE_E_NEWER, STORE_E_IN_USE,
 * errno.
 */
int store_open(struct store **ret, const char *directory, char **ret_why);

/*
 * Everything that was committed is written, and each done() is called, before this returns. It is called
 * before the loop is closed, and the loop runs once more after it.
 */
struct store *store_close(struct store *s);

/* What is wrong and what to do, in sentences; they live as long as the store. */
bool store_is_sealed(const struct store *s, const char **ret_why);

bool store_is_owned(const struct store *s); /* as of the last commit that was durable at start-up, or since */

/* ---- at start-up, on the loop thread; -EBUSY once the store is started ---- */

/* A row: 0 and the caller's memory (wipe it where it is secret), STORE_E_NONE, STORE_E_SEALED, errno. */
int store_get(struct store *s, uint16_t device, const char *name, uint8_t **ret, size_t *ret_n);

int store_get_platform(struct store *s, struct uuid *ret_pi);   /* 0, STORE_E_NONE, STORE_E_SEALED, errno */
int store_put_platform(struct store *s, const struct uuid *pi); /* 0, errno; -EROFS: sealed */
int store_get_device(struct store *s, uint16_t index, struct store_device *ret);
int store_put_device(struct store *s, uint16_t index, const struct store_device *device);

/* ---- the store thread ---- */

/* From here on a thread owns the database. A sealed store is started as well: it can be checked and restored.
 */
int store_start(struct store *s, uv_loop_t *loop);

struct store_change {
        uint16_t device;
        const char *name;  /* "doxm", "cred" ...; "platform" and "device" are the identities */
        struct span value; /* value.data NULL: the row goes */
};

/* The value of the row "device", for a commit in which the identity of a device changes with other rows. */
#define STORE_DEVICE_SIZE 40u
struct span store_write_device(const struct store_device *d, uint8_t buf[static STORE_DEVICE_SIZE]);

/*
 * On the loop thread. 0: durable; negative errno: nothing of it is, but for one: -ENOTRECOVERABLE means that
 * the disk failed in the one moment in which nobody can know. Nothing more is written then, and another start
 * tells which it is.
 */
typedef void store_done(void *context, int outcome);

/*
 * One durable transaction; the changes are copied; commits keep their order. owned: whether any device of
 * ours has an owner once this is durable. Before store_start() it is done when this returns: done() was
 * called, or, where there is none, the outcome is returned. Return: 0, and done() will be called; errno, and
 * it will not. -EROFS: sealed, or restored since; -EINVAL: a name or a value is too long; -ESHUTDOWN: while
 * it closes.
 */
int store_commit(struct store *s, const struct store_change *changes, size_t n, bool owned, store_done *done,
                 void *context);

/*
 * What may be lost when the power fails, since strangers cause it: at most every STORE_LAZY_DELAY_MS it is
 * written, or with the next real commit. Of one row the latest value counts; a real commit of the same row
 * does away with it.
 */
int store_commit_lazy(struct store *s, const struct store_change *changes, size_t n);

/* ---- upkeep, on the store thread, in order with the commits ---- */

/* On the loop thread. text: what was found or done and what to do now, in sentences. */
typedef void store_report(void *context, int outcome, const char *text);

/* Reads everything on the disk against what we know. 0; STORE_E_SEALED and STORE_E_DAMAGED; errno. */
int store_check(struct store *s, store_report *report, void *context);

/*
 * One file, made under another name first, that never holds the key: to restore it one needs the same key,
 * which is the system's credential, or the file store.key that the administrator keeps elsewhere. 0,
 * STORE_E_SEALED, errno.
 */
int store_backup(struct store *s, const char *path, store_report *report, void *context);

/*
 * Puts a backup in the place of what is there, sealed or not, under a generation that no earlier file has.
 * From then on nothing is committed: the program has to start again. 0; STORE_E_DAMAGED, STORE_E_NEWER and
 * STORE_E_KEY: the backup's, and nothing was changed; errno.
 */
int store_restore(struct store *s, const char *path, store_report *report, void *context);

/*
 * Everything under a new key: the credential where there is one that is not in use yet, else a new store.key.
 * 0, STORE_E_SEALED, -EALREADY: the credential is what it is under, errno (the old key stays).
 */
int store_rekey(struct store *s, store_report *report, void *context);

/* ---- without a daemon: the directory must not be in use; *ret_text is the caller's ---- */

int store_check_directory(const char *directory,
                          char **ret_text); /* as store_check(), STORE_E_NONE: no store */
int store_restore_directory(const char *directory, const char *path,
                            char **ret_text); /* as store_restore() */

#endif
