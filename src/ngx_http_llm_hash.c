
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_hash.h"


uint64_t
ngx_http_llm_hash_update(uint64_t hash, const u_char *data, size_t len)
{
    const u_char  *last;

    for (last = data + len; data < last; data++) {
        hash = (hash ^ *data) * 0x100000001b3;
    }

    return hash;
}


uint64_t
ngx_http_llm_hash_final(uint64_t hash)
{
    hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccd;
    hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53;
    hash ^= hash >> 33;

    return hash ? hash : 1;
}
