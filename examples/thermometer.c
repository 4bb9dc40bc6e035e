/*
 * A thermometer whose value is published: ocfd answers for it.
 *
 *     thermometer [BUS]      BUS: "system" (default), "session" or a D-Bus address
 *
 * It measures once a second; here that is a made-up wave. The library sends no
 * more than the bus takes, and brings the value back after a restart of ocfd.
 */
#include <ocfclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double measure(void) {
        int minute = (int)(time(NULL) % 60);

        return 20 + (minute < 30 ? minute : 60 - minute) / 10.0;
}

static int publish(struct ocf_resource *thermometer) {
        struct ocf_value *v = NULL;
        int r = ocf_value_new_map(&v);

        if (r == 0)
                r = ocf_value_set_double(v, "temperature", measure());
        if (r == 0)
                r = ocf_value_set_string(v, "units", "C");
        if (r == 0)
                r = ocf_resource_publish(thermometer, v);
        ocf_value_free(v);
        return r;
}

/* Without a loop of one's own: process(), then wait() until there is something to do, or time to measure. */
static int loop(struct ocf_client *client, struct ocf_resource *thermometer) {
        time_t last = 0;
        int r;

        while ((r = ocf_client_process(client)) == 0) {
                if (time(NULL) != last) {
                        last = time(NULL);
                        r = publish(thermometer);
                        if (r != 0)
                                break;
                }
                r = ocf_client_wait(client, 250);
                if (r < 0)
                        break;
        }
        return r;
}

int main(int argc, char **argv) {
        struct ocf_client *client = NULL;
        struct ocf_resource *thermometer;
        int r = ocf_client_new(&client, argc > 1 ? argv[1] : "system");

        /* When it crashes, its resource answers "unavailable" for ten seconds, and keeps its observers. */
        if (r == 0)
                r = ocf_client_set_name(client, "thermometer", 10000);
        if (r == 0)
                r = ocf_resource_new(&thermometer, client, "/thermometer");
        if (r == 0)
                r = ocf_resource_add_type(thermometer, "oic.r.temperature");
        if (r == 0)
                r = ocf_resource_add_interface(thermometer, "oic.if.s");
        if (r == 0)
                r = ocf_resource_set_policy(thermometer, OCF_DISCOVERABLE | OCF_OBSERVABLE | OCF_INSECURE);
        if (r == 0)
                r = publish(thermometer); /* the first value */
        if (r == 0)
                r = ocf_resource_register(thermometer);
        if (r == 0)
                r = loop(client, thermometer);
        ocf_client_free(client);
        fprintf(stderr, "thermometer: %s\n", ocf_result_name(r));
        return EXIT_FAILURE;
}
