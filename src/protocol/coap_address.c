#include "protocol/coap_private.h"
#include "protocol/coap_siphash.h"

#include <string.h>

/*
 * What an address has shown, and so how much it may be sent (the design's
 * section 3; users.md 3 E).
 *
 * Whoever writes a victim's address into a request must not make us a weapon: an
 * address that has not shown that it is there gets three bytes for one. On a
 * network of our own it gets more, out of a bucket for each source and one for
 * all, since discovery and onboarding begin with long answers to short
 * questions. An address shows that it is there by answering a CoAP ping (RFC
 * 7252, 4.3), which we send when it asks for more than it gets, by acknowledging
 * a message of ours, or by returning an Echo value (RFC 9175).
 */

#define PROVEN_MS          (10u * 60 * 1000)
#define PING_EVERY_MS      4000u
#define ECHO_TICK_MS       4096u
#define ECHO_TICKS         75u /* an Echo value is good for five minutes */
#define BUCKET_SOURCE      (128 * 1024)
#define BUCKET_TOTAL       (1024 * 1024)
#define REFILL_SOURCE_B_MS 32u /* bytes for each millisecond */
#define REFILL_TOTAL_B_MS  256u

const uint32_t coap_address_bucket_total = BUCKET_TOTAL;

static bool is_loopback(const struct coap_peer *p) {
        static const uint8_t one[16] = { [15] = 1 };

        return coap_peer_is_ipv4(p) ? p->remote_ip[12] == 127 : memcmp(p->remote_ip, one, sizeof(one)) == 0;
}

/* Nothing to bound: the caller does not want it, or the address was shown by the transport. */
static bool is_free(const struct coap_endpoint *ep, const struct coap_peer *p) {
        return !ep->config.bound_amplification || p->channel || is_loopback(p);
}

static uint64_t key_of(const struct coap_endpoint *ep, const struct coap_peer *p) {
        return coap_hash_bytes(ep->seed + 2, p->remote_ip, sizeof(p->remote_ip)) | 1;
}

static struct coap_address *set_of(const struct coap_endpoint *ep, uint64_t key) {
        return &ep->addresses[(key >> 1) % ep->n_address_sets * COAP_ADDRESS_WAYS];
}

static struct coap_address *find(const struct coap_endpoint *ep, const struct coap_peer *p) {
        uint64_t key = key_of(ep, p);
        struct coap_address *set = set_of(ep, key);

        for (size_t i = 0; i < COAP_ADDRESS_WAYS; i++)
                if (set[i].key == key)
                        return &set[i];
        return NULL;
}

/* The place of who was silent longest is taken; who has proven something is asked again. */
static struct coap_address *obtain(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *p) {
        struct coap_address *a = find(ep, p), *set;
        uint64_t key;

        if (a)
                return a;
        key = key_of(ep, p);
        set = a = set_of(ep, key);
        for (size_t i = 1; i < COAP_ADDRESS_WAYS; i++)
                if (set[i].used_ms < a->used_ms)
                        a = &set[i];
        *a = (struct coap_address){ .key = key, .used_ms = now_ms, .bucket = { BUCKET_SOURCE, now_ms } };
        return a;
}

static uint32_t refill(struct coap_bucket *b, uint64_t now_ms, uint32_t n_per_ms, uint32_t n_max) {
        uint64_t n = now_ms > b->at_ms ? (now_ms - b->at_ms) * n_per_ms : 0;

        b->n = (uint32_t)ocf_min_u64(b->n + n, n_max);
        b->at_ms = now_ms;
        return b->n;
}

static bool is_proven(const struct coap_address *a, uint64_t now_ms) {
        return a && a->proven_until_ms > now_ms;
}

bool coap_address_is_proven(const struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        return is_free(ep, peer) || is_proven(find(ep, peer), now_ms);
}

void coap_address_proven(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer) {
        struct coap_address *a;

        if (is_free(ep, peer))
                return;
        a = obtain(ep, now_ms, peer);
        a->used_ms = now_ms;
        a->proven_until_ms = now_ms + PROVEN_MS;
}

/* ---- how much may go out ---- */

