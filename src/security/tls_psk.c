#include "security/tls_psk_private.h"
#include "base/memory.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#define TIMEOUT_MS     1000u /* RFC 6347 4.2.4.1, doubling */
#define TIMEOUT_MAX_MS 8000u
#define BAD_MAX        2u /* records of a handshake that do not open: a wrong key, which repeats itself */
#define REPEATS_MAX    8u /* flights that are sent again because the peer did so */
#define WARNINGS_MAX   16u
#define RECORD_DTLS    13u
#define RECORD_TLS     5u
#define PLAIN_MAX      16384u
#define SEQ_MAX        ((UINT64_C(1) << 48) - 1)

static struct tls_psk *psk_of(struct tls *t) {
        return OCF_CONTAINER_OF(t, struct tls_psk, base);
}

/* ---- ends ---- */

static void alert(struct tls_psk *p, uint8_t level, enum tls_alert what) {
        p->alert_level = level;
        p->alert = (uint8_t)what;
}

static void end(struct tls_psk *p, enum tls_failure failure, const char *problem) {
        p->base.state = TLS_CLOSED;
        p->base.failure = failure;
        p->base.problem = problem;
        p->base.deadline_ms = OCF_NEVER;
}

void tls_psk_fail(struct tls_psk *p, enum tls_failure failure, enum tls_alert what, const char *problem) {
        if (p->base.state == TLS_CLOSED)
                return;
        alert(p, 2, what);
        p->base.alert = (uint8_t)what;
        end(p, failure, problem);
}

static void handshake_free(struct tls_psk *p) {
        struct tls_handshake *h = p->handshake;

        if (!h)
                return;
        EVP_MD_CTX_free(h->transcript);
        EVP_PKEY_free(h->key);
        tls_cbc_deinit(&h->read);
        OPENSSL_cleanse(h->verify_data, sizeof(h->verify_data));
        p->handshake = ocf_free(h);
        if (!p->config.keep_secrets)
                OPENSSL_cleanse(&p->secrets, sizeof(p->secrets));
        if (p->base.state == TLS_OPEN)
                p->base.deadline_ms = OCF_NEVER;
}

/* ---- handshake ---- */

void tls_psk_hash(struct tls_psk *p, struct span message) {
        if (EVP_DigestUpdate(p->handshake->transcript, message.data, message.n) != 1)
                tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
}

static void arm(struct tls_psk *p) {
        struct tls_handshake *h = p->handshake;

        p->base.deadline_ms = ocf_min_u64(h->due_ms, h->until_ms);
}

void tls_psk_flight_ready(struct tls_psk *p, uint64_t now_ms) {
        struct tls_handshake *h = p->handshake;

        h->timeout_ms = TIMEOUT_MS;
        h->due_ms = p->base.stream ? OCF_NEVER : now_ms + h->timeout_ms;
        arm(p);
}

void tls_psk_opened(struct tls_psk *p, uint64_t now_ms) {
        struct tls_handshake *h = p->handshake;

        h->step = TLS_STEP_DONE;
        p->base.state = TLS_OPEN;
        h->due_ms = OCF_NEVER;
        h->until_ms = now_ms + TLS_HANDSHAKE_MAX_MS; /* then the last flight is not asked for any more */
        arm(p);
}

void tls_psk_finished(struct tls_psk *p, uint64_t now_ms, struct span body) {
        struct tls_handshake *h = p->handshake;
        uint8_t verify_data[TLS_VERIFY_DATA];

        if (body.n != TLS_VERIFY_DATA || CRYPTO_memcmp(body.data, h->verify_data, TLS_VERIFY_DATA) != 0) {
                tls_psk_fail(p, TLS_FAILURE_KEY, TLS_ALERT_DECRYPT_ERROR, "its Finished is wrong");
                return;
        }
        if (!p->base.client) {
                if (!tls_psk_verify_data(p, false, verify_data)) {
                        tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
                        return;
                }
                tls_flight_begin(&h->flight);
                tls_flight_put_change_cipher_spec(&h->flight);
                (void)tls_flight_put(&h->flight, 1, TLS_FINISHED, span_of(verify_data, TLS_VERIFY_DATA));
        }
        tls_psk_opened(p, now_ms);
}

