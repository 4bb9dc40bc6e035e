#include "daemon/daemon.h"
#include "base/error.h"
#include "base/memory.h"
#include "daemon/clock.h"
#include "daemon/daemon_private.h"
#include "daemon/diag.h"
#include "daemon/hrefs.h"
#include "daemon/identity.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

/* What one uid may have us hold. A gateway's whole set of bridged things fits; a runaway loop does not. */
static const uint64_t quota_limits[_MODEL_QUOTA_N] = {
        [MODEL_QUOTA_APPS] = 256,
        [MODEL_QUOTA_RESOURCES] = 4096,
        [MODEL_QUOTA_BYTES] = 16u * 1024 * 1024,
};

#define HREFS_DELAY_MS 100u
#define RENEW_MS       120000u /* switches without a querier forget after 260 s on their own */

void daemon_fail(struct daemon *d, int error) {
        if (!d->result)
                d->result = error;
        uv_stop(&d->loop);
}

/* ---- the network ---- */

static uint64_t on_now(void *context) {
        return clock_now_ms();
}

static void on_datagram(void *context, const struct coap_peer *peer, unsigned via, struct span data) {
        pipeline_receive(((struct daemon *)context)->pipeline, peer, via, data);
}

static void on_secure_datagram(void *context, const struct coap_peer *peer, unsigned via, uint8_t *data,
                               size_t n) {
        secure_link_datagram(((struct daemon *)context)->link, peer, via, data, n);
}

static bool on_stream_open(void *context, const struct coap_peer *peer, bool secure) {
        struct daemon *d = context;

        return secure ? secure_link_stream_open(d->link, peer) : pipeline_stream_open(d->pipeline, peer);
}

static bool on_stream_connected(void *context, const struct coap_peer *peer, int error) {
        struct daemon *d = context;

        return d->client && outgoing_stream_connected(client_outgoing(d->client), peer, error);
}

static size_t on_stream_data(void *context, const struct coap_peer *peer, struct span data) {
        struct daemon *d = context;

        if (net_port_is_secure(d->net, peer))
                return secure_link_stream_data(d->link, peer, data);
        return pipeline_stream_receive(d->pipeline, peer, data);
}

static void on_stream_closed(void *context, const struct coap_peer *peer) {
        struct daemon *d = context;

        if (net_port_is_secure(d->net, peer))
                secure_link_stream_closed(d->link, peer);
        else
                pipeline_stream_closed(d->pipeline, peer);
        if (d->client)
                outgoing_stream_closed(client_outgoing(d->client), peer);
}

static void on_close_stream(void *context, const struct coap_peer *peer) {
        struct daemon *d = context;

        net_close_stream(d->net, peer);
        if (d->client)
                outgoing_stream_closed(client_outgoing(d->client), peer);
}

static size_t on_next(void *context, struct coap_peer *ret_to, uint8_t *buf, size_t n) {
        return secure_link_next(((struct daemon *)context)->link, ret_to, buf, n);
}

static void on_received(void *context) {
        /* answers leave in daemon_settle() */
}

void daemon_endpoints_changed(struct daemon *d) {
        for (uint16_t i = 0; i < d->model->n_devices; i++) {
                const struct device_endpoint *endpoints;
                size_t n = net_endpoints(d->net, i, &endpoints);
                int r = device_set_endpoints(d->model->devices[i], endpoints, n);

                if (r < 0) {
                        daemon_fail(d, r);
                        return;
                }
        }
        d->status_is_stale = true;
}

static void on_changed(void *context) {
        daemon_endpoints_changed(context);
}

static void on_lost(void *context, const uint8_t *ip, uint32_t interface) {
        struct daemon *d = context;

        pipeline_forget_local(d->pipeline, ip, interface);
        if (d->link)
                secure_link_forget_local(d->link, ip, interface);
}

void daemon_notice(void *context, const char *id, const char *text) {
        struct daemon *d = context;

        if (status_notice(&d->status, id, text)) {
                diag_notice(id, text);
                d->status_is_stale = true;
        }
}

/* ---- before the loop sleeps ---- */

static void save_hrefs(uv_timer_t *timer) {
        struct daemon *d = OCF_CONTAINER_OF(timer, struct daemon, hrefs_timer);
        int r = hrefs_save(d->config->runtime_directory, d->model);

        d->hrefs_are_stale = false;
        if (r < 0)
                diag_log(LOG_WARNING,
                         "Cannot write the list of hrefs to %s: %s. After a restart peers get 4.04 until the "
                         "apps are back.",
                         d->config->runtime_directory, strerror(-r));
}

