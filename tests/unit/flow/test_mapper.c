/*
 * test_mapper.c - jq programs on inputs, by real workers.
 */
#include "map_rig.h"

static struct rig rig;

static int open_one(void **state)
{
    (void)state;
    rig_open(&rig, (struct mapper_conf){ .workers = 1 });
    return 0;
}

static int close_one(void **state)
{
    (void)state;
    rig_close(&rig);
    return 0;
}

static void a_program_maps_an_input_to_an_output(void **state)
{
    (void)state;
    rig_gives(&rig, ".", "{\"b\":1,\"a\":[true,null,\"x\"]}", "{\"b\":1,\"a\":[true,null,\"x\"]}");
    rig_gives(&rig, "{name: .n, total}", "{\"n\":\"#1\",\"total\":\"19.90\"}",
              "{\"name\":\"#1\",\"total\":\"19.90\"}");
    rig_gives(&rig, ". # a comment at the end", "1", "1");
    rig_gives(&rig, "def f: .+1;\nf | f", "1", "3");
}

static void a_split_gives_its_outputs_in_order(void **state)
{
    struct seen s = { 0 };

    (void)state;
    rig_run(&rig, ".lines | group_by(.v)[] | {key: .[0].v, n: length}",
            "{\"lines\":[{\"v\":\"b\"},{\"v\":\"a\"},{\"v\":\"b\"}]}", &s);
    CHECK_EQ(s.status[0], 0);
    CHECK_EQ(s.n_outputs[0], 2);
    CHECK_VIEW(buf_view(&s.outputs[0]), "{\"key\":\"a\",\"n\":1}\n{\"key\":\"b\",\"n\":2}");
    rig_run(&rig, "empty", "1", &s);
    CHECK_EQ(s.status[0], 0);
    CHECK_EQ(s.n_outputs[0], 0);
    rig_run(&rig, "label $out | 1, 2, break $out, 3", "1", &s);
    CHECK_EQ(s.status[0], 0);
    CHECK_EQ(s.n_outputs[0], 2);
    seen_finish(&s);
}

static void variables_are_given_to_each_run(void **state)
{
    static const char *const names[] = { "received", "price_book", NULL };
    struct map_run runs[3] = { 0 };
    struct seen s = { 0 };

    (void)state;
    rig_gives(&rig, "$received", "1", "\"2026-11-20T09:15:32Z\"");
    for (int i = 0; i < 3; i++)
        runs[i].program = map_program_get(rig.m, STR("[$received, $price_book.x, .a]"), names);
    CHECK(runs[0].program == runs[1].program);
    runs[0].vars = STR("{\"received\":1,\"price_book\":{\"x\":2},\"more\":3}");
    runs[1].vars = STR("{\"price_book\":{\"x\":9007199254740993}}");
    CHECK_EQ(mapper_run(rig.m, STR("{\"a\":5}"), runs, 3, rig_on_result, &s), 0);
    for (int i = 0; i < 3; i++)
        map_program_put(runs[i].program);
    rig_wait(&rig, &s);
    CHECK_VIEW(buf_view(&s.outputs[0]), "[1,2,5]");
    CHECK_VIEW(buf_view(&s.outputs[1]), "[null,\"9007199254740993\",5]");
    CHECK_VIEW(buf_view(&s.outputs[2]), "[null,null,5]");
    seen_finish(&s);
}

static void variables_that_are_no_object_are_an_error(void **state)
{
    struct map_run runs[2] = { { .vars = STR("[1]") }, { .vars = STR("{") } };
    struct seen s = { 0 };

    (void)state;
    runs[0].program = runs[1].program = rig_program(&rig, ".");
    CHECK_EQ(mapper_run(rig.m, STR("1"), runs, 2, rig_on_result, &s), 0);
    map_program_put(runs[0].program);
    rig_wait(&rig, &s);
    CHECK_EQ(s.status[0], MAP_E_INPUT);
    CHECK_VIEW(buf_view(&s.why[0]), "the variables are no JSON object");
    CHECK_EQ(s.status[1], MAP_E_INPUT);
    seen_finish(&s);
}

