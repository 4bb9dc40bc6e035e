/*
 * Takes ownership of an ocfd on the loopback by Just Works, as an onboarding tool
 * does (wire-traces.md 4.1), opens one resource to the owner, and says the key
 * with which dtls_load can come back. For figures only: it checks nothing but
 * that each step succeeded.
 *
 *     own PORT SECURE_PORT HREF
 */
#include "common.h"
#include "least.h"
#include "protocol/rep.h"
#include "security/keys.h"
#include "security/tls_psk.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TIMEOUT_MS 1000
#define TRIES      5

static struct uuid owner;
static const struct uuid device = { { 0xde, 0x71, 0xce, 4, 5, 6, 0x47, 8, 0x89, 10, 11, 12, 13, 14, 15,
                                      16 } };
static struct tls *tls; /* NULL: in clear */
static int fd = -1;

static uint64_t now_ms(void) {
        return bench_now_ns() / 1000000u;
}

static _Noreturn void fail(const char *what) {
        fprintf(stderr, "own: %s%s%s\n", what, tls && tls->problem ? ": " : "",
                tls && tls->problem ? tls->problem : "");
        exit(BENCH_WRONG);
}

static void connect_to(const char *port) {
        struct sockaddr_in to = bench_loopback("127.0.0.1", port);

        if (fd >= 0)
                close(fd);
        fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof(to)) < 0)
                bench_die("connect");
}

static size_t receive(uint8_t *buf, size_t n, int timeout_ms) {
        struct pollfd p = { fd, POLLIN, 0 };
        ssize_t r = poll(&p, 1, timeout_ms) > 0 ? recv(fd, buf, n, 0) : -1;

        return r > 0 ? (size_t)r : 0;
}

/* ---- the session ---- */

static size_t no_key(void *context, struct span name, uint8_t ret[TLS_PSK_MAX]) {
        return 0;
}

static void transmit(void) {
        static uint8_t bytes[TLS_RECORD_MAX];
        size_t n;

        while ((n = tls_transmit(tls, now_ms(), bytes, sizeof(bytes))) > 0)
                if (send(fd, bytes, n, 0) < 0)
                        bench_die("send");
}

static void shake_hands(void) {
        const struct tls_psk_config config = {
                .client = true, .suite = TLS_ECDH_ANON_AES_128_CBC_SHA256, .keep_secrets = true, .psk = no_key
        };
        static uint8_t bytes[TLS_RECORD_MAX];
        struct span data;

        if (tls_psk_new(&tls, &config, now_ms()))
                bench_die("memory");
        while (tls->state == TLS_HANDSHAKE) {
                transmit();
                tls_receive(tls, now_ms(), bytes, receive(bytes, sizeof(bytes), 100));
                while (tls_next(tls, now_ms(), &data))
                        ;
        }
        if (tls->state != TLS_OPEN)
                fail("the handshake");
}

/* ---- requests ---- */

static void send_message(struct span m) {
        uint8_t record[BENCH_MESSAGE_MAX + TLS_SEAL_MORE];
        size_t n = tls ? tls_seal(tls, m, record, sizeof(record)) : 0;

        if (tls ? send(fd, record, n, 0) < 0 : send(fd, m.data, m.n, 0) < 0)
                bench_die("send");
}

/* The code of the answer to this message id; 0: none came. */
static uint8_t wait_for_answer(const uint8_t mid[2]) {
        static uint8_t bytes[TLS_RECORD_MAX];
        uint64_t until_ms = now_ms() + TIMEOUT_MS;

        while (now_ms() < until_ms) {
                struct span m = { bytes, receive(bytes, sizeof(bytes), 50) };

                if (tls) {
                        tls_receive(tls, now_ms(), bytes, m.n);
                        if (!tls_next(tls, now_ms(), &m))
                                m = SPAN_NULL;
                        transmit();
                }
                if (m.n >= 4 && m.data[0] >> 4 == BENCH_ACK >> 4 && !memcmp(m.data + 2, mid, 2))
                        return m.data[1];
        }
        return 0;
}

static void request(uint8_t method, const char *path, struct span payload) {
        static uint16_t next_mid;
        struct bench_options options = { .n = 0 };
        uint16_t number = ++next_mid;
        uint8_t bytes[BENCH_MESSAGE_MAX], mid[2] = { (uint8_t)(number >> 8), (uint8_t)number }, code = 0;
        struct writer w = writer_on(bytes, sizeof(bytes));

        bench_option_path(&options, path);
        if (payload.n)
                bench_option(&options, 12, "\x27\x10", 2);
        bench_option(&options, 17, "\x27\x10", 2);
        bench_option(&options, 2049, "\x08\x00", 2);
        if (payload.n)
                bench_option(&options, 2053, "\x08\x00", 2);
        writer_put(&w, (uint8_t[]){ BENCH_CON | 2, method, mid[0], mid[1], mid[0], mid[1] }, 6);
        writer_put(&w, options.bytes, options.n);
        if (payload.n)
                writer_put_u8(&w, 0xff);
        writer_put_span(&w, payload);
        for (unsigned i = 0; i < TRIES && !code; i++) {
                send_message(writer_span(&w));
                code = wait_for_answer(mid);
        }
        if (code >> 5 != 2) {
                fprintf(stderr, "own: %s: %u.%02u\n", path, code >> 5, code & 31u);
                exit(BENCH_WRONG);
        }
}

