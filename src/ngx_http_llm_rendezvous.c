
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_rendezvous.h"
#include "ngx_http_llm_hash.h"


#define NGX_HTTP_LLM_RENDEZVOUS_PLACES  8


static ngx_uint_t ngx_http_llm_rendezvous_bits(ngx_uint_t n);
static int ngx_libc_cdecl ngx_http_llm_rendezvous_compare(const void *one,
    const void *two);
static ngx_uint_t ngx_http_llm_rendezvous_leaf(
    ngx_http_llm_rendezvous_t *rendezvous, uint64_t hash);
static ngx_uint_t ngx_http_llm_rendezvous_best(
    ngx_http_llm_rendezvous_t *rendezvous, ngx_uint_t leaf, uint64_t hash);
static uint64_t ngx_http_llm_rendezvous_distance(uint64_t hash);

#define ngx_http_llm_rendezvous_leaf_of(rendezvous, name)                     \
    ((ngx_uint_t) ((name) >> (64 - (rendezvous)->bits)))


/* one or two in a leaf; at least two leaves, so that a shift is defined */

static ngx_uint_t
ngx_http_llm_rendezvous_bits(ngx_uint_t n)
{
    ngx_uint_t  bits;

    for (bits = 1; (ngx_uint_t) 2 << bits < n; bits++) { /* void */ }

    return bits;
}


size_t
ngx_http_llm_rendezvous_size(ngx_uint_t n)
{
    ngx_uint_t  leaves;

    leaves = (ngx_uint_t) 1 << ngx_http_llm_rendezvous_bits(n);

    return ngx_align(2 * leaves * sizeof(uint64_t)
                     + n * sizeof(ngx_http_llm_peer_name_t)
                     + (n + leaves + 1) * sizeof(uint32_t), sizeof(uint64_t));
}


void
ngx_http_llm_rendezvous_init(ngx_http_llm_rendezvous_t *rendezvous,
    ngx_uint_t n, void *memory)
{
    u_char      *p;
    ngx_uint_t   leaves;

    rendezvous->n = n;
    rendezvous->bits = ngx_http_llm_rendezvous_bits(n);

    leaves = (ngx_uint_t) 1 << rendezvous->bits;

    p = memory;

    rendezvous->sums = (uint64_t *) p;
    p += 2 * leaves * sizeof(uint64_t);

    rendezvous->names = (ngx_http_llm_peer_name_t *) p;
    p += n * sizeof(ngx_http_llm_peer_name_t);

    rendezvous->places = (uint32_t *) p;
    rendezvous->leaves = rendezvous->places + n;
}


void
ngx_http_llm_rendezvous_build(ngx_http_llm_rendezvous_t *rendezvous)
{
    uint64_t                  *sums;
    ngx_uint_t                 i, n, at, leaf, leaves;
    ngx_http_llm_peer_name_t  *name;

    n = rendezvous->n;
    leaves = (ngx_uint_t) 1 << rendezvous->bits;

    ngx_qsort(rendezvous->names, n, sizeof(ngx_http_llm_peer_name_t),
             ngx_http_llm_rendezvous_compare);

    sums = rendezvous->sums;

    ngx_memzero(sums, 2 * leaves * sizeof(uint64_t));

    leaf = 0;
    rendezvous->leaves[0] = 0;

    for (i = 0; i < n; i++) {
        name = &rendezvous->names[i];

        rendezvous->places[name->i] = (uint32_t) i;

        at = ngx_http_llm_rendezvous_leaf_of(rendezvous, name->name);

        while (leaf < at) {
            rendezvous->leaves[++leaf] = (uint32_t) i;
        }

        sums[leaves + leaf] += name->weight;
    }

    while (leaf < leaves) {
        rendezvous->leaves[++leaf] = (uint32_t) n;
    }

    for (i = leaves - 1; i; i--) {
        sums[i] = sums[2 * i] + sums[2 * i + 1];
    }
}


static int ngx_libc_cdecl
ngx_http_llm_rendezvous_compare(const void *one, const void *two)
{
    const ngx_http_llm_peer_name_t *first = one, *second = two;

    if (first->name != second->name) {
        return (first->name < second->name) ? -1 : 1;
    }

    return (first->i < second->i) ? -1 : 1;
}


