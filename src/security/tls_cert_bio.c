#include "base/memory.h"
#include "security/tls_cert_private.h"

#include <string.h>

#define OUT_MAX (64u * 1024u) /* of a flight that nobody fetches */

/*
 * libssl's way to the network: what came is read from where it is, what goes is
 * kept until somebody fetches it, or written where a record is wanted.
 */

static int bio_write(BIO *bio, const char *data, int n) {
        struct tls_cert *c = BIO_get_data(bio);
        struct tls_cert_bytes *o;

        BIO_clear_retry_flags(bio);
        if (n <= 0)
                return 0;
        if (c->direct) {
                if (c->n_direct + (size_t)n > c->n_direct_max)
                        return -1;
                memcpy(c->direct + c->n_direct, data, (size_t)n);
                c->n_direct += (size_t)n;
                return n;
        }
        o = c->n_out + (size_t)n > OUT_MAX ? NULL : ocf_allocate(1, sizeof(*o) + (size_t)n);
        if (!o)
                return -1;
        o->n = (size_t)n;
        memcpy(o->bytes, data, o->n);
        c->n_out += o->n;
        *c->last = o;
        c->last = &o->next;
        return n;
}

static int bio_read(BIO *bio, char *buf, int n) {
        struct tls_cert *c = BIO_get_data(bio);
        size_t n_now = ocf_min_u64(c->n_input, n > 0 ? (size_t)n : 0);

        BIO_clear_retry_flags(bio);
        if (!n_now) {
                BIO_set_retry_read(bio);
                return -1;
        }
        memcpy(buf, c->input, n_now);
        c->input += n_now;
        c->n_input = c->base.stream ? c->n_input - n_now : 0; /* what does not fit of a datagram is lost */
        return (int)n_now;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer) {
        switch (command) {
        case BIO_CTRL_FLUSH:
                return 1;
        case BIO_CTRL_DGRAM_GET_MTU_OVERHEAD:
                return 48;
        default: /* everything else that a BIO may be asked has no meaning here */
                return 0;
        }
}

static BIO_METHOD *bio_method(void) {
        static BIO_METHOD *method;

        if (method)
                return method;
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ocf");
        if (method) {
                BIO_meth_set_write(method, bio_write);
                BIO_meth_set_read(method, bio_read);
                BIO_meth_set_ctrl(method, bio_ctrl);
        }
        return method;
}

BIO *tls_cert_bio(struct tls_cert *c) {
        BIO *bio = bio_method() ? BIO_new(bio_method()) : NULL;

        if (!bio)
                return NULL;
        BIO_set_data(bio, c);
        BIO_set_init(bio, 1);
        return bio;
}
