#include "daemon/config.h"
#include "scratch.h"

#include <errno.h>
#include <syslog.h>

static size_t n_said;

static void count_and_tell(void *context, const char *message) {
        n_said++;
        tell(context, message);
}

static int load(struct config *c, const char *name) {
        told[0] = 0;
        n_said = 0;
        return config_load(c, in_scratch(name), count_and_tell, NULL);
}

static int load_text(struct config *c, const char *text) {
        write_file("ocfd.conf", text, strlen(text));
        return load(c, "ocfd.conf");
}

static void test_an_empty_file_means_the_defaults(void **state) {
        struct config c;

        unsetenv("STATE_DIRECTORY");
        unsetenv("RUNTIME_DIRECTORY");
        assert_int_equal(load_text(&c, "# nothing\n\n; at all\n"), 0);
        assert_string_equal(c.state_directory, "/var/lib/ocfd");
        assert_string_equal(c.runtime_directory, "/run/ocfd");
        assert_string_equal(c.bus, "system");
        assert_string_equal(c.apps_directory, in_scratch("apps.d"));
        assert_string_equal(c.manufacturer, "ocfd");
        assert_int_equal(c.log_level, LOG_INFO);
        assert_int_equal(c.port, 0);
        assert_int_equal(c.n_devices, 1);
        assert_false(c.allow_insecure);
        assert_true(c.tcp);
        assert_int_equal(c.n_interfaces + c.n_deny_interfaces, 0);
        assert_int_equal(n_said, 0);
        config_deinit(&c);
}

static void test_systemd_says_where_the_directories_are(void **state) {
        struct config c;

        setenv("STATE_DIRECTORY", "/var/lib/private/ocfd:/elsewhere", 1);
        setenv("RUNTIME_DIRECTORY", "/run/ocfd-2", 1);
        assert_int_equal(load_text(&c, "[Daemon]\nRuntimeDirectory=/mine\n"), 0);
        assert_string_equal(c.state_directory, "/var/lib/private/ocfd");
        assert_string_equal(c.runtime_directory, "/mine");
        config_deinit(&c);
        unsetenv("STATE_DIRECTORY");
        unsetenv("RUNTIME_DIRECTORY");
}

static void test_every_key(void **state) {
        struct config c;

        assert_int_equal(
                load_text(
                        &c,
                        "[Daemon]\nStateDirectory=/s\nRuntimeDirectory=/r\n"
                        "Bus=unix:path=/run/x;guid=1\nAppsDirectory=/a\nLogLevel=debug\n"
                        "[Network]\nInterfaces = eth0  wlan* \nDenyInterfaces=wlan1\nPort=auto\n"
                        "SecurePort=61684\nTcp=no\n"
                        "[Platform]\nManufacturer=Åcme\nModel=M 1\nSerialNumber=7\n"
                        "SupportUrl=https://example.com/x\n"
                        "[Device]\nName=Gate\nType=oic.d.light\n"
                        "[Device 1]\nName=Two\nType=x.com.example.thing\nPort=61616\nSecurePort=auto\n"
                        "[Security]\nAllowInsecure=yes\nAdminGroup=wheel\nJustWorks=no\nPinCommand=/bin/pin\n"
                        "ManufacturerCertificate=/m.pem\nManufacturerKey=/"
                        "m.key\nManufacturerKeyProvider=tpm2\nMaxSessions=99\nCertificateYears=2\n"),
                0);
        assert_string_equal(c.state_directory, "/s");
        assert_string_equal(c.runtime_directory, "/r");
        assert_string_equal(c.bus, "unix:path=/run/x;guid=1");
        assert_string_equal(c.apps_directory, "/a");
        assert_int_equal(c.log_level, LOG_DEBUG);
        assert_int_equal(c.n_interfaces, 2);
        assert_string_equal(c.interfaces[0], "eth0");
        assert_string_equal(c.interfaces[1], "wlan*");
        assert_int_equal(c.n_deny_interfaces, 1);
        assert_int_equal(c.port, CONFIG_PORT_AUTO);
        assert_false(c.tcp);
        assert_string_equal(c.manufacturer, "Åcme");
        assert_string_equal(c.model, "M 1");
        assert_string_equal(c.serial, "7");
        assert_string_equal(c.support_url, "https://example.com/x");
        assert_int_equal(c.n_devices, 2);
        assert_string_equal(c.devices[0].name, "Gate");
        assert_string_equal(c.devices[0].type, "oic.d.light");
        assert_string_equal(c.devices[1].name, "Two");
        assert_string_equal(c.devices[1].type, "x.com.example.thing");
        assert_int_equal(c.devices[1].port, 61616);
        assert_true(c.allow_insecure);
        assert_int_equal(c.secure_port, 61684);
        assert_int_equal(c.devices[1].secure_port, CONFIG_PORT_AUTO);
        assert_string_equal(c.admin_group, "wheel");
        assert_false(c.just_works);
        assert_string_equal(c.pin_command, "/bin/pin");
        assert_string_equal(c.manufacturer_certificate, "/m.pem");
        assert_string_equal(c.manufacturer_key, "/m.key");
        assert_string_equal(c.manufacturer_key_provider, "tpm2");
        assert_int_equal(c.max_sessions, 99);
        assert_int_equal(c.certificate_years, 2);
        config_deinit(&c);
}

