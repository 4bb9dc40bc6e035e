/*
 * Two endpoints that talk to each other, over datagrams or over a connection:
 * the one asks, the other answers. carry() lets them talk until both are silent.
 */
#ifndef OCF_TESTS_PROTOCOL_PAIR_FIXTURE_H
#define OCF_TESTS_PROTOCOL_PAIR_FIXTURE_H

#include "endpoint_fixture.h"

#include <string.h>

#define BODY_MAX (1024 * 1024)

struct pair {
        struct world client, server;
        bool stream;
        size_t n_chunk; /* a connection's bytes come in pieces of so many; 0: as they were sent */
        unsigned n_requests, n_notify, n_responses, n_failed, n_closed, n_carried, n_swallow;
        struct coap_event last; /* of the client; its payload is copied to body */
        uint8_t *body;          /* of the last response */
        uint8_t *store;         /* what /store holds */
        size_t n_body, n_store;
        unsigned etag;
        bool hold; /* the server does not answer: held is the request */
        coap_id held;
        struct coap_request held_request;
        uint8_t method; /* of the last request */
        int accept, content_format;
};

static OCF_UNUSED struct coap_peer seen_by_client(const struct pair *p) {
        struct coap_peer a = peer(1), server = { 0 };

        memcpy(server.remote_ip, a.local_ip, 16);
        memcpy(server.local_ip, a.remote_ip, 16);
        server.remote_port = a.local_port;
        server.local_port = a.remote_port;
        server.stream = p->stream;
        server.channel = p->stream ? 7 : 0;
        return server;
}

static OCF_UNUSED struct coap_peer seen_by_server(const struct pair *p) {
        struct coap_peer client = peer(1);

        client.stream = p->stream;
        client.channel = p->stream ? 9 : 0;
        return client;
}

static OCF_UNUSED void pair_open(struct pair *p, bool stream, const struct coap_limits *limits) {
        *p = (struct pair){ .stream = stream, .body = malloc(BODY_MAX), .store = malloc(BODY_MAX) };
        world_open(&p->client, limits);
        world_open(&p->server, limits);
        p->server.random = 99;
        if (stream) {
                const struct coap_peer a = seen_by_client(p), b = seen_by_server(p);

                assert_int_equal(coap_endpoint_stream_open(p->client.ep, 1000, &a), 0);
                assert_int_equal(coap_endpoint_stream_open(p->server.ep, 1000, &b), 0);
        }
}

static OCF_UNUSED void pair_close(struct pair *p) {
        world_close(&p->client);
        world_close(&p->server);
        free(p->body);
        free(p->store);
}

/* /store: PUT, POST and iPATCH take a body, GET and FETCH give it, DELETE empties it. */
static void serve(struct pair *p) {
        struct coap_event *e = &p->server.event;
        uint8_t etag[2] = { 'E', (uint8_t)p->etag };
        struct coap_response r = { .code = COAP_CONTENT,
                                   .content_format = COAP_FORMAT_OCF_CBOR,
                                   .etag = span_of(etag, 2),
                                   .max_age_s = -1,
                                   .observe = e->request.wants_observe || e->type == COAP_EVENT_NOTIFY,
                                   .resource = 5 };

        p->n_requests += e->type == COAP_EVENT_REQUEST;
        p->n_notify += e->type == COAP_EVENT_NOTIFY;
        p->method = e->request.method;
        p->accept = e->request.accept;
        p->content_format = e->request.content_format;
        if (p->hold && e->type == COAP_EVENT_REQUEST) {
                p->held = e->id;
                return;
        }
        if (e->request.method == COAP_PUT || e->request.method == COAP_POST ||
            e->request.method == COAP_IPATCH) {
                p->n_store = e->request.payload.n;
                if (p->n_store)
                        memcpy(p->store, e->request.payload.data, p->n_store);
                p->etag++;
                r.code = COAP_CHANGED;
        }
        if (e->request.method == COAP_DELETE) {
                p->n_store = 0;
                r.code = COAP_DELETED;
        }
        if (e->request.method != COAP_PUT)
                r.payload = span_of(p->store, p->n_store);
        assert_int_equal(coap_endpoint_respond(p->server.ep, p->server.now, e->id, &r), 0);
}

