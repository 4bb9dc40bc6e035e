#include "base/memory.h"
#include "client_value.h"
#include "ctl.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/*
 * A resource from the shell: standard input is what it says, standard output
 * what others make of it. libocfclient keeps it registered.
 */

struct serve {
        struct ctl *ctl;
        struct ocf_client *client;
        struct ocf_resource *resource;
        json_t *value; /* as it was last */
        char *line;    /* of standard input, so far */
        size_t n_line;
        bool was_ready, is_over;
        int code;
};

/* ---- out ---- */

static void on_updated(void *userdata, struct ocf_resource *resource, const struct ocf_value *value) {
        struct serve *s = userdata;
        json_t *new = client_value_to_json(value), *changed = json_object(), *item;
        const char *key;

        json_object_foreach(new, key, item) {
                if (!json_equal(item, json_object_get(s->value, key)))
                        json_object_set(changed, key, item);
        }
        if (s->ctl->is_json) {
                print_json_line(json_pack("{s:s, s:s, s:O, s:O}", "event", "updated", "href",
                                          ocf_resource_href(resource), "changed", changed, "value", new));
        } else if (json_object_size(changed)) {
                printf("updated ");
                print_pairs(changed);
                putchar('\n');
                fflush(stdout);
        }
        json_decref(changed);
        json_decref(s->value);
        s->value = new;
}

static void on_state(void *userdata, enum ocf_state state, int result, const char *text) {
        static const char *const names[] = { "connecting", "registered", "waiting", "refused" };
        struct serve *s = userdata;

        if (s->ctl->is_json)
                print_json_line(
                        json_pack("{s:s, s:s, s:s}", "event", "state", "state", names[state], "text", text));
        if (!s->ctl->is_json && state != OCF_STATE_CONNECTING)
                remark(s->ctl, "%s%s%s", names[state], text[0] ? ": " : "", text);
        /* What is refused from the beginning is most likely a mistake on the command line. */
        if (state == OCF_STATE_REFUSED && !s->was_ready) {
                if (s->ctl->is_quiet || s->ctl->is_json)
                        complain(s->ctl, "%s", text);
                s->code = client_exit_code(result);
                s->is_over = true;
        }
        s->was_ready |= state == OCF_STATE_READY;
}

/* ---- in ---- */

static int publish(struct serve *s, const json_t *update) {
        struct ocf_value *v;
        int r = client_value_from_json(update, &v);

        if (r)
                return r;
        r = ocf_resource_publish(s->resource, v);
        ocf_value_free(v);
        if (!r)
                json_object_update(s->value, (json_t *)update);
        return r;
}

/* A line is key=value, where the value goes to its end; or a JSON object, for several keys at once. */
static json_t *parse_line(const char *line, const char **ret_problem) {
        json_t *update = NULL;

        if (line[0] == '{') {
                update = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
                *ret_problem = "is no JSON object";
        } else {
                update = json_object();
                if (!keyvalue_add(update, line, ret_problem)) {
                        json_decref(update);
                        update = NULL;
                }
        }
        return update;
}

static void take_line(struct serve *s, char *line) {
        const char *problem;
        json_t *update;
        int r;

        line[strcspn(line, "\r")] = 0;
        line += strspn(line, " \t");
        if (!line[0])
                return;
        update = parse_line(line, &problem);
        if (!update) {
                complain(s->ctl, "\"%s\" %s: it is not published", line, problem);
                return;
        }
        r = publish(s, update);
        if (r)
                complain(s->ctl, "\"%s\" cannot be published: %s", line, ocf_result_name(r));
        json_decref(update);
}