static void ids_beyond_2_to_the_53_stay_exact(void **state)
{
    (void)state;
    rig_gives(&rig, "{id, other: .n, list: .x_ids}",
              "{\"id\":9007199254740993,\"n\":820982911946154508,\"x_ids\":[1,820982911946154509]}",
              "{\"id\":\"9007199254740993\",\"other\":\"820982911946154508\","
              "\"list\":[\"1\",\"820982911946154509\"]}");
    rig_gives(&rig, "{id: int64(.id), n: [.x_ids[] | int64(.)], s: .id, z: int64(\"-5\")}",
              "{\"id\":9007199254740993,\"x_ids\":[1,820982911946154508]}",
              "{\"id\":9007199254740993,\"n\":[1,820982911946154508],\"s\":\"9007199254740993\","
              "\"z\":-5}");
    rig_gives(&rig, "int64(\"9223372036854775807\", \"-9223372036854775808\", 7, \"0\")", "1",
              "9223372036854775807\n-9223372036854775808\n7\n0");
}

static void int64_takes_whole_numbers_only(void **state)
{
    static const char *const wrong[] = { "\"\"",
                                         "\"1.5\"",
                                         "\"a\"",
                                         "\"01\"",
                                         "\"1\\n\"",
                                         "null",
                                         "[1]",
                                         "1.5",
                                         "1e17",
                                         "\"-\"",
                                         "\"12345678901234567890\"" };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct buf text = { 0 };
        struct seen s = { 0 };

        buf_printf(&text, "int64(%s)", wrong[i]);
        rig_run(&rig, text.data, "1", &s);
        CHECK_EQ(s.status[0], MAP_E_PROGRAM);
        CHECK(strstr(s.why[0].data, "is not a whole number of 64 bits") != NULL);
        seen_finish(&s);
        buf_finish(&text);
    }
    rig_fails(&rig, "int64(\"9223372036854775808\")", "1", MAP_E_PROGRAM,
              "int64: 9223372036854775808 does not fit into 64 bits");
    rig_gives(&rig, "try int64(.a) catch \"none\"", "{}", "\"none\"");
}

static void an_int64_is_for_output_only(void **state)
{
    static const char *const wrong[] = { "int64(\"5\")|tojson",           "int64(\"5\") + {a: 1}",
                                         "{a: 1} + int64(\"5\")",         "int64(\"5\") | keys",
                                         "\"<\\(int64(\"5\"))>\"",        "[int64(\"5\")] | tojson",
                                         "int64(\"5\") | map_values([.])" };
    struct seen s = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        rig_run(&rig, wrong[i], "1", &s);
        CHECK_EQ(s.status[0], MAP_E_PROGRAM);
        CHECK(strstr(s.why[0].data, "it can only be output") != NULL);
    }
    seen_finish(&s);
}

static void a_document_cannot_forge_an_int64(void **state)
{
    static const char json[] = "{\"int64:00000000000000000000000000000000\":\"5\"}";

    (void)state;
    rig_gives(&rig, ".", json, json);
}

static void money_travels_as_the_strings_it_came_as(void **state)
{
    (void)state;
    rig_gives(&rig, "[.total_price, .tax]", "{\"total_price\":\"19.90\",\"tax\":\"0.10\"}",
              "[\"19.90\",\"0.10\"]");
}

static void other_numbers_are_as_jq_writes_them(void **state)
{
    (void)state;
    rig_gives(&rig, ".", "[19.9,1.50,-0.1,1e3,9007199254740992,0]",
              "[19.9,1.5,-0.1,1000,9007199254740992,0]");
}

