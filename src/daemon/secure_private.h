/*
 * What the files of the secure resources share: secure.c has their lives,
 * secure_request.c what peers ask, secure_rows.c what the store keeps,
 * secure_keys.c the answers that only cryptography has.
 */
#ifndef OCF_DAEMON_SECURE_PRIVATE_H
#define OCF_DAEMON_SECURE_PRIVATE_H

#include "daemon/secure.h"
#include "security/crypto.h"
#include "security/provided_key.h"
#include "security/tls_cert.h"

#define SECURE_MNT _SVR_N /* the number of /oic/mnt among secure resources */

struct secure_row {
        uint8_t *bytes;
        size_t n;
};

/* One change on its way to the disk. */
struct secure_change {
        bool under_way;
        struct call *call; /* NULL: of ourselves */
        struct ocf_response response;
        uint32_t effects, rows; /* SVR_EFFECT_*, SVR_BIT() */
        bool is_reset;
        bool is_new;                            /* the row of the device itself is to be written */
        struct secure_row saved[_SVR_STORED_N]; /* what they will be, once durable */
        EVP_PKEY *key;                          /* of a reset: the new one; NULL: it stays */
        struct svr_machine before;
        store_done *done; /* NULL: nobody waits */
        void *done_context;
};

struct secure_device {
        struct secure *secure;
        struct device *device; /* of the model */
        uint16_t row;          /* its number in the store */
        struct svr svr;
        struct store_device stored;
        EVP_PKEY *key;                    /* the identity's */
        struct tls_cert_context *context; /* of identity and authorities; NULL: to be made */
        struct pin pin;
        const char *sealed;                     /* NULL: it is not */
        struct secure_row saved[_SVR_STORED_N]; /* as they are on the disk */
        struct secure_change change;
        struct list waiting; /* of calls */
        size_t n_waiting;
};

struct secure {
        struct secure_config config;
        struct secure_device **devices;
        size_t n_devices, n_devices_max;
        uint8_t *scratch; /* SVR_REP_MAX: answers, and rows */
        char sealed[512];
        struct tls_cert_context *manufacturer; /* NULL: there is none */
        struct provided_key *manufacturer_key; /* behind a provider; NULL: it is a file's */
        char *manufacturer_pem;
        uint64_t audit_due_ms; /* then others are kept again */
        unsigned n_audits;
};

/* secure_rows.c */
int secure_rows_load(struct secure_device *d);      /* 0; SVR_E_DAMAGED, SVR_E_SEALED; negative errno */
int secure_rows_commit(struct secure_device *d);    /* d->change: as store_commit() */
void secure_rows_keep(struct secure_device *d);     /* they are durable */
void secure_rows_put_back(struct secure_device *d); /* they are not */
void secure_rows_deinit(struct secure_row rows[static _SVR_STORED_N]);

/* secure_request.c */
void secure_change_done(struct secure_device *d, int outcome);
void secure_run_waiting(struct secure_device *d);

/* secure_keys.c: what svr_request() asks for. bytes of the reply are in buf, or the key's own. */
#define SECURE_REPLY_MAX 4096
void secure_reply(struct secure_device *d, const struct call *call, const struct svr_need *need, uint8_t *buf,
                  struct svr_reply *ret);

/* secure_manufacturer.c */
int secure_manufacturer_load(struct secure *s);
void secure_manufacturer_unload(struct secure *s);
int secure_manufacturer_install(struct secure_device *d);
void secure_manufacturer_used(struct secure *s); /* a handshake of an ownership transfer is over */

/* secure_certificates.c */
void secure_context_forget(struct secure_device *d);
struct tls_cert_context *secure_context(
        struct secure_device *d); /* of identity and authorities; NULL: none */

/* secure.c */
uint8_t secure_transfer_methods(const struct secure *s);
void secure_begin_reset(struct secure_device *d);
void secure_tell_model(struct secure_device *d);
void secure_follow(struct secure_device *d, uint32_t effects);

#endif