static void on_message(struct tls_psk *p, uint64_t now_ms) {
        struct tls_reassembly *a = &p->handshake->reassembly;
        struct span body = tls_reassembly_body(a);
        enum tls_message type = (enum tls_message)a->type;

        if (type == TLS_HELLO_REQUEST && p->base.client && !body.n) {
                tls_reassembly_next(a);
                return; /* a handshake is going on */
        }
        if (type != TLS_HELLO_VERIFY_REQUEST)
                tls_psk_hash(p, tls_reassembly_message(a));
        tls_reassembly_next(a); /* its bytes stay until the next one comes */
        if (p->base.state != TLS_HANDSHAKE)
                return;
        if (p->base.client)
                tls_psk_client_message(p, now_ms, type, body);
        else
                tls_psk_server_message(p, now_ms, type, body);
}

/* The peer repeats what it said before: it has not heard our answer. */
static void on_repeated(struct tls_psk *p) {
        struct tls_handshake *h = p->handshake;

        if (h->flight.n_sent == h->flight.n_parts && h->n_repeats < REPEATS_MAX) {
                h->n_repeats++;
                tls_flight_again(&h->flight);
        }
}

static bool expects_message(const struct tls_psk *p) {
        return p->base.state == TLS_HANDSHAKE && p->handshake->step != TLS_STEP_CHANGE_CIPHER_SPEC;
}

static void on_handshake(struct tls_psk *p, uint64_t now_ms, struct span payload) {
        int r = 0;

        if (p->base.state == TLS_OPEN && (!p->handshake || p->base.stream)) {
                /* Of a client who repeats its flight we would know; this is one who wants to begin anew. */
                if (p->base.stream || (payload.n && payload.data[0] != TLS_FINISHED))
                        alert(p, 1, TLS_ALERT_NO_RENEGOTIATION);
                return;
        }
        while (!r && p->base.state != TLS_CLOSED) {
                r = tls_reassembly_take(&p->handshake->reassembly, &payload);
                if (!r && expects_message(p)) {
                        on_message(p, now_ms);
                } else if (!r) {
                        if (p->base.stream)
                                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE,
                                             "it sent a message of the handshake that is not due");
                        return;
                } else if (r == TLS_REASSEMBLY_E_OLD) {
                        on_repeated(p);
                }
        }
        if (r == TLS_REASSEMBLY_E_MALFORMED && p->base.stream)
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_DECODE_ERROR,
                             "it sent a malformed message of the handshake");
}

static void on_change_cipher_spec(struct tls_psk *p, struct span payload) {
        struct tls_handshake *h = p->handshake;
        bool is_due = p->base.state == TLS_HANDSHAKE && h->step == TLS_STEP_CHANGE_CIPHER_SPEC &&
                      !h->reassembly.begun && payload.n == 1 && payload.data[0] == 1;

        if (is_due) {
                p->read = h->read;
                h->read = (struct tls_cbc){ 0 };
                p->read_epoch = 1;
                p->read_seq = p->window = 0;
                h->step = TLS_STEP_FINISHED;
        } else if (p->base.stream) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE,
                             "it sent ChangeCipherSpec when it was not due");
        }
}

/* ---- alerts ---- */

/*
 * One in clear may come from anybody. A server ignores it: whoever knows two
 * addresses could else break each handshake between them. A client would wait for
 * its time-out then, and people with it.
 */
static void on_alert(struct tls_psk *p, struct span payload) {
        uint8_t level, what;

        if (!p->read_epoch && !p->base.stream && !p->base.client)
                return;
        if (!span_take_u8(&payload, &level) || !span_take_u8(&payload, &what) || payload.n)
                return;
        p->base.alert = what;
        if (what == TLS_ALERT_CLOSE_NOTIFY || what == TLS_ALERT_USER_CANCELED) {
                alert(p, 1, TLS_ALERT_CLOSE_NOTIFY);
                end(p, TLS_FAILURE_BYE, "it said goodbye");
        } else if (level == 2) {
                p->alert_level = 0;
                end(p, TLS_FAILURE_ALERT, "it gave up");
        } else if (++p->n_warnings > WARNINGS_MAX) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE,
                             "it sent too many warnings");
        }
}

