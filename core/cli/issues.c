/*
 * issues.c - `sluice issues`: what dead letters have in common, and what people say of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

static void print_list(json_t *list)
{
    table_rows(
        "ISSUE=id|STATE=state|>DEAD=#dead|>COUNT=#count|FIRST=@first_at|LAST=@last_at|ROUTE=route"
        "|ENDPOINT=?endpoint|CLASS=class|REASON=reason",
        list);
}

int command_issues(struct cli *cli)
{
    static const char *const names[] = { "state", "route", "endpoint", "limit" };
    struct buf target = { 0 };
    struct answer a;
    int r;

    buf_cstr(&target, "/v1/issues");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        target_param(&target, names[i], cli_value(cli, names[i]));
    r = client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json) {
        answer_print(&a);
    } else if (json_array_size(a.json) == 0) {
        tell("no issue\n");
    } else {
        print_list(a.json);
        tell(
            "more on one: sluice issues show ISSUE; its dead letters: sluice dead list --issue "
            "ISSUE\n");
    }
    answer_finish(&a);
    return EXIT_DONE;
}

/* ---- one ---- */

static void print_word(const char *name, json_t *word)
{
    char when[32];
    struct buf b = { 0 };

    if (!json_is_object(word))
        return;
    buf_printf(&b, "%s by %s%s%s", short_time(json_text(word, "at"), when), json_text(word, "who"),
               *json_text(word, "why") ? ": " : "", json_text(word, "why"));
    print_field(name, b.data);
    buf_finish(&b);
}

static void print_issue(json_t *o)
{
    json_t *example = json_object_get(o, "example");

    print_member(o, "issue", "id");
    print_member(o, "state", "state");
    print_member(o, "route", "route");
    print_member(o, "endpoint", "endpoint");
    print_member(o, "class", "class");
    print_member(o, "reason", "reason");
    print_member(o, "first seen", "first_at");
    print_member(o, "last seen", "last_at");
    print_member(o, "opened", "opened_at");
    print_member(o, "count", "count");
    print_member(o, "dead now", "dead");
    print_member(o, "replaying", "replaying");
    print_member(o, "reopened", "reopened");
    print_word("acknowledged", json_object_get(o, "acknowledged"));
    print_word("resolved", json_object_get(o, "resolved"));
    print_member(example, "example", "delivery");
    print_member(example, "it said", "reason");
    table_section("its newest dead letters",
                  ">ID=id|SUBJECT=?subject|UPDATED=@updated_at|REASON=reason",
                  json_object_get(o, "deliveries"));
}

static int one(struct cli *cli, const char *verb)
{
    const char *id = command_one(cli, "id of an issue, such as 3f2a9c01d4e7");
    const char *why = cli_value(cli, "why");
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!id)
        return EXIT_USAGE;
    buf_cstr(&target, "/v1/issues/");
    target_segment(&target, id);
    if (verb)
        buf_printf(&target, "/%s", verb);
    r = verb ? client_post(cli, target.data, why ? json_pack("{s:s}", "why", why) : json_object(),
                           &a)
             : client_get(cli, target.data, &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else if (verb)
        tell("issue %s is %s\n", json_text(a.json, "id"), json_text(a.json, "state"));
    else
        print_issue(a.json);
    if (!cli->json && !verb && json_integer_value(json_object_get(a.json, "dead")))
        tell("next: sluice replay --issue %s --dry-run\n", json_text(a.json, "id"));
    answer_finish(&a);
    return EXIT_DONE;
}

int command_issues_show(struct cli *cli)
{
    return one(cli, NULL);
}

int command_issues_ack(struct cli *cli)
{
    return one(cli, "ack");
}

int command_issues_resolve(struct cli *cli)
{
    return one(cli, "resolve");
}

int command_issues_reopen(struct cli *cli)
{
    return one(cli, "reopen");
}
