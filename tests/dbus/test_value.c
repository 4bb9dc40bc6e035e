#include "../unit.h"
#include "dbus/value.h"
#include "protocol/rep.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

/* A message that nobody sends: its bus only has to have been started, over a pair of sockets. */
static sd_bus *bus;
static int other_end;

static int open_bus(void **state) {
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
        other_end = fds[1];
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        return 0;
}

static int close_bus(void **state) {
        bus = sd_bus_close_unref(bus);
        close(other_end);
        return 0;
}

static sd_bus_message *message(void) {
        sd_bus_message *m;

        assert_true(sd_bus_message_new_method_call(bus, &m, NULL, "/x", "a.b", "C") >= 0);
        return m;
}

static void seal(sd_bus_message *m) {
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
}

/* Out and in again, and the signature of what is inside the variant. */
static void round_trip(struct span rep, const char *signature) {
        sd_bus_message *m = message();
        uint8_t buf[1024];
        struct writer w = writer_on(buf, sizeof(buf));
        const char *contents;
        char type;

        assert_int_equal(value_append(m, rep), 0);
        seal(m);
        assert_true(sd_bus_message_peek_type(m, &type, &contents) > 0);
        assert_int_equal(type, 'v');
        assert_string_equal(contents, signature);
        assert_int_equal(value_read(m, &w), 0);
        if (!span_equal(writer_span(&w), rep))
                fail_msg("what went out as %s came back otherwise", signature);
        sd_bus_message_unref(m);
}

static void test_everything_round_trips(void **state) {
        round_trip(SPAN_LITERAL("\x05"), "x");
        round_trip(SPAN_LITERAL("\x24"), "x");
        round_trip(SPAN_LITERAL("\x1b\x7f\xff\xff\xff\xff\xff\xff\xff"), "x");
        round_trip(SPAN_LITERAL("\x3b\x7f\xff\xff\xff\xff\xff\xff\xff"), "x");
        round_trip(SPAN_LITERAL("\x1b\xff\xff\xff\xff\xff\xff\xff\xff"), "t");
        round_trip(SPAN_LITERAL("\x3b\xff\xff\xff\xff\xff\xff\xff\xff"), "(sv)");
        round_trip(SPAN_LITERAL("\x65hello"), "s");
        round_trip(SPAN_LITERAL("\x60"), "s");
        round_trip(SPAN_LITERAL("\x63"
                                "a\0b"),
                   "(sv)");                                   /* D-Bus has no NUL in text */
        round_trip(SPAN_LITERAL("\x63\xef\xbf\xbf"), "(sv)"); /* nor noncharacters */
        round_trip(SPAN_LITERAL("\x43\0\1\2"), "ay");
        round_trip(SPAN_LITERAL("\x40"), "ay");
        round_trip(SPAN_LITERAL("\xfb\x40\x35\x80\0\0\0\0\0"), "d");
        round_trip(SPAN_LITERAL("\xf4"), "b");
        round_trip(SPAN_LITERAL("\xf5"), "b");
        round_trip(SPAN_LITERAL("\xf6"), "(sv)");
        round_trip(SPAN_LITERAL("\xf7"), "(sv)");
        round_trip(SPAN_LITERAL("\xf8\xff"), "(sv)");
        round_trip(SPAN_LITERAL("\xe5"), "(sv)");
        round_trip(SPAN_LITERAL("\xc1\x1a\x51\x4b\x67\xb0"), "(sv)");
        round_trip(SPAN_LITERAL("\x80"), "av");
        round_trip(SPAN_LITERAL("\x83\x01\x61"
                                "a\xf6"),
                   "av"); /* mixed */
        round_trip(SPAN_LITERAL("\x81\x82\x01\x80"), "av");
        round_trip(SPAN_LITERAL("\xa0"), "a{sv}");
        round_trip(SPAN_LITERAL("\xa2\x61"
                                "a\x01\x61"
                                "b\xa1\x61"
                                "c\x81\xf5"),
                   "a{sv}");
        round_trip(SPAN_LITERAL("\xa1\x01\x02"), "(sv)"); /* keys that are no text */
        round_trip(SPAN_LITERAL("\xa1\x63"
                                "a\0b\x02"),
                   "(sv)");
}

static int read_of(sd_bus_message *m, uint8_t *buf, size_t n, struct span *ret) {
        struct writer w = writer_on(buf, n);
        int r;

        seal(m);
        r = value_read(m, &w);
        *ret = writer_span(&w);
        sd_bus_message_unref(m);
        return r;
}

static void expect(sd_bus_message *m, int r, struct span expected) {
        uint8_t buf[256];
        struct span got;

        assert_true(r >= 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), 0);
        assert_true(span_equal(got, expected));
}

static void test_all_types_come_in(void **state) {
        sd_bus_message *m;

#define IN(expected, ...)                                                                                    \
        m = message();                                                                                       \
        expect(m, sd_bus_message_append(m, __VA_ARGS__), SPAN_LITERAL(expected))

        IN("\x05", "v", "y", 5);
        IN("\x24", "v", "n", -5);
        IN("\x05", "v", "q", 5);
        IN("\x24", "v", "i", -5);
        IN("\x05", "v", "u", 5);
        IN("\x05", "v", "t", (uint64_t)5);
        IN("\x62/x", "v", "o", "/x");
        IN("\x62"
           "ii",
           "v", "g", "ii");
        IN("\x82\x01\x02", "v", "ai", 2, 1, 2);
        IN("\x82\x01\x61"
           "a",
           "v", "(is)", 1, "a"); /* a struct is an array */
        IN("\xa1\x61"
           "a\x05",
           "v", "a{su}", 1, "a", 5);
        IN("\xa1\x07\x05", "v", "a{uu}", 1, 7, 5);
        IN("\x05", "v", "v", "v", "y", 5); /* variants are no level */
        IN("\xa0", "v", "a{sv}", 0);
#undef IN
}

