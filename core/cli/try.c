/*
 * try.c - `sluice try`: what would the running configuration make of this payload?
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "cli/client.h"
#include "cli/exit.h"
#include "cli/remote.h"
#include "cli/table.h"

#define TRY_MAX_BYTES (6u << 20)

/* ---- the payload ---- */

static int read_payload(const struct cli *cli, struct buf *ret)
{
    const char *name = cli->argc ? cli->argv[0] : "-";
    FILE *f = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    size_t n;

    if (!f) {
        fprintf(stderr, "sluice try: cannot read %s: %s\n", name, strerror(errno));
        return EXIT_FAILED;
    }
    do {
        if (buf_reserve(ret, 64 << 10) < 0)
            abort();
        n = fread(ret->data + ret->len, 1, ret->cap - ret->len - 1, f);
        ret->len += n;
        ret->data[ret->len] = '\0';
    } while (n && ret->len <= TRY_MAX_BYTES);
    bool bad = ferror(f) != 0;
    if (f != stdin)
        fclose(f);
    if (bad || ret->len > TRY_MAX_BYTES) {
        fprintf(stderr, "sluice try: %s: %s\n", name, bad ? "cannot be read" : "more than 6 MiB");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

/** "Name: value" into the object. */
static int add_header(const struct cli *cli, json_t *headers, const char *line)
{
    const char *colon = strchr(line, ':');

    if (!colon || colon == line)
        return command_usage(cli, "--header wants 'Name: value', not \"%s\"", line);
    char *name = mem_dup((sl_str){ line, (size_t)(colon - line) });
    char *value = mem_dup(str_trim(str_of(colon + 1)));
    int r = json_object_set_new(headers, name, json_string(value));
    free(name);
    free(value);
    return r == 0 ? EXIT_DONE : command_usage(cli, "--header must be UTF-8");
}

static int question(const struct cli *cli, sl_str payload, json_t **ret)
{
    const char *endpoint = cli_value(cli, "endpoint"), *topic = cli_value(cli, "topic"), *line;
    json_t *headers = json_object(), *body = json_stringn(payload.ptr, payload.len);
    int r = EXIT_DONE;

    for (size_t i = 0; r == EXIT_DONE && (line = cli_value_at(cli, "header", i)); i++)
        r = add_header(cli, headers, line);
    if (r == EXIT_DONE && !body) {
        fprintf(stderr, "sluice try: the payload is not UTF-8\n");
        r = EXIT_FAILED;
    }
    if (r == EXIT_DONE)
        *ret = json_pack("{s:s, s:s, s:O, s:O}", "endpoint", endpoint, "topic", topic, "headers",
                         headers, "body", body);
    json_decref(headers);
    json_decref(body);
    return r == EXIT_DONE && !*ret ? command_usage(cli, "names must be UTF-8") : r;
}

/* ---- the answer ---- */

static void print_piece(json_t *d, sl_str raw)
{
    struct buf line = { 0 }, out = { 0 };
    sl_str body = raw_member(raw, "body");

    buf_cstr(&line, json_text(d, "route"));
    if (*json_text(d, "piece"))
        buf_printf(&line, " [%s]", json_text(d, "piece"));
    if (json_object_get(d, "dead"))
        buf_printf(&line, ": would be a dead letter: %s", json_text(d, "dead"));
    else if (json_object_get(d, "hold"))
        buf_printf(&line, ": would be held: %s", json_text(d, "hold"));
    else if (json_object_get(d, "drop"))
        buf_cstr(&line, ": would be dropped");
    else
        buf_printf(&line, " -> %s", json_text(d, "to"));
    if (*json_text(d, "action"))
        buf_printf(&line, "; %s", json_text(d, "action"));
    clean_text(&out, buf_view(&line));
    buf_char(&out, '\n');
    clean_lines(&out, body);
    if (body.len && body.ptr[body.len - 1] != '\n')
        buf_char(&out, '\n');
    printf("\n%s", out.data);
    buf_finish(&line);
    buf_finish(&out);
}

static void print_tried(const struct answer *a)
{
    json_t *deliveries = json_object_get(a->json, "deliveries"), *d;
    sl_str raw = raw_member(buf_view(&a->text), "deliveries");
    size_t i;

    print_member(a->json, "subject", "subject");
    print_member(a->json, "version", "version");
    print_member(a->json, "note", "note");
    json_array_foreach(deliveries, i, d) print_piece(d, raw_element(raw, i));
    if (json_is_false(json_object_get(a->json, "understood")))
        tell("the adapter does not understand this payload\n");
    if (!json_array_size(deliveries))
        tell("no route makes anything of it\n");
    tell("nothing was stored or sent\n");
}

int command_try(struct cli *cli)
{
    struct buf payload = { 0 };
    json_t *q = NULL;
    struct answer a;
    int r;

    if (cli->argc > 1)
        return command_usage(cli, "takes one file, got %d", cli->argc);
    if (!cli_value(cli, "endpoint") || !cli_value(cli, "topic"))
        return command_usage(cli, "wants --endpoint NAME and --topic TOPIC");
    r = read_payload(cli, &payload);
    if (r == EXIT_DONE)
        r = question(cli, buf_view(&payload), &q);
    buf_finish(&payload);
    if (r == EXIT_DONE)
        r = client_post(cli, "/v1/try", q, &a);
    if (r != EXIT_DONE)
        return r;
    if (cli->json)
        answer_print(&a);
    else
        print_tried(&a);
    answer_finish(&a);
    return EXIT_DONE;
}
