#include "../unit.h"

#include "fake.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/*
 * The n-th allocation of the library is refused, for all n: nothing crashes or
 * leaks, what a function says is -ENOMEM, and the client gets there in the end,
 * since it takes such trouble as the end of a connection.
 */

static bool is_counting; /* only while the library is called */
static unsigned n_allocations, refuse_at;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

static bool refuse(void) {
        return is_counting && ++n_allocations == refuse_at;
}

void *__wrap_calloc(size_t n, size_t size) {
        return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size) {
        return refuse() ? NULL : __real_realloc(p, size);
}

static void library_turn(struct fake *f) {
        is_counting = false;
        fake_process(f);
        is_counting = true;
        assert_int_equal(ocf_client_process(f->client), 0);
        is_counting = false;
        fake_process(f);
        is_counting = true;
        (void)ocf_client_wait(f->client, 5);
}

#define TURN_UNTIL(f, condition)                                                                             \
        do {                                                                                                 \
                uint64_t deadline_ = 0;                                                                      \
                                                                                                             \
                while (!(condition)) {                                                                       \
                        if (fake_expired(&deadline_))                                                        \
                                fail_msg("allocation %u: in vain: %s; the fake wrote:\n%s", refuse_at,       \
                                         #condition, (f)->log);                                              \
                        library_turn(f);                                                                     \
                }                                                                                            \
        } while (0)

static void on_request(void *userdata, struct ocf_request *q) {
        struct ocf_value *v;
        int r = ocf_value_new_map(&v);

        if (r) {
                ocf_request_fail(q, OCF_E_BUSY, NULL);
                return;
        }
        (void)ocf_value_set_bool(v, "on", true);
        (void)ocf_request_respond(q, v);
        ocf_value_free(v);
}

static void on_value(void *userdata, int result, const char *text, const struct ocf_value *value) {
        if (!result)
                *(bool *)userdata = true;
}

static void on_answered(void *userdata, int result, const char *text, const struct ocf_value *value) {
        *(bool *)userdata = true;
}

static void on_device(void *userdata, int result, const char *text, const struct ocf_device *device) {
        struct ocf_device *copy;

        if (device && ocf_device_copy(&copy, device) == 0)
                ocf_device_free(copy);
        if (!device)
                *(bool *)userdata = true;
}

static void on_state(void *userdata, enum ocf_state state, int result, const char *text) {
}

static int prepare(struct fake *f, struct ocf_resource **ret, bool *is_followed) {
        struct ocf_observation *o;
        struct ocf_resource *lamp;
        struct ocf_value *v;
        int r = ocf_client_new(&f->client, f->address);

        if (!r)
                r = ocf_client_set_name(f->client, "oom", 100);
        if (!r)
                r = ocf_client_on_state(f->client, on_state, f);
        if (!r)
                r = ocf_resource_new(ret, f->client, "/a");
        if (!r)
                r = ocf_resource_add_type(*ret, "x.test");
        if (!r)
                r = ocf_resource_add_interface(*ret, "oic.if.a");
        if (!r)
                r = ocf_resource_set_name(*ret, "name");
        if (!r)
                r = ocf_value_new_map(&v);
        if (!r) {
                r = ocf_value_set_string(v, "text", "x");
                if (!r)
                        r = ocf_resource_publish(*ret, v);
                ocf_value_free(v);
        }
        if (!r)
                r = ocf_resource_register(*ret);
        if (!r)
                r = ocf_resource_new(&lamp, f->client, "/lamp");
        if (!r)
                r = ocf_resource_add_type(lamp, "x.test");
        if (!r)
                r = ocf_resource_set_handler(lamp, OCF_RETRIEVE, on_request, f);
        if (!r)
                r = ocf_resource_register(lamp);
        if (!r)
                r = ocf_observe(f->client, "/other?x=y", on_value, is_followed, &o);
        return r;
}

/* What goes wrong here is told, or tried again: both come to an end. */
static void ask_others(struct fake *f) {
        bool is_discovered = false, is_answered = false, is_followed = false;
        struct ocf_observation *o;
        int r = ocf_discover(f->client, 100, on_device, &is_discovered);

        assert_true(r == 0 || r == -ENOMEM);
        while (!r && !is_discovered)
                library_turn(f);
        r = ocf_retrieve(f->client, "ocf://Lamp/lamp?x=y", on_answered, &is_answered);
        assert_true(r == 0 || r == -ENOMEM);
        while (!r && !is_answered)
                library_turn(f);
        r = ocf_observe(f->client, "ocf://Lamp/lamp?x=y", on_value, &is_followed, &o);
        assert_true(r == 0 || r == -ENOMEM);
        if (r)
                return;
        TURN_UNTIL(f, is_followed);
        ocf_observation_free(o);
}

static int publish(struct ocf_resource *r) {
        struct ocf_value *v;
        int e = ocf_value_new_map(&v);

        if (e)
                return e;
        e = ocf_value_set_int(v, "n", 1);
        if (!e)
                e = ocf_resource_publish(r, v);
        ocf_value_free(v);
        return e;
}

/* Return: whether an allocation was refused. */
static bool scenario(struct fake *f, unsigned at) {
        bool is_followed = false, is_answered = false;
        struct ocf_resource *a = NULL;
        int r;

        fake_forget(f);
        n_allocations = 0;
        refuse_at = at;
        is_counting = true;
        r = prepare(f, &a, &is_followed);
        assert_true(r == 0 || r == -ENOMEM);
        if (!r) {
                TURN_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_READY && is_followed);
                r = publish(a);
                assert_true(r == 0 || r == -ENOMEM);
                if (r)
                        assert_int_equal(publish(a), 0);
                TURN_UNTIL(f, fake_logged(f, "\"n\":1"));
                r = ocf_retrieve(f->client, "/other", on_value, &is_answered);
                assert_true(r == 0 || r == -ENOMEM);
                while (!is_answered && n_allocations < refuse_at)
                        library_turn(f);
                ask_others(f);
                is_counting = false;
                fake_handle(f, "retrieve", "/lamp", NULL, NULL);
                is_counting = true;
                TURN_UNTIL(f, f->is_answered);
                is_counting = false;
                fake_updated(f, "/a", "{\"text\":\"of somebody else\"}");
                is_counting = true;
                for (unsigned i = 0; i < 5; i++)
                        library_turn(f);
                TURN_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_READY);
        }
        is_counting = false;
        f->client = ocf_client_free(f->client);
        fake_process(f);
        return n_allocations >= at;
}

static void test_every_allocation(void **state) {
        struct fake *f = *state;
        unsigned n = 1;

        fake_start(f);
        while (scenario(f, n))
                n++;
        assert_true(n > 100);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_every_allocation, fake_setup, fake_teardown),
        };

        if (!fake_has_bus()) {
                puts("SKIP: there is no dbus-daemon");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