void
ngx_http_llm_rendezvous_weigh(ngx_http_llm_rendezvous_t *rendezvous,
    ngx_uint_t i, uint32_t weight)
{
    ngx_uint_t                 n;
    ngx_http_llm_peer_name_t  *name;

    name = &rendezvous->names[rendezvous->places[i]];

    if (name->weight == weight) {
        return;
    }

    n = ((ngx_uint_t) 1 << rendezvous->bits)
        + ngx_http_llm_rendezvous_leaf_of(rendezvous, name->name);

    for ( /* void */ ; n; n /= 2) {
        rendezvous->sums[n] = rendezvous->sums[n] - name->weight + weight;
    }

    name->weight = weight;
}


ngx_int_t
ngx_http_llm_rendezvous_named(ngx_http_llm_rendezvous_t *rendezvous,
    uint64_t name, ngx_uint_t (*usable)(void *data, ngx_uint_t i), void *data)
{
    ngx_uint_t                 n, leaf, last;
    ngx_http_llm_peer_name_t  *names;

    names = rendezvous->names;

    leaf = ngx_http_llm_rendezvous_leaf_of(rendezvous, name);
    last = rendezvous->leaves[leaf + 1];

    for (n = rendezvous->leaves[leaf]; n < last; n++) {
        if (names[n].name == name
            && names[n].weight && usable(data, names[n].i))
        {
            return names[n].i;
        }
    }

    return NGX_BUSY;
}


ngx_int_t
ngx_http_llm_rendezvous_choose(ngx_http_llm_rendezvous_t *rendezvous,
    uint64_t hash, ngx_uint_t (*usable)(void *data, ngx_uint_t i), void *data)
{
    uint64_t                   name;
    ngx_uint_t                 place, n, last;
    ngx_http_llm_peer_name_t  *names;

    if (rendezvous->sums[1] == 0) {
        return NGX_BUSY;
    }

    names = rendezvous->names;

    for (place = 0; place < NGX_HTTP_LLM_RENDEZVOUS_PLACES; place++) {

        hash = ngx_http_llm_hash_final(hash + place);

        n = ngx_http_llm_rendezvous_leaf(rendezvous, hash);
        last = rendezvous->leaves[n + 1];
        n = ngx_http_llm_rendezvous_best(rendezvous, n, hash);
        name = names[n].name;

        for ( /* void */ ; n < last && names[n].name == name; n++) {
            if (names[n].weight && usable(data, names[n].i)) {
                return names[n].i;
            }
        }
    }

    return NGX_BUSY;
}


static ngx_uint_t
ngx_http_llm_rendezvous_leaf(ngx_http_llm_rendezvous_t *rendezvous,
    uint64_t hash)
{
    uint64_t     draw, left;
    ngx_uint_t   fork, leaves;

    leaves = (ngx_uint_t) 1 << rendezvous->bits;

    for (fork = 1; fork < leaves; /* void */ ) {

        draw = ngx_http_llm_hash_final(hash ^ (uint64_t) fork << 32) >> 34;

        /* 30 bits and 20 of a weight leave room for 2^14 of them */

        fork *= 2;

        left = rendezvous->sums[fork] << 30;

        if (draw * rendezvous->sums[fork / 2] >= left) {
            fork++;
        }
    }

    return fork - leaves;
}


/* the first of those that have the name of the best */

static ngx_uint_t
ngx_http_llm_rendezvous_best(ngx_http_llm_rendezvous_t *rendezvous,
    ngx_uint_t leaf, uint64_t hash)
{
    uint64_t                   distance, weight, nearest, heaviest;
    ngx_uint_t                 i, first, last, best;
    ngx_http_llm_peer_name_t  *names;

    names = rendezvous->names;
    last = rendezvous->leaves[leaf + 1];

    best = rendezvous->leaves[leaf];
    nearest = 0;
    heaviest = 0;

    for (i = best; i < last; /* void */ ) {

        first = i;
        weight = 0;

        while (i < last && names[i].name == names[first].name) {
            weight += names[i++].weight;
        }

        distance = ngx_http_llm_rendezvous_distance(hash ^ names[first].name);

        if (weight && (heaviest == 0
                       || distance * heaviest < nearest * weight))
        {
            best = first;
            nearest = distance;
            heaviest = weight;
        }
    }

    return best;
}


/* -log2 of the hash as a fraction of its range, in 1/65536, linear between */

static uint64_t
ngx_http_llm_rendezvous_distance(uint64_t hash)
{
    uint64_t    mixed, mantissa;
    ngx_uint_t  zeros;

    mixed = ngx_http_llm_hash_final(hash);

    for (zeros = 0; !(mixed >> 63); zeros++) {
        mixed <<= 1;
    }

    mantissa = mixed << 1 >> 48;

    return ((uint64_t) zeros << 16) + 65536 - mantissa;
}