static void an_error_is_told_in_the_programs_words(void **state)
{
    (void)state;
    rig_fails(&rig, ".a", "1", MAP_E_PROGRAM, "Cannot index number with string \"a\"");
    rig_fails(&rig, "error(\"x\")", "1", MAP_E_PROGRAM, "x");
    rig_fails(&rig, "1, error(\"two\\nlines\\u0007\")", "1", MAP_E_PROGRAM, "two lines");
    rig_fails(&rig, "error({a: 1})", "1", MAP_E_PROGRAM, "{\"a\":1}");
    rig_gives(&rig, ".a", "{\"a\":2}", "2"); /* the state is whole again */
}

static void a_program_that_does_not_compile_says_where(void **state)
{
    struct seen s = { 0 };

    (void)state;
    rig_fails(&rig, ".a |\n| .b", "1", MAP_E_PROGRAM, "line 2: syntax error, unexpected '|': | .b");
    rig_fails(&rig, "nope", "1", MAP_E_PROGRAM, "line 1: nope/0 is not defined: nope");
    rig_fails(&rig, "$nope", "1", MAP_E_PROGRAM, "line 1: $nope is not defined: $nope");
    rig_fails(&rig, "", "1", MAP_E_PROGRAM,
              "the program has no expression (\".\" passes the input on)");
    rig_fails(&rig, "1 +", "1", MAP_E_PROGRAM, "line 1: syntax error, unexpected $end: 1 +");
    rig_run(&rig, "now", "1", &s); /* the worker has the guard, too */
    CHECK_EQ(s.status[0], MAP_E_PROGRAM);
    CHECK(strstr(s.why[0].data, "now is not allowed") != NULL);
    seen_finish(&s);
}

static void an_input_that_is_not_json_is_an_input_error(void **state)
{
    struct buf deep = { 0 };

    (void)state;
    rig_fails(&rig, ".", "{\"a\":}", MAP_E_INPUT, "byte 5: not a JSON value");
    rig_fails(&rig, ".", "", MAP_E_INPUT, "the input is empty");
    rig_fails(&rig, ".", "{\"a\": \"Z\xff\"}", MAP_E_INPUT, "byte 8: not UTF-8");
    rig_fails(&rig, ".", "nan", MAP_E_INPUT, "byte 0: not a JSON value");
    for (int i = 0; i < 65; i++)
        buf_char(&deep, '[');
    rig_fails(&rig, ".", deep.data, MAP_E_INPUT, "byte 64: arrays and objects deeper than 64");
    buf_finish(&deep);
}

static void an_output_jq_would_cut_is_an_error(void **state)
{
    (void)state;
    rig_fails(&rig, "reduce range(20000) as $i (.; [.])", "1", MAP_E_PROGRAM,
              "an output is nested too deep");
    rig_gives(&rig, "\"<stripped: exceeds max depth>\"", "1", "\"<stripped: exceeds max depth>\"");
}

static void one_input_serves_several_programs(void **state)
{
    struct map_run runs[4] = { 0 };
    struct seen s = { 0 };

    (void)state;
    runs[0].program = rig_program(&rig, ".a = 2 | .a");
    runs[1].program = rig_program(&rig, ".a.b");
    runs[2].program = rig_program(&rig, "syntax error");
    runs[3].program = rig_program(&rig, ".a, .a");
    CHECK_EQ(mapper_run(rig.m, STR("{\"a\":1}"), runs, 4, rig_on_result, &s), 0);
    for (int i = 0; i < 4; i++)
        map_program_put(runs[i].program);
    rig_wait(&rig, &s);
    CHECK_EQ(s.n, 4);
    CHECK_VIEW(buf_view(&s.outputs[0]), "2");
    CHECK_EQ(s.status[1], MAP_E_PROGRAM);
    CHECK_EQ(s.status[2], MAP_E_PROGRAM);
    CHECK_VIEW(buf_view(&s.outputs[3]), "1\n1");
    seen_finish(&s);
}

static void no_programs_give_no_results(void **state)
{
    struct seen s = { 0 };

    (void)state;
    CHECK_EQ(mapper_run(rig.m, STR("1"), NULL, 0, rig_on_result, &s), 0);
    rig_wait(&rig, &s);
    CHECK_EQ(s.n, 0);
    seen_finish(&s);
}

