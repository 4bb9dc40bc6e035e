/*
 * Other devices: who is on the network; or one of them, whose resource is
 * followed.
 *
 *     devices [BUS]              the devices, as they are found
 *     devices [BUS] ocf://DEVICE/HREF
 *                                a resource: DEVICE is a UUID, the beginning of one, or a name
 */
#include <ocfclient.h>
#include <stdio.h>
#include <string.h>

#define LISTEN_MS 7000

static void on_device(void *userdata, int result, const char *text, const struct ocf_device *device) {
        static const char *const owners[] = {
                [OCF_OWNERSHIP_UNKNOWN] = "not known",
                [OCF_OWNED_BY_NOBODY] = "nobody",
                [OCF_OWNED_BY_US] = "we",
                [OCF_OWNED_BY_ANOTHER] = "somebody else",
        };
        const char *endpoint = "";

        (void)userdata;
        (void)result;
        (void)text;
        ocf_value_get_string(ocf_value_at(ocf_device_endpoints(device), 0, NULL), NULL, &endpoint);
        printf("%s  %s  owner: %s  %s\n", ocf_device_id(device), ocf_device_name(device),
               owners[ocf_device_ownership(device)], endpoint);
}

static void on_value(void *userdata, int result, const char *text, const struct ocf_value *value) {
        const char *key;
        bool is_on;

        (void)userdata;
        if (result)
                printf("%s: %s\n", ocf_result_name(result), text);
        for (size_t i = 0; i < ocf_value_count(value); i++) {
                ocf_value_at(value, i, &key);
                if (ocf_value_get_bool(value, key, &is_on))
                        printf("%s=%s ", key, is_on ? "true" : "false");
                else
                        printf("%s ", key);
        }
        printf("\n");
        fflush(stdout);
}

int main(int argc, char **argv) {
        const char *last = argc > 1 ? argv[argc - 1] : "";
        bool is_uri = strncmp(last, "ocf://", 6) == 0;
        const char *bus = argc - is_uri > 1 ? argv[1] : "system";
        struct ocf_observation *observation;
        struct ocf_client *client;
        int r = ocf_client_new(&client, bus);

        if (r) {
                fprintf(stderr, "%s\n", ocf_result_name(r));
                return 1;
        }
        if (is_uri) {
                r = ocf_observe(client, last, on_value, NULL, &observation);
                if (!r)
                        r = ocf_client_run(client);
        } else {
                r = ocf_discover_wait(client, LISTEN_MS, on_device, NULL);
        }
        if (r)
                fprintf(stderr, "%s: %s\n", ocf_result_name(r), ocf_client_error(client));
        ocf_client_free(client);
        return r != 0;
}
