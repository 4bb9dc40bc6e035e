#include "../unit.h"

#include "fake.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* What the callbacks of a test wrote down. */
struct seen {
        char text[4096];
        unsigned n_updated;
        struct ocf_request *request; /* that waits */
        struct fake *fake;
};

static void append(struct seen *s, const char *format, ...) OCF_PRINTF(2, 3);
static void append(struct seen *s, const char *format, ...) {
        size_t n = strlen(s->text);
        va_list args;

        va_start(args, format);
        vsnprintf(s->text + n, sizeof(s->text) - n, format, args);
        va_end(args);
}

static bool saw(const struct seen *s, const char *text) {
        return strstr(s->text, text) != NULL;
}

static void on_state(void *userdata, enum ocf_state state, int result, const char *text) {
        static const char *const names[] = { "CONNECTING", "READY", "WAITING", "REFUSED" };

        append(userdata, "%s %s %s\n", names[state], ocf_result_name(result), text);
}

static void on_updated(void *userdata, struct ocf_resource *r, const struct ocf_value *value) {
        struct seen *s = userdata;

        s->n_updated++;
        append(s, "updated %s %s\n", ocf_resource_href(r), fake_json(value));
}

static void on_answer(void *userdata, int result, const char *text, const struct ocf_value *value) {
        append(userdata, "answer %s \"%s\" %s\n", ocf_result_name(result), text, fake_json(value));
}

static struct ocf_client *new_client(struct fake *f, struct seen *s) {
        assert_int_equal(ocf_client_new(&f->client, f->address), 0);
        assert_int_equal(ocf_client_on_state(f->client, on_state, s), 0);
        s->fake = f;
        return f->client;
}

static struct ocf_resource *new_resource(struct ocf_client *c, const char *href, const char *json) {
        struct ocf_value *v = json ? fake_value(json) : NULL;
        struct ocf_resource *r;

        assert_int_equal(ocf_resource_new(&r, c, href), 0);
        assert_int_equal(ocf_resource_add_type(r, "x.test"), 0);
        if (v)
                assert_int_equal(ocf_resource_publish(r, v), 0);
        ocf_value_free(v);
        return r;
}

static void publish(struct ocf_resource *r, const char *json) {
        struct ocf_value *v = fake_value(json);

        assert_int_equal(ocf_resource_publish(r, v), 0);
        ocf_value_free(v);
}

static bool is_ready(const struct fake *f) {
        return ocf_client_state(f->client) == OCF_STATE_READY;
}

/* A registered resource on a running fake, nothing in the logs. */
static struct ocf_resource *registered(struct fake *f, struct seen *s, const char *href, const char *json) {
        struct ocf_resource *r;

        fake_start(f);
        r = new_resource(new_client(f, s), href, json);
        assert_int_equal(ocf_resource_on_updated(r, on_updated, s), 0);
        assert_int_equal(ocf_resource_register(r), 0);
        FAKE_UNTIL(f, is_ready(f));
        fake_settle(f);
        fake_forget(f);
        s->text[0] = 0;
        return r;
}

static struct ocf_observation *follow(struct fake *f, struct seen *s, const char *uri) {
        struct ocf_observation *o;

        if (!f->bus)
                fake_start(f);
        if (!f->client)
                new_client(f, s);
        assert_int_equal(ocf_observe(f->client, uri, on_answer, s, &o), 0);
        FAKE_UNTIL(f, saw(s, "answer None"));
        s->text[0] = 0;
        return o;
}

/* ---- registering ---- */

static void test_registers_all_in_one_call(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);
        struct ocf_resource *a = new_resource(c, "/a", "{\"x\":1}"), *b = new_resource(c, "/b", NULL);

        fake_start(f);
        assert_int_equal(ocf_client_set_name(c, "app", 700), 0);
        assert_int_equal(ocf_resource_add_interface(a, "oic.if.s"), 0);
        assert_int_equal(ocf_resource_add_interface(a, "oic.if.r"), 0);
        assert_int_equal(ocf_resource_set_name(a, "Name"), 0);
        assert_int_equal(ocf_resource_set_policy(a, OCF_INSECURE | OCF_OBSERVABLE), 0);
        assert_int_equal(ocf_resource_register(a), 0);
        assert_int_equal(ocf_resource_register(b), 0);
        FAKE_UNTIL(f, is_ready(f));
        assert_string_equal(f->log, "Register / {\"name\":\"app\",\"linger_ms\":700}: /a rt=x.test "
                                    "if=oic.if.s if=oic.if.r n=Name "
                                    "discoverable=0 insecure=1 {\"x\":1}; /b rt=x.test {}\n");
        assert_string_equal(s.text, "CONNECTING None \nREADY None \n");
        assert_int_equal(ocf_resource_add_type(a, "late"), -EBUSY);
        assert_int_equal(ocf_resource_set_policy(a, 0), -EBUSY);
        assert_int_equal(ocf_resource_register(a), -EBUSY);
        assert_int_equal(ocf_client_set_name(c, "other", 0), -EBUSY);
        assert_int_equal(ocf_client_set_device(c, "/x"), -EBUSY);
}

static void test_registers_on_the_device_it_is_told(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);

        fake_start(f);
        assert_int_equal(ocf_client_set_device(c, "/org/ocfd/device/1"), 0);
        assert_int_equal(ocf_resource_register(new_resource(c, "/a", NULL)), 0);
        FAKE_UNTIL(f, is_ready(f));
        assert_true(fake_logged(f, "Register /org/ocfd/device/1 {}: /a"));
}

static void test_waits_for_ocfd(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);

        assert_int_equal(ocf_resource_register(new_resource(c, "/a", NULL)), 0);
        FAKE_UNTIL(f, ocf_client_state(c) == OCF_STATE_WAITING);
        fake_settle(f);
        assert_true(saw(&s, "WAITING Unavailable ocfd is not running on the bus at unix:path="));
        fake_start(f);
        FAKE_UNTIL(f, is_ready(f));
        assert_string_equal(ocf_client_text(c), "");
        assert_int_equal(fake_count(f, "Register"), 1);
}

