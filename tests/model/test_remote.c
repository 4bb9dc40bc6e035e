#include "remote_fixture.h"
#include "scarce_memory.h"

#include <time.h>

/* The table: who stays, who goes, who is meant, and what is told of it. */

static struct remote_device *find(struct remotes *t, const char *id) {
        struct uuid u = uuid_of(id);

        return remotes_find(t, &u);
}

/* The n-th device of a crowd tells of n_links resources. */
static int say(struct remotes *t, uint64_t now_ms, uint32_t n, unsigned n_links) {
        static uint8_t bytes[1 << 16];
        struct writer w = writer_on(bytes, sizeof(bytes));
        struct coap_peer from = at("10.0.0.0", 5683, 0);
        struct uuid id = uuid_nth(n);
        char text[UUID_TEXT_MAX];

        from.remote_ip[14] = (uint8_t)(n >> 8);
        from.remote_ip[15] = (uint8_t)n;
        uuid_format(&id, text);
        rep_put_array(&w, n_links);
        for (unsigned i = 0; i < n_links; i++) {
                char href[32];

                snprintf(href, sizeof(href), "/resource/%u", i);
                rep_put_map(&w, 3);
                rep_put_string(&w, "di");
                rep_put_string(&w, text);
                rep_put_string(&w, "href");
                rep_put_string(&w, href);
                rep_put_string(&w, "rt");
                rep_put_array(&w, 1);
                rep_put_string(&w, "oic.r.switch.binary");
        }
        assert_false(w.overflow);
        return remotes_learn_res(t, now_ms, &from, writer_span(&w), true);
}

static void test_resources_come_change_and_go(void **state) {
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes *t = table_of(ordinary);
        uint32_t number;

        assert_int_equal(learn(t, 1, from, "[" LINK(A, "/a") "," LINK(A, "/b") "]"), 1);
        assert_string_equal(news(t), "+1111 +1111/a +1111/b");
        number = remote_find(find(t, A), span_of_string("/a"))->number;
        assert_ptr_equal(remote_by_number(find(t, A), number), remote_find(find(t, A), span_of_string("/a")));
        assert_int_equal(learn(t, 2, from, "[" LINK(A, "/b") "," LINK(A, "/c") "]"), 1);
        assert_string_equal(news(t), "-1111/a +1111/c");
        assert_null(remote_by_number(find(t, A), number));
        assert_int_equal(learn(t, 3, from, "[{'di':'" A "','href':'/b'}," LINK(A, "/c") "]"), 1);
        assert_string_equal(news(t), "~1111/b:8");
        assert_int_equal(learn(t, 4, from, "[" LINK(A, "/c") "," LINK(A, "/b") "," LINK(A, "/a") "]"), 1);
        assert_string_equal(news(t), "~1111/b:8 +1111/a");
        assert_int_not_equal(remote_find(find(t, A), span_of_string("/a"))->number, number);
        assert_int_equal(find(t, A)->n_resources, 3);
        remotes_free(t);
}

/* An answer that is a part of all takes nothing away, and one of another device neither. */
static void test_what_a_part_says(void **state) {
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes *t = table_of(ordinary);

        learn(t, 1, from, "[" LINK(A, "/a") "," LINK(A, "/b") "," LINK(B, "/a") "]");
        news(t);
        assert_int_equal(remotes_learn_res(t, 2, &from, rep_of("[" LINK(A, "/c") "]"), false), 1);
        assert_string_equal(news(t), "+1111/c");
        assert_int_equal(learn(t, 3, from, "[" LINK(A, "/b") "]"), 1);
        assert_string_equal(news(t), "-1111/a -1111/c");
        assert_int_equal(find(t, B)->n_resources, 1);
        remotes_free(t);
}

static void test_what_nobody_heard_of_is_not_told(void **state) {
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes *t = table_of(ordinary);

        learn(t, 1, from, "[" LINK(A, "/a") "," LINK(A, "/b") "]");
        learn(t, 2, from, "[" LINK(A, "/b") "]");
        assert_string_equal(news(t), "+1111 +1111/b");
        learn(t, 3, from, "[" LINK(B, "/a") "]");
        remote_forget(find(t, B));
        assert_string_equal(news(t), "");
        remote_forget(find(t, A));
        assert_string_equal(news(t), "-1111/b -1111");
        assert_int_equal(remotes_count(t), 0);
        assert_int_equal(remotes_bytes(t), 0);
        remotes_free(t);
}

