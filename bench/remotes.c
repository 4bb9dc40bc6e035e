/*
 * What the devices of others cost: a thousand of them with ten resources each, as
 * answers like the reference's tell them, and the same with one resource each; the
 * difference is what a resource costs. By the table's own account, and by the heap's,
 * which knows what the allocator adds. And how long an answer takes, one that is new
 * and one that says nothing new, and to find one by its id.
 *
 * Prints: devices=N resources=N device=BYTES resource=BYTES device_heap=BYTES
 * resource_heap=BYTES new_us=US same_us=US find_ns=NS
 */
#include "common.h"
#include "model/remote.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define N_DEVICES 1000u
#define N_HREFS   10u

struct cost {
        size_t n_devices, n_resources, account, heap;
        uint64_t new_ns, same_ns, find_ns;
};

static struct uuid id_of(uint32_t n) {
        struct uuid id = { { (uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8),
                             (uint8_t)n, [15] = 1 } };

        return id;
}

static void put_texts(struct writer *w, const char *key, const char *a, const char *b) {
        rep_put_string(w, key);
        rep_put_array(w, 2);
        rep_put_string(w, a);
        rep_put_string(w, b);
}

static void put_endpoints(struct writer *w, uint32_t n) {
        static const char *const schemes[] = { "coap", "coaps", "coap+tcp", "coaps+tcp" };

        rep_put_string(w, "eps");
        rep_put_array(w, 4);
        for (unsigned i = 0; i < 4; i++) {
                char ep[64];

                snprintf(ep, sizeof(ep), "%s://10.0.%u.%u:%u", schemes[i], n >> 8 & 255, n & 255, 40000 + i);
                rep_put_map(w, 1);
                rep_put_string(w, "ep");
                rep_put_string(w, ep);
        }
}

static struct span answer(uint32_t n, unsigned n_hrefs) {
        static uint8_t bytes[16384];
        struct writer w = writer_on(bytes, sizeof(bytes));
        struct uuid id = id_of(n);
        char anchor[8 + UUID_TEXT_MAX] = "ocf://";

        uuid_format(&id, *(char(*)[UUID_TEXT_MAX])(anchor + 6));
        rep_put_array(&w, n_hrefs);
        for (unsigned i = 0; i < n_hrefs; i++) {
                char href[32];

                snprintf(href, sizeof(href), "/resource/%u", i);
                rep_put_map(&w, 6);
                rep_put_string(&w, "anchor");
                rep_put_string(&w, anchor);
                rep_put_string(&w, "href");
                rep_put_string(&w, href);
                put_texts(&w, "rt", "oic.r.switch.binary", "oic.r.light.dimming");
                put_texts(&w, "if", "oic.if.a", "oic.if.baseline");
                rep_put_string(&w, "p");
                rep_put_map(&w, 1);
                rep_put_string(&w, "bm");
                rep_put_uint(&w, 3);
                put_endpoints(&w, n);
        }
        if (w.overflow)
                bench_die("an answer is too long");
        return writer_span(&w);
}

/* All of them answer; what that took, without making the answers. */
static uint64_t hear_all(struct remotes *t, unsigned n_hrefs) {
        struct coap_peer from = { .remote_port = 5683, .remote_ip = { [10] = 0xff, 0xff, 10 } };
        struct remote_event e;
        uint64_t ns = 0;

        for (uint32_t n = 0; n < N_DEVICES; n++) {
                struct span rep = answer(n, n_hrefs);
                uint64_t began;

                from.remote_ip[14] = (uint8_t)(n >> 8);
                from.remote_ip[15] = (uint8_t)n;
                began = bench_now_ns();
                if (remotes_learn_res(t, n, &from, rep, true) != 1)
                        bench_die("an answer was not understood");
                while (remotes_event(t, &e))
                        ;
                ns += bench_now_ns() - began;
        }
        return ns;
}

static uint64_t find_all(struct remotes *t) {
        uint64_t began = bench_now_ns();

        for (uint32_t n = 0; n < 100 * N_DEVICES; n++) {
                struct uuid id = id_of(n % N_DEVICES);

                if (!remotes_find(t, &id))
                        bench_die("a device was lost");
        }
        return bench_now_ns() - began;
}

static struct cost measure(unsigned n_hrefs) {
        const struct remotes_config config = { REMOTES_DEFAULT, .hash_key = { 1, 2 } };
        struct cost c = { 0 };
        struct remotes *t;
        size_t before;

        if (remotes_new(&t, &config) < 0)
                bench_die("no memory");
        before = mallinfo2().uordblks;
        c.new_ns = hear_all(t, n_hrefs);
        c.heap = mallinfo2().uordblks - before;
        c.account = remotes_bytes(t);
        c.n_devices = remotes_count(t);
        for (struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d))
                c.n_resources += d->n_resources;
        c.same_ns = hear_all(t, n_hrefs);
        c.find_ns = find_all(t);
        remotes_free(t);
        return c;
}

static double each_resource(size_t few, size_t many) {
        return (double)(many - few) / (N_DEVICES * (N_HREFS - 1));
}

int main(void) {
        struct cost one = measure(1), many = measure(N_HREFS);
        double account = each_resource(one.account, many.account), heap = each_resource(one.heap, many.heap);

        if (many.n_devices != N_DEVICES || many.n_resources != N_DEVICES * N_HREFS)
                return BENCH_WRONG;
        printf("devices=%zu resources=%zu", many.n_devices, many.n_resources);
        printf(" device=%.1f resource=%.1f", (double)one.account / N_DEVICES - account, account);
        printf(" device_heap=%.1f resource_heap=%.1f", (double)one.heap / N_DEVICES - heap, heap);
        printf(" new_us=%.2f same_us=%.2f", (double)many.new_ns / N_DEVICES / 1000,
               (double)many.same_ns / N_DEVICES / 1000);
        printf(" find_ns=%.1f\n", (double)many.find_ns / (100 * N_DEVICES));
        return BENCH_OK;
}
