#include "daemon/config.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "daemon/ini_file.h"
#include "security/authority.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* Each setter returns NULL, no_memory, or what would be right as the end of a sentence. */
typedef const char *(*setter)(void *field, const char *value);

static const char no_memory[] = "";

struct reading {
        struct config *config;
        char problem[512];
        bool out_of_memory;
};

static const char *set_text(void *field, const char *value) {
        char **text = field, *copy = ocf_duplicate_string(value);

        if (!copy)
                return no_memory;
        ocf_free(*text);
        *text = copy;
        return NULL;
}

static const char *set_directory(void *field, const char *value) {
        return value[0] == '/' ? set_text(field, value) : "an absolute path";
}

/* A path, or what a provider of OpenSSL opens. */
static const char *set_key(void *field, const char *value) {
        size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

        return value[0] == '/' || (n && value[n] == ':' && !strpbrk(value, " \t"))
                       ? set_text(field, value)
                       : "an absolute path, or a URI such as handle:0x81000001";
}

static const char *set_provider(void *field, const char *value) {
        size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");

        return n && !value[n] && n <= 64 ? set_text(field, value) : "the name of a provider, such as tpm2";
}

static const char *set_bus(void *field, const char *value) {
        bool good = strcmp(value, "system") == 0 || strcmp(value, "session") == 0 || strchr(value, ':');

        return good ? set_text(field, value)
                    : "system, session or a D-Bus address such as unix:path=/run/dbus/system_bus_socket";
}

static const char *set_log_level(void *field, const char *value) {
        static const struct {
                const char *word;
                int level;
        } levels[] = {
                { "error", LOG_ERR }, { "warning", LOG_WARNING }, { "info", LOG_INFO }, { "debug", LOG_DEBUG }
        };

        for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
                if (strcmp(value, levels[i].word) == 0) {
                        *(int *)field = levels[i].level;
                        return NULL;
                }
        return "error, warning, info or debug";
}

struct words {
        char **words;
        size_t n;
};

static const char *set_words(void *field, const char *value) {
        struct words *w = field, new = { 0 };

        if (ini_words(value, &new.words, &new.n) < 0)
                return no_memory;
        ini_words_free(w->words, w->n);
        *w = new;
        return NULL;
}

static const char *set_port(void *field, const char *value) {
        char *end;
        long port = strtol(value, &end, 10);

        if (strcmp(value, "auto") == 0) {
                *(int *)field = CONFIG_PORT_AUTO;
                return NULL;
        }
        if (end == value || *end || port < 1 || port > 65535)
                return "a number from 1 to 65535, or auto";
        *(int *)field = (int)port;
        return NULL;
}

static const char *set_sessions(void *field, const char *value) {
        char *end;
        long n = strtol(value, &end, 10);

        if (end == value || *end || n < 16 || n > 65536)
                return "a number from 16 to 65536";
        *(int *)field = (int)n;
        return NULL;
}

static const char *set_years(void *field, const char *value) {
        char *end;
        long n = strtol(value, &end, 10);

        if (end == value || *end || n < 1 || n > (long)AUTHORITY_YEARS_MAX)
                return "a number from 1 to 20";
        *(int *)field = (int)n;
        return NULL;
}

static const char *set_flag(void *field, const char *value) {
        return ini_bool(value, field) ? NULL : "yes or no";
}

/* These go to the bus as well, which takes no noncharacters. */
static bool is_text(const char *value, size_t n_max) {
        size_t n = strlen(value);

        return n && n <= n_max && utf8_is_valid(span_of(value, n), UTF8_BUS);
}

static const char *set_name(void *field, const char *value) {
        return is_text(value, 64) ? set_text(field, value) : "1 to 64 bytes of text";
}

static const char *set_url(void *field, const char *value) {
        return is_text(value, 256) && !strpbrk(value, " \t")
                       ? set_text(field, value)
                       : "a URL such as https://www.example.com/support";
}

static const char *set_device_type(void *field, const char *value) {
        bool good =
                strlen(value) <= 64 && (fnmatch("oic.d.?*", value, 0) == 0 || fnmatch("x.?*", value, 0) == 0);

        return good && !strpbrk(value, " \t") ? set_text(field, value)
                                              : "a device type such as oic.d.light, or x.com.example.thing";
}