static void tell(struct daemon *d) {
        struct remote_event remote;
        struct model_event event;

        while (model_event(d->model, &event)) {
                pipeline_tell(d->pipeline, &event);
                bus_tell(d->bus, &event);
                if (event.resource && event.news & (MODEL_NEWS_ADDED | MODEL_NEWS_REMOVED) &&
                    !d->hrefs_are_stale) {
                        d->hrefs_are_stale = true;
                        uv_timer_start(&d->hrefs_timer, save_hrefs, HREFS_DELAY_MS, 0);
                }
        }
        while (bus_takes_news(d->bus) && remotes_event(client_remotes(d->client), &remote)) {
                client_note(d->client, &remote);
                bus_tell_remote(d->bus, &remote);
        }
        if (d->status_is_stale) {
                d->status_is_stale = false;
                bus_tell_status(d->bus);
        }
}

static void tell_bus_state(struct daemon *d) {
        struct bus_status s;
        int error;

        bus_get_status(d->bus, &s);
        error = s.state == BUS_READY ? 0 : s.last_error;
        if (error == d->bus_error || (s.state != BUS_READY && !error))
                return;
        d->bus_error = error;
        diag_bus_state(s.address, error);
        sd_notifyf(0, error ? "STATUS=Serving the network; waiting for the bus (%s)" : "STATUS=Serving%.0s",
                   strerror(error));
}

static uint64_t next_deadline(const struct daemon *d) {
        uint64_t due = ocf_min_u64(pipeline_deadline(d->pipeline), model_deadline(d->model));

        due = ocf_min_u64(due, secure_link_deadline(d->link));
        due = ocf_min_u64(due, client_deadline(d->client));
        due = ocf_min_u64(due, jobs_deadline(d->jobs));
        return ocf_min_u64(due, secure_deadline(d->secure));
}

static void daemon_settle(struct daemon *d) {
        uint64_t now_ms = clock_now_ms();

        if (model_deadline(d->model) <= now_ms)
                model_expire(d->model, now_ms);
        tell(d);
        bus_loop_settle(d->bus_loop); /* may change the model: */
        tell(d);
        channels_flush(d->channels);
        secure_wake(d->secure);
        jobs_wake(d->jobs);
        client_wake(d->client);
        pipeline_wake(d->pipeline);
        secure_link_wake(d->link);
        net_flush(d->net);
        tell_bus_state(d);
        bus_loop_arm(d->bus_loop);
        deadline_timer_set(d->timer, next_deadline(d));
}

static void on_prepare(uv_prepare_t *prepare) {
        daemon_settle(OCF_CONTAINER_OF(prepare, struct daemon, prepare));
}

static void on_deadline(void *context) {
        /* daemon_settle() follows */
}

static void on_bus_failed(void *context, int error) {
        daemon_fail(context, error);
}

static void on_signal(uv_signal_t *signal, int number) {
        struct daemon *d = signal->data;

        diag_stopping(strsignal(number));
        uv_stop(&d->loop);
}

static void on_watchdog(uv_timer_t *timer) {
        sd_notify(0, "WATCHDOG=1"); /* the loop turns: that is what there is to prove */
}

/* ---- made and taken down ---- */

static int open_store(struct daemon *d) {
        char *why = NULL;
        int r = store_open(&d->store, d->config->state_directory, &why);

        if (r) {
                diag_log(LOG_ERR, "%s", why ? why : strerror(r < 0 ? -r : ENOMEM));
                r = DAEMON_E_REFUSED;
        } else if (why) {
                diag_log(LOG_ERR, "%s", why); /* it is sealed: what is plain is served under another name */
        }
        free(why);
        return r;
}

/* The port that a device had, or is told to have; the store remembers where it chose for itself. */
static uint16_t wanted_port(int configured, uint16_t stored, uint16_t usual) {
        if (configured > 0)
                return (uint16_t)configured;
        if (stored)
                return stored;
        return configured == CONFIG_PORT_AUTO ? 0 : usual;
}

/* A configured port stays wanted, whoever has it now; what was not opened is not forgotten. Return: whether
 * there is something new to remember. */
static bool remember_port(int configured, uint16_t port, uint16_t *stored) {
        if (configured > 0 || !port || port == *stored)
                return false;
        *stored = port;
        return true;
}

static bool remember_ports(int port, int secure_port, const struct net_ports *p,
                           struct store_device *stored) {
        bool any = remember_port(port, p->coap, &stored->port_coap);

        any |= remember_port(secure_port, p->coaps, &stored->port_coaps);
        any |= remember_port(port, p->coap_tcp, &stored->port_tcp);
        any |= remember_port(secure_port, p->coaps_tcp, &stored->port_coaps_tcp);
        return any;
}