static void test_waits_for_the_bus(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        fake_bus_kill(f);
        assert_int_equal(ocf_resource_register(new_resource(new_client(f, &s), "/a", NULL)), 0);
        FAKE_UNTIL(f, saw(&s, "WAITING No such file or directory There is no bus at unix:path="));
        fake_bus_start(f);
        fake_start(f);
        FAKE_UNTIL(f, is_ready(f));
}

static void test_registers_again_when_ocfd_restarts(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"x\":1}");

        publish(r, "{\"x\":2,\"y\":true}");
        FAKE_UNTIL(f, fake_logged(f, "Publish /a {\"x\":2,\"y\":true}"));
        fake_updated(f, "/a", "{\"x\":3,\"y\":true}");
        FAKE_UNTIL(f, s.n_updated);
        for (unsigned i = 1; i <= 3; i++) {
                fake_stop(f);
                FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_WAITING);
                fake_forget(f);
                fake_start(f);
                FAKE_UNTIL(f, is_ready(f));
                assert_true(fake_logged(f, "Register / {}: /a rt=x.test {\"x\":3,\"y\":true}\n"));
                assert_int_equal(fake_count(f, "Register"), 1);
        }
}

static void test_registers_again_when_the_bus_restarts(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"x\":1}");
        int fd = ocf_client_fd(f->client);

        for (unsigned i = 1; i <= 3; i++) {
                fake_bus_kill(f);
                FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_WAITING);
                publish(r, i == 1 ? "{\"x\":2}" : "{\"x\":5}");
                fake_forget(f);
                fake_bus_start(f);
                fake_start(f);
                FAKE_UNTIL(f, is_ready(f));
                assert_true(fake_logged(f, i == 1 ? "/a rt=x.test {\"x\":2}\n" : "/a rt=x.test {\"x\":5}\n"));
                assert_int_equal(ocf_client_fd(f->client), fd); /* loops need not watch another one */
        }
}

static void test_another_ocfd_takes_over_without_a_gap(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        registered(f, &s, "/a", NULL);
        sd_bus_release_name(f->bus, "org.ocfd");
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_WAITING);
        fake_stop(f);
        fake_start(f);
        FAKE_UNTIL(f, is_ready(f));
        assert_int_equal(fake_count(f, "Register"), 1);
}

static void test_refused_is_told_and_tried_again(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        fake_start(f);
        f->refuse = "AlreadyExists";
        assert_int_equal(ocf_resource_register(new_resource(new_client(f, &s), "/a", NULL)), 0);
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_REFUSED);
        assert_string_equal(ocf_client_text(f->client), "no: AlreadyExists");
        FAKE_UNTIL(f, saw(&s, "REFUSED AlreadyExists no: AlreadyExists"));
        f->refuse = NULL;
        FAKE_UNTIL(f, is_ready(f));
        assert_int_equal(fake_count(f, "Register"), 2);
        assert_false(saw(&s, "REFUSED None"));
}

static void test_refused_one_does_not_keep_others_away(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *b;

        registered(f, &s, "/a", NULL);
        f->refuse = "InvalidArguments";
        b = new_resource(f->client, "/b", NULL);
        assert_int_equal(ocf_resource_register(b), 0);
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_REFUSED);
        f->refuse = NULL;

        /* after a restart /a comes first, alone; /b follows in a call of its own */
        fake_stop(f);
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_WAITING);
        fake_forget(f);
        fake_start(f);
        FAKE_UNTIL(f, is_ready(f));
        assert_string_equal(f->log, "Register / {}: /a rt=x.test {}\nRegister / {}: /b rt=x.test {}\n");

        /* the third is new, and does not wait for the refused second */
        f->refuse = "AlreadyExists";
        ocf_resource_free(b);
        b = new_resource(f->client, "/b", NULL);
        assert_int_equal(ocf_resource_register(b), 0);
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_REFUSED);
        fake_forget(f);
        f->refuse = NULL;
        assert_int_equal(ocf_resource_register(new_resource(f->client, "/c", NULL)), 0);
        FAKE_UNTIL(f, fake_logged(f, "Register / {}: /c rt=x.test {}\n"));
        FAKE_UNTIL(f, is_ready(f));
}

static void test_takes_back_what_is_freed(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *a = registered(f, &s, "/a", NULL), *b;

        b = new_resource(f->client, "/b", NULL);
        assert_int_equal(ocf_resource_register(b), 0);
        FAKE_UNTIL(f, fake_logged(f, "/b"));
        assert_null(ocf_resource_free(b)); /* its registration may be on the way yet */
        assert_null(ocf_resource_free(a));
        FAKE_UNTIL(f, fake_logged(f, "Unregister /a") && fake_logged(f, "Unregister /b"));

        /* the same href again, at once: in that order */
        a = new_resource(f->client, "/a", NULL);
        assert_int_equal(ocf_resource_register(a), 0);
        FAKE_UNTIL(f, is_ready(f));
        fake_forget(f);
        ocf_resource_free(a);
        assert_int_equal(ocf_resource_register(new_resource(f->client, "/a", NULL)), 0);
        FAKE_UNTIL(f, fake_logged(f, "Register"));
        assert_string_equal(f->log, "Unregister /a\nRegister / {}: /a rt=x.test {}\n");
        fake_settle(f);
        fake_forget(f);
        f->client = ocf_client_free(f->client);
        FAKE_UNTIL(f, fake_logged(f, "Unregister\n")); /* all; nothing is left to linger */
}

/* ---- publishing ---- */

static void test_values_gather_while_one_is_on_its_way(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"x\":0}");
        struct ocf_value *v;

        for (int i = 1; i <= 1000; i++) {
                assert_int_equal(ocf_value_new_map(&v), 0);
                assert_int_equal(ocf_value_set_int(v, "x", i), 0);
                assert_int_equal(ocf_resource_publish(r, v), 0);
                ocf_value_free(v);
                if (i % 100 == 0)
                        assert_int_equal(ocf_client_process(f->client), 0);
        }
        FAKE_UNTIL(f, fake_logged(f, "Publish /a {\"x\":1000}"));
        assert_true(fake_count(f, "Publish") < 20);
        assert_string_equal(fake_json(ocf_resource_value(r)), "{\"x\":1000}");
}

