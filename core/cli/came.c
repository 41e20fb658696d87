/*
 * came.c - `sluice report webhooks`: what came by itself, and what had to be looked for.
 */
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

int command_report_webhooks(struct cli *cli)
{
    static const char *const names[] = { "endpoint", "since", "until" };
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (cli->argc)
        return command_usage(cli, "it takes no arguments");
    buf_cstr(&target, "/v1/webhooks");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        target_param(&target, names[i], cli_value(cli, names[i]));
    r = client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        table_rows(
            "DAY=day|ENDPOINT=endpoint|>BY WEBHOOK=#came|>REPAIRED=#repaired|>LATE=#late|"
            ">MISSED=#missed",
            a.json);
    answer_finish(&a);
    return EXIT_DONE;
}
