/*
 * A bridge with many things: publishes so many resources, /many/0 and on, and
 * then only keeps them.
 *
 *     many BUS COUNT
 */
#include <ocfclient.h>
#include <stdio.h>
#include <stdlib.h>

static int add(struct ocf_client *client, int number) {
        struct ocf_resource *resource;
        struct ocf_value *v = NULL;
        char href[32];
        int r;

        snprintf(href, sizeof(href), "/many/%d", number);
        r = ocf_resource_new(&resource, client, href);
        if (r == 0)
                r = ocf_resource_add_type(resource, "oic.r.switch.binary");
        if (r == 0)
                r = ocf_resource_add_interface(resource, "oic.if.a");
        if (r == 0)
                r = ocf_resource_set_policy(resource, OCF_DISCOVERABLE | OCF_OBSERVABLE | OCF_INSECURE);
        if (r == 0)
                r = ocf_value_new_map(&v);
        if (r == 0)
                r = ocf_value_set_bool(v, "value", true);
        if (r == 0)
                r = ocf_resource_publish(resource, v);
        ocf_value_free(v);
        return r == 0 ? ocf_resource_register(resource) : r;
}

int main(int argc, char **argv) {
        struct ocf_client *client = NULL;
        int r;

        if (argc != 3) {
                fputs("Usage: many BUS COUNT\n", stderr);
                return 2;
        }
        r = ocf_client_new(&client, argv[1]);
        for (int i = 0; r == 0 && i < atoi(argv[2]); i++)
                r = add(client, i);
        while (r >= 0) {
                r = ocf_client_process(client);
                if (r == 0)
                        r = ocf_client_wait(client, 1000);
        }
        ocf_client_free(client);
        fprintf(stderr, "many: %s\n", ocf_result_name(r));
        return EXIT_FAILURE;
}