static void test_later_files_and_later_lines_win(void **state) {
        struct config c;

        mkdir(in_scratch("ocfd.conf.d"), 0700);
        WRITE("ocfd.conf.d/20-b.conf", "[Network]\nPort=3\n[Device]\nName=b\n");
        WRITE("ocfd.conf.d/10-a.conf", "[Network]\nPort=2\n[Platform]\nModel=a\n");
        WRITE("ocfd.conf.d/30-c.conf~", "[Network]\nPort=4\n");
        WRITE("ocfd.conf.d/.hidden.conf", "[Network]\nPort=5\n");
        assert_int_equal(load_text(&c, "[Network]\nPort=1\nInterfaces=a b\nInterfaces=c\n[Device]\nName=0\n"),
                         0);
        assert_int_equal(c.port, 3);
        assert_string_equal(c.devices[0].name, "b");
        assert_string_equal(c.model, "a");
        assert_int_equal(c.n_interfaces, 1);
        assert_string_equal(c.interfaces[0], "c");
        config_deinit(&c);
}

static void test_a_mistake_in_a_directory_names_its_file(void **state) {
        struct config c;

        mkdir(in_scratch("ocfd.conf.d"), 0700);
        WRITE("ocfd.conf.d/x.conf", "\n[Network]\n\nPrt=1\n");
        mkdir(in_scratch("ocfd.conf.d/dir.conf"), 0700);
        assert_int_equal(load_text(&c, ""), CONFIG_E_INVALID);
        assert_non_null(strstr(told, "/ocfd.conf.d/x.conf:4: Prt= is unknown in [Network], which has "
                                     "Interfaces= DenyInterfaces= Port="));
        assert_non_null(strstr(told, "/ocfd.conf.d/dir.conf: Is a directory"));
        config_deinit(&c);
}

static void test_a_named_file_must_exist(void **state) {
        struct config c;

        assert_int_equal(load(&c, "absent.conf"), -ENOENT);
        config_deinit(&c);
        mkdir(in_scratch("directory.conf"), 0700);
        assert_int_equal(load(&c, "directory.conf"), -EISDIR);
        config_deinit(&c);
}

