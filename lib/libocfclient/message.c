/*
 * Values in messages of the bus, and its errors as outcomes of ours with a
 * sentence that says what to do.
 */
#include "client_private.h"
#include "dbus/value.h"
#include "protocol/fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- values ---- */

/* Where in a message a value stands. */
struct place {
        const char *skip; /* signature of what stands in front */
        const char *key;  /* it is the value of this key of an a{sv}; NULL: it stands there itself */
        bool is_map;      /* as an a{sv}, not as a v */
};

int message_find(sd_bus_message *m, const char *skip, const char *key) {
        const char *name;
        int r = sd_bus_message_rewind(m, true);

        if (r >= 0 && skip[0])
                r = sd_bus_message_skip(m, skip);
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "{sv}");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read_basic(m, 's', &name);
                if (r >= 0 && strcmp(name, key) == 0)
                        return 0;
                if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? -EBADMSG : -ENOENT;
}

/* Return: as value_read(); -ENOENT. */
static int read_into(sd_bus_message *m, const struct place *at, struct writer *w) {
        int r;

        if (at->key) {
                r = message_find(m, at->skip, at->key);
                return r ? r : value_read(m, w);
        }
        r = sd_bus_message_rewind(m, true);
        if (r >= 0 && at->skip[0])
                r = sd_bus_message_skip(m, at->skip);
        if (r < 0)
                return r;
        return at->is_map ? value_read_map(m, w) : value_read(m, w);
}

static int read_at(sd_bus_message *m, const struct place *at, struct ocf_value **ret) {
        int r = VALUE_E_TOO_LARGE;

        for (size_t n = 4096; r == VALUE_E_TOO_LARGE && n <= VALUE_N_MAX; n *= 4) {
                uint8_t *buf = ocf_allocate(n, 1);
                struct writer w;

                if (!buf)
                        return -ENOMEM;
                w = writer_on(buf, n);
                r = read_into(m, at, &w);
                if (!r)
                        r = value_from_rep(ret, writer_span(&w));
                ocf_free(buf);
        }
        if (r == VALUE_E_TOO_LARGE)
                return -EMSGSIZE;
        return r && r != -ENOMEM && r != -ENOENT ? -EBADMSG : r;
}

int message_read_value(sd_bus_message *m, const char *skip, struct ocf_value **ret) {
        return read_at(m, &(struct place){ .skip = skip }, ret);
}

int message_read_map(sd_bus_message *m, const char *skip, struct ocf_value **ret) {
        return read_at(m, &(struct place){ .skip = skip, .is_map = true }, ret);
}

int message_read_entry(sd_bus_message *m, const char *skip, const char *key, struct ocf_value **ret) {
        return read_at(m, &(struct place){ .skip = skip, .key = key }, ret);
}

static int append(sd_bus_message *m, const struct ocf_value *v, int (*how)(sd_bus_message *, struct span)) {
        struct span rep;
        int r = value_to_rep(v, &rep);

        if (r)
                return r;
        r = how(m, rep);
        ocf_free((void *)rep.data);
        return r > 0 ? -EINVAL : r;
}

int message_append_value(sd_bus_message *m, const struct ocf_value *v) {
        return append(m, v, value_append);
}

int message_append_rep(sd_bus_message *m, struct span rep) {
        int r = value_append(m, rep);

        return r > 0 ? -EINVAL : r;
}

int message_append_map(sd_bus_message *m, const struct ocf_value *v) {
        return append(m, v, value_append_map);
}

int message_new(struct ocf_client *c, sd_bus_message **ret, const char *path, const char *interface_name,
                const char *member) {
        int r = sd_bus_message_new_method_call(c->bus, ret, c->owner, path, interface_name, member);

        return r < 0 ? r : 0;
}

/* ---- errors ---- */

const char *message_absent_text(const struct ocf_client *c, char *buf, size_t n_buf) {
        bool is_system = strcmp(c->address, "system") == 0, is_session = strcmp(c->address, "session") == 0;

        if (!c->bus && c->bus_error)
                snprintf(buf, n_buf, "There is no %s at %s (%s)",
                         is_system    ? "system bus"
                         : is_session ? "session bus"
                                      : "bus",
                         is_system || is_session ? "its usual place" : c->address,
                         ocf_result_name(c->bus_error));
        else if (is_system)
                snprintf(buf, n_buf,
                         "ocfd is not running on the system bus: start it with systemctl start ocfd");
        else
                snprintf(buf, n_buf, "ocfd is not running on the %s%s: start ocfd with Bus=%s there",
                         is_session ? "session bus" : "bus at ", is_session ? "" : c->address, c->address);
        return buf;
}

/* What the bus itself says, in our words. */
static int bus_result(const sd_bus_error *e, const char **ret_text) {
        static const struct {
                const char *name;
                int result;
                const char *text;
        } rows[] = {
                { SD_BUS_ERROR_ACCESS_DENIED, OCF_E_NOT_ALLOWED,
                  "The bus does not let this user talk to ocfd: it takes root or a member of the group ocf" },
                { SD_BUS_ERROR_NO_REPLY, OCF_E_TIMEOUT, "ocfd did not answer in time" },
                { SD_BUS_ERROR_TIMEOUT, OCF_E_TIMEOUT, "ocfd did not answer in time" },
                { "System.Error.ETIMEDOUT", OCF_E_TIMEOUT, "ocfd did not answer in time" },
                { SD_BUS_ERROR_SERVICE_UNKNOWN, OCF_E_UNAVAILABLE, "ocfd has left the bus" },
                { SD_BUS_ERROR_NAME_HAS_NO_OWNER, OCF_E_UNAVAILABLE, "ocfd has left the bus" },
                { SD_BUS_ERROR_UNKNOWN_OBJECT, OCF_E_NOT_FOUND, "The resource is gone" },
                { SD_BUS_ERROR_LIMITS_EXCEEDED, OCF_E_LIMITS_EXCEEDED, NULL },
        };

        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (strcmp(e->name, rows[i].name) == 0) {
                        if (rows[i].text)
                                *ret_text = rows[i].text;
                        return rows[i].result;
                }
        return OCF_E_FAILED;
}

int message_result(const struct ocf_client *c, const sd_bus_error *e, const char **ret_text) {
        enum fault fault;

        *ret_text = e->message ? e->message : "";
        if (strncmp(e->name, BUS_ERROR, strlen(BUS_ERROR)) != 0)
                return bus_result(e, ret_text);
        fault = fault_by_name(e->name + strlen(BUS_ERROR));
        if (!**ret_text)
                *ret_text = fault_row(fault)->text;
        return (int)fault;
}
