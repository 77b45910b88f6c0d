
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"


static ngx_uint_t  ngx_llm_unit_number;


void
ngx_llm_unit_ok(ngx_uint_t ok, const char *fmt, ...)
{
    u_char   *p, line[1024];
    va_list   args;

    p = ngx_slprintf(line, line + sizeof(line), "%sok %ui - ", ok ? "" : "not ",
                     ++ngx_llm_unit_number);

    va_start(args, fmt);
    p = ngx_vslprintf(p, line + sizeof(line) - 1, fmt, args);
    va_end(args);

    *p++ = LF;

    (void) ngx_write_fd(ngx_stdout, line, p - line);
}


void
ngx_llm_unit_plan(void)
{
    u_char  *p, line[64];

    p = ngx_sprintf(line, "1..%ui" "\n", ngx_llm_unit_number);

    (void) ngx_write_fd(ngx_stdout, line, p - line);
}
