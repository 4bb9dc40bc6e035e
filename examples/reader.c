/*
 * Uses a resource of another program on this machine: reads it once, then
 * follows it.
 *
 *     reader HREF [BUS]      such as: reader /lamp
 *
 * When the resource or ocfd goes, it says so; when it is back, it goes on.
 */
#include <inttypes.h>
#include <ocfclient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(const struct ocf_value *v) {
        const char *key, *s;
        int64_t i;
        double d;
        bool b;

        for (size_t n = 0; n < ocf_value_count(v); n++) {
                const struct ocf_value *item = ocf_value_at(v, n, &key);

                if (ocf_value_get_bool(item, NULL, &b))
                        printf("%s=%s ", key, b ? "true" : "false");
                else if (ocf_value_get_int(item, NULL, &i))
                        printf("%s=%" PRId64 " ", key, i);
                else if (ocf_value_get_double(item, NULL, &d))
                        printf("%s=%g ", key, d);
                else if (ocf_value_get_string(item, NULL, &s))
                        printf("%s=%s ", key, s);
                else
                        printf("%s=... ", key);
        }
        printf("\n");
}

static void on_value(void *userdata, int result, const char *text, const struct ocf_value *value) {
        if (result)
                printf("%s: %s\n", ocf_result_name(result), text);
        else
                print(value);
}

int main(int argc, char **argv) {
        struct ocf_observation *observation;
        struct ocf_client *client = NULL;
        struct ocf_value *value;
        int r;

        if (argc < 2) {
                fprintf(stderr, "usage: reader HREF [BUS]\n");
                return 2;
        }
        setvbuf(stdout, NULL, _IOLBF, 0);
        r = ocf_client_new(&client, argc > 2 ? argv[2] : "system");
        if (r == 0)
                r = ocf_retrieve_wait(client, argv[1], &value);
        if (r == 0) {
                printf("at first: ");
                print(value);
                ocf_value_free(value);
        } else if (r > 0) {
                printf("not yet: %s\n", ocf_client_error(client));
        }
        if (r >= 0)
                r = ocf_observe(client, argv[1], on_value, NULL, &observation);
        if (r == 0)
                r = ocf_client_run(client); /* for ever */
        ocf_client_free(client);
        fprintf(stderr, "reader: %s\n", ocf_result_name(r));
        return EXIT_FAILURE;
}
