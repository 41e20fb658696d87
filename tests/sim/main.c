/*
 * main.c - many seeds, side by side; or one, with all that happens told.
 */
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "sim.h"

#define TOLD_MOST 10 /* failures that are printed */

/** Shared by the processes that run seeds. */
struct sums {
    uint64_t seeds, failed, arrivals, confirms, deaths;
};

static struct sums *sums;
static uint64_t seed_now;
static bool tracing, until_first;
static void (*plan)(struct sim *s) = plan_make;

/* Linked in place of log_line(): the log belongs to the trace. */
void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

void __wrap_log_line(const struct logger *l, enum log_level level, const char *fmt, ...)
{
    va_list ap;

    (void)level;
    if (!tracing)
        return;
    fprintf(stderr, "            %s %s: ", l->room, l->name ? l->name : "");
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

static void tell_failure(uint64_t seed, const char *what)
{
    char text[600];
    int n = snprintf(text, sizeof(text), "seed %llu: %s\n    ./dev sim %s--seed %llu --trace\n",
                     (unsigned long long)seed, what,
                     plan == plan_crowd    ? "--crowd "
                     : plan == plan_budget ? "--budget "
                                           : "",
                     (unsigned long long)seed);

    if (__atomic_add_fetch(&sums->failed, 1, __ATOMIC_RELAXED) <= TOLD_MOST &&
        write(STDOUT_FILENO, text, (size_t)n) < 0)
        _exit(1);
}

static void on_fatal(int sig)
{
    tell_failure(seed_now, sig == SIGABRT ? "aborted" : "crashed");
    _exit(1);
}

/** Real time: the process's own clock is simulated. */
static double seconds(void)
{
    struct timespec ts;

    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static uint64_t run_one(uint64_t seed)
{
    static struct sim s;

    seed_now = seed;
    sim_run_plan(&s, seed, tracing, plan);
    __atomic_add_fetch(&sums->seeds, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&sums->arrivals, s.arrivals, __ATOMIC_RELAXED);
    __atomic_add_fetch(&sums->confirms, s.confirms, __ATOMIC_RELAXED);
    __atomic_add_fetch(&sums->deaths, s.deaths, __ATOMIC_RELAXED);
    if (s.w.failure[0])
        tell_failure(seed, s.w.failure);
    return s.w.digest;
}

/** Every hundredth seed twice: it must be the same both times. */
static void run_some(uint64_t from, uint64_t n, unsigned step)
{
    for (uint64_t seed = from; seed < from + n && !(until_first && sums->failed); seed += step) {
        uint64_t digest = run_one(seed);
        if (seed / step % 100 == 0 && run_one(seed) != digest)
            tell_failure(seed, "it is another one each time");
    }
}

static void run_side_by_side(uint64_t from, uint64_t n, unsigned jobs)
{
    int status;

    for (unsigned i = 0; i < jobs; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i < n)
                run_some(from + i, n - i, jobs);
            exit(0);
        }
    }
    while (wait(&status) > 0)
        if (status != 0 && !sums->failed)
            sums->failed = 1; /* a report of a sanitizer, or killed */
}

static int usage(void)
{
    fprintf(stderr,
            "usage: sim [--crowd | --budget] [--seeds N] [--from N] [--jobs N] [--first] | "
            "[--crowd | --budget] --seed N [--trace] | "
            "--isolation\n");
    return 2;
}

/** One remote that hangs: the others' p99 grows by less than 10 %. */
static int run_isolation(void)
{
    static struct sim s;
    int bad = 0;

    for (uint64_t seed = 1; seed <= 5; seed++) {
        double percent = sim_isolation(&s, seed);
        bad += s.w.failure[0] || percent >= 10;
        printf("p99_shift_pct_one_dead %.1f%s%s\n", percent, s.w.failure[0] ? ", " : "",
               s.w.failure);
    }
    return bad ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seeds", required_argument, NULL, 'n' }, { "from", required_argument, NULL, 'f' },
        { "jobs", required_argument, NULL, 'j' },  { "seed", required_argument, NULL, 's' },
        { "trace", no_argument, NULL, 't' },       { "isolation", no_argument, NULL, 'i' },
        { "crowd", no_argument, NULL, 'c' },       { "first", no_argument, NULL, 'x' },
        { "budget", no_argument, NULL, 'b' },      { 0 },
    };
    uint64_t n = 1000, from = 1;
    unsigned jobs = 1;
    bool one = false, isolation = false;

    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 'n')
            n = strtoull(optarg, NULL, 10);
        else if (c == 'f' || c == 's')
            from = strtoull(optarg, NULL, 10);
        else if (c == 'j')
            jobs = (unsigned)strtoul(optarg, NULL, 10);
        else if (c == 't')
            tracing = true;
        else if (c == 'i')
            isolation = true;
        else if (c == 'c')
            plan = plan_crowd;
        else if (c == 'x')
            until_first = true;
        else if (c == 'b')
            plan = plan_budget;
        else
            return usage();
        one |= c == 's';
    }
    if (optind < argc || jobs < 1 || jobs > 256 || n < 1 || (tracing && !one))
        return usage();
    setvbuf(stderr, NULL, _IOFBF, 1 << 16);
    log_setup(tracing ? LOG_TRACE : LOG_ERROR, LOG_TEXT);
    sums = mmap(NULL, sizeof(*sums), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (sums == MAP_FAILED)
        return 1;
    signal(SIGABRT, on_fatal);
    signal(SIGSEGV, on_fatal);
    if (isolation)
        return run_isolation();
    double began = seconds();
    if (one)
        run_one(from);
    else
        run_side_by_side(from, n, jobs);
    double took = seconds() - began;
    printf(
        "%llu seeds, %llu failed; %llu arrivals, %llu questions, %llu ends of the process; "
        "%.1f s, %.0f seeds/s\n",
        (unsigned long long)sums->seeds, (unsigned long long)sums->failed,
        (unsigned long long)sums->arrivals, (unsigned long long)sums->confirms,
        (unsigned long long)sums->deaths, took, (double)sums->seeds / took);
    return sums->failed ? 1 : 0;
}