/* Each is one mistake: where it is, and what is told about it. */
static void test_mistakes(void **state) {
        static const struct {
                const char *text;
                int line;
                const char *says;
        } rows[] = {
                { "[Daemon]\nBuss=system\n", 2, "Buss= is unknown in [Daemon], which has StateDirectory=" },
                { "[Daemno]\nBus=system\nBus=x:\n", 1, "[Daemno] is unknown: there are [Daemon]," },
                { "\n[Daemno]\n", 2, "[Daemno] is unknown" },
                { "[daemon]\n", 1, "[daemon] is unknown" },
                { "Port=1\n", 1, "Port= stands before any [Section]" },
                { "[Network]\nPort\n", 2, "This is neither [Section] nor Key=Value nor a comment" },
                { "[Network\nPort=1\n", 1, "The name of a section ends with ]" },
                { "[Network] Port=1\n", 1, "Something stands behind the ]" },
                { "[Network]\n=1\n", 2, "= is unknown in [Network]" },
                { "[Network]\nport=1\n", 2, "port= is unknown in [Network]" },
                { "[Network]\nPort=0\n", 2, "Port=0 is wrong: it must be a number from 1 to 65535, or auto" },
                { "[Network]\nPort=65536\n", 2, "a number from 1 to 65535" },
                { "[Network]\nPort=-1\n", 2, "a number from 1 to 65535" },
                { "[Network]\nPort=5683x\n", 2, "a number from 1 to 65535" },
                { "[Network]\nPort=99999999999999999999\n", 2, "a number from 1 to 65535" },
                { "[Network]\nPort=\n", 2, "a number from 1 to 65535" },
                { "[Daemon]\nBus=user\n", 2, "system, session or a D-Bus address" },
                { "[Daemon]\nLogLevel=chatty\n", 2, "error, warning, info or debug" },
                { "[Daemon]\nStateDirectory=state\n", 2, "an absolute path" },
                { "[Security]\nAllowInsecure=maybe\n", 2,
                  "AllowInsecure=maybe is wrong: it must be yes or no" },
                { "[Device]\nName=\n", 2, "1 to 64 bytes of text" },
                { "[Device]\nName=12345678901234567890123456789012345678901234567890123456789012345\n", 2,
                  "1 to 64 bytes of text" },
                { "[Device]\nName=\xef\xbf\xbf\n", 2, "1 to 64 bytes of text" }, /* a noncharacter */
                { "[Device]\nType=light\n", 2, "a device type such as oic.d.light" },
                { "[Device]\nType=oic.d.\n", 2, "a device type such as oic.d.light" },
                { "[Device]\nPort=7\n", 2, "The port of the first device is Port= in [Network]" },
                { "[Device 0]\n", 1, "[Device 0] is unknown" },
                { "[Device 16]\nName=x\n", 1, "[Device 16] is unknown" },
                { "[Device 01]\n", 1, "[Device 01] is unknown" },
                { "[Device1]\n", 1, "[Device1] is unknown" },
                { "[Platform]\nSupportUrl=\n", 2, "a URL such as" },
                { "[Security]\nManufacturerKey=m.key\n", 2,
                  "an absolute path, or a URI such as handle:0x81000001" },
                { "[Security]\nManufacturerKey=a key:1\n", 2, "an absolute path, or a URI" },
                { "[Security]\nManufacturerKey=:1\n", 2, "an absolute path, or a URI" },
                { "[Security]\nManufacturerKeyProvider=../tpm2\n", 2, "the name of a provider" },
                { "[Security]\nManufacturerKeyProvider=\n", 2, "the name of a provider" },
                { "[Security]\nCertificateYears=0\n", 2, "a number from 1 to 20" },
                { "[Security]\nCertificateYears=21\n", 2, "a number from 1 to 20" },
                { "[Security]\nCertificateYears=2y\n", 2, "a number from 1 to 20" },
                { "[Device]\nName=a\rb\n", 2, "control character" },
                { "[Device]\nName=\x1b[31m\n", 2, "control character" },
                { "[Device]\nName=\xff\xfe\n", 1, "no text in UTF-8" },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct config c;
                char where[128];

                assert_int_equal(load_text(&c, rows[i].text), CONFIG_E_INVALID);
                snprintf(where, sizeof(where), "%s:%d: ", in_scratch("ocfd.conf"), rows[i].line);
                if (strncmp(told, where, strlen(where)) != 0 || !strstr(told, rows[i].says))
                        fail_msg("%s: %s", rows[i].text, told);
                if (n_said != 1)
                        fail_msg("%s: more than one message: %s", rows[i].text, told);
                config_deinit(&c);
        }
}