/* The whole language of the file, in the order of ocfd.conf(5). */
static const struct key {
        const char *section, *name;
        size_t offset;
        setter set;
} keys[] = {
        { "Daemon", "StateDirectory", offsetof(struct config, state_directory), set_directory },
        { "Daemon", "RuntimeDirectory", offsetof(struct config, runtime_directory), set_directory },
        { "Daemon", "Bus", offsetof(struct config, bus), set_bus },
        { "Daemon", "AppsDirectory", offsetof(struct config, apps_directory), set_directory },
        { "Daemon", "LogLevel", offsetof(struct config, log_level), set_log_level },
        { "Network", "Interfaces", offsetof(struct config, interfaces), set_words },
        { "Network", "DenyInterfaces", offsetof(struct config, deny_interfaces), set_words },
        { "Network", "Port", offsetof(struct config, port), set_port },
        { "Network", "SecurePort", offsetof(struct config, secure_port), set_port },
        { "Network", "RenewMemberships", offsetof(struct config, renew_memberships), set_flag },
        { "Network", "Tcp", offsetof(struct config, tcp), set_flag },
        { "Platform", "Manufacturer", offsetof(struct config, manufacturer), set_name },
        { "Platform", "Model", offsetof(struct config, model), set_name },
        { "Platform", "SerialNumber", offsetof(struct config, serial), set_name },
        { "Platform", "SupportUrl", offsetof(struct config, support_url), set_url },
        { "Security", "AllowInsecure", offsetof(struct config, allow_insecure), set_flag },
        { "Security", "AdminGroup", offsetof(struct config, admin_group), set_name },
        { "Security", "JustWorks", offsetof(struct config, just_works), set_flag },
        { "Security", "PinCommand", offsetof(struct config, pin_command), set_directory },
        { "Security", "ManufacturerCertificate", offsetof(struct config, manufacturer_certificate),
          set_directory },
        { "Security", "ManufacturerKey", offsetof(struct config, manufacturer_key), set_key },
        { "Security", "ManufacturerKeyProvider", offsetof(struct config, manufacturer_key_provider),
          set_provider },
        { "Security", "MaxSessions", offsetof(struct config, max_sessions), set_sessions },
        { "Security", "CertificateYears", offsetof(struct config, certificate_years), set_years },
};

static const struct key device_keys[] = {
        { "Device", "Name", offsetof(struct config_device, name), set_name },
        { "Device", "Type", offsetof(struct config_device, type), set_device_type },
        { "Device", "Port", offsetof(struct config_device, port), set_port },
        { "Device", "SecurePort", offsetof(struct config_device, secure_port), set_port },
};

_Static_assert(offsetof(struct config, n_interfaces) ==
                               offsetof(struct config, interfaces) + sizeof(char **) &&
                       offsetof(struct config, n_deny_interfaces) ==
                               offsetof(struct config, deny_interfaces) + sizeof(char **),
               "set_words() fills in the two together");

/* [Device] is the first one, [Device 1] the second. */
static bool device_section(const char *section, size_t *ret) {
        char name[16] = "Device";

        for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++) {
                if (i)
                        snprintf(name, sizeof(name), "Device %u", (unsigned)i);
                if (strcmp(section, name) == 0) {
                        *ret = i;
                        return true;
                }
        }
        return false;
}

static void list_keys(struct reading *r, const struct key *table, size_t n, const char *section) {
        size_t at = strlen(r->problem);

        for (size_t i = 0; i < n; i++)
                if (strcmp(table[i].section, section) == 0)
                        at += (size_t)snprintf(r->problem + at,
                                               at < sizeof(r->problem) ? sizeof(r->problem) - at : 0,
                                               " %s=", table[i].name);
}

static const char *apply(struct reading *r, const struct key *table, size_t n, const char *section,
                         void *base, const struct ini_entry *e) {
        for (size_t i = 0; i < n; i++) {
                const char *right;

                if (strcmp(table[i].section, section) != 0 || strcmp(table[i].name, e->key) != 0)
                        continue;
                right = table[i].set((char *)base + table[i].offset, e->value);
                r->out_of_memory |= right == no_memory;
                if (!right || right == no_memory)
                        return NULL;
                snprintf(r->problem, sizeof(r->problem), "%s=%.100s is wrong: it must be %s", e->key,
                         e->value, right);
                return r->problem;
        }
        snprintf(r->problem, sizeof(r->problem), "%.60s= is unknown in [%.40s], which has", e->key,
                 e->section);
        list_keys(r, table, n, section);
        return r->problem;
}

static bool is_section(const char *section) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
                if (strcmp(keys[i].section, section) == 0)
                        return true;
        return false;
}

static const char *begin_section(struct reading *r, const struct ini_entry *e) {
        size_t device;

        if (device_section(e->section, &device)) {
                r->config->devices[device].present = true;
                return NULL;
        }
        if (is_section(e->section))
                return NULL;
        snprintf(r->problem, sizeof(r->problem),
                 "[%.60s] is unknown: there are [Daemon], [Network], [Platform], [Device], [Device 1] to "
                 "[Device 15] and [Security]",
                 e->section);
        return r->problem;
}