/* Over two interfaces and both families it is one device, and link-local addresses keep theirs. */
static void test_one_device_on_two_interfaces(void **state) {
        struct remotes *t = table_of(ordinary);
        static const char first[] = "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://[fe80::1]:5683'}]") "]";
        static const char second[] = "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://[fe80::2]:5683'}]") "]";
        static const char v4[] = "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://192.0.2.1:5683'}]") "]";

        assert_int_equal(learn(t, 1, at("fe80::1", 5683, 2), first), 1);
        assert_string_equal(addresses(find(t, A)), "coap://[fe80::1%2]:5683");
        assert_int_equal(learn(t, 2, at("fe80::2", 5683, 3), second), 1);
        assert_int_equal(learn(t, 3, at("192.0.2.1", 5683, 2), v4), 1);
        assert_int_equal(remotes_count(t), 1);
        assert_int_equal(find(t, A)->n_addresses, 3);
        assert_non_null(strstr(addresses(find(t, A)), "[fe80::1%2]"));
        assert_non_null(strstr(addresses(find(t, A)), "[fe80::2%3]"));
        assert_non_null(strstr(addresses(find(t, A)), "//192.0.2.1:")); /* and no link where none is needed */
        assert_int_equal(find(t, A)->n_resources, 1);
        assert_string_equal(news(t), "+1111 +1111/a");
        remotes_free(t);
}

static void test_an_address_over_which_a_session_stood(void **state) {
        struct remotes *t = table_of(ordinary);
        struct coap_peer from = at("192.0.2.1", 5683, 0), liar = at("192.0.2.66", 5683, 0);
        static const char honest[] = "[" LINK_(A, "/a",
                                               ",'eps':[{'ep':'coap://192.0.2.1:5683'},"
                                               "{'ep':'coaps://192.0.2.1:5684'}]") "]";
        static const char lie[] = "[" LINK_(A, "/a", ",'eps':[{'ep':'coaps://192.0.2.66:5684'}]") "]";

        learn(t, 1, from, honest);
        news(t);
        remote_address_works(find(t, A), from.remote_ip, 5684, true);
        assert_string_equal(addresses(find(t, A)), "coaps://192.0.2.1:5684 coap://192.0.2.1:5683");
        assert_string_equal(news(t), "~1111:128");
        remote_address_works(find(t, A), from.remote_ip, 5684, true);
        assert_string_equal(news(t), "");
        learn(t, 2, liar, lie);
        assert_true(find(t, A)->addresses[0].proven);
        assert_int_equal(find(t, A)->addresses[0].ip[15], 1);
        assert_int_equal(find(t, A)->n_addresses, 4);
        remote_address_works(find(t, A), from.remote_ip, 5684, false);
        assert_int_equal(find(t, A)->addresses[3].port, 5684);
        assert_int_equal(find(t, A)->addresses[3].ip[15], 1);
        assert_false(find(t, A)->addresses[3].proven);
        remote_address_works(find(t, A), from.remote_ip, 999, false); /* none of its */
        remotes_free(t);
}

/* It moves: who it is stays, and the new address comes first; what its old one told ends when that is over.
 */
static void test_a_device_that_moves(void **state) {
        struct remotes *t = table_of(ordinary);

        learn(t, 1, at("192.0.2.1", 5683, 0),
              "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://192.0.2.1:5683'}]") "]");
        news(t);
        learn(t, 600001, at("192.0.2.9", 5683, 0),
              "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://192.0.2.9:5683'}]") "]");
        assert_string_equal(addresses(find(t, A)), "coap://192.0.2.9:5683 coap://192.0.2.1:5683");
        assert_string_equal(news(t), "~1111:128");
        learn(t, 600002, at("192.0.2.9", 5683, 0),
              "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://192.0.2.9:7777'}]") "]"); /* its port is a new one */
        assert_int_equal(find(t, A)->addresses[0].port, 7777);
        assert_int_equal(find(t, A)->n_resources, 1);
        remotes_free(t);
}

static void test_reachable(void **state) {
        struct remotes *t = table_of(ordinary);
        struct remote_device *d;

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "]");
        d = find(t, A);
        news(t);
        remote_was_silent(d, 2);
        remote_was_silent(d, 3);
        assert_true(d->reachable);
        assert_string_equal(news(t), "");
        remote_answered(d, 4);
        assert_int_equal(d->last_seen_ms, 4);
        remote_was_silent(d, 5);
        remote_was_silent(d, 6);
        assert_true(d->reachable);
        remote_was_silent(d, 7);
        assert_false(d->reachable);
        assert_int_equal(d->last_asked_ms, 7);
        remote_was_silent(d, 8);
        assert_string_equal(news(t), "~1111:256");
        remote_answered(d, 9);
        assert_string_equal(news(t), "~1111:256");
        remotes_free(t);
}