size_t coap_address_allows(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape) {
        size_t n = 3u * (size_t)shape->n_in;
        struct coap_address *a;
        uint32_t n_bucket;

        if (is_free(ep, &shape->peer))
                return SIZE_MAX;
        a = find(ep, &shape->peer);
        if (is_proven(a, now_ms))
                return SIZE_MAX;
        if (!shape->on_link)
                return n;
        n_bucket = refill(&ep->bucket, now_ms, REFILL_TOTAL_B_MS, BUCKET_TOTAL);
        return n + ocf_min_size(n_bucket, a ? refill(&a->bucket, now_ms, REFILL_SOURCE_B_MS, BUCKET_SOURCE)
                                            : BUCKET_SOURCE);
}

static void ping(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                 struct coap_address *a) {
        if (a->pinged && now_ms - a->pinged_ms < PING_EVERY_MS)
                return;
        a->pinged = true;
        a->pinged_ms = now_ms;
        a->ping_mid = (uint16_t)coap_endpoint_random_below(ep, 65536);
        coap_endpoint_send_empty(ep, peer, COAP_CON, a->ping_mid);
}

void coap_address_charge(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape,
                         size_t n_out, bool held_back) {
        size_t n = 3u * (size_t)shape->n_in;
        struct coap_address *a;
        uint32_t more;

        if ((n_out <= n && !held_back) || coap_address_is_proven(ep, now_ms, &shape->peer))
                return;
        more = n_out > n ? (uint32_t)(n_out - n) : 0;
        a = obtain(ep, now_ms, &shape->peer);
        a->used_ms = now_ms;
        a->bucket.n -= (uint32_t)ocf_min_size(more, a->bucket.n);
        ep->bucket.n -= (uint32_t)ocf_min_size(more, ep->bucket.n);
        if (held_back)
                ep->counts.n_held_back++;
        if (!shape->multicast && (held_back || a->bucket.n < BUCKET_SOURCE / 2))
                ping(ep, now_ms, &shape->peer, a);
}

bool coap_address_ponged(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                         uint16_t mid) {
        struct coap_address *a = is_free(ep, peer) ? NULL : find(ep, peer);

        if (!a || !a->pinged || a->ping_mid != mid || now_ms - a->pinged_ms > PING_EVERY_MS)
                return false;
        a->pinged = false;
        coap_address_proven(ep, now_ms, peer);
        return true;
}

/* ---- Echo (RFC 9175): a time and a keyed hash of it and the address, so that nothing is kept ---- */

static uint64_t echo_value(const struct coap_endpoint *ep, const struct coap_peer *peer, uint16_t tick) {
        uint8_t bytes[18];

        memcpy(bytes, peer->remote_ip, 16);
        memcpy(bytes + 16, &tick, 2);
        return coap_siphash(ep->echo_key, span_of(bytes, sizeof(bytes))) << 16 | tick;
}

void coap_address_echo(const struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                       uint8_t ret[static COAP_ECHO_SIZE]) {
        uint64_t value = echo_value(ep, peer, (uint16_t)(now_ms / ECHO_TICK_MS));

        memcpy(ret, &value, COAP_ECHO_SIZE);
}

void coap_address_echoed(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_peer *peer,
                         struct span echo) {
        uint64_t value;
        uint16_t age;

        if (echo.n != sizeof(value))
                return;
        memcpy(&value, echo.data, sizeof(value));
        age = (uint16_t)((uint16_t)(now_ms / ECHO_TICK_MS) - (uint16_t)value);
        if (age <= ECHO_TICKS && value == echo_value(ep, peer, (uint16_t)value))
                coap_address_proven(ep, now_ms, peer);
}

/* ---- into blocks ---- */

#define OVERHEAD_WHOLE 32u /* header, token, ETag, Content-Format, version, marker */
#define OVERHEAD_BLOCK 48u /* Block2, Size2 and Max-Age as well */

struct coap_room coap_room_for(struct coap_endpoint *ep, uint64_t now_ms, const struct coap_shape *shape) {
        uint8_t szx = (uint8_t)ep->config.block_szx;
        struct coap_room room = { coap_block_size(szx), szx };
        size_t n;

        if (shape->peer.stream)
                return coap_stream_room(ep, &shape->peer);
        n = coap_address_allows(ep, now_ms, shape);
        while (room.szx && coap_block_size(room.szx) + OVERHEAD_BLOCK > n)
                room.szx--;
        room.n = ocf_min_size(room.n, n - ocf_min_size(n, OVERHEAD_WHOLE));
        return room;
}
