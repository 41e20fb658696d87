#include "cli/load.h"

#include <stdio.h>
#include <stdlib.h>
#include "cli/exit.h"
#include "cli/programs.h"
#include "flow/mapper.h"
#include "flow/program.h"

struct env {
    struct plugins *plugins;
    struct map_checker *checker;
    struct programs *programs;
};

static const sl_plugin *find_adapter(void *ctx, const char *name, struct fail *fail)
{
    return plugins_find(((struct env *)ctx)->plugins, name, fail);
}

static const char *adapter_name(void *ctx, size_t index)
{
    return plugins_name(((struct env *)ctx)->plugins, index);
}

static int compile(void *ctx, sl_str program, struct fail *fail)
{
    struct env *env = ctx;
    int r;

    if (!env->checker && (r = map_checker_open(&env->checker, NULL, fail)) < 0)
        return r;
    r = map_checker_compile(env->checker, program, program_vars, fail);
    if (r == 0)
        programs_good(env->programs, program);
    return r;
}

static int ask(void *ctx, sl_str program, struct fail *fail)
{
    return programs_ask(((struct env *)ctx)->programs, program, fail);
}

static void tell(struct config_errors *errors, struct config_errors *ret)
{
    if (ret) {
        *ret = *errors;
        return;
    }
    struct buf out = { 0 };
    config_errors_print(&out, errors);
    if (out.len)
        fwrite(out.data, 1, out.len, stderr);
    fprintf(stderr, "%zu %s\n", errors->n, errors->n == 1 ? "error" : "errors");
    buf_finish(&out);
    config_errors_finish(errors);
}

int load_config(const char *file, bool skip_secrets, struct loaded_config *ret,
                struct config_errors *ret_errors)
{
    struct config_errors errors = { 0 };
    char **dirs = NULL;
    struct env env = { 0 };

    int r = config_plugin_dirs(file, &dirs, &errors);
    if (r == 0) {
        env.plugins = plugins_open(dirs);
        env.programs = programs_create();
        struct config_env ce = {
            .ctx = &env,
            .adapter = find_adapter,
            .adapter_name = adapter_name,
            .compile = compile,
            .skip_secrets = skip_secrets,
        };
        r = config_load(file, &ce, &ret->config, &errors);
        map_checker_close(env.checker);
    }
    for (size_t i = 0; dirs && dirs[i]; i++)
        free(dirs[i]);
    free(dirs);
    if (r < 0) {
        tell(&errors, ret_errors);
        plugins_close(env.plugins);
        programs_destroy(env.programs);
        return EXIT_CONFIG;
    }
    config_errors_finish(&errors);
    ret->plugins = env.plugins;
    ret->programs = env.programs;
    return EXIT_DONE;
}

void unload_config(struct loaded_config *l)
{
    config_destroy(l->config);
    plugins_close(l->plugins);
    programs_destroy(l->programs);
}

int load_again(struct loaded_config *l, const char *file, struct config **ret,
               struct config_errors *errors)
{
    struct env env = { .plugins = l->plugins, .programs = l->programs };
    struct config_env ce = {
        .ctx = &env,
        .adapter = find_adapter,
        .adapter_name = adapter_name,
        .compile = ask,
    };

    *errors = (struct config_errors){ 0 };
    programs_begin(l->programs);
    return config_load(file, &ce, ret, errors);
}
