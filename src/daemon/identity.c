#include "daemon/identity.h"
#include "base/error.h"
#include "daemon/random.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

int identity_platform(struct store *s, const struct config *c, struct platform_identity *ret) {
        static struct utsname name; /* its strings must live as long as the platform's */
        struct uuid pi;
        int r;

        r = store_get_platform(s, &pi);
        if (r == STORE_E_NONE || r == STORE_E_SEALED) {
                random_uuid(&pi);
                r = r == STORE_E_SEALED ? 0 : store_put_platform(s, &pi);
        }
        if (r)
                return error_fold(r);
        (void)uname(&name);
        *ret = (struct platform_identity){
                .pi = pi,
                .manufacturer = c->manufacturer,
                .model = c->model,
                .os = name.sysname[0] ? name.sysname : NULL,
                .version = name.release[0] ? name.release : NULL,
                .serial = c->serial,
                .support_url = c->support_url,
        };
        return 0;
}

int identity_device(struct store *s, uint16_t index, struct store_device *ret) {
        struct store_device device = { 0 };
        int r;

        r = store_get_device(s, index, &device);
        if (r == STORE_E_NONE || r == STORE_E_SEALED) {
                random_uuid(&device.di);
                random_uuid(&device.piid);
                r = r == STORE_E_SEALED ? 0 : store_put_device(s, index, &device);
        }
        if (r)
                return error_fold(r);
        *ret = device;
        return 0;
}

struct device_identity identity_describe(const struct config *c, uint16_t index,
                                         const struct store_device *device,
                                         char buf[static MODEL_NAME_MAX + 1]) {
        const struct config_device *d = &c->devices[index];
        char host[MODEL_NAME_MAX - 8] = "";

        if (gethostname(host, sizeof(host)) < 0 || !host[0])
                strcpy(host, "ocfd");
        host[sizeof(host) - 1] = 0;
        if (index)
                snprintf(buf, MODEL_NAME_MAX + 1, "%s-%u", host, index);
        else
                snprintf(buf, MODEL_NAME_MAX + 1, "%s", host);
        return (struct device_identity){
                .di = device->di,
                .piid = device->piid,
                .name = d->name ? d->name : buf,
                .type = d->type,
                .spec_version = "ocf.2.2.5",
                .data_model_version = "ocf.res.1.3.0,ocf.sh.1.3.0",
        };
}
