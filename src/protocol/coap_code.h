/*
 * The numbers of CoAP: methods, response codes, options, content formats
 * (RFC 7252 12, RFC 7641, RFC 7959, core.md 1 and 2.7).
 */
#ifndef OCF_PROTOCOL_COAP_CODE_H
#define OCF_PROTOCOL_COAP_CODE_H

#define COAP_CODE(c, d) ((c) << 5 | (d)) /* COAP_CODE(4, 04) is 4.04 */

enum coap_type { COAP_CON = 0, COAP_NON = 1, COAP_ACK = 2, COAP_RST = 3 };

enum coap_method {
        COAP_GET = 1,
        COAP_POST = 2,
        COAP_PUT = 3,
        COAP_DELETE = 4,
        COAP_FETCH = 5,
        COAP_PATCH = 6,
        COAP_IPATCH = 7,
};

enum coap_code {
        COAP_EMPTY = 0,
        COAP_CREATED = COAP_CODE(2, 1),
        COAP_DELETED = COAP_CODE(2, 2),
        COAP_VALID = COAP_CODE(2, 3),
        COAP_CHANGED = COAP_CODE(2, 4),
        COAP_CONTENT = COAP_CODE(2, 5),
        COAP_CONTINUE = COAP_CODE(2, 31),
        COAP_BAD_REQUEST = COAP_CODE(4, 0),
        COAP_UNAUTHORIZED = COAP_CODE(4, 1),
        COAP_BAD_OPTION = COAP_CODE(4, 2),
        COAP_FORBIDDEN = COAP_CODE(4, 3),
        COAP_NOT_FOUND = COAP_CODE(4, 4),
        COAP_METHOD_NOT_ALLOWED = COAP_CODE(4, 5),
        COAP_NOT_ACCEPTABLE = COAP_CODE(4, 6),
        COAP_REQUEST_ENTITY_INCOMPLETE = COAP_CODE(4, 8),
        COAP_PRECONDITION_FAILED = COAP_CODE(4, 12),
        COAP_REQUEST_ENTITY_TOO_LARGE = COAP_CODE(4, 13),
        COAP_UNSUPPORTED_CONTENT_FORMAT = COAP_CODE(4, 15),
        COAP_TOO_MANY_REQUESTS = COAP_CODE(4, 29),
        COAP_INTERNAL_SERVER_ERROR = COAP_CODE(5, 0),
        COAP_NOT_IMPLEMENTED = COAP_CODE(5, 1),
        COAP_BAD_GATEWAY = COAP_CODE(5, 2),
        COAP_SERVICE_UNAVAILABLE = COAP_CODE(5, 3),
        COAP_GATEWAY_TIMEOUT = COAP_CODE(5, 4),
        COAP_PROXYING_NOT_SUPPORTED = COAP_CODE(5, 5),
};

/* Signalling over streams (RFC 8323, 5). */
enum coap_signal {
        COAP_CSM = COAP_CODE(7, 1),
        COAP_PING = COAP_CODE(7, 2),
        COAP_PONG = COAP_CODE(7, 3),
        COAP_RELEASE = COAP_CODE(7, 4),
        COAP_ABORT = COAP_CODE(7, 5),
};

enum coap_option_number {
        COAP_OPTION_IF_MATCH = 1,
        COAP_OPTION_URI_HOST = 3,
        COAP_OPTION_ETAG = 4,
        COAP_OPTION_IF_NONE_MATCH = 5,
        COAP_OPTION_OBSERVE = 6,
        COAP_OPTION_URI_PORT = 7,
        COAP_OPTION_LOCATION_PATH = 8,
        COAP_OPTION_URI_PATH = 11,
        COAP_OPTION_CONTENT_FORMAT = 12,
        COAP_OPTION_MAX_AGE = 14,
        COAP_OPTION_URI_QUERY = 15,
        COAP_OPTION_ACCEPT = 17,
        COAP_OPTION_LOCATION_QUERY = 20,
        COAP_OPTION_BLOCK2 = 23,
        COAP_OPTION_BLOCK1 = 27,
        COAP_OPTION_SIZE2 = 28,
        COAP_OPTION_PROXY_URI = 35,
        COAP_OPTION_PROXY_SCHEME = 39,
        COAP_OPTION_SIZE1 = 60,
        COAP_OPTION_ECHO = 252, /* RFC 9175 */
        COAP_OPTION_NO_RESPONSE = 258,
        COAP_OPTION_REQUEST_TAG = 292,          /* RFC 9175 */
        COAP_OPTION_OCF_ACCEPT_VERSION = 2049,  /* OCF-Accept-Content-Format-Version, critical */
        COAP_OPTION_OCF_CONTENT_VERSION = 2053, /* OCF-Content-Format-Version, critical */
};

enum coap_content_format {
        COAP_FORMAT_TEXT = 0,
        COAP_FORMAT_LINK = 40,
        COAP_FORMAT_JSON = 50,
        COAP_FORMAT_CBOR = 60,
        COAP_FORMAT_OCF_CBOR = 10000, /* application/vnd.ocf+cbor */
};

#define COAP_FORMAT_NONE  (-1) /* where an int holds a content format */
#define OCF_VERSION_1_0_0 2048 /* value of both version options */
#define COAP_PORT         5683
#define COAP_PORT_SECURE  5684
#define COAP_TOKEN_MAX    8
#define COAP_ETAG_MAX     8
#define COAP_PATH_MAX     256  /* of a joined Uri-Path, core.md 2.2 */
#define COAP_QUERY_MAX    1024 /* of all Uri-Query options joined with & */
#define COAP_MESSAGE_MAX  1472 /* a datagram that we send; what we receive may be longer */
#define COAP_TRANSMIT_MAX                                                                                    \
        9216 /* a message that we send over a stream: 8 blocks of 1024 bytes and their options */

#endif