static int open_device(struct daemon *d, uint16_t index) {
        int port = index ? d->config->devices[index].port : d->config->port;
        int secure_port = index ? d->config->devices[index].secure_port : d->config->secure_port;
        char name[MODEL_NAME_MAX + 1];
        struct device_identity identity;
        struct store_device stored;
        struct device *device;
        struct net_ports ports;
        int r;

        r = identity_device(d->store, index, &stored);
        if (r < 0)
                return r;
        identity = identity_describe(d->config, index, &stored, name);
        r = model_add_device(d->model, &identity, &device);
        if (r < 0)
                return r;
        ports = (struct net_ports){
                .coap = wanted_port(port, stored.port_coap, index ? 0 : COAP_PORT),
                .coaps = wanted_port(secure_port, stored.port_coaps, index ? 0 : COAP_PORT_SECURE),
                .coap_tcp = port > 0 ? 0 : stored.port_tcp, /* 0: that of UDP */
                .coaps_tcp = secure_port > 0 ? 0 : stored.port_coaps_tcp,
        };
        r = net_open_device(d->net, index, &ports, &ports);
        if (r < 0)
                return r;
        if (store_is_sealed(d->store, NULL))
                return 0;
        return remember_ports(port, secure_port, &ports, &stored) ? store_put_device(d->store, index, &stored)
                                                                  : 0;
}

static void apps_told(void *context, const char *message) {
        diag_log(LOG_ERR, "%s", message);
}

static int open_rules(struct daemon *d) {
        int r = apps_load(&d->apps, d->config->apps_directory, apps_told, NULL);

        return r == APPS_E_INVALID ? DAEMON_E_REFUSED : r;
}

static int open_model(struct daemon *d) {
        struct platform_identity platform;
        int r = identity_platform(d->store, d->config, &platform);

        if (r < 0)
                return r;
        r = model_new(&d->model, &platform, quota_limits);
        if (r < 0)
                return r;
        d->model->allow_insecure = d->config->allow_insecure;
        d->model->etag = clock_us(CLOCK_REALTIME); /* so that those of this run differ from all before */
        return 0;
}

static void on_reply(void *context, const struct coap_event *e) {
        struct daemon *d = context;

        if (d->client)
                outgoing_reply(client_outgoing(d->client), e);
}

static int open_pipeline(struct daemon *d) {
        struct pipeline_config config = {
                .model = d->model,
                .coap = coap_config_default,
                .now = on_now,
                .denied = daemon_denied,
                .session = daemon_session,
                .svr = daemon_svr,
                .wall = daemon_wall,
                .secure_request = daemon_secure_request,
                .reply = on_reply,
                .close_stream = on_close_stream,
                .context = d,
        };

        config.coap.random = random_u32;
        config.coap.random_context = &d->random;
        return pipeline_new(&d->pipeline, &config);
}

static int open_net(struct daemon *d) {
        const struct net_config config = {
                .interfaces = (const char *const *)d->config->interfaces,
                .n_interfaces = d->config->n_interfaces,
                .deny = (const char *const *)d->config->deny_interfaces,
                .n_deny = d->config->n_deny_interfaces,
                .tcp = d->config->tcp,
                .secure = true,
                .renew_ms = d->config->renew_memberships ? RENEW_MS : 0,
        };
        const struct net_events events = {
                .context = d,
                .datagram = on_datagram,
                .secure_datagram = on_secure_datagram,
                .stream_open = on_stream_open,
                .stream_connected = on_stream_connected,
                .stream_data = on_stream_data,
                .stream_closed = on_stream_closed,
                .next = on_next,
                .received = on_received,
                .changed = on_changed,
                .lost = on_lost,
                .notice = daemon_notice,
        };
        int r = net_new(&d->net, &d->loop, &config, &events);

        for (uint16_t i = 0; !r && i < d->config->n_devices; i++)
                r = open_device(d, i);
        if (!r)
                r = net_start(d->net);
        if (!r)
                on_changed(d);
        return r;
}

static int open_bus(struct daemon *d) {
        const struct channels_config channels = { .now = on_now, .context = d };
        int r;

        r = channels_new(&d->channels, &d->loop, &channels);
        if (r < 0)
                return r;
        daemon_fill_control(d);
        r = bus_new(&d->bus, &d->control, d->config->bus);
        if (r < 0)
                return r;
        return bus_loop_new(&d->bus_loop, &d->loop, d->bus, on_bus_failed, d);
}

