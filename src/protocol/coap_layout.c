#include "protocol/coap_private.h"

/*
 * How large an endpoint is, and where in its memory everything lies. The same
 * walk measures and lays out.
 */

/* For a gateway. A macro, since a constant struct is no constant initializer for every compiler. */
#define LIMITS_DEFAULT                                                                                       \
        {                                                                                                    \
                .n_exchanges = 65536, .n_exchanges_per_peer = 16384, .n_observers = 16384,                   \
                .n_observers_per_peer = 1024, .n_observed = 4096, .n_peers = 32768,                          \
                .n_unacknowledged = 16384, .n_delayed = 64, .n_asks = 16384, .n_streams = 1024,              \
                .n_seen = 8192, .n_addresses = 4096, .n_pages = 131072, .n_pages_per_peer = 65536,           \
                .n_outgoing = 256 * 1024, .n_stream_message = 128 * 1024, .n_body = 1024 * 1024,             \
        }

const struct coap_limits coap_limits_default = LIMITS_DEFAULT;

const struct coap_config coap_config_default = {
        .limits = LIMITS_DEFAULT,
        .ack_timeout_ms = 2000,
        .ack_random_percent = 150,
        .max_retransmit = 4,
        .exchange_lifetime_ms = 247000,
        .non_lifetime_ms = 145000,
        .processing_ms = 500,
        .leisure_ms = 500,
        .leisure_doxm_ms = 2000,
        .con_every = 10,
        .con_after_ms = 60000,
        .block_szx = 6,
        .nstart = 1,
        .csm_timeout_ms = 30000,
        .bound_amplification = true,
};

struct layout {
        uint8_t *memory; /* NULL: only measure */
        size_t n;
};

static void *carve(struct layout *l, size_t n) {
        void *at = l->memory ? l->memory + l->n : NULL;

        l->n += (n + 15) & ~(size_t)15;
        return at;
}

static void carve_pool(struct layout *l, struct coap_pool *p, size_t size, uint32_t n) {
        void *at = carve(l, size * n);

        coap_pool_init(p, at, size, n);
}

static void carve_hash(struct layout *l, struct coap_hash *h, uint32_t n) {
        size_t n_heads = coap_hash_heads(n);

        h->heads = carve(l, n_heads * sizeof(*h->heads));
        h->mask = n_heads - 1;
}

static uint32_t n_bodies(const struct coap_limits *l) {
        return l->n_pages / 8 + 1; /* the smallest body that needs keeping is longer than a block */
}

static void lay_out(struct layout *l, struct coap_endpoint *ep, const struct coap_limits *limits) {
        uint32_t n_accounts = limits->n_peers, n_reliables = limits->n_unacknowledged;
        uint8_t *bytes;

        carve_pool(l, &ep->accounts, sizeof(struct coap_account), n_accounts);
        carve_pool(l, &ep->exchanges, sizeof(struct coap_exchange), limits->n_exchanges);
        carve_pool(l, &ep->reliables, sizeof(struct coap_reliable), n_reliables);
        carve_pool(l, &ep->observers, sizeof(struct coap_observer), limits->n_observers);
        carve_pool(l, &ep->resources, sizeof(struct coap_resource), limits->n_observed);
        carve_pool(l, &ep->bodies, sizeof(struct coap_body), n_bodies(limits));
        carve_pool(l, &ep->uploads, sizeof(struct coap_upload), n_bodies(limits));
        carve_pool(l, &ep->clients, sizeof(struct coap_client), limits->n_asks);
        carve_pool(l, &ep->partners, sizeof(struct coap_partner), limits->n_asks);
        carve_pool(l, &ep->streams, sizeof(struct coap_stream), limits->n_streams);
        carve_pool(l, &ep->delayed, sizeof(struct coap_delayed), limits->n_delayed);
        carve_hash(l, &ep->by_account, n_accounts);
        carve_hash(l, &ep->by_exchange, limits->n_exchanges);
        carve_hash(l, &ep->by_reliable, n_reliables);
        carve_hash(l, &ep->by_observer, limits->n_observers);
        carve_hash(l, &ep->by_resource, limits->n_observed);
        carve_hash(l, &ep->by_body, n_bodies(limits));
        carve_hash(l, &ep->by_upload, n_bodies(limits));
        carve_hash(l, &ep->by_token, limits->n_asks);
        carve_hash(l, &ep->by_partner, limits->n_asks);
        carve_hash(l, &ep->by_stream, limits->n_streams);
        ep->timers.heap =
                carve(l, (n_reliables + limits->n_asks + limits->n_streams) * sizeof(struct coap_timer *));
        ep->n_seen_sets = limits->n_seen / COAP_SEEN_WAYS + 1;
        ep->seen = carve(l, ep->n_seen_sets * COAP_SEEN_WAYS * sizeof(*ep->seen));
        ep->n_address_sets = limits->n_addresses / COAP_ADDRESS_WAYS + 1;
        ep->addresses = carve(l, ep->n_address_sets * COAP_ADDRESS_WAYS * sizeof(*ep->addresses));
        ep->body = carve(l, limits->n_body);
        ep->stream_message = carve(l, limits->n_streams ? limits->n_stream_message : 0);
        bytes = carve(l, (size_t)limits->n_pages * COAP_PAGE_SIZE);
        coap_pages_init(&ep->pages, bytes, carve(l, limits->n_pages * sizeof(uint32_t)), limits->n_pages);
        coap_outgoing_init(&ep->outgoing, carve(l, limits->n_outgoing), limits->n_outgoing);
}

size_t coap_endpoint_size(const struct coap_limits *limits) {
        struct coap_endpoint ep; /* only its pointers are set */
        struct layout l = { 0 };

        (void)carve(&l, sizeof(ep));
        lay_out(&l, &ep, limits);
        return l.n;
}

struct coap_endpoint *coap_endpoint_init(void *memory, const struct coap_config *config) {
        struct layout l = { .memory = memory };
        struct coap_endpoint *ep = carve(&l, sizeof(*ep));
        uint32_t high;

        ep->config = *config;
        lay_out(&l, ep, &config->limits);
        high = config->random(config->random_context);
        ep->seed = (uint64_t)high << 32 | config->random(config->random_context);
        high = config->random(config->random_context);
        ep->etag_seed = (uint64_t)high << 32 | config->random(config->random_context);
        ep->next_mid = (uint16_t)config->random(config->random_context);
        ep->hot_hash = coap_hash_bytes(ep->seed, &ep->hot_peer, sizeof(ep->hot_peer));
        list_init(&ep->pending_unacknowledged);
        list_init(&ep->pending);
        list_init(&ep->remembered_con);
        list_init(&ep->remembered_non);
        ep->bucket.n = coap_address_bucket_total;
        high = config->random(config->random_context);
        ep->echo_key[0] = (uint64_t)high << 32 | config->random(config->random_context);
        high = config->random(config->random_context);
        ep->echo_key[1] = (uint64_t)high << 32 | config->random(config->random_context);
        list_init(&ep->due_uploads);
        list_init(&ep->failed);
        list_init(&ep->closing);
        list_init(&ep->due_bodies);
        list_init(&ep->due_observers);
        list_init(&ep->waiting);
        return ep;
}
