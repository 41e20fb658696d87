/*
 * problem.c - errors as RFC 9457 says them.
 */
#include "admin/api.h"

static const char *title_of(int status)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = {
        { 400, "Bad request" },
        { 401, "Token missing or wrong" },
        { 403, "Refused" },
        { 404, "Not found" },
        { 405, "Method not allowed" },
        { 409, "Not in this state" },
        { 413, "Too large" },
        { 421, "Wrong host" },
        { 500, "Failed" },
        { 503, "Not now" },
    };

    for (size_t i = 0; i < sizeof(titles) / sizeof(titles[0]); i++)
        if (titles[i].status == status)
            return titles[i].title;
    return "Error";
}

void problem_reply(struct http_request *r, int status, const sl_header *headers, size_t n_headers,
                   const char *detail)
{
    struct buf b = { 0 };

    buf_cstr(&b, "{\"title\":");
    buf_json_str(&b, str_of(title_of(status)));
    buf_printf(&b, ",\"status\":%d,\"detail\":", status);
    buf_json_str(&b, str_of(detail));
    buf_cstr(&b, "}\n");
    http_reply(r, &(struct http_reply){
                      .status = status,
                      .content_type = "application/problem+json",
                      .body = buf_view(&b),
                      .headers = headers,
                      .n_headers = n_headers,
                  });
    buf_finish(&b);
}
