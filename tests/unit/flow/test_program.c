/*
 * A route's when, split, map and choose as one program: run by a real worker.
 */
#include "map_rig.h"

#include "flow/program.h"

/** What the route makes of `input`: outputs in threes, joined by newlines; or its error. */
static void check_route(struct rig *rig, const struct conf_route *r, const char *input, int status,
                        const char *want)
{
    struct buf text = { 0 };
    struct seen seen = { 0 };

    program_compose(&text, r);
    struct map_program *p = map_program_get(rig->m, buf_view(&text), program_vars);
    struct map_run run = { p,
                           STR("{\"received\":\"2026-11-20T09:15:32.000Z\",\"delivery\":null}") };

    CHECK_EQ(mapper_run(rig->m, str_of(input), &run, 1, rig_on_result, &seen), 0);
    while (!seen.calls)
        uv_run(&rig->loop, UV_RUN_ONCE);
    CHECK_EQ(seen.status[0], status);
    CHECK_STR(status ? (seen.why[0].data ? seen.why[0].data : "")
                     : (seen.outputs[0].data ? seen.outputs[0].data : ""),
              want);
    seen_finish(&seen);
    map_program_put(p);
    buf_finish(&text);
}

static void parts_stand_alone_and_together(void **state)
{
    struct rig *rig = *state;

    check_route(rig, &(struct conf_route){ .map = ".a" }, "{\"a\":7}", 0, "\"\"\nnull\n7");
    check_route(rig, &(struct conf_route){ .when = ".a == 7", .map = ".a" }, "{\"a\":8}", 0, "");
    check_route(rig, &(struct conf_route){ .split = ".l[] | {key: .k, body: .}", .choose = ".key" },
                "{\"l\":[{\"k\":\"x\"},{\"k\":\"y\"}]}", 0,
                "\"x\"\n\"x\"\n{\"k\":\"x\"}\n\"y\"\n\"y\"\n{\"k\":\"y\"}");
    check_route(rig,
                &(struct conf_route){ .when = "true # a comment at the end",
                                      .split = ".l[] | {key: .k, body: .} # another",
                                      .map = ".k # and another",
                                      .choose = ".body # and one more" },
                "{\"l\":[{\"k\":\"x\"}]}", 0, "\"x\"\n\"x\"\n\"x\"");
    check_route(rig, &(struct conf_route){ .map = "$received" }, "{}", 0,
                "\"\"\nnull\n\"2026-11-20T09:15:32.000Z\"");
    check_route(rig, &(struct conf_route){ .map = "$delivery" }, "{}", 0, "\"\"\nnull\nnull");
}

static void what_a_route_coalesces_by_names_its_piece(void **state)
{
    struct rig *rig = *state;
    struct conf_route r = { .coalesce_by = ".sku # of the event", .map = ".n", .choose = ".key" };

    check_route(rig, &r, "{\"sku\":\"GEAR-1\",\"n\":7}", 0, "\"GEAR-1\"\n\"GEAR-1\"\n7");
    check_route(rig, &r, "{\"sku\":12,\"n\":7}", 0, "\"12\"\n\"12\"\n7");
    check_route(rig, &r, "{\"n\":7}", MAP_E_PROGRAM,
                "coalesce: wants one text or number as its key, got [null]");
    check_route(rig, &r, "{\"sku\":\"\"}", MAP_E_PROGRAM,
                "coalesce: wants one text or number as its key, got [\"\"]");
    r.coalesce_by = ".l[]";
    check_route(rig, &r, "{\"l\":[1,2]}", MAP_E_PROGRAM,
                "coalesce: wants one text or number as its key, got [1,2]");
}

static void keys_are_made_text_and_ids_stay_exact(void **state)
{
    struct rig *rig = *state;

    check_route(rig, &(struct conf_route){ .split = "{key: .id, body: .}" },
                "{\"id\":9007199254740993}", 0,
                "\"9007199254740993\"\nnull\n{\"id\":\"9007199254740993\"}");
    check_route(rig, &(struct conf_route){ .split = "{key: 5, body: int64(.id)}" },
                "{\"id\":820982911946154508}", 0, "\"5\"\nnull\n820982911946154508");
}

static void mistakes_of_a_part_are_named(void **state)
{
    struct rig *rig = *state;

    check_route(rig, &(struct conf_route){ .split = ".[]" }, "[1]", MAP_E_PROGRAM,
                "split: every output must be an object {key, body}");
    check_route(rig, &(struct conf_route){ .map = ".[]" }, "[1,2]", MAP_E_PROGRAM,
                "map: wants exactly one output, got 2");
    check_route(rig, &(struct conf_route){ .map = "empty" }, "1", MAP_E_PROGRAM,
                "map: wants exactly one output, got 0");
    check_route(rig, &(struct conf_route){ .choose = "empty" }, "1", MAP_E_PROGRAM,
                "choose: wants exactly one output, got 0");
}

static void a_route_without_programs_needs_none(void **state)
{
    (void)state;
    CHECK(!program_needed(&(struct conf_route){ 0 }));
    CHECK(program_needed(&(struct conf_route){ .when = "true" }));
    CHECK(program_needed(&(struct conf_route){ .coalesce_by = ".sku" }));
    CHECK(program_needed(&(struct conf_route){ .choose = ".key" }));
}

static int set_up(void **state)
{
    static struct rig rig;

    rig_open(&rig, (struct mapper_conf){ 0 });
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_stand_alone_and_together),
        cmocka_unit_test(what_a_route_coalesces_by_names_its_piece),
        cmocka_unit_test(keys_are_made_text_and_ids_stay_exact),
        cmocka_unit_test(mistakes_of_a_part_are_named),
        cmocka_unit_test(a_route_without_programs_needs_none),
    };

    if (argc > 1 && !strcmp(argv[1], "map-worker"))
        return map_worker_main();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
