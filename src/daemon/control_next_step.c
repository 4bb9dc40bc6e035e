#include "daemon/control_security.h"

/* A sentence for each stage in the life of a device: what a person does next. */

static const char *of_unowned(const struct svr *svr, uint8_t transfers, bool pin_is_shown) {
        if (svr->machine.transfer)
                return "Somebody takes ownership right now: it is done, or undone, within two minutes";
        if (pin_is_shown)
                return "An onboarding tool has asked for the PIN that is shown: \"ocfctl pin\" shows it, too";
        if (!transfers)
                return "Nobody can own it: allow JustWorks=, or set PinCommand= or ManufacturerCertificate= "
                       "in "
                       "ocfd.conf";
        if (transfers == 1u << SVR_RANDOM_PIN)
                return "Own it with an onboarding tool by the PIN, which \"ocfctl pin\" shows";
        return "Own it with an onboarding tool; until then whoever is first on the network may";
}

const char *control_next_step(const struct svr *svr, uint8_t transfers, bool pin_is_shown) {
        if (svr->machine.pending)
                return "It is being reset: that takes some seconds";
        switch (svr->machine.state) {
        case SVR_RESET:
                return "It is being reset: that takes some seconds";
        case SVR_RFOTM:
                return of_unowned(svr, transfers, pin_is_shown);
        case SVR_RFPRO:
                return "Its owner is to finish provisioning: until then it serves no application's resources";
        case SVR_SRESET:
                return "Its owner is mending its credentials: until then it serves no application's "
                       "resources";
        case SVR_RFNOP:
        case _SVR_STATE_N:
                break;
        }
        if (!svr->n_aces)
                return "Nobody but the owner may use it: the owner's tool is to write access entries";
        return "Nothing: it is in use";
}