static void test_refusals(void **state) {
        uint8_t buf[64];
        struct span got;
        sd_bus_message *m = message();

        assert_true(sd_bus_message_append(m, "v", "h", 0) >= 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), VALUE_E_DESCRIPTOR);
        m = message();
        assert_true(sd_bus_message_append(m, "v", "a{sv}", 2, "a", "u", 1, "a", "u", 2) >= 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), VALUE_E_DUPLICATE_KEY);
        m = message();
        assert_true(sd_bus_message_append(m, "v", "(sv)", "nonsense", "y", 1) >= 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), VALUE_E_BAD_ESCAPE);
        m = message();
        assert_true(sd_bus_message_append(m, "v", "(sv)", "null", "u", 1) >= 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), VALUE_E_BAD_ESCAPE);
        m = message();
        assert_true(sd_bus_message_append(m, "v", "(sv)", "simple", "y", 20) >= 0); /* that would be false */
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), VALUE_E_BAD_ESCAPE);
        m = message();
        assert_true(sd_bus_message_append(
                            m, "v", "s", "a text that is longer than the room there is for it, by far") >= 0);
        assert_int_equal(read_of(m, buf, 16, &got), VALUE_E_TOO_LARGE);
        for (int r = VALUE_E_DESCRIPTOR; r <= VALUE_E_NOT_A_MAP; r++)
                assert_true(strlen(value_problem(r)) > 5);
}

/* avs in avs: 16 levels come in, and no more, however deep they are. */
static void test_depth(void **state) {
        static const unsigned depths[] = { 16, 17, 30 };

        for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
                sd_bus_message *m = message();
                uint8_t buf[256];
                struct span got;

                for (unsigned d = 0; d < depths[i]; d++) {
                        assert_true(sd_bus_message_open_container(m, 'v', "av") >= 0);
                        assert_true(sd_bus_message_open_container(m, 'a', "v") >= 0);
                }
                for (unsigned d = 0; d < 2 * depths[i]; d++)
                        assert_true(sd_bus_message_close_container(m) >= 0);
                assert_int_equal(read_of(m, buf, sizeof(buf), &got), depths[i] <= 16 ? 0 : VALUE_E_TOO_DEEP);
        }
}

/* What a peer nests must not get us thrown off the bus: 64 containers are all that it carries. */
static void test_what_a_bus_does_not_carry_goes_as_bytes(void **state) {
        uint8_t tags[17], maps[64], arrays[17], buf[256];
        sd_bus_message *m = message();
        struct span got;
        size_t n = 0;

        memset(tags, 0xc1, 16);
        tags[16] = 5;
        assert_int_equal(value_append(m, span_of(tags, sizeof(tags))), 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), 0);
        assert_int_equal(got.n, 1 + sizeof(tags)); /* a byte string of them */
        assert_memory_equal(got.data + 1, tags, sizeof(tags));
        for (int i = 0; i < 16; i++) {
                maps[n++] = 0xa1;
                maps[n++] = 5;
        }
        maps[n++] = 0xf6;
        m = message();
        assert_int_equal(value_append(m, span_of(maps, n)), 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), 0);
        assert_memory_equal(got.data + 2, maps, n);
        assert_int_equal(value_append_map(m = message(), span_of(maps, n)), VALUE_E_NOT_A_MAP);
        sd_bus_message_unref(m);
        memset(arrays, 0x81, 16); /* as deep as may be, and carried */
        arrays[16] = 0xf6;
        round_trip(span_of(arrays, sizeof(arrays)), "av");
}

static void test_maps_only(void **state) {
        sd_bus_message *m = message();
        uint8_t buf[64];
        struct writer w = writer_on(buf, sizeof(buf));

        assert_int_equal(value_append_map(m, SPAN_LITERAL("\x05")), VALUE_E_NOT_A_MAP);
        assert_int_equal(value_append_map(m, SPAN_LITERAL("\xa1\x05\x06")), VALUE_E_NOT_A_MAP);
        assert_int_equal(value_append_map(m, SPAN_LITERAL("\xa1\x61"
                                                          "a\x06")),
                         0);
        seal(m);
        assert_int_equal(value_read_map(m, &w), 0);
        assert_true(span_equal(writer_span(&w), SPAN_LITERAL("\xa1\x61"
                                                             "a\x06")));
        sd_bus_message_unref(m);
}

static void test_many_keys(void **state) {
        sd_bus_message *m = message();
        static uint8_t buf[65536];
        struct span got;

        assert_true(sd_bus_message_open_container(m, 'v', "a{uu}") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{uu}") >= 0);
        for (uint32_t i = 0; i <= REP_KEYS_MAX; i++)
                assert_true(sd_bus_message_append(m, "{uu}", i, i) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_int_equal(read_of(m, buf, sizeof(buf), &got), VALUE_E_TOO_LARGE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_everything_round_trips),
                cmocka_unit_test(test_all_types_come_in),
                cmocka_unit_test(test_refusals),
                cmocka_unit_test(test_depth),
                cmocka_unit_test(test_what_a_bus_does_not_carry_goes_as_bytes),
                cmocka_unit_test(test_maps_only),
                cmocka_unit_test(test_many_keys),
        };

        return cmocka_run_group_tests(tests, open_bus, close_bus);
}
