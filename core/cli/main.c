/*
 * main.c - finds the command, reads its options, runs it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/exit.h"
#include "flow/mapper.h"

#define MAX_OPTIONS 32

#ifndef SLUICE_CONFIG_FILE
#define SLUICE_CONFIG_FILE "/etc/sluice/sluice.yaml"
#endif

/** Options of the command at hand, as given; parsed once by main(). */
static struct {
    const char *name, *value;
} given[MAX_OPTIONS];
static size_t n_given;

const char *cli_value(const struct cli *cli, const char *name)
{
    (void)cli;
    for (size_t i = n_given; i-- > 0;)
        if (!strcmp(given[i].name, name))
            return given[i].value;
    return NULL;
}

const char *cli_value_at(const struct cli *cli, const char *name, size_t index)
{
    (void)cli;
    for (size_t i = 0; i < n_given; i++)
        if (!strcmp(given[i].name, name) && index-- == 0)
            return given[i].value;
    return NULL;
}

/* ---- help ---- */

static void print_all(FILE *out)
{
    fprintf(out, "Sluice " SLUICE_VERSION
                 " - the gateway between a shop, its suppliers and its CRM\n\n"
                 "usage: sluice COMMAND [options]\n\n");
    for (const struct command *c = commands; c->name; c++)
        if (c->help)
            fprintf(out, "  %-18s %s\n", c->name, c->help);
    fprintf(out, "\nEvery command knows --help, --json and -c FILE (default " SLUICE_CONFIG_FILE
                 ").\n"
                 "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration, 4 not found, 5 refused,\n"
                 "6 no daemon, 7 part of a bulk failed.\n");
}