static void test_update_of_others_and_own_value_cross(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"x\":0,\"y\":0}");

        publish(r, "{\"x\":1}");
        fake_updated(f, "/a", "{\"x\":7,\"y\":7}"); /* sent before the daemon has seen ours */
        FAKE_UNTIL(f, s.n_updated);
        assert_string_equal(fake_json(ocf_resource_value(r)), "{\"x\":1,\"y\":7}");
        fake_settle(f);
        fake_updated(f, "/a", "{\"x\":8,\"y\":7}"); /* sent after it */
        FAKE_UNTIL(f, s.n_updated == 2);
        assert_string_equal(fake_json(ocf_resource_value(r)), "{\"x\":8,\"y\":7}");
        fake_updated(f, "/other", "{\"x\":9}");
        fake_settle(f);
        assert_int_equal(s.n_updated, 2);
}

static void test_updates_that_come_before_the_path_is_known(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);
        struct ocf_resource *a = new_resource(c, "/a", "{\"x\":0}"), *b = new_resource(c, "/b", "{\"x\":0}");

        fake_start(f);
        f->is_slow_to_find = true;
        ocf_resource_on_updated(a, on_updated, &s);
        ocf_resource_on_updated(b, on_updated, &s);
        assert_int_equal(ocf_resource_register(a), 0);
        assert_int_equal(ocf_resource_register(b), 0);
        FAKE_UNTIL(f, f->n_finding == 2);
        fake_updated(f, "/a", "{\"x\":1}");
        fake_updated(f, "/b", "{\"x\":2}");
        fake_updated(f, "/a", "{\"x\":3}");
        fake_updated(f, "/c", "{\"x\":4}");
        fake_settle(f);
        assert_int_equal(s.n_updated, 0);
        fake_found(f);
        FAKE_UNTIL(f, s.n_updated == 2);
        fake_settle(f);
        assert_int_equal(s.n_updated, 2);
        assert_true(saw(&s, "updated /a {\"x\":3}\n"));
        assert_true(saw(&s, "updated /b {\"x\":2}\n"));
}

static void test_numbers_keep_their_type(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"t\":21.5,\"n\":3}");

        publish(r, "{\"t\":21,\"n\":4.0}");
        assert_string_equal(fake_json(ocf_resource_value(r)), "{\"t\":21.0,\"n\":4}");
        publish(r, "{\"n\":4.5}");
        assert_string_equal(fake_json(ocf_resource_value(r)), "{\"t\":21.0,\"n\":4.5}");
}

static void test_a_value_that_is_refused_is_told(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"x\":1}");

        f->fails = "LimitsExceeded";
        publish(r, "{\"x\":2}");
        FAKE_UNTIL(f, saw(&s, "REFUSED LimitsExceeded no: LimitsExceeded"));
        f->fails = NULL;
        FAKE_UNTIL(f, is_ready(f));
        assert_true(fake_logged(f, "Unregister /a\n"));
        assert_true(fake_logged(f, "Register / {}: /a rt=x.test {\"x\":2}"));
}

static void test_values_that_cannot_be_published(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = new_resource(new_client(f, &s), "/a", NULL);
        struct ocf_value *v;
        char *text = malloc(70000);

        memset(text, 'x', 69999);
        text[69999] = 0;
        assert_int_equal(ocf_value_new_array(&v), 0);
        assert_int_equal(ocf_resource_publish(r, v), -EINVAL);
        ocf_value_free(v);
        assert_int_equal(ocf_value_new_map(&v), 0);
        assert_int_equal(ocf_value_set_string(v, "k", text), 0);
        assert_int_equal(ocf_resource_publish(r, v), -EMSGSIZE);
        assert_int_equal(ocf_resource_publish(r, NULL), -EINVAL);
        assert_int_equal(ocf_resource_publish(NULL, v), -EINVAL);
        assert_int_equal(ocf_value_count(ocf_resource_value(r)), 0);
        ocf_value_free(v);
        free(text);
}

/* ---- handlers ---- */

static void on_request(void *userdata, struct ocf_request *q) {
        static const char *const methods[] = { "retrieve", "update", "create", "delete" };
        struct seen *s = userdata;

        append(s, "%s %s if=%s query=%s value=%s observers=%d\n", methods[ocf_request_method(q)],
               ocf_request_href(q), ocf_request_interface(q), ocf_request_query(q),
               fake_json(ocf_request_value(q)), ocf_request_is_for_observers(q));
        assert_string_equal(ocf_request_device_id(q), "");
        s->request = q;
}

static struct ocf_resource *handled(struct fake *f, struct seen *s) {
        struct ocf_resource *r;

        fake_start(f);
        r = new_resource(new_client(f, s), "/lamp", NULL);
        assert_int_equal(ocf_resource_set_handler(r, OCF_RETRIEVE, on_request, s), 0);
        assert_int_equal(ocf_resource_set_handler(r, OCF_UPDATE, on_request, s), 0);
        assert_int_equal(ocf_resource_register(r), 0);
        FAKE_UNTIL(f, is_ready(f));
        assert_true(fake_logged(f, "/lamp rt=x.test handler\n"));
        s->text[0] = 0;
        return r;
}

static void test_handler_answers_now_and_later(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = handled(f, &s);
        struct ocf_value *v = fake_value("{\"on\":true}");

        fake_handle(f, "retrieve", "/lamp", NULL, "notify");
        FAKE_UNTIL(f, s.request);
        fake_settle(f);
        assert_false(f->is_answered);
        assert_int_equal(ocf_request_respond(s.request, v), 0);
        FAKE_UNTIL(f, f->is_answered);
        assert_string_equal(f->answer, "{\"value\":{\"on\":true}}");
        s.request = NULL;

        fake_handle(f, "update", "/lamp", "{\"on\":false}", NULL);
        FAKE_UNTIL(f, s.request);
        assert_int_equal(ocf_request_respond(s.request, NULL), 0);
        FAKE_UNTIL(f, f->is_answered);
        assert_string_equal(f->answer, "{}");
        assert_string_equal(s.text, "retrieve /lamp if=oic.if.a query=x=y value=none observers=1\n"
                                    "update /lamp if=oic.if.a query=x=y value={\"on\":false} observers=0\n");

        assert_int_equal(ocf_resource_changed(r), 0);
        FAKE_UNTIL(f, fake_logged(f, "Changed /lamp"));
        ocf_value_free(v);
}