static void test_another_one_at_its_secure_port(void **state) {
        static const char a[] = "[" LINK_(A, "/a", ",'eps':[{'ep':'coaps://192.0.2.1:5684'}]") "]";
        static const char b[] = "[" LINK_(B, "/a", ",'eps':[{'ep':'coaps://192.0.2.1:5684'}]") "]";
        static const char clear[] = "[" LINK_(B, "/a", ",'eps':[{'ep':'coap://192.0.2.1:5683'}]") "]";
        static const struct {
                const char *second;
                bool pinned, proven, stays;
        } rows[] = { { b, false, false, false },
                     { b, true, false, true },
                     { b, false, true, true },
                     { clear, false, false, true } };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct coap_peer from = at("192.0.2.1", 5683, 0);
                struct remotes *t = table_of(ordinary);

                learn(t, 1000, from, a);
                if (rows[i].pinned)
                        find(t, A)->n_pins++; /* in use */
                if (rows[i].proven)
                        remote_address_works(find(t, A), from.remote_ip, 5684, true);
                learn(t, 2000, from, "[" LINK_(B, "/b", "") "]"); /* no secure port, so far */
                assert_non_null(find(t, A));
                learn(t, 3000, from, rows[i].second);
                assert_non_null(find(t, B));
                assert_int_equal(find(t, A) != NULL, rows[i].stays);
                learn(t, 4000, from, rows[i].second);
                assert_int_equal(find(t, A) != NULL, rows[i].stays);
                remotes_free(t);
        }
}

static void test_expired(void **state) {
        struct remotes *t = table_of(ordinary);

        learn(t, 1000, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "]");
        learn(t, 1000, at("192.0.2.2", 5683, 0), "[" LINK(B, "/a") "]");
        learn(t, 5000, at("192.0.2.3", 5683, 0), "[" LINK(C, "/a") "]");
        news(t);
        remote_pin(find(t, B));
        remotes_expire(t, 10999, 10000);
        assert_string_equal(news(t), "");
        remotes_expire(t, 11000, 10000);
        assert_string_equal(news(t), "-1111/a -1111");
        remote_unpin(find(t, B));
        find(t, C)->by_hand = true;
        remotes_expire(t, 99000, 10000);
        assert_string_equal(news(t), "-2222/a -2222");
        assert_non_null(find(t, C));
        remotes_free(t);
}

static bool is_first(void *context, const struct uuid *id) {
        return uuid_equal(id, &(struct uuid){ { [15] = 1 } }); /* uuid_nth(0) */
}

/* Strangers push out who was not heard for longest, never who is needed. */
static void test_a_flood_of_names(void **state) {
        struct remotes *t = table_of((struct remotes_config){
                .n_devices = 20, .n_resources = 4, .n_bytes = 1 << 20, .is_mine = is_first });
        struct uuid id;

        for (uint32_t n = 0; n < 20; n++)
                assert_int_equal(say(t, 1000 + n, n, 1), 1);
        id = uuid_nth(1);
        remote_pin(remotes_find(t, &id));
        id = uuid_nth(2);
        remotes_find(t, &id)->by_hand = true;
        id = uuid_nth(3);
        remote_answered(remotes_find(t, &id), 9000);
        for (uint32_t n = 100; n < 116; n++)
                assert_int_equal(say(t, 5000 + n, n, 1), 1);
        for (uint32_t n = 0; n < 20; n++) {
                id = uuid_nth(n);
                if (!remotes_find(t, &id) != (n > 3))
                        fail_msg("device %u", n);
        }
        assert_int_equal(remotes_count(t), 20);
        for (uint32_t n = 1000; n < 2000; n++)
                (void)say(t, 10000, n, 1);
        for (uint32_t n = 0; n < 3; n++) {
                id = uuid_nth(n);
                assert_non_null(remotes_find(t, &id));
        }
        assert_int_equal(remotes_count(t), 20);
        assert_true(remotes_refused(t) >= 1000);
        remotes_free(t);
}

