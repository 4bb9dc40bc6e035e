#include "client_value.h"
#include "base/memory.h"
#include "ctl.h"
#include "json/rep_json.h"

#include <errno.h>

int client_value_from_json(const json_t *json, struct ocf_value **ret) {
        struct span rep;
        int r = json_to_rep(json, &rep);

        if (r)
                return r;
        r = ocf_value_from_cbor(ret, rep.data, rep.n);
        ocf_free((void *)rep.data);
        return r;
}

json_t *client_value_to_json(const struct ocf_value *v) {
        json_t *json = NULL;
        uint8_t *cbor;
        size_t n = 0;

        if (ocf_value_to_cbor(v, NULL, 0, &n) != -ENOSPC || !(cbor = ocf_allocate(n, 1)))
                return NULL;
        if (ocf_value_to_cbor(v, cbor, n, &n) == 0)
                (void)rep_to_json(span_of(cbor, n), &json);
        ocf_free(cbor);
        return json;
}

int client_exit_code(int result) {
        switch (result) {
        case OCF_E_NOT_ALLOWED:
        case OCF_E_NOT_AUTHORIZED:
        case OCF_E_FORBIDDEN:
                return EXIT_DENIED;
        case OCF_E_NOT_FOUND:
                return EXIT_NOT_FOUND;
        case OCF_E_TIMEOUT:
        case OCF_E_NOT_REACHABLE:
                return EXIT_TIMEOUT;
        default:
                return EXIT_FAILED;
        }
}
