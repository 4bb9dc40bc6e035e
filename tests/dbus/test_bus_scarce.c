#include "../model/scarce_memory.h"
#include "../unit.h"
#include "world.h"

/*
 * Memory runs out at each place of a call about other devices: the caller has an
 * error or what it wanted, nothing is left over, and the next call goes well.
 */

#define ROOT     "/org/ocfd"
#define LAMP     ROOT "/remote/07223344_5566_4788_8900_000000000007"
#define DEVICE   OCFD ".RemoteDevice1"
#define RESOURCE OCFD ".RemoteResource1"
#define TOOL     OCFD ".OnboardingTool1"

enum step {
        OBSERVE,
        RETRIEVE,
        UPDATE,
        DISCOVER,
        REFRESH,
        OWN,
        INITIALIZE,
        ALL_OBJECTS,
        INTROSPECT,
        REGISTER_AGENT,
        _STEP_N
};

static sd_bus_message *begin(sd_bus *c, enum step step) {
        sd_bus_message *m = NULL;
        int r = 0;

        switch (step) {
        case OBSERVE:
                m = world_message(c, LAMP "/1", RESOURCE, "Observe");
                r = sd_bus_message_append(m, "a{sv}", 1, "query", "s", "x=y");
                break;
        case RETRIEVE:
                m = world_message(c, LAMP "/1", RESOURCE, "Retrieve");
                r = sd_bus_message_append(m, "a{sv}", 1, "interface", "s", "oic.if.a");
                break;
        case UPDATE:
                m = world_message(c, LAMP, DEVICE, "Update");
                r = sd_bus_message_append(m, "sva{sv}", "/r1", "a{sv}", 1, "value", "b", 1, 0);
                break;
        case DISCOVER:
                m = world_message(c, ROOT, OCFD ".Client1", "Discover");
                r = sd_bus_message_append(m, "a{sv}", 0);
                break;
        case REFRESH:
                m = world_message(c, LAMP, DEVICE, "Refresh");
                break;
        case OWN:
                m = world_message(c, ROOT, TOOL, "Own");
                r = sd_bus_message_append(m, "oa{sv}", LAMP, 1, "methods", "as", 1, "just-works");
                break;
        case INITIALIZE:
                m = world_message(c, ROOT, TOOL, "Initialize");
                r = sd_bus_message_append(m, "a{sv}", 0);
                break;
        case ALL_OBJECTS:
                m = world_message(c, ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects");
                break;
        case INTROSPECT:
                m = world_message(c, LAMP, "org.freedesktop.DBus.Introspectable", "Introspect");
                break;
        case REGISTER_AGENT:
                m = world_message(c, ROOT, OCFD ".Manager1", "RegisterAgent");
                r = sd_bus_message_append(m, "oa{sv}", "/agent", 0);
                break;
        case _STEP_N:
                break;
        }
        assert_non_null(m);
        assert_true(r >= 0);
        return m;
}

/* Return: whether all the memory was there that it wanted. */
static bool try_once(struct world *w, sd_bus *c, enum step step, int n_allocations) {
        sd_bus_message *m = begin(c, step), *reply;
        bool enough, went_well;

        allocations_left = n_allocations;
        reply = world_ask(w, c, m);
        enough = allocations_left >= 0;
        allocations_left = -1;
        went_well = !sd_bus_message_get_error(reply);
        sd_bus_message_unref(reply);
        if (enough)
                assert_true(went_well);
        return enough;
}

/* What one that went well leaves is taken away; one that did not leaves nothing. */
static void put_away(struct world *w, sd_bus *c) {
        assert_fine(world_call(w, c, LAMP "/1", RESOURCE, "StopObserve", ""));
        sd_bus_message_unref(world_call(w, c, ROOT, OCFD ".Manager1", "UnregisterAgent", "o", "/agent"));
        while (w->net.n_jobs)
                world_job_forget(w, w->net.jobs[0].number);
        assert_int_equal(w->net.n_observers, 0);
        assert_true(list_is_empty(&w->bus->observed));
        assert_true(list_is_empty(&w->bus->rounds));
        assert_true(list_is_empty(&w->bus->requests));
        assert_true(list_is_empty(&w->bus->jobs));
        assert_true(list_is_empty(&w->bus->agents));
        assert_int_equal(LIST_ENTRY(list_first(&w->bus->clients), struct bus_client, link)->n_observers, 0);
        assert_int_equal(LIST_ENTRY(list_first(&w->bus->clients), struct bus_client, link)->n_rounds, 0);
}

static void each_allocation(void **state) {
        struct world *w = *state;
        sd_bus *c = world_client(w);

        world_remote(w, 7, "Lamp", 3);
        world_client_work(w);
        w->net.answers_at_once = true;
        w->net.response.rep = SPAN_LITERAL("\xa1\x65value\xf5");
        assert_fine(world_call(w, c, LAMP "/1", RESOURCE, "StopObserve", "")); /* who it is, is known */
        for (enum step step = 0; step < _STEP_N; step++) {
                int n = 0;

                w->net.next_job = step == INITIALIZE ? 0 : 1 + (uint32_t)step;
                while (!try_once(w, c, step, n)) {
                        put_away(w, c);
                        n++;
                        assert_in_range(n, 1, 100);
                }
                put_away(w, c);
                assert_true(n >= 1 || step == INITIALIZE); /* a test that refuses nothing shows nothing */
        }
}

/* Those who cannot be asked for a PIN are not counted. */
static void each_allocation_of_a_question(void **state) {
        struct world *w = *state;
        sd_bus *c = world_client(w);
        const struct uuid id = world_id(7);

        assert_fine(world_call(w, c, ROOT, OCFD ".Manager1", "RegisterAgent", "oa{sv}", "/agent", 0));
        for (int n = 0; n < 2; n++) {
                allocations_left = n;
                assert_int_equal(bus_ask_pin(w->bus, 1, &id, "Lamp", 60), 0);
                assert_int_equal(allocations_left, -1);
                assert_int_equal(w->bus->n_pins, 0);
        }
        assert_int_equal(bus_ask_pin(w->bus, 1, &id, "Lamp", 60), 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
        const struct CMUnitTest tests[] = {
                TEST(each_allocation),
                TEST(each_allocation_of_a_question),
        };

        if (!world_has_bus())
                return 77;
        return cmocka_run_group_tests(tests, NULL, NULL);
}