static void test_full_of_those_who_are_needed(void **state) {
        struct remotes *t =
                table_of((struct remotes_config){ .n_devices = 4, .n_resources = 4, .n_bytes = 1 << 20 });
        struct uuid id;

        for (uint32_t n = 0; n < 4; n++) {
                assert_int_equal(say(t, 1, n, 1), 1);
                id = uuid_nth(n);
                remote_pin(remotes_find(t, &id));
        }
        assert_int_equal(say(t, 2, 9, 1), 0);
        assert_int_equal(remotes_refused(t), 1);
        id = uuid_nth(2);
        remote_unpin(remotes_find(t, &id));
        assert_int_equal(say(t, 3, 9, 1), 1);
        assert_null(remotes_find(t, &id));
        remotes_free(t);
}

static void test_more_resources_than_one_may_have(void **state) {
        struct remotes *t =
                table_of((struct remotes_config){ .n_devices = 4, .n_resources = 10, .n_bytes = 1 << 20 });
        struct uuid id = uuid_nth(1);

        assert_int_equal(say(t, 1, 1, 12), 1);
        assert_int_equal(remotes_find(t, &id)->n_resources, 10);
        assert_int_equal(remotes_refused(t), 2);
        assert_int_equal(say(t, 2, 1, 3), 1);
        assert_int_equal(remotes_find(t, &id)->n_resources, 3);
        remotes_free(t);
}

static void test_more_bytes_than_there_are(void **state) {
        struct remotes *t =
                table_of((struct remotes_config){ .n_devices = 1000, .n_resources = 1000, .n_bytes = 50000 });

        for (uint32_t n = 0; n < 200; n++)
                (void)say(t, n, n, 100);
        assert_true(remotes_refused(t) > 0);
        assert_true(remotes_bytes(t) <= 50000 + sizeof(struct remote_device));
        remotes_free(t);
}

/* What is free again is nothing at all. */
static void test_bytes_come_back(void **state) {
        struct remotes *t = table_of(ordinary);

        for (uint32_t n = 0; n < 10; n++) {
                assert_int_equal(say(t, 1, n, n), n ? 1 : 0);
                (void)say(t, 2, n, 5);
        }
        assert_true(remotes_bytes(t) > 0);
        while (remotes_first(t))
                remote_forget(remotes_first(t));
        news(t);
        assert_int_equal(remotes_bytes(t), 0);
        remotes_free(t);
}

static void test_who_is_meant(void **state) {
        static const struct {
                const char *name, *device, *other; /* a first digit each; NULL: nobody */
        } rows[] = {
                { A, "1", NULL },
                { "11111111-1111-4111-8111-111111111112", NULL, NULL },
                { "1111", "1", NULL },
                { "111", NULL, NULL },
                { "2222", "2", NULL },
                { "22222222-22", "2", NULL },
                { "2222222222224", "2", NULL },
                { "3333", NULL, "3" },
                { "33333333-3333-4333-8333-33333333333A", "3", NULL },
                { "33333333-3333-4333-8333-33333333333", NULL, "3" },
                { "ocf://" B, "2", NULL },
                { "OCF", NULL, NULL },
                { "Lamp", "2", NULL },
                { "lamp", NULL, NULL },
                { "Lam", NULL, NULL },
                { "Twin", NULL, "3" },
                { "", NULL, NULL },
                { "----", NULL, NULL },
                { "22222222-2222-4222-8222-222222222222-2", NULL, NULL },
        };
        static const char *const ids[] = { A, B, C, "33333333-3333-4333-8333-33333333333a" };
        static const char *const names[] = { NULL, "Lamp", "Twin", "Twin" };
        struct remotes *t = table_of(ordinary);

        for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
                struct uuid id = uuid_of(ids[i]);
                char json[256];

                snprintf(json, sizeof(json), "[{'di':'%s','href':'/a'}]", ids[i]);
                learn(t, 1, at("192.0.2.1", 5683, 0), json);
                snprintf(json, sizeof(json), "{'n':'%s'}", names[i] ? names[i] : "");
                assert_int_equal(remotes_learn_device(t, 1, &id, rep_of(json)), 1);
        }
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct remote_device *other, *d = remotes_find_by_name(t, rows[i].name, &other);
                char text[2][UUID_TEXT_MAX] = { "", "" };

                if (d)
                        uuid_format(&d->id, text[0]);
                if (other)
                        uuid_format(&other->id, text[1]);
                if (text[0][0] != (rows[i].device ? *rows[i].device : 0) ||
                    text[1][0] != (rows[i].other ? *rows[i].other : 0))
                        fail_msg("%s: %s, %s", rows[i].name, text[0], text[1]);
        }
        remotes_free(t);
}

