#include "security/access.h"
#include "protocol/coap_code.h"

static struct access_verdict granted(enum access_reason reason) {
        return (struct access_verdict){ true, reason };
}

static struct access_verdict denied(enum access_reason reason) {
        return (struct access_verdict){ false, reason };
}

/* The design, section 3, "Plain access"; security.md has the rest, which comes with the secure resources. */
struct access_verdict access_decide(const struct access_question *q) {
        if (q->subject == ACCESS_LOCAL)
                return granted(ACCESS_GRANTED_LOCAL);
        if (q->owned || q->subject == ACCESS_AUTH_CRYPT)
                return denied(ACCESS_DENIED_NO_ENTRY);
        if (q->resource_is_core)
                return q->method == COAP_GET ? granted(ACCESS_GRANTED_DISCOVERY)
                                             : denied(ACCESS_DENIED_CORE_IS_READ_ONLY);
        if (!q->resource_is_insecure)
                return denied(ACCESS_DENIED_NOT_INSECURE);
        if (!q->allow_insecure)
                return denied(ACCESS_DENIED_NOT_ALLOWED);
        return granted(ACCESS_GRANTED_INSECURE);
}

static const char *const texts[_ACCESS_REASON_N] = {
        [ACCESS_GRANTED_LOCAL] = "it is an application of this machine",
        [ACCESS_GRANTED_DISCOVERY] = "the device has no owner, and this is how it is discovered",
        [ACCESS_GRANTED_INSECURE] = "the resource is registered as insecure, and AllowInsecure= is on",
        [ACCESS_DENIED_CORE_IS_READ_ONLY] = "this resource can only be read",
        [ACCESS_DENIED_NOT_INSECURE] = "the resource is not registered as insecure, and this is plain CoAP",
        [ACCESS_DENIED_NOT_ALLOWED] = "the resource is registered as insecure, but AllowInsecure= is off",
        [ACCESS_DENIED_NO_ENTRY] = "no entry grants it",
};

const char *access_reason_text(enum access_reason reason) {
        return texts[reason];
}
