#include "protocol/fault.h"
#include "protocol/coap_code.h"

#include <string.h>

static const struct fault_row rows[_FAULT_N] = {
        [FAULT_NONE] = { COAP_CONTENT, "None", "Nothing is wrong" },
        [FAULT_BAD_REQUEST] = { COAP_BAD_REQUEST, "BadRequest",
                                "The request cannot be understood: check its query and options" },
        [FAULT_BAD_REPRESENTATION] = { COAP_BAD_REQUEST, "BadRepresentation",
                                       "The resource cannot take this value: retrieve it to see its "
                                       "properties and their types" },
        [FAULT_NOT_AUTHORIZED] = { COAP_UNAUTHORIZED, "NotAuthorized",
                                   "The peer may not do this: the resource is not open to plain CoAP, or no "
                                   "entry grants it" },
        [FAULT_BAD_OPTION] = { COAP_BAD_OPTION, "BadOption", "A critical option is unknown or malformed" },
        [FAULT_FORBIDDEN] = { COAP_FORBIDDEN, "Forbidden",
                              "The interface does not let this through: ask on another one that the resource "
                              "has" },
        [FAULT_NOT_FOUND] = { COAP_NOT_FOUND, "NotFound",
                              "There is no such resource: /oic/res lists those that are there" },
        [FAULT_METHOD_NOT_ALLOWED] = { COAP_METHOD_NOT_ALLOWED, "MethodNotAllowed",
                                       "The resource has no meaning for this method" },
        [FAULT_NOT_ACCEPTABLE] = { COAP_NOT_ACCEPTABLE, "NotAcceptable",
                                   "The answer cannot be given in the format that was asked for: accept "
                                   "10000, 60 or 50" },
        [FAULT_PRECONDITION_FAILED] = { COAP_PRECONDITION_FAILED, "PreconditionFailed",
                                        "The resource is not in the state that the request expects: retrieve "
                                        "it again" },
        [FAULT_TOO_LARGE] = { COAP_REQUEST_ENTITY_TOO_LARGE, "TooLarge",
                              "The value is larger than can be held" },
        [FAULT_UNSUPPORTED_FORMAT] = { COAP_UNSUPPORTED_CONTENT_FORMAT, "UnsupportedFormat",
                                       "The payload is in a format that is not understood: send 10000, 60 or "
                                       "50" },
        [FAULT_FAILED] = { COAP_INTERNAL_SERVER_ERROR, "Failed",
                           "The application could not do it: its own log says more" },
        [FAULT_NOT_IMPLEMENTED] = { COAP_NOT_IMPLEMENTED, "NotImplemented",
                                    "The application does not do this" },
        [FAULT_UNAVAILABLE] = { COAP_SERVICE_UNAVAILABLE, "Unavailable",
                                "The application is away for a moment: try again shortly" },
        [FAULT_BUSY] = { COAP_SERVICE_UNAVAILABLE, "Busy", "Too much is under way: try again shortly" },
        [FAULT_TIMEOUT] = { COAP_GATEWAY_TIMEOUT, "Timeout",
                            "The application did not answer in time: see whether it hangs, with ocfctl "
                            "apps" },
        [FAULT_ALREADY_EXISTS] = { COAP_FORBIDDEN, "AlreadyExists",
                                   "Another application has this href: choose another one" },
        [FAULT_INVALID_ARGUMENTS] = { COAP_BAD_REQUEST, "InvalidArguments", "An argument cannot be right" },
        [FAULT_LIMITS_EXCEEDED] = { COAP_SERVICE_UNAVAILABLE, "LimitsExceeded",
                                    "This user has as much as one user may have: release something first" },
        [FAULT_NOT_ALLOWED] = { COAP_FORBIDDEN, "NotAllowed",
                                "The administrator does not allow this: see apps.d in ocfd.conf(5)" },
        [FAULT_NOT_REACHABLE] = { COAP_GATEWAY_TIMEOUT, "NotReachable",
                                  "The device does not answer: see whether it is on, and on this network" },
        [FAULT_NOT_OWNED] = { COAP_FORBIDDEN, "NotOwned",
                              "The onboarding tool of this daemon does not own the device: ocfctl own takes "
                              "one that nobody owns" },
        [FAULT_NOT_INITIALIZED] = { COAP_FORBIDDEN, "NotInitialized",
                                    "There is no onboarding tool yet: make one with ocfctl init" },
};

const struct fault_row *fault_row(enum fault fault) {
        return &rows[fault];
}

enum fault fault_by_name(const char *name) {
        for (enum fault f = FAULT_BAD_REQUEST; f < _FAULT_N; f++)
                if (strcmp(rows[f].name, name) == 0)
                        return f;
        return FAULT_FAILED;
}

enum fault fault_by_code(uint8_t code) {
        for (enum fault f = FAULT_BAD_REQUEST; f < FAULT_ALREADY_EXISTS; f++)
                if (rows[f].code == code)
                        return f;
        return code >> 5 == 4 ? FAULT_BAD_REQUEST : FAULT_FAILED;
}