static void test_another_id(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid b = uuid_of(B), a = uuid_of(A);

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "," LINK(A, "/b") "]");
        remotes_learn_device(t, 1, &a, rep_of("{'n':'Lamp','rt':['oic.d.light'],'piid':'" C "'}"));
        assert_int_equal(remote_rename(find(t, A), &a), 0);
        news(t);
        assert_int_equal(remote_rename(find(t, A), &b), 0);
        assert_null(find(t, A));
        assert_string_equal(find(t, B)->name, "Lamp");
        assert_string_equal(find(t, B)->types[0], "oic.d.light");
        assert_int_equal(find(t, B)->n_resources, 2);
        assert_string_equal(news(t), "-1111/a -1111/b -1111 +2222 +2222/a +2222/b");
        assert_string_equal(addresses(find(t, B)), "coap://192.0.2.1:5683");
        assert_true(find(t, B)->reachable);
        assert_string_equal(remote_find(find(t, B), span_of_string("/b"))->types[0], "x.t");
        news(t);
        assert_int_equal(remotes_count(t), 1);
        remote_forget(find(t, B));
        news(t);
        assert_int_equal(remotes_bytes(t), 0);
        remotes_free(t);
}

/* Somebody took that id already: what is known of it goes. */
static void test_an_id_that_is_taken(void **state) {
        struct remotes *t = table_of(ordinary);
        struct uuid b = uuid_of(B);

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "," LINK(B, "/old") "]");
        news(t);
        assert_int_equal(remote_rename(find(t, A), &b), 0);
        assert_int_equal(remotes_count(t), 1);
        assert_null(remote_find(find(t, B), span_of_string("/old")));
        assert_non_null(remote_find(find(t, B), span_of_string("/a")));
        assert_string_equal(news(t), "-2222/old -1111/a -2222 -1111 +2222 +2222/a");
        remotes_free(t);
}

/* It was heard least of all, and there is no room for one more: it gets its new id all the same. */
static void test_another_id_in_a_full_table(void **state) {
        struct remotes_config config = { .n_devices = 4, .n_resources = 8, .n_bytes = 1 << 20 };
        struct uuid b = uuid_of(B);

        for (unsigned full_of_bytes = 0; full_of_bytes < 2; full_of_bytes++) {
                struct remotes *t = table_of(config);
                struct uuid id;

                for (uint32_t n = 0; n < 4; n++) {
                        assert_int_equal(say(t, 10 + n, n, 3), 1);
                        id = uuid_nth(n);
                        if (full_of_bytes && n)
                                remote_pin(remotes_find(t, &id));
                }
                config.n_devices = 5;
                config.n_bytes = remotes_bytes(t); /* for the second time: not one more */
                news(t);
                id = uuid_nth(0);
                assert_int_equal(remote_rename(remotes_find(t, &id), &b), 0);
                assert_int_equal(remotes_count(t), 4);
                assert_int_equal(find(t, B)->n_resources, 3);
                assert_int_equal(remotes_bytes(t), config.n_bytes);
                assert_int_equal(remotes_refused(t), 0);
                for (uint32_t n = 1; n < 4; n++) {
                        id = uuid_nth(n);
                        assert_non_null(remotes_find(t, &id));
                }
                remotes_free(t);
        }
}

static void test_another_id_and_scarce_memory(void **state) {
        bool refused_one = true;

        for (int n = 0; refused_one; n++) {
                struct remotes *t = table_of(ordinary);
                struct uuid a = uuid_of(A), b = uuid_of(B);
                int r;

                learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "," LINK(A, "/b") "]");
                remotes_learn_device(t, 1, &a, rep_of("{'n':'Lamp'}"));
                news(t);
                allocations_left = n;
                r = remote_rename(find(t, A), &b);
                refused_one = allocations_left < 0;
                allocations_left = -1;
                assert_int_equal(r, refused_one ? -ENOMEM : 0);
                assert_int_equal(remotes_count(t), 1); /* as it was, or as it shall be */
                assert_string_equal(find(t, refused_one ? A : B)->name, "Lamp");
                assert_int_equal(find(t, refused_one ? A : B)->n_resources, 2);
                if (refused_one)
                        assert_string_equal(news(t), "");
                remotes_free(t);
        }
}

/* Who was forgotten is heard again before that was told. */
static void test_gone_and_there_again(void **state) {
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes *t = table_of(ordinary);

        learn(t, 1, from, "[" LINK(A, "/a") "," LINK(A, "/b") "]");
        news(t);
        remote_forget(find(t, A));
        learn(t, 2, from, "[" LINK(A, "/a") "]");
        assert_string_equal(news(t), "-1111/a -1111/b -1111 +1111 +1111/a");
        learn(t, 3, from, "[" LINK(A, "/b") "]");
        learn(t, 4, from, "[" LINK(A, "/a") "]");
        assert_string_equal(news(t), "-1111/a +1111/a");
        remotes_free(t);
}