static void test_handler_fails(void **state) {
        static const struct {
                int result;
                const char *text, *answer;
                int r;
        } rows[] = {
                { OCF_E_FORBIDDEN, "not by you", "ERROR org.ocfd.Error.Forbidden: not by you", 0 },
                { OCF_E_BUSY, NULL, "ERROR org.ocfd.Error.Busy: Too much is under way: try again shortly",
                  0 },
                { 0, "zero is no failure", "ERROR org.ocfd.Error.Failed: zero is no failure", -EINVAL },
                { 999, NULL,
                  "ERROR org.ocfd.Error.Failed: The application could not do it: its own log says more",
                  -EINVAL },
                { OCF_E_FAILED, "\xff",
                  "ERROR org.ocfd.Error.Failed: The application could not do it: its own log says more",
                  -EINVAL },
        };
        struct fake *f = *state;
        struct seen s = { 0 };

        handled(f, &s);
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                s.request = NULL;
                fake_handle(f, "retrieve", "/lamp", NULL, NULL);
                FAKE_UNTIL(f, s.request);
                assert_int_equal(ocf_request_fail(s.request, rows[i].result, rows[i].text), rows[i].r);
                FAKE_UNTIL(f, f->is_answered);
                assert_string_equal(f->answer, rows[i].answer);
        }
        assert_int_equal(ocf_request_fail(NULL, OCF_E_FAILED, NULL), -EINVAL);
        assert_int_equal(ocf_request_respond(NULL, NULL), -EINVAL);
}

static void test_what_has_no_handler(void **state) {
        static const char *const hrefs[][3] = {
                { "delete", "/lamp", "ERROR org.ocfd.Error.MethodNotAllowed: " },
                { "create", "/lamp", "ERROR org.ocfd.Error.MethodNotAllowed: " },
                { "conjure", "/lamp", "ERROR org.ocfd.Error.MethodNotAllowed: " },
                { "retrieve", "/none", "ERROR org.ocfd.Error.NotFound: " },
        };
        struct fake *f = *state;
        struct seen s = { 0 };

        handled(f, &s);
        for (size_t i = 0; i < ARRAY_SIZE(hrefs); i++) {
                fake_handle(f, hrefs[i][0], hrefs[i][1], NULL, NULL);
                FAKE_UNTIL(f, f->is_answered);
                assert_memory_equal(f->answer, hrefs[i][2], strlen(hrefs[i][2]));
        }
        assert_null(s.request);
}

static void test_without_retrieve_the_last_value_is_the_answer(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r;

        fake_start(f);
        r = new_resource(new_client(f, &s), "/lamp", "{\"on\":false}");
        assert_int_equal(ocf_resource_set_handler(r, OCF_UPDATE, on_request, &s), 0);
        assert_int_equal(ocf_resource_register(r), 0);
        FAKE_UNTIL(f, is_ready(f));
        publish(r, "{\"on\":true}");
        FAKE_UNTIL(f, fake_logged(f, "Changed /lamp"));
        fake_handle(f, "retrieve", "/lamp", NULL, NULL);
        FAKE_UNTIL(f, f->is_answered);
        assert_string_equal(f->answer, "{\"value\":{\"on\":true}}");
}

static void test_answers_that_come_too_late(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_request *of_ocfd, *of_resource, *of_client;
        struct ocf_resource *r = handled(f, &s);
        struct ocf_value *v = fake_value("{\"on\":true}");

        fake_handle(f, "retrieve", "/lamp", NULL, NULL);
        FAKE_UNTIL(f, s.request);
        of_ocfd = s.request;
        fake_stop(f);
        FAKE_UNTIL(f, ocf_client_state(f->client) == OCF_STATE_WAITING);
        assert_int_equal(ocf_request_respond(of_ocfd, v), 0);

        fake_start(f);
        FAKE_UNTIL(f, is_ready(f));
        s.request = NULL;
        fake_handle(f, "retrieve", "/lamp", NULL, NULL);
        FAKE_UNTIL(f, s.request);
        of_resource = s.request;
        s.request = NULL;
        fake_handle(f, "retrieve", "/lamp", NULL, NULL);
        FAKE_UNTIL(f, s.request);
        of_client = s.request;
        ocf_resource_free(r);
        assert_int_equal(ocf_request_respond(of_resource, v), 0);
        f->client = ocf_client_free(f->client);
        assert_string_equal(ocf_request_href(of_client), "/lamp");
        assert_int_equal(ocf_request_fail(of_client, OCF_E_FAILED, NULL), 0);
        ocf_value_free(v);
}

static sd_bus *new_stranger(const struct fake *f) {
        sd_bus *stranger;

        assert_true(sd_bus_new(&stranger) >= 0);
        assert_true(sd_bus_set_address(stranger, f->address) >= 0);
        assert_true(sd_bus_set_bus_client(stranger, true) >= 0);
        assert_true(sd_bus_start(stranger) >= 0);
        return stranger;
}

static int emit_to(sd_bus *bus, const char *to, const char *path, const char *interface, const char *member,
                   const char *types, ...) {
        sd_bus_message *m = NULL;
        va_list args;
        int r = sd_bus_message_new_signal(bus, &m, path, interface, member);

        va_start(args, types);
        if (r >= 0)
                r = sd_bus_message_set_destination(m, to);
        if (r >= 0)
                r = sd_bus_message_appendv(m, types, args);
        if (r >= 0)
                r = sd_bus_send(bus, m, NULL);
        va_end(args);
        sd_bus_message_unref(m);
        return r;
}

