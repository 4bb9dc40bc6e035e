#include "daemon/status.h"
#include "base/memory.h"
#include "daemon/diag.h"

#include <string.h>

static void notice_free(struct bus_notice *n) {
        ocf_free((void *)n->id);
        ocf_free((void *)n->text);
        *n = (struct bus_notice){ 0 };
}

void status_deinit(struct status *s) {
        for (size_t i = 0; i < s->n_notices; i++)
                notice_free(&s->notices[i]);
        s->n_notices = 0;
        s->interfaces = ocf_free(s->interfaces);
        s->n_interfaces = 0;
}

static size_t notice_find(const struct status *s, const char *id) {
        size_t i = 0;

        while (i < s->n_notices && strcmp(s->notices[i].id, id) != 0)
                i++;
        return i;
}

static bool notice_drop(struct status *s, size_t i) {
        if (i == s->n_notices)
                return false;
        notice_free(&s->notices[i]);
        memmove(&s->notices[i], &s->notices[i + 1], (s->n_notices - i - 1) * sizeof(s->notices[0]));
        s->n_notices--;
        return true;
}

bool status_notice(struct status *s, const char *id, const char *text) {
        size_t i = notice_find(s, id);
        struct bus_notice n;

        if (!text)
                return notice_drop(s, i);
        if (i < s->n_notices && strcmp(s->notices[i].text, text) == 0)
                return false;
        notice_drop(s, i);
        n = (struct bus_notice){ ocf_duplicate_string(id), ocf_duplicate_string(text) };
        if (!n.id || !n.text || s->n_notices == STATUS_NOTICES_MAX) {
                notice_free(&n);
                return true; /* it stands in the journal at least */
        }
        s->notices[s->n_notices++] = n;
        return true;
}

size_t status_notices(struct status *s, const struct bus_notice **ret) {
        *ret = s->notices;
        return s->n_notices;
}

size_t status_interfaces(struct status *s, const struct bus_interface_status **ret) {
        const struct net_interface *all;
        size_t n = net_interfaces(s->net, &all);

        if (n > s->n_interfaces &&
            !ocf_grow((void **)&s->interfaces, s->n_interfaces, n, sizeof(s->interfaces[0])))
                n = s->n_interfaces;
        if (n > s->n_interfaces)
                s->n_interfaces = n;
        for (size_t i = 0; i < n; i++)
                s->interfaces[i] = (struct bus_interface_status){
                        .name = all[i].name,
                        .index = all[i].index,
                        .used = all[i].used,
                        .reason = all[i].reason,
                        .addresses = all[i].addresses,
                        .n_addresses = all[i].n_addresses,
                };
        *ret = s->interfaces;
        return n;
}

size_t status_counters(struct status *s, const struct bus_counter **ret) {
        struct coap_counts coap;
        struct net_counts net;
        uint64_t n_pending, n_apps = 0;
        size_t n = 0;

        pipeline_get_counts(s->pipeline, &coap, &n_pending);
        net_get_counts(s->net, &net);
        LIST_FOR_EACH(i, &s->model->apps)
        n_apps++;
#define COUNTER(name, value) s->counters[n++] = (struct bus_counter){ name, value }
        COUNTER("apps", n_apps);
        COUNTER("resources", s->model->n_resources);
        COUNTER("observers", coap.n_observers);
        COUNTER("exchanges", coap.n_exchanges);
        COUNTER("pages", coap.n_pages);
        COUNTER("waiting_for_apps", n_pending);
        COUNTER("datagrams_received", net.n_received);
        COUNTER("datagrams_sent", net.n_sent);
        COUNTER("datagrams_dropped", net.n_dropped);
        COUNTER("send_errors", net.n_send_errors);
        COUNTER("connections", net.n_connections);
        COUNTER("connections_accepted", net.n_accepted);
        COUNTER("connections_refused", net.n_refused);
        COUNTER("connections_too_slow", net.n_slow);
        COUNTER("stream_messages_sent", net.n_stream_sent);
        COUNTER("interface_resyncs", net.n_resyncs);
        COUNTER("requests", coap.n_requests);
        COUNTER("malformed", coap.n_malformed);
        COUNTER("duplicates", coap.n_duplicates);
        COUNTER("retransmissions", coap.n_retransmissions);
        COUNTER("refused_full", coap.n_refused_full);
        COUNTER("log_messages_dropped", diag_dropped());
#undef COUNTER
        *ret = s->counters;
        return n;
}