/* Somebody says, and nobody has proven it, that our device has no owner: it is ours and stays. */
static void test_ours_stays_whatever_is_said(void **state) {
        struct remotes *t = table_of((struct remotes_config){
                .n_devices = 4, .n_resources = 4, .n_bytes = 1 << 20, .is_mine = is_first });
        struct coap_peer liar = at("192.0.2.66", 5683, 0);
        struct uuid id = uuid_nth(0);

        assert_int_equal(say(t, 1, 0, 1), 1);
        assert_int_equal(remotes_find(t, &id)->ownership, REMOTE_MINE);
        assert_int_equal(
                remotes_learn_doxm(
                        t, 1, &liar, NULL,
                        rep_of("{'deviceuuid':'00000000-0000-0000-0000-000000000001','owned':false}")),
                1);
        for (uint32_t n = 1; n < 20; n++)
                assert_int_equal(say(t, 2, n, 1), 1);
        assert_non_null(remotes_find(t, &id));
        remotes_free(t);
}

/* Small resources grow when they are told anew; and who came makes room for himself once. */
static void test_bytes_are_an_end(void **state) {
        struct remotes *t =
                table_of((struct remotes_config){ .n_devices = 100, .n_resources = 100, .n_bytes = 12000 });
        static char json[16384];
        size_t n_before;

        for (unsigned pass = 0; pass < 2; pass++) {
                snprintf(json, sizeof(json), "[");
                for (unsigned i = 0; i < 40; i++)
                        snprintf(json + strlen(json), sizeof(json) - strlen(json),
                                 "%s{'di':'" A "','href':'/%u','rt':[%s]}", i ? "," : "", i,
                                 pass ? "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',"
                                        "'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',"
                                        "'cccccccccccccccccccccccccccccccccccccccccccccccccc',"
                                        "'dddddddddddddddddddddddddddddddddddddddddddddddddd'"
                                      : "'x'");
                strcat(json, "]");
                assert_int_equal(learn(t, 1, at("192.0.2.1", 5683, 0), json), 1);
                assert_int_equal(find(t, A)->n_resources, 40);
                assert_true(remotes_bytes(t) <= 12000);
        }
        assert_true(remotes_refused(t) > 0);
        for (uint32_t n = 0; n < 40; n++)
                (void)say(t, 10 + n, n, 1);
        n_before = remotes_count(t);
        assert_true(n_before > 5);
        for (uint32_t n = 100; n < 110; n++)
                assert_int_equal(say(t, 60 + n, n, 1), 1);
        assert_true(remotes_count(t) >= n_before - 1); /* one went for each that came */
        assert_true(remotes_bytes(t) <= 12000 + sizeof(struct remote_device) + 512);
        remotes_free(t);
}

/* It answers over both families, as each round, and over two links with one address: nothing is new by it. */
static void test_answers_over_two_ways(void **state) {
        static const struct {
                const char *ip[2];
                uint32_t interface[2];
        } rows[] = { { { "192.0.2.1", "fd00::1" }, { 2, 2 } }, { { "fe80::1", "fe80::1" }, { 2, 3 } } };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                struct remotes *t = table_of(ordinary);

                for (unsigned round = 0; round < 4; round++)
                        for (unsigned way = 0; way < 2; way++) {
                                bool v4 = strchr(rows[i].ip[way], '.');
                                char json[512];

                                snprintf(json, sizeof(json),
                                         "[" LINK_(A, "/a",
                                                   ",'eps':[{'ep':'coap://%s%s%s:5683'},"
                                                   "{'ep':'coaps://%s%s%s:5684'}]") "]",
                                         v4 ? "" : "[", rows[i].ip[way], v4 ? "" : "]", v4 ? "" : "[",
                                         rows[i].ip[way], v4 ? "" : "]");
                                learn(t, 1000 + 300000 * (round / 2) + 1500 * round,
                                      at(rows[i].ip[way], 5683, rows[i].interface[way]), json);
                                if (round == 1 || round == 3)
                                        assert_string_equal(news(t), "");
                                if (round == 0 && way == 1)
                                        news(t);
                        }
                assert_int_equal(find(t, A)->n_addresses, 4);
                remotes_free(t);
        }
}

