/*
 * report.c - `sluice report duplicates`: sets of what is one thing, and a merge list of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

static void print_set(struct table *t, json_t *set)
{
    json_t *member;
    size_t i;

    json_array_foreach(json_object_get(set, "members"), i, member)
    {
        const char *id = json_text(member, "id");

        if (i == 0)
            table_number(t, json_object_get(set, "set"));
        else
            table_cell(t, "");
        table_cell(t, id);
        table_cell(t, strcmp(id, json_text(set, "master")) == 0 ? "stays" : "");
        table_cell(t, json_text(member, "name"));
        table_cell(t, json_text(member, "email"));
        table_cell(t, json_text(member, "company"));
        table_cell(t, json_text(member, "external_id"));
        table_cell(t, json_text(member, "reasons"));
    }
}

static void print_sets(json_t *report)
{
    json_t *sets = json_object_get(report, "sets"), *set;
    struct table t;
    size_t i;

    table_init(&t, ">SET|ID|STAYS|NAME|EMAIL|COMPANY|SHOP ID|WHY IT IS THE SAME");
    json_array_foreach(sets, i, set) print_set(&t, set);
    table_print(&t);
    table_finish(&t);
    printf("\n%lld contacts, %lld sets, %lld of them certain; %zu shown\n",
           (long long)json_integer_value(json_object_get(report, "contacts")),
           (long long)json_integer_value(json_object_get(report, "found")),
           (long long)json_integer_value(json_object_get(report, "certain")),
           json_array_size(sets));
}

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "wx"); /* what a person has looked through is not written over */

    if (!f)
        tell("%s cannot be written: %s\n", path, strerror(errno));
    return f;
}

static int finish(FILE *f, const char *path, const char *then)
{
    if (ferror(f) | fclose(f)) {
        tell("%s could not be written: %s\n", path, strerror(errno));
        return EXIT_FAILED;
    }
    tell("%s%s\n", path, then);
    return EXIT_DONE;
}

/* A cell that a spreadsheet takes for text: names come from outside, and "=..." is a formula. */
static void put_cell(FILE *f, const char *value, bool last)
{
    fputc('"', f);
    if (*value && strchr("=+-@\t\r", *value))
        fputc('\'', f);
    for (; *value; value++) {
        if (*value == '"')
            fputc('"', f);
        fputc(*value, f);
    }
    fputs(last ? "\"\n" : "\",", f);
}

/* A line for each contact of a set. */
static int write_csv(json_t *report, const char *path)
{
    static const char *const names[] = { "id",          "name",    "email",   "phone", "company",
                                         "external_id", "created", "reasons", "url" };
    FILE *f = create(path);
    json_t *set, *member;
    size_t i, k;

    if (!f)
        return EXIT_FAILED;
    fputs("set,certain,master,id,name,email,phone,company,external_id,created,reasons,url\n", f);
    json_array_foreach(json_object_get(report, "sets"), i, set)
        json_array_foreach(json_object_get(set, "members"), k, member)
    {
        fprintf(f, "%lld,%s,", (long long)json_integer_value(json_object_get(set, "set")),
                json_is_true(json_object_get(set, "certain")) ? "true" : "false");
        put_cell(f, json_text(set, "master"), false);
        for (size_t n = 0; n < 9; n++)
            put_cell(f, json_text(member, names[n]), n == 8);
    }
    return finish(f, path, "");
}

/* Of the one that stays its name and its address go first; of each other one why it is the same. */
static json_t *list_line(json_t *set)
{
    const char *master = json_text(set, "master"), *name = "";
    json_t *others = json_array(), *why = json_array(), *links = json_array(), *member;
    size_t k;

    json_array_foreach(json_object_get(set, "members"), k, member)
    {
        json_t *url = json_object_get(member, "url");
        bool stays = strcmp(json_text(member, "id"), master) == 0;

        if (url)
            json_array_insert(links, stays ? 0 : json_array_size(links), url);
        if (stays) {
            name = json_text(member, "name");
            continue;
        }
        json_array_append(others, json_object_get(member, "id"));
        json_array_append_new(why, json_string(json_text(member, "reasons")));
    }
    return json_pack("{s:s, s:O, s:O, s:s, s:o, s:s, s:o, s:b, s:o}", "merge", "no", "set",
                     json_object_get(set, "set"), "certain", json_object_get(set, "certain"),
                     "master", master, "others", others, "name", name, "why", why,
                     "several_external_ids",
                     json_is_true(json_object_get(set, "several_external_ids")), "links", links);
}

/* A JSON object a line: {"merge":"no","set":1,"certain":true,"master":ID,"others":[ID],"name":...,
 * "why":[...],"several_external_ids":false,"links":[URL of the master, URL]} */
static int write_list(json_t *report, const char *path)
{
    FILE *f = create(path);
    json_t *set;
    size_t i;

    if (!f)
        return EXIT_FAILED;
    json_array_foreach(json_object_get(report, "sets"), i, set)
    {
        json_t *line = list_line(set);

        json_dumpf(line, f, JSON_COMPACT);
        fputc('\n', f);
        json_decref(line);
    }
    return finish(f, path, ": set \"merge\" to \"yes\" where it is right");
}

int command_report_duplicates(struct cli *cli)
{
    const char *endpoint = cli_value(cli, "endpoint"), *list = cli_value(cli, "list");
    const char *csv = cli_value(cli, "csv");
    struct buf target = { 0 };
    struct answer a;
    int r;

    if (!endpoint || cli->argc > 0)
        return command_usage(cli, "--endpoint NAME is wanted, and nothing else");
    buf_cstr(&target, "/v1/endpoints/");
    target_segment(&target, endpoint);
    buf_cstr(&target, "/report");
    r = client_post(cli, target.data, json_pack("{s:s}", "name", "duplicates"), &a);
    buf_finish(&target);
    if (r != EXIT_DONE)
        return r;
    if (list)
        r = write_list(a.json, list);
    if (csv && r == EXIT_DONE)
        r = write_csv(a.json, csv);
    if (!list && !csv && cli->json)
        answer_print(&a);
    else if (!list && !csv)
        print_sets(a.json);
    answer_finish(&a);
    return r;
}