static void test_signals_of_strangers(void **state) {
        static const char bus[] = "/org/freedesktop/DBus", resource[] = "/org/ocfd/resource/_2fa";
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", "{\"x\":1}");
        sd_bus *stranger = new_stranger(f);
        struct ocf_observation *o = follow(f, &s, "/a");
        const char *name;

        assert_true(sd_bus_get_unique_name(f->bus, &name) >= 0);
        assert_true(emit_to(stranger, f->app, bus, "org.freedesktop.DBus", "NameOwnerChanged", "sss",
                            "org.ocfd", name, "") >= 0);
        assert_true(emit_to(stranger, f->app, resource, "org.ocfd.Resource1", "Updated", "a{sv}a{sv}", 1, "x",
                            "x", (int64_t)666, 0) >= 0);
        assert_true(emit_to(stranger, f->app, resource, "org.ocfd.Resource1", "Notified", "va{sv}", "x",
                            (int64_t)666, 0) >= 0);
        assert_true(sd_bus_flush(stranger) >= 0);
        fake_settle(f);
        assert_true(is_ready(f));
        assert_int_equal(s.n_updated, 0);
        assert_string_equal(s.text, "");
        assert_string_equal(fake_json(ocf_resource_value(r)), "{\"x\":1}");
        sd_bus_close_unref(stranger);
        ocf_observation_free(o);
}

static void test_handler_is_for_ocfd_alone(void **state) {
        struct fake *f = *state;
        sd_bus_message *reply = NULL;
        struct seen s = { 0 };
        sd_bus *stranger = new_stranger(f);
        uint64_t cookie;

        handled(f, &s);
        assert_true(sd_bus_message_new_method_call(stranger, &reply, f->app, "/org/ocfclient",
                                                   "org.ocfd.Handler1", "Handle") >= 0);
        assert_true(sd_bus_message_append(reply, "ssa{sv}", "update", "/lamp", 0) >= 0);
        assert_true(sd_bus_send(stranger, reply, &cookie) >= 0);
        sd_bus_message_unref(reply);
        for (;;) {
                uint64_t answers;

                reply = NULL;
                fake_turn(f);
                assert_true(sd_bus_process(stranger, &reply) >= 0);
                if (reply && sd_bus_message_get_reply_cookie(reply, &answers) >= 0 && answers == cookie)
                        break;
                sd_bus_message_unref(reply);
        }
        assert_true(sd_bus_message_is_method_error(reply, SD_BUS_ERROR_ACCESS_DENIED));
        assert_null(s.request);
        sd_bus_message_unref(reply);
        sd_bus_close_unref(stranger);
}

/* ---- resources of others ---- */

static void test_requests(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);
        struct ocf_value *v = fake_value("{\"on\":true}");

        fake_start(f);
        assert_int_equal(ocf_retrieve(c, "/lamp?if=oic.if.baseline&x=y", on_answer, &s), 0);
        assert_int_equal(ocf_update(c, "/lamp", v, on_answer, &s), 0);
        assert_int_equal(ocf_create(c, "/all", v, on_answer, &s), 0);
        assert_int_equal(ocf_delete(c, "/lamp", on_answer, &s), 0);
        assert_string_equal(s.text, ""); /* never from the function that asks */
        FAKE_UNTIL(f, fake_count(f, "\n") == 4);
        fake_settle(f);
        assert_string_equal(f->log, "Retrieve /lamp ?if=oic.if.baseline&x=y\nUpdate /lamp "
                                    "{\"on\":true}\nCreate /all {\"on\":true}\n"
                                    "Delete /lamp\n");
        assert_string_equal(strstr(s.text, "answer"),
                            "answer None \"\" {\"a\":1}\nanswer None \"\" {\"a\":1}\n"
                            "answer None \"\" {\"a\":1}\nanswer None \"\" none\n");
        ocf_value_free(v);
}

static void test_requests_that_fail(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);

        fake_start(f);
        f->absent = "/none";
        assert_int_equal(ocf_retrieve(c, "/none", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "answer NotFound \"no: NotFound\" none"));
        f->fails = "Forbidden";
        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "answer Forbidden \"no: Forbidden\" none"));
        f->fails = "SomethingOfALaterVersion";
        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "answer Failed \"no: SomethingOfALaterVersion\" none"));

        assert_int_equal(ocf_retrieve(c, "lamp", on_answer, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(c, NULL, on_answer, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(c, "/\xff", on_answer, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(c, "/lamp", NULL, &s), -EINVAL);
        assert_int_equal(ocf_retrieve(NULL, "/lamp", on_answer, &s), -EINVAL);
        assert_int_equal(ocf_update(c, "/lamp", NULL, on_answer, &s), -EINVAL);
        assert_int_equal(ocf_create(c, "/lamp", NULL, on_answer, &s), -EINVAL);
}

static void test_request_without_an_answer(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);

        fake_start(f);
        f->is_mute = true;
        assert_int_equal(ocf_client_set_timeout(c, 100), 0);
        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "answer Timeout"));
        assert_int_equal(ocf_client_set_timeout(c, 0), -EINVAL);
        assert_int_equal(ocf_client_set_timeout(c, 60001), -EINVAL);
}

static void test_request_while_ocfd_is_away(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);

        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "answer Unavailable \"ocfd is not running on the bus at"));
        fake_start(f);
        FAKE_UNTIL(f, is_ready(f));
        f->is_mute = true;
        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, fake_logged(f, "Retrieve /lamp"));
        fake_stop(f);
        FAKE_UNTIL(f, saw(&s, "answer Unavailable \"ocfd went away before"));
        fake_bus_kill(f);
        FAKE_UNTIL(f, saw(&s, "WAITING Connection reset by peer") || saw(&s, "WAITING Connection refused") ||
                              saw(&s, "WAITING No such file"));
        s.text[0] = 0;
        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, saw(&s, "answer Unavailable \"There is no bus at"));
}