static void a_dropped_program_can_come_again(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++) /* each run gets it, puts it, and the worker drops it */
        rig_gives(&rig, ". + 1", "1", "2");
}

static void a_program_may_outlive_its_mapper(void **state)
{
    struct map_program *p;
    struct rig own;

    (void)state;
    rig_open(&own, (struct mapper_conf){ 0 });
    p = rig_program(&own, ".");
    rig_close(&own);
    map_program_put(p);
}

static void an_output_past_the_cap_fails_its_run_alone(void **state)
{
    struct map_run runs[3] = { 0 };
    struct seen s = { 0 };
    struct rig own;

    (void)state;
    rig_open(&own, (struct mapper_conf){ .output = 1000 });
    runs[0].program = rig_program(&own, "\"x\" * 900");
    runs[1].program = rig_program(&own, "range(100)");
    runs[2].program = rig_program(&own, "range(10)");
    CHECK_EQ(mapper_run(own.m, STR("1"), runs, 3, rig_on_result, &s), 0);
    for (int i = 0; i < 3; i++)
        map_program_put(runs[i].program);
    rig_wait(&own, &s);
    CHECK_EQ(s.status[0], 0);
    CHECK_EQ(s.outputs[0].len, 902);
    CHECK_EQ(s.status[1], MAP_E_OUTPUT);
    CHECK_VIEW(buf_view(&s.why[1]), "more output than the 94 bytes allowed");
    CHECK_EQ(s.n_outputs[1], 0);
    CHECK_EQ(s.status[2], 0);
    CHECK_EQ(s.n_outputs[2], 10);
    seen_finish(&s);
    rig_fails(&own, "\"x\" * 100000", "1", MAP_E_OUTPUT, "more output than the 1000 bytes allowed");
    rig_close(&own);
}

/* ---- many jobs ---- */

struct counted {
    struct rig *rig;
    uint64_t at;
    unsigned *done;
    unsigned *wrong;
};

static void on_counted(void *ctx, const struct map_result *results, size_t n)
{
    struct counted *c = ctx;
    char want[64];

    snprintf(want, sizeof(want), "{\"n\":\"%llu\",\"sq\":%llu}",
             (unsigned long long)(c->at + UINT64_C(9007199254740993)),
             (unsigned long long)(c->at * c->at));
    if (n != 1 || results[0].n_outputs != 1 || !str_eq(results[0].outputs[0], str_of(want)))
        ++*c->wrong;
    ++*c->done;
}

static void many(struct rig *r, unsigned jobs)
{
    unsigned done = 0, wrong = 0;
    struct counted *all = mem_array(jobs, sizeof(*all));
    struct map_run run = { .program = rig_program(r, "{n: .id, sq: (.i * .i)}") };
    struct mapper_stats stats;

    for (unsigned i = 0; i < jobs; i++) {
        char json[96];

        all[i] = (struct counted){ .rig = r, .at = i, .done = &done, .wrong = &wrong };
        snprintf(json, sizeof(json), "{\"id\":%llu,\"i\":%u}",
                 (unsigned long long)(i + UINT64_C(9007199254740993)), i);
        CHECK_EQ(mapper_run(r->m, str_of(json), &run, 1, on_counted, &all[i]), 0);
    }
    mapper_stats(r->m, &stats);
    CHECK(stats.queued >= jobs - 16);
    while (done < jobs)
        uv_run(&r->loop, UV_RUN_ONCE);
    map_program_put(run.program);
    CHECK_EQ(wrong, 0);
    mapper_stats(r->m, &stats);
    CHECK_EQ(stats.jobs, jobs);
    CHECK_EQ(stats.errors, 0);
    CHECK_EQ(stats.deaths, 0);
    CHECK_EQ(stats.queued, 0);
    free(all);
}