static const char *on_entry(void *context, const struct ini_entry *e) {
        struct reading *r = context;
        struct config *c = r->config;
        size_t device;

        if (!e->key)
                return begin_section(r, e);
        if (device_section(e->section, &device)) {
                if (device == 0 && strcmp(e->key, "Port") == 0)
                        return "The port of the first device is Port= in [Network]";
                if (device == 0 && strcmp(e->key, "SecurePort") == 0)
                        return "The secure port of the first device is SecurePort= in [Network]";
                return apply(r, device_keys, ARRAY_SIZE(device_keys), "Device", &c->devices[device], e);
        }
        if (is_section(e->section))
                return apply(r, keys, ARRAY_SIZE(keys), e->section, c, e);
        if (e->section[0])
                return NULL; /* told when the section began */
        snprintf(r->problem, sizeof(r->problem), "%.60s= stands before any [Section]", e->key);
        return r->problem;
}

/* ---- defaults ---- */

static char *first_of(const char *environment, const char *otherwise) {
        const char *value = getenv(environment);
        size_t n = value ? strcspn(value, ":") : 0; /* systemd lists several, separated by colons */

        return n ? ocf_duplicate_span_as_string(span_of(value, n)) : ocf_duplicate_string(otherwise);
}

static bool set_defaults(struct config *c, const char *file) {
        size_t n_directory = strrchr(file, '/') ? (size_t)(strrchr(file, '/') - file) + 1 : 0;
        char *apps = ocf_allocate(n_directory + 8, 1);

        if (apps)
                sprintf(apps, "%.*sapps.d", (int)n_directory, file);
        *c = (struct config){
                .state_directory = first_of("STATE_DIRECTORY", "/var/lib/ocfd"),
                .runtime_directory = first_of("RUNTIME_DIRECTORY", "/run/ocfd"),
                .bus = ocf_duplicate_string("system"),
                .apps_directory = apps,
                .log_level = LOG_INFO,
                .tcp = true,
                .renew_memberships = true,
                .just_works = true,
                .max_sessions = 1024,
                .certificate_years = (int)AUTHORITY_YEARS,
                .manufacturer = ocf_duplicate_string("ocfd"),
        };
        return c->state_directory && c->runtime_directory && c->bus && c->apps_directory && c->manufacturer;
}

/* Further devices come without gaps: their index is their identity in the store. */
static bool count_devices(struct config *c, ini_told told, void *context) {
        c->devices[0].present = true;
        for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++) {
                if (c->devices[i].present && i > c->n_devices) {
                        char message[128];

                        snprintf(message, sizeof(message),
                                 "[Device %zu] is there without [Device %zu]: number them without gaps", i,
                                 c->n_devices);
                        told(context, message);
                        return false;
                }
                c->n_devices += c->devices[i].present;
        }
        return true;
}

static bool check_key(const struct config *c, ini_told told, void *context) {
        char message[256];

        if (!c->manufacturer_key || c->manufacturer_key[0] == '/' || c->manufacturer_key_provider)
                return true;
        snprintf(message, sizeof(message),
                 "ManufacturerKey=%.100s is no file: ManufacturerKeyProvider= must name the provider of "
                 "OpenSSL "
                 "that opens it, such as tpm2",
                 c->manufacturer_key);
        told(context, message);
        return false;
}

int config_load(struct config *ret, const char *file, void (*told)(void *context, const char *message),
                void *context) {
        const char *path = file ? file : CONFIG_FILE_DEFAULT;
        struct reading r = { .config = ret };
        char directory[4096];
        int e, result;

        if (!set_defaults(ret, path))
                return -ENOMEM;
        result = ini_read(path, on_entry, told, &r, context);
        if (result == -ENOENT && !file)
                result = 0;
        if (result < 0)
                return result;
        snprintf(directory, sizeof(directory), "%s.d", path);
        e = ini_read_directory(directory, on_entry, told, &r, context);
        if (e < 0 || r.out_of_memory)
                return e < 0 ? e : -ENOMEM;
        if (!count_devices(ret, told, context) || !check_key(ret, told, context) || e)
                result = INI_E_INVALID;
        return result ? CONFIG_E_INVALID : 0;
}

void config_deinit(struct config *c) {
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                void *field = (char *)c + keys[i].offset;

                if (keys[i].set == set_words)
                        ini_words_free(((struct words *)field)->words, ((struct words *)field)->n);
                else if (keys[i].set != set_log_level && keys[i].set != set_port && keys[i].set != set_flag &&
                         keys[i].set != set_sessions && keys[i].set != set_years)
                        ocf_free(*(char **)field);
        }
        for (size_t i = 0; i < CONFIG_DEVICES_MAX; i++) {
                ocf_free(c->devices[i].name);
                ocf_free(c->devices[i].type);
        }
        *c = (struct config){ 0 };
}