static int open_handles(struct daemon *d) {
        uint64_t watchdog_us;
        int r;

        r = deadline_timer_new(&d->timer, &d->loop, on_deadline, d);
        if (r < 0)
                return r;
        uv_prepare_init(&d->loop, &d->prepare);
        uv_timer_init(&d->loop, &d->watchdog);
        uv_timer_init(&d->loop, &d->hrefs_timer);
        uv_signal_init(&d->loop, &d->terminate);
        uv_signal_init(&d->loop, &d->interrupt);
        d->handles_are_open = true;
        d->terminate.data = d->interrupt.data = d;
        uv_prepare_start(&d->prepare, on_prepare);
        uv_signal_start(&d->terminate, on_signal, SIGTERM);
        uv_signal_start(&d->interrupt, on_signal, SIGINT);
        if (sd_watchdog_enabled(0, &watchdog_us) > 0)
                uv_timer_start(&d->watchdog, on_watchdog, watchdog_us / 2000, watchdog_us / 2000);
        return 0;
}

static int daemon_open(struct daemon *d) {
        static int (*const steps[])(struct daemon *) = {
                open_rules, open_store,         open_model, open_pipeline,
                open_net,   daemon_open_secure, open_bus,   open_handles,
        };
        int r;

        r = uv_loop_init(&d->loop);
        if (r < 0)
                return r;
        d->loop_is_open = true;
        for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
                r = steps[i](d);
                if (r)
                        return r;
        }
        d->status.net = d->net;
        d->status.pipeline = d->pipeline;
        d->status.model = d->model;
        return hrefs_load(d->config->runtime_directory, d->model, clock_now_ms());
}

int daemon_new(struct daemon **ret, const struct config *config) {
        struct daemon *d = ocf_new(struct daemon);
        int r;

        if (!d)
                return -ENOMEM;
        d->config = config;
        d->bus_error = -1;
        r = daemon_open(d);
        if (r) {
                daemon_free(d);
                return r;
        }
        *ret = d;
        return 0;
}

static void close_handles(struct daemon *d) {
        uv_handle_t *const handles[] = {
                (uv_handle_t *)&d->prepare,   (uv_handle_t *)&d->watchdog,  (uv_handle_t *)&d->hrefs_timer,
                (uv_handle_t *)&d->terminate, (uv_handle_t *)&d->interrupt,
        };

        d->timer = deadline_timer_free(d->timer);
        if (!d->handles_are_open)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
                uv_close(handles[i], NULL);
}

#define STOP_WORK_MS 5000u /* for a key that takes its time */

/* A TPM that hangs is no reason to hang as well; what the thread uses cannot be freed, though. */
static void stop_work(struct daemon *d) {
        if (!d->link || secure_link_stop(d->link, STOP_WORK_MS))
                return;
        diag_log(LOG_ERR, "ManufacturerKey= is still at work, and not waited for any longer: ocfd ends here. "
                          "Look after the TPM, or whatever has the key.");
        _exit(d->restarts || d->result ? EXIT_FAILURE : EXIT_SUCCESS);
}

struct daemon *daemon_free(struct daemon *d) {
        if (!d)
                return NULL;
        close_handles(d);
        d->bus_loop = bus_loop_free(d->bus_loop);
        d->bus = bus_free(d->bus);
        d->channels = channels_free(d->channels);
        d->store = store_close(d->store); /* what waits for it is answered while all is there */
        d->pin_command = pin_command_free(d->pin_command);
        d->net = net_free(d->net);
        stop_work(d);
        if (d->loop_is_open) {
                uv_run(&d->loop, UV_RUN_DEFAULT); /* only closing handles are left */
                (void)uv_loop_close(&d->loop);
        }
        d->jobs = jobs_free(d->jobs);
        d->client = client_free(d->client);
        d->tool = tool_free(d->tool);
        d->model = model_free(d->model);
        d->pipeline = pipeline_free(d->pipeline);
        d->link = secure_link_free(d->link);
        d->secure = secure_free(d->secure);
        status_deinit(&d->status);
        d->apps = apps_free(d->apps);
        return ocf_free(d);
}

#define STOP_MAX_MS 5000u /* for what is on its way to the disk */

static void stop_secure(struct daemon *d) {
        uint64_t until_ms = clock_now_ms() + STOP_MAX_MS;

        for (;;) {
                secure_stop(d->secure);
                if (!secure_is_busy(d->secure) || clock_now_ms() >= until_ms)
                        return;
                uv_run(&d->loop, UV_RUN_ONCE);
        }
}

int daemon_run(struct daemon *d) {
        diag_started(OCFD_VERSION, d->config->bus, d->config->state_directory);
        sd_notify(0, "READY=1\nSTATUS=Serving the network");
        uv_run(&d->loop, UV_RUN_DEFAULT);
        sd_notify(0, "STOPPING=1");
        if (d->result < 0)
                return d->result;
        if (d->hrefs_are_stale)
                save_hrefs(&d->hrefs_timer);
        stop_secure(d);
        pipeline_say_goodbye(d->pipeline);
        net_flush(d->net);
        secure_link_close_all(d->link);
        net_flush(d->net);
        return d->restarts ? DAEMON_E_RESTART : 0;
}