static void test_every_mistake_is_told_at_once(void **state) {
        struct config c;

        assert_int_equal(load_text(&c, "[Network]\nPort=x\n# Port=5\n\nPort = y\n[Security]\nAllow=1\n"),
                         CONFIG_E_INVALID);
        assert_int_equal(n_said, 3);
        assert_non_null(strstr(told, "ocfd.conf:2: Port=x"));
        assert_non_null(strstr(told, "ocfd.conf:5: Port=y"));
        assert_non_null(strstr(told, "ocfd.conf:7: Allow= is unknown"));
        config_deinit(&c);
}

/* inih would take the second line for more of the first one's value. */
static void test_indentation_means_nothing(void **state) {
        struct config c;

        assert_int_equal(
                load_text(&c, "  [Network]\n    Interfaces=eth0\n\tPort=7\n   # note\n   \n  [Device]\n"), 0);
        assert_int_equal(c.n_interfaces, 1);
        assert_string_equal(c.interfaces[0], "eth0");
        assert_int_equal(c.port, 7);
        config_deinit(&c);
}

static void test_what_editors_of_other_systems_write(void **state) {
        struct config c;

        assert_int_equal(load_text(&c, "\xef\xbb\xbf[Network]\r\nPort=7\r\n\r\n[Device]\r\nName=a b\r\n"), 0);
        assert_int_equal(c.port, 7);
        assert_string_equal(c.devices[0].name, "a b");
        config_deinit(&c);
        assert_int_equal(load_text(&c, "[Network]\nPort=7"), 0); /* no line break at the end */
        assert_int_equal(c.port, 7);
        config_deinit(&c);
}

static void test_a_line_is_never_cut(void **state) {
        struct config c;
        char text[512];

        snprintf(text, sizeof(text), "[Daemon]\nStateDirectory=/%0164d\n", 1); /* 180 bytes */
        assert_int_equal(load_text(&c, text), 0);
        assert_int_equal(strlen(c.state_directory), 165);
        config_deinit(&c);
        for (int n = 165; n < 300; n++) {
                snprintf(text, sizeof(text), "[Daemon]\nStateDirectory=/%0*d\n", n, 1);
                assert_int_equal(load_text(&c, text), CONFIG_E_INVALID);
                assert_non_null(strstr(told, "ocfd.conf:2: The line is longer than 180 bytes"));
                config_deinit(&c);
        }
}

static void test_what_is_no_text(void **state) {
        static char huge[300 * 1024];
        struct config c;

        write_file("ocfd.conf", "[Network]\nPort=7\0\n", 18);
        assert_int_equal(load(&c, "ocfd.conf"), CONFIG_E_INVALID);
        assert_non_null(strstr(told, "no text"));
        config_deinit(&c);
        memset(huge, '\n', sizeof(huge));
        write_file("ocfd.conf", huge, sizeof(huge));
        assert_int_equal(load(&c, "ocfd.conf"), CONFIG_E_INVALID);
        assert_non_null(strstr(told, "larger than 256 KiB"));
        config_deinit(&c);
        write_file("ocfd.conf", huge, 256 * 1024);
        assert_int_equal(load(&c, "ocfd.conf"), 0);
        config_deinit(&c);
}

static void test_a_section_without_keys_is_a_device(void **state) {
        struct config c;

        assert_int_equal(load_text(&c, "[Device 2]\n[Device 1]\n"), 0);
        assert_int_equal(c.n_devices, 3);
        config_deinit(&c);
}