/* Takes what there is; false at the end of input. */
static bool read_input(struct serve *s) {
        char *newline;
        ssize_t n;

        if (s->n_line > 65536 || !ocf_grow((void **)&s->line, s->n_line, s->n_line + 4097, 1)) {
                complain(s->ctl, "standard input has a line that is too long");
                return false;
        }
        n = read(STDIN_FILENO, s->line + s->n_line, 4096);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return true;
        s->n_line += n > 0 ? (size_t)n : 0;
        if (n <= 0 && s->n_line)
                s->line[s->n_line++] = '\n'; /* the last line may have no end */
        while ((newline = memchr(s->line, '\n', s->n_line))) {
                size_t n_taken = (size_t)(newline - s->line) + 1;

                *newline = 0;
                take_line(s, s->line);
                s->n_line -= n_taken;
                memmove(s->line, s->line + n_taken, s->n_line);
        }
        return n > 0;
}

/* ---- */

static int prepare(struct serve *s, const char *device) {
        struct ctl *c = s->ctl;
        char name[320];
        int r = ocf_client_new(&s->client, c->bus_address);

        snprintf(name, sizeof(name), "ocfctl serve %s", c->args[0]);
        name[64] = 0; /* names are no longer than that */
        if (!r)
                r = ocf_client_set_name(s->client, name, c->linger_ms);
        if (!r)
                r = ocf_client_set_device(s->client, device);
        if (!r)
                r = ocf_client_on_state(s->client, on_state, s);
        if (!r)
                r = ocf_resource_new(&s->resource, s->client, c->args[0]);
        for (size_t i = 0; !r && i < c->n_types; i++)
                r = ocf_resource_add_type(s->resource, c->types[i]);
        for (size_t i = 0; !r && i < c->n_interfaces; i++)
                r = ocf_resource_add_interface(s->resource, c->interfaces[i]);
        if (!r && c->name)
                r = ocf_resource_set_name(s->resource, c->name);
        if (!r)
                r = ocf_resource_set_policy(s->resource,
                                            OCF_DISCOVERABLE | OCF_OBSERVABLE |
                                                    (c->is_insecure ? (unsigned)OCF_INSECURE : 0));
        if (!r)
                r = ocf_resource_on_updated(s->resource, on_updated, s);
        if (!r)
                r = publish(s, s->value);
        return r ? r : ocf_resource_register(s->resource);
}

static int loop(struct serve *s, int signals) {
        struct pollfd fds[] = { { ocf_client_fd(s->client), POLLIN, 0 },
                                { signals, POLLIN, 0 },
                                { STDIN_FILENO, POLLIN, 0 } };
        int r;

        while ((r = ocf_client_process(s->client)) == 0 && !s->is_over) {
                if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
                        return -errno;
                if (fds[1].revents)
                        return 0;
                if (fds[2].revents && !read_input(s))
                        fds[2].fd = -1; /* without input it goes on serving */
        }
        return r;
}

int cmd_serve(struct ctl *c) {
        struct serve s = { .ctl = c };
        char *device = NULL;
        sigset_t set;
        int signals, r, code = EXIT_OK;

        if (c->args[0][0] != '/')
                return usage(c, "\"%s\" is no href: one begins with \"/\"", c->args[0]);
        code = keyvalue_all(c, c->args + 1, c->n_args - 1, &s.value);
        if (!code)
                code = c->device && c->device[0] != '/' ? bus_open(c) : EXIT_OK;
        if (!code)
                code = c->device && c->device[0] == '/'
                               ? ((device = ocf_duplicate_string(c->device)), EXIT_OK)
                               : bus_find_device(c, &device);
        if (code)
                goto out;
        sigemptyset(&set);
        sigaddset(&set, SIGINT);
        sigaddset(&set, SIGTERM);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        signals = signalfd(-1, &set, SFD_CLOEXEC);
        r = prepare(&s, device);
        if (!r)
                r = loop(&s, signals);
        code = s.code;
        if (r) {
                complain(c, "%s cannot be served: %s", c->args[0], ocf_result_name(r));
                code = r == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
        }
        ocf_client_free(s.client); /* takes the resource back */
        close(signals);
out:
        json_decref(s.value);
        free(s.line);
        free(device);
        return code;
}