/* {name: value}, in the order in which the reference's tool writes. */
static void post(const char *path, void (*put)(struct writer *w, const char *name), const char *name) {
        uint8_t buf[1024];
        struct writer w = writer_on(buf, sizeof(buf));

        rep_put_map(&w, 1);
        put(&w, name);
        request(BENCH_POST, path, writer_span(&w));
}

static void put_uuid(struct writer *w, const struct uuid *u) {
        char text[UUID_TEXT_MAX];

        rep_put_string(w, uuid_format(u, text));
}

static void put_owner(struct writer *w, const char *name) {
        rep_put_string(w, name);
        put_uuid(w, &owner);
}

static void put_device(struct writer *w, const char *name) {
        rep_put_string(w, name);
        put_uuid(w, &device);
}

static void put_zero(struct writer *w, const char *name) {
        rep_put_string(w, name);
        rep_put_uint(w, 0);
}

static void put_four(struct writer *w, const char *name) {
        rep_put_string(w, name);
        rep_put_uint(w, 4);
}

static void put_true(struct writer *w, const char *name) {
        rep_put_string(w, name);
        rep_put_bool(w, true);
}

/* name is the digit of the state. */
static void put_state(struct writer *w, const char *name) {
        rep_put_string(w, "dos");
        rep_put_map(w, 1);
        rep_put_string(w, "s");
        rep_put_uint(w, (uint64_t)(name[0] - '0'));
}

static void put_entry(struct writer *w, const char *name) {
        rep_put_string(w, "aclist2");
        rep_put_array(w, 1);
        rep_put_map(w, 3);
        rep_put_string(w, "subject");
        rep_put_map(w, 1);
        put_owner(w, "uuid");
        rep_put_string(w, "permission");
        rep_put_uint(w, 2);
        rep_put_string(w, "resources");
        rep_put_array(w, 1);
        rep_put_map(w, 1);
        rep_put_string(w, "href");
        rep_put_string(w, name);
}

/* A key of no bytes: both sides compute it. */
static void post_key(void) {
        uint8_t buf[512];
        struct writer w = writer_on(buf, sizeof(buf));

        rep_put_map(&w, 2);
        rep_put_string(&w, "creds");
        rep_put_array(&w, 1);
        rep_put_map(&w, 3);
        rep_put_string(&w, "credtype");
        rep_put_uint(&w, 1);
        put_owner(&w, "subjectuuid");
        rep_put_string(&w, "privatedata");
        rep_put_map(&w, 2);
        rep_put_string(&w, "encoding");
        rep_put_string(&w, "oic.sec.encoding.raw");
        rep_put_string(&w, "data");
        rep_put_bytes(&w, SPAN_LITERAL(""));
        put_owner(&w, "rowneruuid");
        request(BENCH_POST, "/oic/sec/cred", writer_span(&w));
}

static void print(const char *name, const uint8_t *bytes, size_t n) {
        printf("%s=", name);
        for (size_t i = 0; i < n; i++)
                printf("%02x", bytes[i]);
        puts("");
}

int main(int argc, char **argv) {
        struct tls_secrets secrets;
        uint8_t key[KEY_PSK];

        if (argc != 4) {
                fputs("Usage: own PORT SECURE_PORT HREF\n", stderr);
                return BENCH_TROUBLE;
        }
        memcpy(owner.bytes, LEAST_IDENTITY, sizeof(owner.bytes));
        connect_to(argv[1]);
        post("/oic/sec/doxm", put_zero, "oxmsel");
        connect_to(argv[2]);
        shake_hands();
        post("/oic/sec/pstat", put_four, "om");
        post("/oic/sec/doxm", put_owner, "devowneruuid");
        post("/oic/sec/doxm", put_device, "deviceuuid");
        post("/oic/sec/doxm", put_owner, "rowneruuid");
        post("/oic/sec/acl2", put_owner, "rowneruuid");
        post("/oic/sec/pstat", put_owner, "rowneruuid");
        post_key();
        post("/oic/sec/doxm", put_true, "owned");
        post("/oic/sec/pstat", put_state, "2");
        post("/oic/sec/acl2", put_entry, argv[3]);
        post("/oic/sec/pstat", put_state, "3");
        if (!tls_secrets(tls, &secrets) || !key_derive_owner(&secrets, SVR_JUST_WORKS, &owner, &device, key))
                fail("the owner's key");
        print("key", key, sizeof(key));
        print("identity", owner.bytes, sizeof(owner.bytes));
        tls_close(tls);
        transmit();
        tls_free(tls);
        return BENCH_OK;
}