static void test_requests_end_with_the_client(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_client *c = new_client(f, &s);

        fake_start(f);
        f->is_mute = true;
        assert_int_equal(ocf_retrieve(c, "/lamp", on_answer, &s), 0);
        FAKE_UNTIL(f, fake_logged(f, "Retrieve"));
        assert_int_equal(ocf_retrieve(c, "/other", on_answer, &s), 0);
        f->client = ocf_client_free(f->client);
        assert_string_equal(strstr(s.text, "answer"),
                            "answer Operation canceled \"The client is gone\" none\n"
                            "answer Operation canceled \"The client is gone\" none\n");
}

/* ---- observing ---- */

static void test_observes(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_observation *o = follow(f, &s, "/lamp?if=oic.if.baseline"), *other;

        assert_true(fake_logged(f, "Observe /lamp ?if=oic.if.baseline\n"));
        snprintf(f->app, sizeof(f->app), "%s", "");
        assert_int_equal(ocf_observe(f->client, "/lamp?if=oic.if.a", on_answer, &s, &other), -EEXIST);
        assert_int_equal(ocf_observe(f->client, "/lamp", on_answer, &s, &other), -EEXIST);
        assert_int_equal(ocf_observe(f->client, "lamp", on_answer, &s, &other), -EINVAL);
        assert_int_equal(ocf_observe(f->client, "/lamp", on_answer, &s, NULL), -EINVAL);
        assert_int_equal(ocf_observe(f->client, "/lamp", NULL, &s, &other), -EINVAL);

        /* the fake knows who we are from a registration */
        assert_int_equal(ocf_resource_register(new_resource(f->client, "/own", NULL)), 0);
        FAKE_UNTIL(f, f->app[0]);
        s.text[0] = 0;
        fake_notified(f, "/lamp", "{\"a\":2}", 0, NULL);
        fake_notified(f, "/lamp", "{\"a\":9}", 6, NULL);
        fake_notified(f, "/other", "{\"a\":10}", 0, NULL);
        FAKE_UNTIL(f, saw(&s, "{\"a\":9}"));
        fake_settle(f);
        assert_non_null(strstr(s.text, "answer None \"\" {\"a\":2}\nanswer None \"\" {\"a\":9}\n"));
        assert_false(saw(&s, "{\"a\":10}"));
        assert_int_equal(ocf_observation_missed(o), 6);
        assert_null(ocf_observation_free(o));
        FAKE_UNTIL(f, fake_logged(f, "StopObserve /lamp"));
        fake_notified(f, "/lamp", "{\"a\":11}", 0, NULL);
        fake_settle(f);
        assert_false(saw(&s, "{\"a\":11}"));
}

static void test_two_follow_one(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 }, t = { 0 };
        struct ocf_observation *a = follow(f, &s, "/lamp"), *b = follow(f, &t, "/lamp");

        assert_int_equal(ocf_resource_register(new_resource(f->client, "/own", NULL)), 0);
        FAKE_UNTIL(f, f->app[0]);
        fake_notified(f, "/lamp", "{\"a\":2}", 0, NULL);
        FAKE_UNTIL(f, saw(&s, "{\"a\":2}") && saw(&t, "{\"a\":2}"));
        ocf_observation_free(a);
        fake_settle(f);
        assert_false(fake_logged(f, "StopObserve"));
        fake_notified(f, "/lamp", "{\"a\":3}", 0, NULL);
        FAKE_UNTIL(f, saw(&t, "{\"a\":3}"));
        assert_false(saw(&s, "{\"a\":3}"));
        ocf_observation_free(b);
        FAKE_UNTIL(f, fake_logged(f, "StopObserve"));
}

static void test_observation_outlives_ocfd_and_bus(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        follow(f, &s, "/lamp");
        fake_stop(f);
        FAKE_UNTIL(f, saw(&s, "answer Unavailable"));
        f->value = "{\"a\":2}";
        fake_start(f);
        FAKE_UNTIL(f, saw(&s, "answer None \"\" {\"a\":2}"));
        s.text[0] = 0;
        fake_bus_kill(f);
        FAKE_UNTIL(f, saw(&s, "answer Unavailable"));
        f->value = "{\"a\":3}";
        fake_bus_start(f);
        fake_start(f);
        FAKE_UNTIL(f, saw(&s, "answer None \"\" {\"a\":3}"));
}

static void test_observed_resource_goes_and_comes_back(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        follow(f, &s, "/lamp");
        assert_int_equal(ocf_resource_register(new_resource(f->client, "/own", NULL)), 0);
        FAKE_UNTIL(f, f->app[0]);
        f->absent = "/lamp";
        fake_notified(f, "/lamp", "{}", 0, "org.ocfd.Error.NotFound");
        FAKE_UNTIL(f, saw(&s, "answer NotFound \"There is no such resource"));
        fake_settle(f);
        fake_settle(f);
        assert_null(strstr(strstr(s.text, "answer") + 1,
                           "answer")); /* told once, though asked for several times */
        f->absent = NULL;
        FAKE_UNTIL(f, saw(&s, "answer None \"\" {\"a\":1}"));
}

static void test_observing_what_is_not_there_yet(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_observation *o;

        fake_start(f);
        f->absent = "/lamp";
        assert_int_equal(ocf_observe(new_client(f, &s), "/lamp", on_answer, &s, &o), 0);
        FAKE_UNTIL(f, saw(&s, "answer NotFound"));
        f->absent = NULL;
        f->fails = "MethodNotAllowed";
        FAKE_UNTIL(f, saw(&s, "answer MethodNotAllowed"));
        f->fails = NULL;
        FAKE_UNTIL(f, saw(&s, "answer None"));
}

/* ---- what callbacks do ---- */

static void free_observation(void *userdata, int result, const char *text, const struct ocf_value *value) {
        ocf_observation_free(*(struct ocf_observation **)userdata);
        *(struct ocf_observation **)userdata = NULL;
}

static void free_client(void *userdata, int result, const char *text, const struct ocf_value *value) {
        struct fake *f = userdata;

        assert_int_equal(ocf_client_process(f->client), -EBUSY);
        assert_int_equal(ocf_client_wait(f->client, 0), -EBUSY);
        assert_int_equal(ocf_client_run(f->client), -EBUSY);
        assert_int_equal(ocf_retrieve_wait(f->client, "/lamp", NULL), -EBUSY);
        ocf_client_free(f->client);
        assert_int_equal(ocf_retrieve(f->client, "/lamp", on_answer, NULL), -ECANCELED);
}