/* ---- records that come ---- */

static bool was_seen(const struct tls_psk *p, uint64_t seq) {
        if (seq > p->read_seq)
                return false;
        return p->read_seq - seq >= 64 || p->window >> (p->read_seq - seq) & 1;
}

/* Only of a record that was shown to be the peer's. */
static void mark_seen(struct tls_psk *p, uint64_t seq) {
        if (seq > p->read_seq) {
                uint64_t shift = seq - p->read_seq;

                p->window = shift < 64 ? p->window << shift : 0;
                p->read_seq = seq;
        }
        p->window |= UINT64_C(1) << (p->read_seq - seq);
}

/* A key that is not the right one shows here, and again when the peer repeats its flight; one that does not
 * may be a stranger's. Where each is a guess, a second one would be a guess for nothing. */
static void on_bad_record(struct tls_psk *p) {
        if (p->base.stream)
                tls_psk_fail(p, p->base.state == TLS_HANDSHAKE ? TLS_FAILURE_KEY : TLS_FAILURE_PROTOCOL,
                             TLS_ALERT_BAD_RECORD_MAC, "a record of it does not open with our key");
        else if (p->base.state == TLS_HANDSHAKE && (p->config.one_try || ++p->handshake->n_bad >= BAD_MAX))
                tls_psk_fail(p, TLS_FAILURE_KEY, TLS_ALERT_BAD_RECORD_MAC,
                             "a record of it does not open with our key");
}

struct record {
        uint8_t type;
        uint16_t epoch;
        uint64_t seq;
        uint8_t *payload;
        size_t n;
};

/* Return: whether *ret is data for whoever asked. */
static bool on_record(struct tls_psk *p, uint64_t now_ms, const struct record *record, struct span *ret) {
        struct span payload = span_of(record->payload, record->n);

        if (record->epoch != p->read_epoch)
                return false; /* of before, which is over, or of keys that are not there yet */
        if (p->read_epoch) {
                uint8_t header[TLS_CBC_HEADER];
                struct writer w = writer_on(header, sizeof(header));

                if (!p->base.stream && was_seen(p, record->seq))
                        return false;
                writer_put_u32(&w, (uint32_t)record->epoch << 16 | (uint32_t)(record->seq >> 32));
                writer_put_u32(&w, (uint32_t)record->seq);
                if (p->base.stream) /* there the number has all 64 bits, and no epoch */
                        header[0] = header[1] = 0;
                writer_put_u8(&w, record->type);
                writer_put_u16(&w, p->base.stream ? TLS_VERSION_TLS_12 : TLS_VERSION_DTLS_12);
                if (!tls_cbc_open(&p->read, header, record->payload, record->n, &payload)) {
                        on_bad_record(p);
                        return false;
                }
                if (p->base.stream)
                        p->read_seq++;
                else
                        mark_seen(p, record->seq);
                p->base.n_opened++;
        }
        if (payload.n > PLAIN_MAX) {
                if (p->base.stream)
                        tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_RECORD_OVERFLOW,
                                     "a record is too long");
                return false;
        }
        switch ((enum tls_content)record->type) {
        case TLS_CHANGE_CIPHER_SPEC:
                on_change_cipher_spec(p, payload);
                return false;
        case TLS_ALERT:
                on_alert(p, payload);
                return false;
        case TLS_HANDSHAKE_MESSAGE:
                on_handshake(p, now_ms, payload);
                return false;
        case TLS_APPLICATION_DATA:
                if (p->base.state == TLS_OPEN && p->read_epoch) {
                        handshake_free(p); /* it has our Finished, or it could not have said this */
                        *ret = payload;
                        return payload.n > 0;
                }
                break;
        }
        if (p->base.stream)
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE,
                             "it sent a record that is not due");
        return false;
}