/* Whoever likes may call himself as another one's id begins, or is. */
static void test_a_name_that_is_an_id(void **state) {
        static const char *const names[] = { B, "2222", ("ocf://" B) };
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A);

        learn(t, 1, at("192.0.2.1", 5683, 0), "[" LINK(A, "/a") "," LINK(B, "/a") "]");
        for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
                struct remote_device *d, *other;
                char json[128];

                snprintf(json, sizeof(json), "{'n':'%s'}", names[i]);
                assert_int_equal(remotes_learn_device(t, 1, &a, rep_of(json)), 1);
                assert_ptr_equal(remotes_find_by_name(t, B, &other), find(t, B));
                assert_ptr_equal(remotes_find_by_name(t, "ocf://" B, &other), find(t, B));
                d = remotes_find_by_name(t, "2222", &other);
                assert_ptr_not_equal(d, find(t, A));
                assert_true(d || other);
        }
        remotes_free(t);
}

/* Known before we were started: where it was comes behind where it is now, unless a session stood there. */
static void test_restored(void **state) {
        const struct remote_address before[] = {
                { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 5684, .secure = true, .proven = true },
                { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 5683 },
        };
        struct remotes *t =
                table_of((struct remotes_config){ .n_devices = 1, .n_resources = 4, .n_bytes = 1 << 20 });
        struct uuid a = uuid_of(A), b = uuid_of(B);
        struct remote_device *d;

        assert_int_equal(remotes_restore(t, 1, &a, "Lamp", before, 2, &d), 0);
        assert_ptr_equal(d, find(t, A));
        assert_string_equal(d->name, "Lamp");
        assert_false(d->reachable); /* nobody has heard it yet */
        assert_string_equal(news(t), "+1111");
        learn(t, 600000, at("192.0.2.9", 5683, 0),
              "[" LINK_(A, "/a", ",'eps':[{'ep':'coap://192.0.2.9:5683'}]") "]");
        assert_true(d->reachable);
        assert_string_equal(addresses(d),
                            "coaps://192.0.2.1:5684 coap://192.0.2.9:5683 coap://192.0.2.1:5683");
        d->by_hand = true;
        assert_int_equal(remotes_restore(t, 1, &b, "", before, 2, &d), 0);
        assert_null(d); /* no room */
        remotes_free(t);
}

static void test_restored_nonsense(void **state) {
        struct remote_address many[REMOTE_ADDRESSES_MAX + 1] = { { .port = 1 } };
        struct remotes *t = table_of(ordinary);
        struct uuid a = uuid_of(A);
        struct remote_device *d;

        assert_int_equal(remotes_restore(t, 1, &a, "\x1b[2J", many, ARRAY_SIZE(many), &d), 0);
        assert_null(d->name);
        assert_int_equal(d->n_addresses, 0);
        remotes_free(t);
}

static void test_addresses_as_text(void **state) {
        static const struct {
                struct remote_address a;
                const char *zone, *text;
        } rows[] = {
                { { .ip = { [10] = 0xff, 0xff, 192, 0, 2, 1 }, .port = 5683 },
                  NULL,
                  "coap://192.0.2.1:5683" },
                { { .ip = { 0xfe, 0x80, [15] = 1 }, .port = 5684, .interface = 2, .secure = true },
                  "eth0",
                  "coaps://[fe80::1%eth0]:5684" },
                { { .ip = { 0xfe, 0x80, [15] = 1 }, .port = 5684, .interface = 2, .secure = true },
                  NULL,
                  "coaps://[fe80::1]:5684" },
                { { .ip = { 0xfd, [15] = 1 }, .port = 1, .stream = true }, "eth0", "coap+tcp://[fd00::1]:1" },
                { { .ip = { 0xfd, [15] = 1 }, .port = 1, .stream = true, .secure = true },
                  NULL,
                  "coaps+tcp://[fd00::1]:1" },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char text[REMOTE_ADDRESS_TEXT];

                assert_string_equal(remote_address_format(&rows[i].a, rows[i].zone, text), rows[i].text);
        }
}

/* Issue 5, 8: none of those that answered is lost, and each is found without a walk through all. */
static void test_a_thousand_devices(void **state) {
        struct remotes *t = table_of(ordinary);
        struct timespec began, ended;
        size_t n_resources = 0, n_events = 0;
        struct remote_event e;
        struct uuid id;

        for (uint32_t n = 0; n < 1000; n++)
                assert_int_equal(say(t, n, n, 10), 1);
        assert_int_equal(remotes_count(t), 1000);
        for (struct remote_device *d = remotes_first(t); d; d = remotes_after(t, d))
                n_resources += d->n_resources;
        assert_int_equal(n_resources, 10000);
        assert_int_equal(remotes_refused(t), 0);
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &began);
        for (uint32_t n = 0; n < 200000; n++) {
                id = uuid_nth(n % 1000);
                assert_non_null(remotes_find(t, &id));
        }
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ended);
        assert_true(ended.tv_sec - began.tv_sec < 5); /* a walk: 10^8 steps, and that slowly */
        while (remotes_event(t, &e))
                n_events++;
        assert_int_equal(n_events, 11000);
        remotes_free(t);
}