static void a_thousand_jobs_over_two_workers_each_get_their_own_result(void **state)
{
    struct rig own;

    (void)state;
    rig_open(&own, (struct mapper_conf){ .workers = 2, .outstanding = 16 });
    many(&own, 1000);
    rig_close(&own);
}

static void a_worker_is_renewed_after_ten_thousand_jobs_without_loss(void **state)
{
    struct rig own;

    (void)state;
    rig_open(&own, (struct mapper_conf){ .workers = 1 });
    many(&own, 20500);
    rig_close(&own);
}

/* A callback that starts the next job. */
struct chain {
    struct rig *rig;
    unsigned left;
    bool ended;
};

static void on_link(void *ctx, const struct map_result *results, size_t n)
{
    struct chain *c = ctx;
    struct map_run run = { .program = rig_program(c->rig, ".") };

    CHECK_EQ(n, 1);
    CHECK_EQ(results[0].status, 0);
    if (c->left-- == 0)
        c->ended = true;
    else
        CHECK_EQ(mapper_run(c->rig->m, STR("1"), &run, 1, on_link, c), 0);
    map_program_put(run.program);
}

static void a_callback_may_start_the_next_job(void **state)
{
    struct chain c = { .rig = &rig, .left = 20 };
    struct map_run run = { .program = rig_program(&rig, ".") };

    (void)state;
    CHECK_EQ(mapper_run(rig.m, STR("1"), &run, 1, on_link, &c), 0);
    map_program_put(run.program);
    while (!c.ended)
        uv_run(&rig.loop, UV_RUN_ONCE);
}

static void a_large_input_passes_through(void **state)
{
    struct buf json = { 0 };
    struct seen s = { 0 };

    (void)state;
    buf_char(&json, '[');
    for (int i = 0; i < 300000; i++)
        buf_printf(&json, "%s%d", i ? "," : "", i);
    buf_char(&json, ']');
    rig_run(&rig, "length, .", json.data, &s);
    CHECK_EQ(s.status[0], 0);
    CHECK_EQ(s.outputs[0].len, 7 + json.len);
    assert_memory_equal(s.outputs[0].data + 7, json.data, json.len);
    seen_finish(&s);
    buf_finish(&json);
}

static const struct CMUnitTest tests[] = {
    cmocka_unit_test(a_program_maps_an_input_to_an_output),
    cmocka_unit_test(a_split_gives_its_outputs_in_order),
    cmocka_unit_test(variables_are_given_to_each_run),
    cmocka_unit_test(variables_that_are_no_object_are_an_error),
    cmocka_unit_test(ids_beyond_2_to_the_53_stay_exact),
    cmocka_unit_test(int64_takes_whole_numbers_only),
    cmocka_unit_test(an_int64_is_for_output_only),
    cmocka_unit_test(a_document_cannot_forge_an_int64),
    cmocka_unit_test(money_travels_as_the_strings_it_came_as),
    cmocka_unit_test(other_numbers_are_as_jq_writes_them),
    cmocka_unit_test(an_error_is_told_in_the_programs_words),
    cmocka_unit_test(a_program_that_does_not_compile_says_where),
    cmocka_unit_test(an_input_that_is_not_json_is_an_input_error),
    cmocka_unit_test(an_output_jq_would_cut_is_an_error),
    cmocka_unit_test(one_input_serves_several_programs),
    cmocka_unit_test(no_programs_give_no_results),
    cmocka_unit_test(a_dropped_program_can_come_again),
    cmocka_unit_test(a_program_may_outlive_its_mapper),
    cmocka_unit_test(an_output_past_the_cap_fails_its_run_alone),
    cmocka_unit_test(a_thousand_jobs_over_two_workers_each_get_their_own_result),
    cmocka_unit_test(a_worker_is_renewed_after_ten_thousand_jobs_without_loss),
    cmocka_unit_test(a_callback_may_start_the_next_job),
    cmocka_unit_test(a_large_input_passes_through),
};

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "map-worker") == 0)
        return map_worker_main();
    return cmocka_run_group_tests(tests, open_one, close_one);
}