static void print_one(FILE *out, const struct command *c)
{
    fprintf(out, "usage: sluice %s%s%s [options]\n\n%s\n\n", c->name, c->arguments ? " " : "",
            c->arguments ? c->arguments : "", c->help);
    for (const struct cli_option *o = c->options; o && o->name; o++) {
        char left[64];
        snprintf(left, sizeof(left), "--%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
        fprintf(out, "  %-24s %s\n", left, o->help);
    }
    fprintf(out, "  %-24s %s\n  %-24s %s\n  %-24s %s\n", "-c, --config FILE",
            "the configuration (default " SLUICE_CONFIG_FILE ")", "--json",
            "machine-readable output", "--help", "this text");
    size_t len = strlen(c->name), n = 0;
    for (const struct command *other = commands; other->name; other++)
        if (!strncmp(other->name, c->name, len) && other->name[len] == ' ')
            fprintf(out, "%s  %-24s %s\n", n++ ? "" : "\nand\n", other->name, other->help);
}

/* ---- the options of a command ---- */

static const struct cli_option common[] = {
    { "config", "FILE", NULL }, { "json", NULL, NULL }, { "help", NULL, NULL }, { 0 }
};

static const struct cli_option *option_of(const struct command *c, const char *name, size_t len)
{
    const struct cli_option *tables[] = { common, c->options };

    for (size_t t = 0; t < 2; t++)
        for (const struct cli_option *o = tables[t]; o && o->name; o++)
            if (strlen(o->name) == len && !strncmp(o->name, name, len))
                return o;
    return NULL;
}

/* ---- finding the command ---- */

/** The command of the most words that match; *ret_words says how many. */
static const struct command *find(int argc, char **argv, int *ret_words)
{
    const struct command *best = NULL;

    *ret_words = 0;
    for (const struct command *c = commands; c->name; c++) {
        const char *space = strchr(c->name, ' ');
        size_t first = space ? (size_t)(space - c->name) : strlen(c->name);
        if (strlen(argv[0]) != first || strncmp(argv[0], c->name, first))
            continue;
        if (!space && !best) {
            best = c;
            *ret_words = 1;
        } else if (space && argc > 1 && !strcmp(argv[1], space + 1)) {
            best = c;
            *ret_words = 2;
        }
    }
    return best;
}

/** The command of these two words, or NULL. */
static const struct command *named(const char *first, const char *second)
{
    size_t len = strlen(first);

    for (const struct command *c = commands; c->name; c++)
        if (!strncmp(c->name, first, len) && c->name[len] == ' ' &&
            !strcmp(c->name + len + 1, second))
            return c;
    return NULL;
}

/** "sluice dead --help": which commands begin with this word? False: none, or a second word was
 * typed. */
static bool print_group(int argc, char **argv, int *ret_code)
{
    size_t len = strlen(argv[0]);
    bool help = argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
    FILE *out = help ? stdout : stderr;
    size_t n = 0;

    if (argc > 1 && argv[1][0] != '-')
        return false;
    for (const struct command *c = commands; c->name; c++) {
        if (strncmp(c->name, argv[0], len) || (c->name[len] && c->name[len] != ' '))
            continue;
        if (n++ == 0)
            fprintf(out, "usage: sluice %s VERB [options]\n\n", argv[0]);
        fprintf(out, "  %-18s %s\n", c->name, c->help);
    }
    if (n && named(argv[0], "list"))
        fprintf(out, "\nwithout a verb: sluice %s list\n", argv[0]);
    *ret_code = help ? EXIT_DONE : EXIT_USAGE;
    return n > 0;
}

/** Both words as typed against "dead list"; a single one against "check" and "dead" alike. */
static unsigned distance(const struct command *c, const char *first, const char *second,
                         unsigned limit)
{
    char typed[128];
    size_t n = strcspn(c->name, " ");

    snprintf(typed, sizeof(typed), "%s%s%s", first, c->name[n] ? " " : "",
             c->name[n] ? second : "");
    if (c->name[n] && !second[0]) {
        typed[strlen(typed) - 1] = 0;
        return units_edit_distance((sl_str){ c->name, n }, str_of(typed), limit);
    }
    return units_edit_distance(str_of(c->name), str_of(typed), limit);
}

/** "sluice dead --route x": the list, where no verb is typed and every option is one of the list's.
 */
static const struct command *list_of(int argc, char **argv)
{
    const struct command *list = named(argv[0], "list");

    for (int i = 1; list && i < argc; i++) {
        const char *a = strcmp(argv[i], "-c") ? argv[i] : "--config";
        size_t len = strcspn(a, "=");
        const struct cli_option *o = len > 2 && !strncmp(a, "--", 2)
                                         ? option_of(list, a + 2, len - 2)
                                         : NULL;
        if (!o || !strcmp(o->name, "help"))
            return NULL;
        if (o->value && !a[len])
            i++;
    }
    return list;
}

static int unknown(int argc, char **argv)
{
    const char *nearest = NULL, *second = argc > 1 && argv[1][0] != '-' ? argv[1] : "";
    unsigned least = 4;

    for (const struct command *c = commands; c->name; c++) {
        unsigned d = distance(c, argv[0], second, least);
        if (c->help && d < least) {
            least = d;
            nearest = c->name;
        }
    }
    fprintf(stderr, "sluice: unknown command \"%s%s%s\"", argv[0], second[0] ? " " : "", second);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fprintf(stderr, "\nsee: sluice --help\n");
    return EXIT_USAGE;
}

/* ---- reading options ---- */

static int usage(const struct command *c, const char *what, const char *arg)
{
    fprintf(stderr, "sluice %s: %s %s\nsee: sluice %s --help\n", c->name, what, arg, c->name);
    return EXIT_USAGE;
}

/** Takes the options out of argv; what is left are the arguments. */
static int parse(struct cli *cli, int argc, char **argv)
{
    int left = 0;

    for (int i = 0; i < argc; i++) {
        char *a = argv[i];
        if (a[0] != '-' || !a[1]) {
            argv[left++] = a;
            continue;
        }
        if (!strcmp(a, "--")) {
            while (++i < argc)
                argv[left++] = argv[i];
            break;
        }
        if (!strcmp(a, "-h"))
            a = "--help";
        if (!strcmp(a, "-c"))
            a = "--config";
        char *equals = strchr(a, '=');
        size_t len = equals ? (size_t)(equals - a) : strlen(a);
        const struct cli_option *o = len > 2 && a[1] == '-'
                                         ? option_of(cli->command, a + 2, len - 2)
                                         : NULL;
        if (!o)
            return usage(cli->command, "unknown option", a);
        if (o->value && !equals && i + 1 >= argc)
            return usage(cli->command, "a value is missing after", a);
        if (!o->value && equals)
            return usage(cli->command, "no value is taken by", a);
        if (n_given == MAX_OPTIONS)
            return usage(cli->command, "too many options at", a);
        given[n_given].name = o->name;
        given[n_given++].value = !o->value ? "" : equals ? equals + 1 : argv[++i];
    }
    cli->argc = left;
    cli->argv = argv;
    return EXIT_DONE;
}

int main(int argc, char **argv)
{
    struct cli cli = { 0 };
    int words;

    if (argc < 2 || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
        !strcmp(argv[1], "help")) {
        print_all(argc < 2 ? stderr : stdout);
        return argc < 2 ? EXIT_USAGE : EXIT_DONE;
    }
    if (!strcmp(argv[1], "map-worker")) /* what the daemon starts, not people */
        return map_worker_main();
    if (!strcmp(argv[1], "--version"))
        argv[1] = "version";
    cli.command = find(argc - 1, argv + 1, &words);
    int r;
    if (words < 2 && list_of(argc - 1, argv + 1)) {
        cli.command = list_of(argc - 1, argv + 1);
        words = 1;
    }
    if (!cli.command)
        return print_group(argc - 1, argv + 1, &r) ? r : unknown(argc - 1, argv + 1);
    r = parse(&cli, argc - 1 - words, argv + 1 + words);
    if (r != EXIT_DONE)
        return r;
    if (cli_value(&cli, "help")) {
        print_one(stdout, cli.command);
        return EXIT_DONE;
    }
    if (cli.argc && !cli.command->arguments)
        return usage(cli.command, "takes no argument, but got", cli.argv[0]);
    cli.file = cli_value(&cli, "config");
    if (!cli.file)
        cli.file = SLUICE_CONFIG_FILE;
    cli.json = cli_value(&cli, "json") != NULL;
    return cli.command->run(&cli);
}
