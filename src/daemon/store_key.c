/*
 * The key of the store, and where it is.
 *
 * Systemd's credential ocfd.store-key comes first, so that it can be sealed to
 * a TPM and be absent from backups of the disk; else it is 32 random bytes in
 * store.key (0600), made with the store. Either may be any 32 bytes or more:
 * they are taken as they are, a line's end and the digits of a hex dump
 * included, and go through HKDF. Which of the keys that are there is the
 * store's says the name of the key, which stands in the database.
 */
#include "base/memory.h"
#include "daemon/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define KEY_MIN 32u
#define KEY_MAX 4096u

static int load(struct store_keys *keys, enum store_origin origin, int directory, const char *name) {
        uint8_t *bytes = NULL;
        size_t n = 0;
        int r = store_file_read(directory, name, KEY_MAX, &bytes, &n);

        if (r == STORE_E_NONE)
                return 0;
        if (r == -ENOMEM)
                return r;
        if (r || n < KEY_MIN) {
                if (origin != STORE_FROM_FILE_NEW) /* that is what a full disk may leave */
                        keys->trouble = r ? "a key that is there cannot be read, or is longer than 4096 bytes"
                                          : "a key that is there is shorter than 32 bytes";
                store_wipe_free(bytes, n);
                return 0;
        }
        r = store_key_derive(&keys->keys[origin], span_of(bytes, n));
        keys->have[origin] = !r;
        store_wipe_free(bytes, n);
        return r;
}

int store_keys_load(struct store_keys *ret, int directory) {
        const char *credentials = getenv("CREDENTIALS_DIRECTORY");
        int fd = credentials ? open(credentials, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
        int r = 0;

        *ret = (struct store_keys){ 0 };
        if (credentials && fd < 0 && errno != ENOENT)
                ret->trouble = "the directory of credentials cannot be read";
        if (fd >= 0) {
                r = load(ret, STORE_FROM_CREDENTIAL, fd, STORE_KEY_CREDENTIAL);
                if (!r)
                        r = load(ret, STORE_FROM_CREDENTIAL_OLD, fd, STORE_KEY_CREDENTIAL ".old");
                close(fd);
        }
        if (!r)
                r = load(ret, STORE_FROM_FILE, directory, STORE_KEY);
        if (!r)
                r = load(ret, STORE_FROM_FILE_NEW, directory, STORE_KEY_NEW);
        if (r)
                store_keys_wipe(ret);
        return r;
}

void store_keys_wipe(struct store_keys *keys) {
        OPENSSL_cleanse(keys, sizeof(*keys));
}

const struct store_key *store_keys_find(const struct store_keys *keys, const uint8_t *id,
                                        enum store_origin *ret_origin) {
        for (enum store_origin i = 0; i < _STORE_ORIGIN_N; i++)
                if (keys->have[i] && memcmp(keys->keys[i].id, id, STORE_ID_SIZE) == 0) {
                        *ret_origin = i;
                        return &keys->keys[i];
                }
        return NULL;
}

int store_key_make(struct store_key *ret, int directory) {
        uint8_t bytes[KEY_MIN];
        int r = RAND_priv_bytes(bytes, sizeof(bytes)) > 0 ? 0 : -EIO;

        if (!r)
                r = store_file_write(directory, STORE_KEY_NEW, bytes, sizeof(bytes));
        if (!r)
                r = store_key_derive(ret, span_of(bytes, sizeof(bytes)));
        OPENSSL_cleanse(bytes, sizeof(bytes));
        return r;
}
