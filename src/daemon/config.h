/*
 * The configuration: /etc/ocfd/ocfd.conf and the *.conf of ocfd.conf.d beside
 * it, in the order of their names, later ones winning; no file is needed.
 * Every mistake is one message with file, line and what would be right.
 */
#ifndef OCF_DAEMON_CONFIG_H
#define OCF_DAEMON_CONFIG_H

#include "base/util.h"

#define CONFIG_FILE_DEFAULT "/etc/ocfd/ocfd.conf"

struct config_device {         /* [Device], and [Device 1], [Device 2] ... for further logical devices */
        char *name;            /* Name=, n of /oic/d; default: the host's name */
        char *type;            /* Type=, such as oic.d.light; NULL: oic.wk.d alone */
        int port, secure_port; /* Port= and SecurePort= of further devices, as below */
        bool present;
};

#define CONFIG_DEVICES_MAX 16
#define CONFIG_PORT_AUTO   (-1) /* any port: never ask for 5683 */

struct config {
        char *state_directory;   /* [Daemon] StateDirectory=; $STATE_DIRECTORY, else /var/lib/ocfd */
        char *runtime_directory; /* RuntimeDirectory=; $RUNTIME_DIRECTORY, else /run/ocfd */
        char *bus;               /* Bus=system|session|ADDRESS */
        char *apps_directory;    /* AppsDirectory=; apps.d beside the configuration file */
        int log_level;           /* LogLevel=error|warning|info|debug, as syslog(3) numbers */
        char **interfaces;       /* [Network] Interfaces= */
        size_t n_interfaces;
        char **deny_interfaces; /* DenyInterfaces= */
        size_t n_deny_interfaces;
        int port;               /* Port=: of the first device; 0: not said; CONFIG_PORT_AUTO; a number */
        int secure_port;        /* SecurePort=: likewise, in place of 5684 */
        bool tcp;               /* Tcp=: CoAP over TCP, too; default yes */
        bool renew_memberships; /* RenewMemberships=: of multicast groups, every two minutes; default yes */
        char *manufacturer;     /* [Platform] Manufacturer=, mnmn; default "ocfd" */
        char *model;            /* Model=, mnmo; NULL: not said, as the next two */
        char *serial;           /* SerialNumber=, mnsel */
        char *support_url;      /* SupportUrl=, mnsl */
        struct config_device devices[CONFIG_DEVICES_MAX];
        size_t n_devices;    /* at least 1 */
        bool allow_insecure; /* [Security] AllowInsecure= */
        char *admin_group;   /* AdminGroup=: who may administer where there is no polkit; NULL: root alone */
        bool just_works;     /* JustWorks=: may ownership be taken without a proof? default yes */
        char *pin_command;   /* PinCommand=: shows a PIN; NULL: none */
        char *manufacturer_certificate;  /* ManufacturerCertificate=, a file in PEM, leaf first; NULL: none */
        char *manufacturer_key;          /* ManufacturerKey=, a file in PEM, or what the provider opens */
        char *manufacturer_key_provider; /* ManufacturerKeyProvider=, of OpenSSL; NULL: the key is a file */
        int max_sessions;                /* MaxSessions= */
        int certificate_years;           /* CertificateYears=: of what the onboarding tool issues */
};

enum { CONFIG_E_INVALID = 1 };

/*
 * Reads file (NULL: the default one, which may be absent; a named one may not)
 * and its directory. Every mistake is told with told(context, "file:line: ..."). Return: 0;
 * CONFIG_E_INVALID when something was told; negative errno.
 */
int config_load(struct config *ret, const char *file, void (*told)(void *context, const char *message),
                void *context);
void config_deinit(struct config *c);

#endif