/* The next record of a datagram; what is no record ends it. */
static bool take_record_dtls(struct tls_psk *p, struct record *ret) {
        struct span s = span_of(p->input, p->n_input), payload;
        uint16_t version, high, n;
        uint32_t low;

        if (!span_take_u8(&s, &ret->type) || !span_take_u16(&s, &version) || version >> 8 != 0xfe ||
            !span_take_u16(&s, &ret->epoch) || !span_take_u16(&s, &high) || !span_take_u32(&s, &low) ||
            !span_take_u16(&s, &n) || !span_take(&s, n, &payload)) {
                p->n_input = 0;
                return false;
        }
        if (ret->epoch && version != TLS_VERSION_DTLS_12)
                ret->epoch = UINT16_MAX; /* the version is agreed on: of nobody we know */
        ret->seq = (uint64_t)high << 32 | low;
        ret->payload = p->input + RECORD_DTLS;
        ret->n = payload.n;
        p->input += RECORD_DTLS + n;
        p->n_input -= RECORD_DTLS + n;
        return true;
}

/* How long the record is that these bytes begin; 0: more are needed to tell. */
static size_t record_length(struct tls_psk *p, const uint8_t *bytes, size_t n) {
        size_t n_payload;

        if (n && (bytes[0] < TLS_CHANGE_CIPHER_SPEC || bytes[0] > TLS_APPLICATION_DATA ||
                  (n > 1 && bytes[1] != 3) || (n > 2 && p->read_epoch && bytes[2] != 3))) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_UNEXPECTED_MESSAGE, "what it sent is no TLS");
                return 0;
        }
        if (n < RECORD_TLS)
                return 0;
        n_payload = (size_t)bytes[3] << 8 | bytes[4];
        if (n_payload > PLAIN_MAX + 2048) {
                tls_psk_fail(p, TLS_FAILURE_PROTOCOL, TLS_ALERT_RECORD_OVERFLOW, "a record is too long");
                return 0;
        }
        return RECORD_TLS + n_payload;
}

static size_t move_to_kept(struct tls_psk *p, size_t n) {
        n = n < p->n_input ? n : p->n_input;
        memcpy(p->kept + p->n_kept, p->input, n);
        p->n_kept += n;
        p->input += n;
        p->n_input -= n;
        return n;
}

static bool keep_rest(struct tls_psk *p) {
        if (!p->n_input)
                return true;
        if (!p->kept)
                p->kept = ocf_allocate(TLS_RECORD_MAX, 1);
        if (!p->kept) {
                tls_psk_fail(p, TLS_FAILURE_OURS, TLS_ALERT_INTERNAL_ERROR, NULL);
                return false;
        }
        move_to_kept(p, p->n_input);
        return true;
}

/* Whole records are read where they came; only the last one, when it is cut off, is kept until the rest
 * comes. */
static bool take_record_tls(struct tls_psk *p, struct record *ret) {
        uint8_t *bytes;
        size_t n;

        if (p->n_kept) {
                if (p->n_kept < RECORD_TLS)
                        move_to_kept(p, RECORD_TLS - p->n_kept);
                n = record_length(p, p->kept, p->n_kept);
                if (!n)
                        return false;
                if (p->n_kept < n)
                        move_to_kept(p, n - p->n_kept);
                if (p->n_kept < n)
                        return false;
                bytes = p->kept;
                p->n_kept = 0;
        } else {
                n = record_length(p, p->input, p->n_input);
                if (p->base.state == TLS_CLOSED)
                        return false;
                if (!n || p->n_input < n) {
                        (void)keep_rest(p);
                        return false;
                }
                bytes = p->input;
                p->input += n;
                p->n_input -= n;
        }
        *ret = (struct record){ .type = bytes[0],
                                .epoch = p->read_epoch,
                                .seq = p->read_seq,
                                .payload = bytes + RECORD_TLS,
                                .n = n - RECORD_TLS };
        return true;
}

static void psk_receive(struct tls *t, uint64_t now_ms, uint8_t *data, size_t n) {
        struct tls_psk *p = psk_of(t);

        p->input = data;
        p->n_input = n;
}