static void free_resource(void *userdata, struct ocf_resource *r, const struct ocf_value *value) {
        ((struct seen *)userdata)->n_updated++;
        ocf_resource_free(r);
}

static void ask_again(void *userdata, int result, const char *text, const struct ocf_value *value) {
        struct seen *s = userdata;

        append(s, "%s\n", ocf_result_name(result));
        if (s->n_updated++ < 3)
                assert_int_equal(ocf_retrieve(s->fake->client, "/lamp", ask_again, s), 0);
}

static void test_callbacks_may_free_and_ask(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };
        struct ocf_resource *r = registered(f, &s, "/a", NULL);
        struct ocf_observation *o;

        assert_int_equal(ocf_observe(f->client, "/lamp", free_observation, &o, &o), 0);
        FAKE_UNTIL(f, !o);
        ocf_resource_on_updated(r, free_resource, &s);
        fake_updated(f, "/a", "{}");
        FAKE_UNTIL(f, s.n_updated);
        s.n_updated = 0;
        assert_int_equal(ocf_retrieve(f->client, "/lamp", ask_again, &s), 0);
        FAKE_UNTIL(f, s.n_updated == 4);
        assert_int_equal(ocf_retrieve(f->client, "/lamp", free_client, f), 0);
        FAKE_UNTIL(f, !f->client); /* process() said -ECANCELED */
}

/* ---- waiting ---- */

/* The fake in a thread of its own, for the functions that wait. */
struct pump {
        struct fake *fake;
        atomic_bool is_over;
        pthread_t thread;
};

static void *pump(void *userdata) {
        struct pump *p = userdata;

        while (!p->is_over) {
                fake_process(p->fake);
                usleep(1000);
        }
        return NULL;
}

static void pump_start(struct pump *p, struct fake *f) {
        *p = (struct pump){ .fake = f };
        assert_int_equal(pthread_create(&p->thread, NULL, pump, p), 0);
}

static void pump_stop(struct pump *p) {
        p->is_over = true;
        pthread_join(p->thread, NULL);
}

static void test_waiting_functions(void **state) {
        struct fake *f = *state;
        struct ocf_value *v = NULL, *update = fake_value("{\"on\":true}");
        struct ocf_client *c;
        struct pump p;

        fake_start(f);
        f->absent = "/none";
        assert_int_equal(ocf_client_new(&c, f->address), 0);
        pump_start(&p, f);
        assert_int_equal(ocf_retrieve_wait(c, "/lamp", &v), 0);
        assert_string_equal(fake_json(v), "{\"a\":1}");
        v = ocf_value_free(v);
        assert_int_equal(ocf_update_wait(c, "/lamp", update, &v), 0);
        assert_string_equal(fake_json(v), "{\"a\":1}");
        v = ocf_value_free(v);
        assert_int_equal(ocf_create_wait(c, "/lamp", update, NULL), 0);
        assert_int_equal(ocf_delete_wait(c, "/lamp"), 0);
        assert_string_equal(ocf_client_error(c), "");
        assert_int_equal(ocf_retrieve_wait(c, "/none", &v), OCF_E_NOT_FOUND);
        assert_null(v);
        assert_string_equal(ocf_client_error(c), "no: NotFound");
        pump_stop(&p);
        assert_int_equal(ocf_retrieve_wait(c, "lamp", &v), -EINVAL);
        assert_int_equal(ocf_retrieve_wait(NULL, "/lamp", &v), -EINVAL);
        assert_int_equal(ocf_update_wait(c, "/lamp", NULL, &v), -EINVAL);
        assert_int_equal(ocf_create_wait(c, "/lamp", NULL, &v), -EINVAL);
        fake_stop(f);
        assert_int_equal(ocf_retrieve_wait(c, "/lamp", &v), OCF_E_UNAVAILABLE);
        fake_bus_kill(f);
        assert_int_equal(ocf_retrieve_wait(c, "/lamp", &v), OCF_E_UNAVAILABLE);
        ocf_client_free(c);
        ocf_value_free(update);
}

static void stop(void *userdata, enum ocf_state state, int result, const char *text) {
        if (state == OCF_STATE_READY)
                assert_int_equal(ocf_client_stop(userdata), 0);
}

static void test_run_and_stop(void **state) {
        struct fake *f = *state;
        struct ocf_client *c;
        struct pump p;

        fake_start(f);
        assert_int_equal(ocf_client_new(&c, f->address), 0);
        assert_int_equal(ocf_client_on_state(c, stop, c), 0);
        assert_int_equal(ocf_resource_register(new_resource(c, "/a", NULL)), 0);
        pump_start(&p, f);
        assert_int_equal(ocf_client_run(c), 0);
        pump_stop(&p);
        assert_int_equal(ocf_client_stop(c), 0); /* before run(): it returns at once */
        assert_int_equal(ocf_client_run(c), 0);
        ocf_client_free(c);
}

static void test_wait(void **state) {
        struct fake *f = *state;
        struct ocf_client *c;

        assert_int_equal(ocf_client_new(&c, f->address), 0);
        assert_int_equal(ocf_client_wait(c, -1), 1); /* there is something to do at the beginning */
        assert_int_equal(ocf_client_wait(c, -2), -EINVAL);
        while (ocf_client_state(c) != OCF_STATE_WAITING) {
                assert_int_equal(ocf_client_process(c), 0);
                assert_true(ocf_client_wait(c, 1000) >= 0);
        }
        assert_int_equal(ocf_client_process(c), 0);
        assert_int_equal(ocf_client_wait(c, 20), 0); /* and nothing when all is quiet: no busy loop */
        ocf_client_free(c);
}

