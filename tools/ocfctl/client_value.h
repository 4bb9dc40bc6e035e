/*
 * Between libocfclient and ocfctl: values as JSON, results as exit codes.
 */
#ifndef OCF_CTL_CLIENT_VALUE_H
#define OCF_CTL_CLIENT_VALUE_H

#include "ocfclient.h"

#include <jansson.h>

json_t *client_value_to_json(const struct ocf_value *v);                /* NULL: no memory, or v is NULL */
int client_value_from_json(const json_t *json, struct ocf_value **ret); /* negative errno */
int client_exit_code(int result);                                       /* of OCF_E_* or a negative errno */

#endif