static bool psk_next(struct tls *t, uint64_t now_ms, struct span *ret) {
        struct tls_psk *p = psk_of(t);
        struct record record;

        while (p->base.state != TLS_CLOSED &&
               (p->base.stream ? take_record_tls(p, &record) : p->n_input && take_record_dtls(p, &record)))
                if (on_record(p, now_ms, &record, ret))
                        return true;
        if (p->base.state == TLS_CLOSED)
                p->n_input = 0;
        if (p->kept && !p->n_kept && p->base.state == TLS_OPEN)
                p->kept = ocf_free(p->kept);
        return false;
}

/* ---- records that go ---- */

static size_t put_record(struct tls_psk *p, uint8_t type, uint8_t epoch, struct span data, uint8_t *buf,
                         size_t n) {
        size_t n_header = p->base.stream ? RECORD_TLS : RECORD_DTLS, n_payload = data.n;
        uint16_t version = p->base.stream ? TLS_VERSION_TLS_12 : TLS_VERSION_DTLS_12;
        uint64_t seq = p->write_seq[epoch];
        uint8_t header[TLS_CBC_HEADER];
        struct writer w = writer_on(header, sizeof(header));

        if (n < n_header + data.n + (epoch ? TLS_CBC_MORE : 0) || seq >= SEQ_MAX)
                return 0;
        writer_put_u32(&w, (p->base.stream ? 0 : (uint32_t)epoch << 16) | (uint32_t)(seq >> 32));
        writer_put_u32(&w, (uint32_t)seq);
        writer_put_u8(&w, type);
        writer_put_u16(&w, version);
        if (epoch)
                n_payload = tls_cbc_seal(&p->write, header, data, buf + n_header);
        else
                memcpy(buf + n_header, data.data, data.n);
        if (epoch && !n_payload)
                return 0;
        p->write_seq[epoch]++;
        w = writer_on(buf, n_header);
        writer_put_u8(&w, type);
        writer_put_u16(&w, version);
        if (!p->base.stream)
                writer_put(&w, header, 8);
        writer_put_u16(&w, (uint16_t)n_payload);
        return n_header + n_payload;
}

static size_t psk_seal(struct tls *t, struct span data, uint8_t *buf, size_t n) {
        struct tls_psk *p = psk_of(t);

        if (p->base.state != TLS_OPEN || data.n > PLAIN_MAX)
                return 0;
        return put_record(p, TLS_APPLICATION_DATA, 1, data, buf, n);
}

/* All that is left of the flight, in one datagram. */
static size_t put_flight(struct tls_psk *p, uint8_t *buf, size_t n) {
        struct tls_flight *f = &p->handshake->flight;
        size_t n_done = 0;

        for (; f->n_sent < f->n_parts; f->n_sent++) {
                const struct tls_flight_part *part = &f->parts[f->n_sent];
                size_t n_record = put_record(p, part->content, part->epoch,
                                             span_of(f->bytes + part->at, part->n), buf + n_done, n - n_done);

                if (!n_record)
                        break;
                n_done += n_record;
                if (part->epoch)
                        p->write_epoch = 1;
        }
        return n_done;
}

static void look_at_time(struct tls_psk *p, uint64_t now_ms) {
        struct tls_handshake *h = p->handshake;

        if (now_ms >= h->until_ms) {
                if (p->base.state == TLS_OPEN)
                        handshake_free(p);
                else
                        end(p, TLS_FAILURE_TIMEOUT, "it did not finish its handshake in time");
                return;
        }
        if (now_ms < h->due_ms)
                return;
        tls_flight_again(&h->flight);
        h->timeout_ms = ocf_min_u64(2 * h->timeout_ms, TIMEOUT_MAX_MS);
        h->due_ms = now_ms + h->timeout_ms;
        arm(p);
}