static void test_bad_arguments(void **state) {
        struct fake *f = *state;
        struct ocf_resource *r, *same;
        struct ocf_client *c;

        assert_int_equal(ocf_client_new(NULL, f->address), -EINVAL);
        assert_int_equal(ocf_client_new(&c, ""), -EINVAL);
        assert_int_equal(ocf_client_new(&c, f->address), 0);
        assert_int_equal(ocf_client_fd(NULL), -EINVAL);
        assert_int_equal(ocf_client_process(NULL), -EINVAL);
        assert_int_equal(ocf_client_wait(NULL, 0), -EINVAL);
        assert_int_equal(ocf_client_run(NULL), -EINVAL);
        assert_int_equal(ocf_client_stop(NULL), -EINVAL);
        assert_int_equal(ocf_client_on_state(NULL, NULL, NULL), -EINVAL);
        assert_int_equal(ocf_client_state(NULL), OCF_STATE_WAITING);
        assert_string_equal(ocf_client_text(NULL), "");
        assert_string_equal(ocf_client_error(NULL), "");
        assert_null(ocf_client_free(NULL));
        assert_int_equal(ocf_client_set_name(c, "x", 600001), -EINVAL);
        assert_int_equal(ocf_client_set_name(NULL, "x", 0), -EINVAL);
        assert_int_equal(ocf_client_set_device(c, "1"), -EINVAL);
        assert_int_equal(ocf_client_set_device(c, NULL), -EINVAL);
        assert_int_equal(ocf_client_set_timeout(NULL, 1), -EINVAL);

        assert_int_equal(ocf_resource_new(&r, c, "a"), -EINVAL);
        assert_int_equal(ocf_resource_new(&r, c, "/\xff"), -EINVAL);
        assert_int_equal(ocf_resource_new(&r, c, NULL), -EINVAL);
        assert_int_equal(ocf_resource_new(&r, NULL, "/a"), -EINVAL);
        assert_int_equal(ocf_resource_new(NULL, c, "/a"), -EINVAL);
        assert_int_equal(ocf_resource_new(&r, c, "/a"), 0);
        assert_int_equal(ocf_resource_new(&same, c, "/a"), -EEXIST);
        assert_int_equal(ocf_resource_register(r), -EINVAL); /* it has no type */
        assert_int_equal(ocf_resource_register(NULL), -EINVAL);
        assert_int_equal(ocf_resource_add_type(r, ""), -EINVAL);
        assert_int_equal(ocf_resource_add_type(NULL, "x"), -EINVAL);
        assert_int_equal(ocf_resource_add_interface(r, NULL), -EINVAL);
        assert_int_equal(ocf_resource_set_name(r, "\xff"), -EINVAL);
        assert_int_equal(ocf_resource_set_policy(r, 1u << 20), -EINVAL);
        assert_int_equal(ocf_resource_set_handler(r, (enum ocf_method)99, NULL, NULL), -EINVAL);
        assert_int_equal(ocf_resource_set_handler(r, (enum ocf_method) - 1, NULL, NULL), -EINVAL);
        assert_int_equal(ocf_resource_on_updated(NULL, NULL, NULL), -EINVAL);
        assert_int_equal(ocf_resource_changed(NULL), -EINVAL);
        assert_int_equal(ocf_resource_changed(r), 0);
        assert_string_equal(ocf_resource_href(r), "/a");
        assert_string_equal(ocf_resource_href(NULL), "");
        assert_null(ocf_resource_value(NULL));
        assert_null(ocf_resource_free(NULL));
        assert_null(ocf_observation_free(NULL));
        assert_int_equal(ocf_observation_missed(NULL), 0);
        assert_string_equal(ocf_request_href(NULL), "");
        assert_null(ocf_request_value(NULL));
        ocf_client_free(c);
}

static void test_address_that_is_none(void **state) {
        struct fake *f = *state;
        struct seen s = { 0 };

        assert_int_equal(ocf_client_new(&f->client, "nonsense"), 0);
        assert_int_equal(ocf_client_on_state(f->client, on_state, &s), 0);
        FAKE_UNTIL(f, saw(&s, "WAITING Connection refused There is no bus at nonsense (Connection refused)"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST(test_registers_all_in_one_call),
                TEST(test_registers_on_the_device_it_is_told),
                TEST(test_waits_for_ocfd),
                TEST(test_waits_for_the_bus),
                TEST(test_registers_again_when_ocfd_restarts),
                TEST(test_registers_again_when_the_bus_restarts),
                TEST(test_another_ocfd_takes_over_without_a_gap),
                TEST(test_refused_is_told_and_tried_again),
                TEST(test_refused_one_does_not_keep_others_away),
                TEST(test_takes_back_what_is_freed),
                TEST(test_values_gather_while_one_is_on_its_way),
                TEST(test_update_of_others_and_own_value_cross),
                TEST(test_updates_that_come_before_the_path_is_known),
                TEST(test_numbers_keep_their_type),
                TEST(test_a_value_that_is_refused_is_told),
                TEST(test_values_that_cannot_be_published),
                TEST(test_handler_answers_now_and_later),
                TEST(test_handler_fails),
                TEST(test_what_has_no_handler),
                TEST(test_without_retrieve_the_last_value_is_the_answer),
                TEST(test_answers_that_come_too_late),
                TEST(test_handler_is_for_ocfd_alone),
                TEST(test_signals_of_strangers),
                TEST(test_requests),
                TEST(test_requests_that_fail),
                TEST(test_request_without_an_answer),
                TEST(test_request_while_ocfd_is_away),
                TEST(test_requests_end_with_the_client),
                TEST(test_observes),
                TEST(test_two_follow_one),
                TEST(test_observation_outlives_ocfd_and_bus),
                TEST(test_observed_resource_goes_and_comes_back),
                TEST(test_observing_what_is_not_there_yet),
                TEST(test_callbacks_may_free_and_ask),
                TEST(test_waiting_functions),
                TEST(test_run_and_stop),
                TEST(test_wait),
                TEST(test_bad_arguments),
                TEST(test_address_that_is_none),
        };

        if (!fake_has_bus()) {
                puts("SKIP: there is no dbus-daemon");
                return 77;
        }
        return cmocka_run_group_tests(tests, NULL, NULL);
}