static void hear_reply(struct pair *p) {
        const struct coap_event *e = &p->client.event;

        p->last = *e;
        p->n_responses += e->type == COAP_EVENT_RESPONSE;
        p->n_failed += e->type == COAP_EVENT_FAILED;
        p->n_closed += e->type == COAP_EVENT_CLOSE;
        p->n_body = e->reply.payload.n;
        if (p->n_body)
                memcpy(p->body, e->reply.payload.data, p->n_body);
}

static bool pop_all(struct pair *p) {
        bool any = false;

        while (pop(&p->server)) {
                any = true;
                if (p->server.event.type == COAP_EVENT_CLOSE)
                        p->n_closed++;
                else
                        serve(p);
        }
        while (pop(&p->client)) {
                any = true;
                hear_reply(p);
        }
        return any;
}

static void feed(struct pair *p, struct world *to, const struct coap_peer *from, struct span bytes) {
        while (bytes.n) {
                size_t n = p->n_chunk ? ocf_min_size(p->n_chunk, bytes.n) : bytes.n, n_taken;

                n_taken = coap_endpoint_stream_receive(to->ep, to->now, from, span_of(bytes.data, n));
                bytes = span_of(bytes.data + n_taken, bytes.n - n_taken);
                if (!pop_all(p) && !n_taken)
                        fail_msg("the stream is stuck");
        }
}

static bool carry_one(struct pair *p, bool to_server) {
        struct world *from = to_server ? &p->client : &p->server, *to = to_server ? &p->server : &p->client;
        const struct coap_peer peer = to_server ? seen_by_server(p) : seen_by_client(p);
        uint8_t bytes[COAP_TRANSMIT_MAX];
        struct coap_peer whom;
        size_t n = coap_endpoint_transmit(from->ep, from->now, &whom, bytes, sizeof(bytes));

        if (!n)
                return false;
        p->n_carried++;
        if (p->n_swallow) {
                p->n_swallow--;
                return true;
        }
        if (p->stream)
                feed(p, to, &peer, span_of(bytes, n));
        else
                coap_endpoint_receive(to->ep, to->now, &peer, 0, span_of(bytes, n));
        pop_all(p);
        return true;
}

static OCF_UNUSED void carry(struct pair *p) {
        pop_all(p);
        while (carry_one(p, true) || carry_one(p, false))
                ;
}

/* Time passes for both, deadline by deadline. */
static OCF_UNUSED void pass(struct pair *p, uint64_t ms) {
        uint64_t end = p->client.now + ms, due;

        for (;;) {
                due = ocf_min_u64(coap_endpoint_deadline(p->client.ep), coap_endpoint_deadline(p->server.ep));
                if (due > end)
                        break;
                if (due > p->client.now)
                        p->client.now = p->server.now = due;
                carry(p);
        }
        p->client.now = p->server.now = end;
        carry(p);
}

static OCF_UNUSED coap_id ask(struct pair *p, uint8_t method, const char *path, struct span payload) {
        const struct coap_peer server = seen_by_client(p);
        struct coap_ask a = COAP_ASK_DEFAULT;
        coap_id id = 0;

        a.method = method;
        a.path = span_of_string(path);
        a.payload = payload;
        a.content_format = payload.n ? COAP_FORMAT_OCF_CBOR : COAP_FORMAT_NONE;
        a.user = 77;
        assert_int_equal(coap_endpoint_request(p->client.ep, p->client.now, &server, &a, &id), 0);
        return id;
}

/* Nothing is left on either side but what the other may still repeat. */
static OCF_UNUSED void assert_pair_quiet(struct pair *p) {
        struct coap_counts c;

        pass(p, 400000);
        for (int i = 0; i < 2; i++) {
                coap_endpoint_counts(i ? p->server.ep : p->client.ep, &c);
                assert_int_equal(c.n_exchanges, 0);
                assert_int_equal(c.n_asks, 0);
                assert_int_equal(c.n_uploads, 0);
                assert_int_equal(c.n_pages, 0);
                assert_int_equal(c.n_outgoing, 0);
        }
}

#endif
