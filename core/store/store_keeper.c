/*
 * store_keeper.c - the keeper thread: does the log's housekeeping, so that no commit waits for it.
 *
 * Nothing that fails here is lost: a segment is made when it is needed, keys stay in memory, and it
 * is tried again later.
 */
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "store/backup_int.h"
#include "store/store_int.h"

#define NICE          10
#define RETRY_MS      1000 /* after a failure, twice that after the next ... */
#define RETRY_MOST_MS 30000

void store_thread_begin(const char *name, int nice)
{
    prctl(PR_SET_NAME, name);
    if (nice)
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice);
}

/* As many steps as there are. 0, or the code of the first that failed. */
static int work(struct store *s)
{
    bool stop = false, more = true;
    int r = 1;

    while ((r > 0 || more) && !stop) {
        if (r >= 0)
            r = reclog_work(s->log);
        store_publish_stats(s);
        more = backup_keeper_step(s);
        uv_mutex_lock(&s->keeper_lock);
        stop = s->keeper_stop;
        uv_mutex_unlock(&s->keeper_lock);
    }
    return r < 0 ? r : 0;
}

static void note(struct store *s, int r, int before)
{
    if (r < 0)
        atomic_fetch_add(&s->keeper_errors, 1);
    if (r < 0 && before == 0)
        log_warn(&store_logger, "housekeeping of the log failed, will retry: err=%s path=%s",
                 uv_err_name(r), s->path);
    else if (r == 0 && before < 0)
        log_info(&store_logger, "housekeeping of the log goes on: path=%s", s->path);
}

/* Until there is work, or for a while after a failure. False: the end. */
static bool wait_for_work(struct store *s, uint64_t retry_ms)
{
    bool go_on;
    int r = 0;

    uv_mutex_lock(&s->keeper_lock);
    s->keeper_waits = true;
    if (retry_ms)
        while (r != UV_ETIMEDOUT && !s->keeper_stop)
            r = uv_cond_timedwait(&s->keeper_wake, &s->keeper_lock, retry_ms * 1000000);
    else
        while (!s->keeper_asked && !s->keeper_stop)
            uv_cond_wait(&s->keeper_wake, &s->keeper_lock);
    s->keeper_waits = s->keeper_asked = false;
    go_on = !s->keeper_stop;
    uv_mutex_unlock(&s->keeper_lock);
    return go_on;
}

void store_keeper_main(void *arg)
{
    struct store *s = arg;
    uint64_t retry_ms = 0;
    int before = 0;

    store_thread_begin("sluice-keeper", NICE);
    while (wait_for_work(s, retry_ms)) {
        int r = work(s);

        note(s, r, before);
        before = r;
        retry_ms = r == 0 ? 0 : retry_ms == 0 ? RETRY_MS : 2 * retry_ms;
        if (retry_ms > RETRY_MOST_MS)
            retry_ms = RETRY_MOST_MS;
    }
    backup_keeper_end(s);
}

/* While it waits after a failure, it is not woken: that would be a retry with each commit. */
void store_keeper_wake(struct store *s)
{
    uv_mutex_lock(&s->keeper_lock);
    if (!s->keeper_asked && s->keeper_waits)
        uv_cond_signal(&s->keeper_wake);
    s->keeper_asked = true;
    uv_mutex_unlock(&s->keeper_lock);
}

void store_keeper_stop(struct store *s)
{
    uv_mutex_lock(&s->keeper_lock);
    s->keeper_stop = true;
    uv_cond_signal(&s->keeper_wake);
    uv_mutex_unlock(&s->keeper_lock);
    uv_thread_join(&s->keeper_thread);
}
