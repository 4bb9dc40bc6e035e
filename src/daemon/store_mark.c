/*
 * The mark: how far the database had come, and whether we were owned, in a file
 * of its own. An older database put back is behind it, and shows.
 *
 * It is written whole beside the old one before a transaction ends, and takes
 * its place after it: a full disk shows while the transaction can still be
 * undone. So a crash leaves the mark where the database is, or one step behind.
 */
#include "base/memory.h"
#include "daemon/store_private.h"
#include "security/crypto.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t magic[8] = { 'o', 'c', 'f', 'd', 'm', 'a', 'r', 'k' };

#define MARK_VERSION 2u
#define N_AUTHENTIC  (STORE_MARK_SIZE - CRYPTO_HASH)

int store_file_adopt(int directory, int fd) {
        struct stat s;

        /* the administrator's ocfctl may restore what a service of another name will open */
        if (geteuid() != 0)
                return 0;
        if (fstat(directory, &s) < 0 || (s.st_uid && fchown(fd, s.st_uid, s.st_gid) < 0))
                return -errno;
        return 0;
}

int store_file_write(int directory, const char *name, const void *bytes, size_t n) {
        int fd = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
        size_t n_written = 0;
        int r = fd < 0 ? -errno : store_file_adopt(directory, fd);

        while (!r && n_written < n) {
                ssize_t k = write(fd, (const uint8_t *)bytes + n_written, n - n_written);

                if (k >= 0)
                        n_written += (size_t)k;
                else if (errno != EINTR)
                        r = -errno;
        }
        if (!r && fdatasync(fd) < 0)
                r = -errno;
        if (fd >= 0)
                close(fd);
        return r;
}

int store_file_read(int directory, const char *name, size_t n_max, uint8_t **ret, size_t *ret_n) {
        int fd = openat(directory, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        uint8_t *bytes = NULL;
        size_t n = 0;
        struct stat s;
        int r = 0;

        if (fd < 0)
                return errno == ENOENT ? STORE_E_NONE : -errno;
        if (fstat(fd, &s) < 0)
                r = -errno;
        else if (!S_ISREG(s.st_mode))
                r = -EINVAL;
        else if (s.st_size > (off_t)n_max)
                r = -EFBIG;
        if (!r) {
                bytes = ocf_allocate((size_t)s.st_size, 1);
                r = bytes ? 0 : -ENOMEM;
        }
        while (!r && n < (size_t)s.st_size) {
                ssize_t k = read(fd, bytes + n, (size_t)s.st_size - n);

                if (k == 0)
                        break;
                if (k > 0)
                        n += (size_t)k;
                else if (errno != EINTR)
                        r = -errno;
        }
        close(fd);
        if (r) {
                store_wipe_free(bytes, n);
                return r;
        }
        *ret = bytes;
        *ret_n = n;
        return 0;
}

static bool authenticate(const struct store_key *key, const uint8_t *bytes, uint8_t ret[CRYPTO_HASH]) {
        const struct span part = span_of(bytes, N_AUTHENTIC);

        return crypto_hmac_once(span_of(key->mark, sizeof(key->mark)), &part, 1, ret);
}

static int parse(struct span s, const struct store_keys *keys, struct store_meta *ret) {
        struct store_meta m = { 0 };
        struct span all = s, title, store_id, key_id;
        const struct store_key *key;
        uint8_t mac[CRYPTO_HASH];
        enum store_origin origin;
        uint32_t version, high, low, owned;

        if (s.n != STORE_MARK_SIZE)
                return STORE_E_DAMAGED;
        span_take(&s, sizeof(magic), &title);
        span_take_u32(&s, &version);
        span_take(&s, STORE_ID_SIZE, &store_id);
        span_take(&s, STORE_ID_SIZE, &key_id);
        span_take_u32(&s, &high);
        span_take_u32(&s, &low);
        span_take_u32(&s, &owned);
        if (memcmp(title.data, magic, sizeof(magic)) != 0 || version != MARK_VERSION)
                return STORE_E_DAMAGED;
        key = store_keys_find(keys, key_id.data, &origin);
        if (!key)
                return STORE_E_KEY;
        if (!authenticate(key, all.data, mac))
                return -ENOMEM;
        if (CRYPTO_memcmp(mac, s.data, sizeof(mac)) != 0)
                return STORE_E_DAMAGED;
        memcpy(m.store_id, store_id.data, store_id.n);
        memcpy(m.key_id, key_id.data, key_id.n);
        m.generation = (uint64_t)high << 32 | low;
        m.owned = owned;
        *ret = m;
        return 0;
}

int store_mark_read(int directory, const char *name, const struct store_keys *keys, struct store_meta *ret) {
        uint8_t *bytes = NULL;
        size_t n = 0;
        int r = store_file_read(directory, name, STORE_MARK_SIZE, &bytes, &n);

        if (r == -EFBIG || r == -EINVAL)
                return STORE_E_DAMAGED;
        if (!r)
                r = parse(span_of(bytes, n), keys, ret);
        ocf_free(bytes);
        return r;
}

int store_mark_prepare(int directory, const struct store_meta *meta, const struct store_key *key) {
        uint8_t bytes[STORE_MARK_SIZE], mac[CRYPTO_HASH];
        struct writer w = writer_on(bytes, sizeof(bytes));

        writer_put(&w, magic, sizeof(magic));
        writer_put_u32(&w, MARK_VERSION);
        writer_put(&w, meta->store_id, sizeof(meta->store_id));
        writer_put(&w, key->id, sizeof(key->id));
        writer_put_u32(&w, (uint32_t)(meta->generation >> 32));
        writer_put_u32(&w, (uint32_t)meta->generation);
        writer_put_u32(&w, meta->owned);
        if (!authenticate(key, bytes, mac))
                return -ENOMEM;
        writer_put(&w, mac, sizeof(mac));
        return store_file_write(directory, STORE_MARK_NEW, bytes, w.n);
}

int store_mark_finish(int directory) {
        if (renameat(directory, STORE_MARK_NEW, directory, STORE_MARK) < 0)
                return -errno;
        return fsync(directory) < 0 ? -errno : 0;
}
