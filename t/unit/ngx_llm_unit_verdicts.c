
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"


void
ngx_llm_unit_verdicts(ngx_pool_t *pool)
{
    ngx_llm_unit_ok(pool != NULL, "verdicts");
}
