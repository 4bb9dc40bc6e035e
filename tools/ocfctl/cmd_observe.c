#include "base/memory.h"
#include "client_value.h"
#include "ctl.h"
#include "remote.h"

#include <errno.h>

#include <stdio.h>
#include <stdlib.h>

/* One resource, followed through restarts of everybody by libocfclient. */

struct follow {
        struct ctl *ctl;
        struct ocf_client *client;
        const char *href;
        bool was_there;
        int code;
};

static void show(const struct follow *f, const struct ocf_value *value) {
        json_t *json = client_value_to_json(value);

        if (!json)
                json = json_null();
        if (f->ctl->is_json) {
                print_json_line(json_pack("{s:s, s:o}", "href", f->href, "value", json));
                return;
        }
        print_pairs(json);
        putchar('\n');
        fflush(stdout);
        json_decref(json);
}

static void on_value(void *userdata, int result, const char *text, const struct ocf_value *value) {
        struct follow *f = userdata;

        if (!result) {
                f->was_there = true;
                show(f, value);
                return;
        }
        if (f->ctl->is_json && f->was_there)
                print_json_line(json_pack("{s:s, s:s, s:s}", "href", f->href, "error",
                                          ocf_result_name(result), "text", text));
        else if (!f->was_there || !f->ctl->is_quiet)
                complain(f->ctl, "%s", text);
        /* What was never there is most likely a mistake on the command line. */
        if (!f->was_there) {
                f->code = client_exit_code(result);
                ocf_client_stop(f->client);
        }
}

static void on_state(void *userdata, enum ocf_state state, int result, const char *text) {
        struct follow *f = userdata;

        if (state != OCF_STATE_WAITING || f->was_there)
                return;
        complain(f->ctl, "%s", text);
        f->code = EXIT_NOT_RUNNING;
        ocf_client_stop(f->client);
}

int cmd_observe(struct ctl *c) {
        struct follow f = { .ctl = c };
        struct ocf_observation *observation;
        char *device = NULL, *uri = NULL;
        bool is_local = true;
        int code = take_href(c, &f.href), r;

        if (!code && c->n_args)
                code = usage(c, "\"%s\" is one argument too many", c->args[0]);
        if (!code)
                code = bus_open(c);
        if (!code)
                code = remote_is_local(c, &is_local);
        if (!code && !is_local)
                return remote_observe(c, c->device, f.href);
        if (!code)
                code = bus_find_device(c, &device);
        if (code)
                goto out;
        r = asprintf(&uri, "%s%s%s", f.href, c->query ? "?" : "", c->query ? c->query : "") < 0 ? -ENOMEM : 0;
        if (!r)
                r = ocf_client_new(&f.client, c->bus_address);
        if (!r)
                r = ocf_client_set_device(f.client, device);
        if (!r)
                r = ocf_client_on_state(f.client, on_state, &f);
        if (!r)
                r = ocf_observe(f.client, uri, on_value, &f, &observation);
        if (!r)
                r = ocf_client_run(f.client);
        code = f.code;
        if (r) {
                complain(c, "%s cannot be followed: %s", f.href, ocf_result_name(r));
                code = r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
        }
        ocf_client_free(f.client);
out:
        free(device);
        free(uri);
        return code;
}
