#include "daemon/diag.h"
#include "daemon/diag_ids.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

/* A journal of our own. */
static int journal = -1;

static void open_journal(void) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        snprintf(address.sun_path, sizeof(address.sun_path), "%s", in_scratch("journal"));
        (void)unlink(address.sun_path);
        journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        assert_true(journal >= 0);
        assert_int_equal(bind(journal, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void close_journal(void) {
        close(journal);
        journal = -1;
}

/* The next entry as text; "" when there is none. */
static const char *next_entry(size_t *ret_n) {
        static char entry[16384];
        ssize_t n = recv(journal, entry, sizeof(entry) - 1, 0);

        entry[n > 0 ? n : 0] = 0;
        if (ret_n)
                *ret_n = n > 0 ? (size_t)n : 0;
        return entry;
}

/* What goes to stderr until read_stderr(). */
static int saved_stderr = -1;

static void take_stderr(void) {
        int fd = open(in_scratch("stderr"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        saved_stderr = dup(STDERR_FILENO);
        assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
        close(fd);
}

static const char *read_stderr(void) {
        static char text[8192];
        FILE *f = fopen(in_scratch("stderr"), "r");

        dup2(saved_stderr, STDERR_FILENO);
        close(saved_stderr);
        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = 0;
        fclose(f);
        return text;
}

static void deny(const char *peer, const char *href, const char *method, const char *reason) {
        diag_access_denied(&(struct diag_denial){ .device = "d0000000-0000-4000-8000-000000000000",
                                                  .peer = peer,
                                                  .connection = "anon-clear",
                                                  .href = href,
                                                  .method = method,
                                                  .state = "RFNOP",
                                                  .reason = reason });
}

static void test_an_event_has_its_fields(void **state) {
        static const char expected[] = "MESSAGE=Denied GET /lamp to 192.0.2.1:5683: not insecure "
                                       "(anon-clear, nobody, no roles, state RFNOP)\n"
                                       "PRIORITY=5\n"
                                       "SYSLOG_IDENTIFIER=ocfd\n"
                                       "MESSAGE_ID=" DIAG_ID_ACCESS_DENIED "\n"
                                       "OCFD_DEVICE=d0000000-0000-4000-8000-000000000000\n"
                                       "OCFD_PEER=192.0.2.1:5683\n"
                                       "OCFD_CONNECTION=anon-clear\n"
                                       "OCFD_RESOURCE=/lamp\n"
                                       "OCFD_METHOD=GET\n"
                                       "OCFD_STATE=RFNOP\n"
                                       "OCFD_REASON=not insecure\n";

        open_journal();
        diag_open_at(LOG_WARNING, in_scratch("journal"));
        deny("192.0.2.1:5683", "/lamp", "GET", "not insecure");
        assert_string_equal(next_entry(NULL), ""); /* a notice is less than a warning */
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        deny("192.0.2.1:5683", "/lamp", "GET", "not insecure");
        assert_string_equal(next_entry(NULL), expected);
        assert_string_equal(next_entry(NULL), "");
        diag_close();
        close_journal();
}

/* A role is a field of its own, so that journalctl finds it by OCFD_ROLE=; the device may be unknown. */
static void test_a_denial_of_somebody_has_all_its_fields(void **state) {
        static const struct diag_denial denial = {
                .peer = "[2001:db8::1]:40000",
                .connection = "auth-crypt",
                .subject = "50000000-0000-4000-8000-000000000000",
                .n_roles = 2,
                .roles = { "light, a", "keeper" },
                .href = "/lamp",
                .method = "POST",
                .state = "RFPRO",
                .reason = "an entry fits",
                .entry = "17",
        };
        static const char expected[] =
                "MESSAGE=Denied POST /lamp to [2001:db8::1]:40000: an entry fits (auth-crypt, "
                "50000000-0000-4000-8000-000000000000, light, a, keeper, state RFPRO, "
                "nearest entry 17)\n"
                "PRIORITY=5\n"
                "SYSLOG_IDENTIFIER=ocfd\n"
                "MESSAGE_ID=" DIAG_ID_ACCESS_DENIED "\n"
                "OCFD_PEER=[2001:db8::1]:40000\n"
                "OCFD_CONNECTION=auth-crypt\n"
                "OCFD_SUBJECT=50000000-0000-4000-8000-000000000000\n"
                "OCFD_RESOURCE=/lamp\n"
                "OCFD_METHOD=POST\n"
                "OCFD_STATE=RFPRO\n"
                "OCFD_ACE=17\n"
                "OCFD_REASON=an entry fits\n"
                "OCFD_ROLE=light, a\n"
                "OCFD_ROLE=keeper\n";

        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        diag_access_denied(&denial);
        assert_string_equal(next_entry(NULL), expected);
        diag_close();
        close_journal();
}

static void expect(const char *id, const char *text) {
        const char *entry = next_entry(NULL);

        assert_ptr_equal(strstr(entry, "MESSAGE="), entry);
        if (!strstr(entry, id) || !strstr(entry, text))
                fail_msg("It is not %s, %s: %s", id, text, entry);
        assert_string_equal(next_entry(NULL), "");
}

static void test_every_event_has_its_id(void **state) {
        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        diag_started("1.0", "system", "/var/lib/ocfd");
        expect(DIAG_ID_STARTED, "ocfd 1.0 ");
        diag_stopping("Terminated");
        expect(DIAG_ID_STOPPING, "Terminated");
        diag_notice("PortTaken", "Another program has it");
        expect(DIAG_ID_NOTICE, "OCFD_NOTICE=PortTaken\n");
        diag_notice("PortTaken", NULL);
        expect(DIAG_ID_NOTICE, "It is over: PortTaken\n");
        diag_app_registered("lamp", 1000, 2);
        expect(DIAG_ID_APP_REGISTERED, "registered 2 resources\n");
        diag_app_vanished("lamp", 1000, 0);
        expect(DIAG_ID_APP_VANISHED, "its resources are gone");
        diag_app_vanished("lamp", 1000, 5000);
        expect(DIAG_ID_APP_VANISHED, "5.03 for up to 5000 ms");
        diag_app_refused("lamp", 1000, "no reason");
        expect(DIAG_ID_APP_REFUSED, "OCFD_REASON=no reason\n");
        diag_bus_state("unix:path=/x", 0);
        expect(DIAG_ID_BUS, "PRIORITY=6\n");
        diag_bus_state("unix:path=/x", EEXIST);
        expect(DIAG_ID_BUS, "another org.ocfd");
        diag_bus_state("unix:path=/x", ENOENT);
        expect(DIAG_ID_BUS, "No such file");
        diag_surprise(-ENOMEM);
        expect(DIAG_ID_SURPRISE, "Cannot allocate memory\n");
        diag_close();
        close_journal();
}

/* A line break in a value would otherwise be a field of the stranger's choice. */
static void test_a_line_break_makes_no_field(void **state) {
        static const char expected[] = "OCFD_RESOURCE\n\x10\0\0\0\0\0\0\0/a\nPRIORITY=0\nxy\n";
        const char *entry;
        size_t n;

        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        deny("p", "/a\nPRIORITY=0\nxy", "GET", "r");
        entry = next_entry(&n);
        assert_memory_equal(entry, "MESSAGE\n", 8);
        assert_non_null(memmem(entry, n, expected, sizeof(expected) - 1));
        diag_close();
        close_journal();
}

static void test_long_texts_are_cut(void **state) {
        char text[20000];
        size_t n;

        memset(text, 'x', sizeof(text));
        text[sizeof(text) - 1] = 0;
        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        deny(text, text, text, text);
        diag_access_denied(&(struct diag_denial){ text,
                                                  text,
                                                  text,
                                                  text,
                                                  DIAG_ROLES_MAX,
                                                  { text, text, text, text, text, text, text, text },
                                                  text,
                                                  text,
                                                  text,
                                                  text,
                                                  text });
        next_entry(&n);
        assert_in_range(n, 2000, 8192);
        next_entry(&n);
        assert_in_range(n, 2000, 8192);
        diag_log(LOG_ERR, "%s", text);
        next_entry(&n);
        assert_in_range(n, 2000, 2200);
        assert_int_equal(diag_dropped(), 0);
        diag_close();
        close_journal();
}

static void test_the_level_filters(void **state) {
        open_journal();
        diag_open_at(LOG_WARNING, in_scratch("journal"));
        diag_log(LOG_INFO, "no");
        diag_debug("no");
        diag_log(LOG_WARNING, "yes");
        assert_non_null(strstr(next_entry(NULL), "MESSAGE=yes\nPRIORITY=4\n"));
        assert_string_equal(next_entry(NULL), "");
        diag_close();
        close_journal();
}

/* A journal that does not read: nothing waits, all is counted, and the count is told. */
static void test_a_deaf_journal_does_not_stop_us(void **state) {
        uint64_t before = diag_dropped();
        const char *entry;
        unsigned n_taken = 0;
        char expected[64];

        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        for (unsigned i = 0; i < 5000; i++)
                diag_log(LOG_INFO, "message %u", i);
        assert_true(diag_dropped() > before);
        while (next_entry(NULL)[0])
                n_taken++;
        assert_int_equal(n_taken + diag_dropped() - before, 5000);
        snprintf(expected, sizeof(expected), "MESSAGE=%u messages before this one were lost", 5000 - n_taken);
        diag_log(LOG_INFO, "after");
        entry = next_entry(NULL);
        assert_ptr_equal(strstr(entry, expected), entry);
        assert_non_null(strstr(next_entry(NULL), "MESSAGE=after\n"));
        diag_log(LOG_INFO, "once");
        assert_non_null(strstr(next_entry(NULL), "MESSAGE=once\n"));
        diag_close();
        close_journal();
}

static void test_a_journal_that_comes_again(void **state) {
        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        close_journal();
        open_journal(); /* another socket at the same place */
        diag_log(LOG_INFO, "hello");
        assert_non_null(strstr(next_entry(NULL), "MESSAGE=hello\n"));
        close_journal();
        unlink(in_scratch("journal"));
        take_stderr();
        diag_log(LOG_INFO, "gone");
        assert_string_equal(read_stderr(), "gone\n");
        diag_close();
}

static void test_without_a_journal_lines_go_to_stderr(void **state) {
        take_stderr();
        diag_open_at(LOG_INFO, NULL);
        diag_log(LOG_INFO, "one");
        diag_log(LOG_DEBUG, "no");
        diag_open_at(LOG_INFO, in_scratch("no-such-journal"));
        diag_log(LOG_ERR, "two");
        diag_close();
        assert_string_equal(read_stderr(), "one\ntwo\n");
}

/* diag_open() believes $JOURNAL_STREAM only where it names this stderr. */
static void test_whose_stderr_it_is(void **state) {
        setenv("JOURNAL_STREAM", "1:1", 1);
        take_stderr();
        diag_open(LOG_INFO);
        diag_log(LOG_INFO, "here");
        diag_close();
        assert_string_equal(read_stderr(), "here\n");
        unsetenv("JOURNAL_STREAM");
}

static void test_nothing_reaches_a_terminal_but_text(void **state) {
        take_stderr();
        diag_open_at(LOG_INFO, NULL);
        diag_log(LOG_INFO, "%s",
                 "a\033[2Jb\nc\x7f"
                 "d\xc2\x9b"
                 "2J é \xc2\xa0.");
        diag_close();
        assert_string_equal(read_stderr(), "a?[2Jb?c?d?2J é \xc2\xa0.\n");
}

static void test_a_full_pipe_does_not_stop_us(void **state) {
        uint64_t before = diag_dropped();
        int ends[2], saved = dup(STDERR_FILENO);

        assert_int_equal(pipe(ends), 0);
        dup2(ends[1], STDERR_FILENO);
        diag_open_at(LOG_INFO, NULL);
        alarm(20); /* a write that waits ends the test */
        for (unsigned i = 0; i < 3000; i++)
                diag_log(LOG_INFO, "A line that is some forty characters long, or more");
        alarm(0);
        dup2(saved, STDERR_FILENO);
        close(saved);
        close(ends[0]);
        close(ends[1]);
        diag_close();
        assert_true(diag_dropped() > before);
}

static void test_strangers_are_told_at_a_limited_rate(void **state) {
        unsigned n = 0;

        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        for (unsigned i = 0; i < 5000; i++) {
                deny("p", "/a", "GET", "r");
                while (next_entry(NULL)[0])
                        n++;
        }
        assert_in_range(n, 10, 20);
        usleep(1100 * 1000);
        diag_app_refused("lamp", 1, "no");
        assert_non_null(strstr(next_entry(NULL), " more like the following were not told"));
        assert_non_null(strstr(next_entry(NULL), DIAG_ID_APP_REFUSED));
        diag_log(LOG_INFO, "others pass");
        assert_non_null(strstr(next_entry(NULL), "others pass"));
        diag_close();
        close_journal();
}

static void test_an_app_in_a_loop_does_not_fill_the_journal(void **state) {
        unsigned n = 0;

        open_journal();
        diag_open_at(LOG_DEBUG, in_scratch("journal"));
        for (unsigned i = 0; i < 3000; i++) {
                diag_app_registered("lamp", 1000, 1);
                diag_app_vanished("lamp", 1000, 0);
                while (next_entry(NULL)[0])
                        n++;
        }
        assert_in_range(n, 100, 115);
        diag_close();
        close_journal();
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_an_event_has_its_fields),
                TEST(test_a_denial_of_somebody_has_all_its_fields),
                TEST(test_every_event_has_its_id),
                TEST(test_a_line_break_makes_no_field),
                TEST(test_long_texts_are_cut),
                TEST(test_the_level_filters),
                TEST(test_a_deaf_journal_does_not_stop_us),
                TEST(test_a_journal_that_comes_again),
                TEST(test_without_a_journal_lines_go_to_stderr),
                TEST(test_whose_stderr_it_is),
                TEST(test_nothing_reaches_a_terminal_but_text),
                TEST(test_a_full_pipe_does_not_stop_us),
                TEST(test_strangers_are_told_at_a_limited_rate),
                TEST(test_an_app_in_a_loop_does_not_fill_the_journal),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
