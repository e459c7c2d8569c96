/* SPDX-License-Identifier: MPL-2.0
 * refusal.c - what is refused, and why, as a text that names field and value. Tells nobody: rules/refuse.c does.
 *
 * What would have to be ignored is refused here, too: fields of specifications that this release has no code for.
 */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>

int brk_refuse(struct refusal *r, int code, const char *field, const char *format, ...)
{
    va_list ap;

    r->code = code;
    r->field = field;
    va_start(ap, format);
    vsnprintf(r->text, sizeof(r->text), format, ap);
    va_end(ap);
    return code;
}

static int not_implemented(struct refusal *r, const char *map, const char *field, long long value)
{
    return brk_refuse(r, BFORK_ENOTSUP, field, "%s: field %s is %lld; this release knows no other value than 0", map, field, value);
}

int brk_refuse_pool_spec(const struct wire_pool_spec *s, struct refusal *r)
{
    if (s->max_growth)
        return not_implemented(r, "pool_spec", "max_growth", (long long)s->max_growth);
    if (s->output_limit)
        return not_implemented(r, "pool_spec", "output_limit", (long long)s->output_limit);
    if (s->resources.n && (s->resources.n != 6 || memcmp(s->resources.p, "cpus=1", 6)))
        return brk_refuse(r, BFORK_ENOTSUP, "resources",
                          "pool_spec: field resources is \"%.*s\"; in this release a slot is \"cpus=1\", or leave it out",
                          (int)(s->resources.n < 100 ? s->resources.n : 100), s->resources.p);
    if (s->cwd.n && s->cwd.p[0] != '/')
        return brk_refuse(r, BFORK_EINVAL, "cwd", "pool_spec: field cwd is \"%.*s\"; it is a path of the worker and begins with /",
                          (int)(s->cwd.n < 100 ? s->cwd.n : 100), s->cwd.p);
    return 0;
}

int brk_refuse_job_spec(const struct wire_job_spec *s, struct refusal *r)
{
    if (s->priority)
        return not_implemented(r, "job_spec", "priority", s->priority);
    if (s->queue_limit_ms)
        return not_implemented(r, "job_spec", "queue_limit_ms", (long long)s->queue_limit_ms);
    if (s->total_limit_ms)
        return not_implemented(r, "job_spec", "total_limit_ms", (long long)s->total_limit_ms);
    if (s->retries < -1)
        return brk_refuse(r, BFORK_EINVAL, "retries", "job_spec: field retries is %d; it is -1 (at most once), 0 or more",
                          s->retries);
    if (s->retry_on & ~RETRY_BITS)
        return brk_refuse(r, BFORK_EINVAL, "retry_on",
                          "job_spec: field retry_on is 0x%x; bits 1 (failed) to 5 (over memory) can be retried, others not",
                          s->retry_on);
    if (s->streamed && !(s->needs & WIRE_FEATURE_STREAM))
        return brk_refuse(r, BFORK_EINVAL, "needs",
                          "job_spec: field needs is 0x%llx; with streamed it has bit 1 (2), the feature that is",
                          (unsigned long long)s->needs);
    return 0;
}
