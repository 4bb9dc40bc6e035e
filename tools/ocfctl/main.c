#include "ctl.h"

#include <locale.h>
#include <signal.h>

int main(int argc, char **argv) {
        struct ctl c = { .bus_address = "system", .timeout_ms = 5000, .has_legend = true };
        int code;

        setlocale(LC_CTYPE, "");
        signal(SIGPIPE, SIG_DFL); /* "ocfctl monitor | head" ends quietly */
        code = options_parse(&c, argc, argv);
        if (code == -1)
                code = c.command->run(&c);
        sd_bus_flush_close_unref(c.bus);
        return flush_output(code);
}
