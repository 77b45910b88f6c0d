
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>


/*
 * One context a process: to look the algorithm up anew for each request
 * costs more than the hash itself with OpenSSL 3.
 */

static EVP_MD_CTX  *ngx_http_llm_digest_ctx;


ngx_int_t
ngx_http_llm_digest(ngx_str_t *text, u_char *digest)
{
    EVP_MD_CTX    *ctx;
    const EVP_MD  *md;

    ctx = ngx_http_llm_digest_ctx;
    md = NULL;

    if (ctx == NULL) {
        ctx = EVP_MD_CTX_new();
        if (ctx == NULL) {
            return NGX_ERROR;
        }

        md = EVP_sha256();
        ngx_http_llm_digest_ctx = ctx;
    }

    if (EVP_DigestInit_ex(ctx, md, NULL) == 0
        || EVP_DigestUpdate(ctx, text->data, text->len) == 0
        || EVP_DigestFinal_ex(ctx, digest, NULL) == 0)
    {
        EVP_MD_CTX_free(ctx);
        ngx_http_llm_digest_ctx = NULL;
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_uint_t
ngx_http_llm_digest_equal(u_char *one, u_char *two)
{
    return CRYPTO_memcmp(one, two, NGX_HTTP_LLM_DIGEST_LEN) == 0;
}