static void test_devices_have_no_gaps(void **state) {
        struct config c;

        assert_int_equal(load_text(&c, "[Device 1]\nName=a\n[Device 3]\nName=b\n"), CONFIG_E_INVALID);
        assert_string_equal(told, "[Device 3] is there without [Device 2]: number them without gaps\n");
        config_deinit(&c);
}

static void test_a_key_that_is_no_file_needs_a_provider(void **state) {
        static const char *const keys[] = { "handle:0x81000001",
                                            "pkcs11:token=The%20token;object=key;type=private",
                                            "/etc/ocfd/device.tss" };
        struct config c;

        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                char text[256];

                snprintf(text, sizeof(text),
                         "[Security]\nManufacturerKeyProvider=p-1_x\nManufacturerKey=%s\n", keys[i]);
                assert_int_equal(load_text(&c, text), 0);
                assert_string_equal(c.manufacturer_key, keys[i]);
                assert_string_equal(c.manufacturer_key_provider, "p-1_x");
                config_deinit(&c);
        }
        assert_int_equal(load_text(&c, "[Security]\nManufacturerKey=handle:0x81000001\n"), CONFIG_E_INVALID);
        assert_string_equal(told,
                            "ManufacturerKey=handle:0x81000001 is no file: ManufacturerKeyProvider= must "
                            "name the provider of OpenSSL that opens it, such as tpm2\n");
        config_deinit(&c);
}

static void test_flags_in_all_their_words(void **state) {
        static const struct {
                const char *word;
                bool value;
        } rows[] = {
                { "yes", true }, { "true", true },   { "on", true },   { "1", true },  { "YES", true },
                { "no", false }, { "false", false }, { "off", false }, { "0", false }, { "No", false },
        };

        for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
                struct config c;
                char text[64];

                snprintf(text, sizeof(text), "[Security]\nAllowInsecure=%s\nAllowInsecure=%s\n",
                         rows[i].value ? "no" : "yes", rows[i].word);
                assert_int_equal(load_text(&c, text), 0);
                assert_int_equal(c.allow_insecure, rows[i].value);
                config_deinit(&c);
        }
}

/* The n-th allocation is refused, for all n. */
static int allocations_left = -1;

void *__wrap_calloc(size_t n, size_t size);
void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size) {
        if (allocations_left == 0)
                return NULL;
        if (allocations_left > 0)
                allocations_left--;
        return __real_calloc(n, size);
}

static void test_no_memory_is_never_half_a_configuration(void **state) {
        struct config c;
        int r = -ENOMEM, n = 0;

        WRITE("ocfd.conf", "[Network]\nInterfaces=a b\nInterfaces=c\n[Device 1]\nName=x\nName=y\n");
        for (; r == -ENOMEM && n < 100; n++) {
                allocations_left = n;
                r = load(&c, "ocfd.conf");
                allocations_left = -1;
                if (r)
                        assert_int_equal(r, -ENOMEM);
                else
                        assert_string_equal(c.devices[1].name, "y");
                config_deinit(&c);
        }
        assert_int_equal(r, 0);
        assert_true(n > 8);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, scratch_open, scratch_close)
        const struct CMUnitTest tests[] = {
                TEST(test_an_empty_file_means_the_defaults),
                TEST(test_systemd_says_where_the_directories_are),
                TEST(test_every_key),
                TEST(test_later_files_and_later_lines_win),
                TEST(test_a_mistake_in_a_directory_names_its_file),
                TEST(test_a_named_file_must_exist),
                TEST(test_mistakes),
                TEST(test_every_mistake_is_told_at_once),
                TEST(test_indentation_means_nothing),
                TEST(test_what_editors_of_other_systems_write),
                TEST(test_a_line_is_never_cut),
                TEST(test_what_is_no_text),
                TEST(test_a_section_without_keys_is_a_device),
                TEST(test_devices_have_no_gaps),
                TEST(test_a_key_that_is_no_file_needs_a_provider),
                TEST(test_flags_in_all_their_words),
                TEST(test_no_memory_is_never_half_a_configuration),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