/* Whatever allocation is refused, the table can be used, and freed, and nothing is lost by those before. */
static void test_scarce_memory(void **state) {
        struct coap_peer from = at("192.0.2.1", 5683, 0);
        struct remotes_config config = ordinary;
        struct uuid a = uuid_of(A), c = uuid_of(C);
        static uint8_t res[4096], dev[1024], doxm[1024];
        struct span rep_res, rep_dev, rep_doxm;
        bool refused_one = true;

#define KEEP(buf, json) span_of(memcpy(buf, rep_of(json).data, rep_of(json).n), rep_of(json).n)
        rep_res = KEEP(res,
                       "[{'sdname':'Home','links':[" LINK(A, "/a") "," LINK(A, "/b") "," LINK(B, "/a") "]}]");
        rep_dev = KEEP(dev, "{'n':'Lamp','icv':'ocf.1.0.0','rt':['oic.d.light']}");
        rep_doxm = KEEP(doxm, "{'deviceuuid':'" C "','owned':false,'oxms':[0]}");
        config.n_devices = 4;
        for (int n = 0; refused_one; n++) {
                struct remotes *t = NULL;
                int r;

                allocations_left = n;
                r = remotes_new(&t, &config);
                if (!r)
                        r = remotes_learn_res(t, 1, &from, rep_res, true);
                if (r >= 0)
                        r = remotes_learn_device(t, 1, &a, rep_dev);
                if (r >= 0)
                        r = remotes_learn_doxm(t, 1, &from, NULL, rep_doxm);
                if (r >= 0 && remotes_find(t, &c))
                        r = remotes_learn_res(t, 1, &from, rep_res, true);
                refused_one = allocations_left < 0;
                allocations_left = -1;
                if (refused_one)
                        assert_int_equal(r, -ENOMEM);
                else
                        assert_true(r >= 0);
                if (!t)
                        continue;
                assert_int_equal(remotes_learn_res(t, 2, &from, rep_res, true), 2);
                assert_int_equal(find(t, A)->n_resources, 2);
                assert_int_equal(find(t, A)->n_pins, 0);
                while (remotes_first(t))
                        remote_forget(remotes_first(t));
                news(t);
                assert_int_equal(remotes_bytes(t), 0);
                remotes_free(t);
                assert_true(n < 1000);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_resources_come_change_and_go),
                cmocka_unit_test(test_what_a_part_says),
                cmocka_unit_test(test_what_nobody_heard_of_is_not_told),
                cmocka_unit_test(test_one_device_on_two_interfaces),
                cmocka_unit_test(test_an_address_over_which_a_session_stood),
                cmocka_unit_test(test_a_device_that_moves),
                cmocka_unit_test(test_reachable),
                cmocka_unit_test(test_another_one_at_its_secure_port),
                cmocka_unit_test(test_expired),
                cmocka_unit_test(test_a_flood_of_names),
                cmocka_unit_test(test_full_of_those_who_are_needed),
                cmocka_unit_test(test_more_resources_than_one_may_have),
                cmocka_unit_test(test_more_bytes_than_there_are),
                cmocka_unit_test(test_bytes_come_back),
                cmocka_unit_test(test_who_is_meant),
                cmocka_unit_test(test_another_id),
                cmocka_unit_test(test_an_id_that_is_taken),
                cmocka_unit_test(test_restored),
                cmocka_unit_test(test_restored_nonsense),
                cmocka_unit_test(test_another_id_in_a_full_table),
                cmocka_unit_test(test_another_id_and_scarce_memory),
                cmocka_unit_test(test_gone_and_there_again),
                cmocka_unit_test(test_ours_stays_whatever_is_said),
                cmocka_unit_test(test_bytes_are_an_end),
                cmocka_unit_test(test_answers_over_two_ways),
                cmocka_unit_test(test_a_name_that_is_an_id),
                cmocka_unit_test(test_addresses_as_text),
                cmocka_unit_test(test_a_thousand_devices),
                cmocka_unit_test(test_scarce_memory),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