static size_t psk_transmit(struct tls *t, uint64_t now_ms, uint8_t *buf, size_t n) {
        struct tls_psk *p = psk_of(t);
        uint8_t what[2] = { p->alert_level, p->alert };

        if (p->handshake && p->base.state != TLS_CLOSED)
                look_at_time(p, now_ms);
        if (p->handshake && p->base.state != TLS_CLOSED &&
            p->handshake->flight.n_sent < p->handshake->flight.n_parts)
                return put_flight(p, buf, n);
        if (!p->alert_level)
                return 0;
        p->alert_level = 0;
        return put_record(p, TLS_ALERT, p->write_epoch, span_of(what, sizeof(what)), buf, n);
}

static void psk_close(struct tls *t) {
        struct tls_psk *p = psk_of(t);

        if (p->base.state == TLS_CLOSED)
                return;
        alert(p, 1, TLS_ALERT_CLOSE_NOTIFY);
        end(p, TLS_FAILURE_NONE, NULL);
}

/* ---- made and freed ---- */

static bool psk_secrets(const struct tls *t, struct tls_secrets *ret) {
        const struct tls_psk *p = OCF_CONTAINER_OF(t, const struct tls_psk, base);

        if (p->base.state != TLS_OPEN || !p->config.keep_secrets)
                return false;
        *ret = p->secrets;
        return true;
}

static struct tls *psk_free(struct tls *t) {
        struct tls_psk *p = psk_of(t);

        handshake_free(p);
        tls_cbc_deinit(&p->read);
        tls_cbc_deinit(&p->write);
        if (p->kept)
                OPENSSL_cleanse(p->kept, TLS_RECORD_MAX);
        ocf_free(p->kept);
        OPENSSL_cleanse(&p->secrets, sizeof(p->secrets));
        ocf_free(p);
        return NULL;
}

static const struct tls_vtable vtable = {
        .receive = psk_receive,
        .next = psk_next,
        .seal = psk_seal,
        .transmit = psk_transmit,
        .close = psk_close,
        .secrets = psk_secrets,
        .free = psk_free,
};

static int start(struct tls_psk *p, uint64_t now_ms) {
        struct tls_handshake *h = ocf_new(struct tls_handshake);

        if (!h)
                return -ENOMEM;
        p->handshake = h;
        h->step = p->base.client ? TLS_STEP_SERVER_HELLO : TLS_STEP_CLIENT_HELLO;
        h->flight.stream = h->reassembly.stream = p->base.stream;
        h->due_ms = OCF_NEVER;
        h->until_ms = now_ms + TLS_HANDSHAKE_MAX_MS;
        arm(p);
        h->transcript = EVP_MD_CTX_new();
        if (!h->transcript || EVP_DigestInit_ex(h->transcript, crypto_sha256(), NULL) != 1)
                return -ENOMEM;
        if (!p->base.client) {
                h->reassembly.next_seq = p->config.first_message;
                p->write_seq[0] = p->config.first_record;
                return 0;
        }
        crypto_random(p->secrets.client_random, TLS_RANDOM);
        if (!tls_psk_client_hello(p, SPAN_NULL))
                return -ENOMEM;
        tls_psk_flight_ready(p, now_ms);
        return 0;
}

int tls_psk_new(struct tls **ret, const struct tls_psk_config *config, uint64_t now_ms) {
        struct span name = config->client ? config->identity : config->hint;
        struct tls_psk *p = ocf_new(struct tls_psk);
        int r;

        if (!p)
                return -ENOMEM;
        p->base = (struct tls){ .vtable = &vtable,
                                .stream = config->stream,
                                .client = config->client,
                                .suite = config->suite,
                                .deadline_ms = OCF_NEVER };
        p->config = *config;
        p->config.hint = p->config.identity = SPAN_NULL;
        p->n_hint = (uint8_t)ocf_min_u64(name.n, TLS_IDENTITY_MAX);
        if (p->n_hint)
                memcpy(p->hint, name.data, p->n_hint);
        r = start(p, now_ms);
        if (r < 0) {
                psk_free(&p->base);
                return r;
        }
        *ret = &p->base;
        return 0;
}

struct span tls_psk_name(const struct tls *t) {
        const struct tls_psk *p = OCF_CONTAINER_OF(t, const struct tls_psk, base);

        return span_of(p->name, p->n_name);
}
