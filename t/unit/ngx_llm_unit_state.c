
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_state.h"


#define NOW   1000000
#define WALL  1700000000000
#define HOUR  3600000
#define N     3

/* one after the other, as in a file */

static u_char  *image;


/* a slot of N records that tell its serial number */

static size_t
seal(uint64_t serial)
{
    size_t                        offset;
    ngx_uint_t                    i;
    ngx_http_llm_state_record_t  *records;

    offset = ngx_http_llm_state_offset(serial);
    records = ngx_http_llm_state_records(image + offset);

    ngx_memzero(records, N * sizeof(ngx_http_llm_state_record_t));

    for (i = 0; i < N; i++) {
        records[i].kind = NGX_HTTP_LLM_STATE_NODE;
        records[i].outs = serial;
    }

    return ngx_http_llm_state_seal(image + offset, serial, N);
}


/* the serial number of what is read, 0 if nothing is */

static uint64_t
chosen(size_t len)
{
    u_char  *slot;

    if (ngx_http_llm_state_choose(image, len, &slot)
        != NGX_HTTP_LLM_STATE_VALID)
    {
        return 0;
    }

    return ngx_http_llm_state_records(slot)[N - 1].outs;
}


static void
records(void)
{
    ngx_http_llm_node_t          node, back;
    ngx_http_llm_state_record_t  record;

    ngx_memzero(&node, sizeof(node));
    ngx_memset(node.id, 7, sizeof(node.id));

    node.state = NGX_HTTP_LLM_KEY_COOLING;
    node.refusal = NGX_HTTP_LLM_KEY_COOLING;
    node.level = 3;
    node.line = 0xfedcba9876543210;
    node.until = NOW + 5000;
    node.since = NOW - 2000;
    node.served = 4;
    node.worked = 1;
    node.outs = 9;
    node.organization = 0x123456789abcdef0;
    node.window.day = 20000;
    node.window.today = 17;

    ngx_http_llm_state_put(&record, &node, NOW, WALL);

    /* another clock, which is younger than what is remembered */

    ngx_memzero(&back, sizeof(back));
    ngx_http_llm_state_get(&record, &back, 1000, WALL + 1000);

    ngx_llm_unit_ok(ngx_memcmp(record.id, node.id, sizeof(node.id)) == 0
                    && back.state == NGX_HTTP_LLM_KEY_COOLING
                    && back.refusal == NGX_HTTP_LLM_KEY_COOLING
                    && back.level == 3 && back.line == node.line
                    && back.served == 4 && back.worked == 1
                    && back.outs == 9
                    && back.organization == node.organization
                    && back.window.day == 20000 && back.window.today == 17,
                    "state: a node as it was");
    ngx_llm_unit_ok(back.until == 1000 + 4000,
                    "state: the deadline is the same moment");
    ngx_llm_unit_ok((ngx_msec_int_t) (back.since - 1000) == -3000,
                    "state: the refusal too");

    ngx_http_llm_state_get(&record, &back, 1000, WALL + 5000);
    ngx_llm_unit_ok(back.state == NGX_HTTP_LLM_KEY_USABLE && back.level == 3,
                    "state: a deadline that passed");

    ngx_http_llm_state_get(&record, &back, 1000, WALL - 24 * HOUR);
    ngx_llm_unit_ok(ngx_http_llm_node_out(&back, 1000) && back.since == 1000,
                    "state: a clock set back by a day");

    ngx_http_llm_state_get(&record, &back, 1000, WALL - 25 * (uint64_t) HOUR);
    ngx_llm_unit_ok(back.state == NGX_HTTP_LLM_KEY_USABLE
                    && back.since == 1000 && back.window.today == 17,
                    "state: a clock set back by more");

    ngx_http_llm_state_get(&record, &back, 1000,
                           WALL + 10000 * (uint64_t) HOUR);
    ngx_llm_unit_ok(back.state == NGX_HTTP_LLM_KEY_USABLE,
                    "state: a clock set ahead");

    record.state = NGX_HTTP_LLM_KEY_FINISHED;
    ngx_http_llm_state_get(&record, &back, 1000, WALL + 5000);
    ngx_llm_unit_ok(back.state == NGX_HTTP_LLM_KEY_FINISHED
                    && !ngx_http_llm_node_out(&back, 1000),
                    "state: what was finished and is due gets one try");

    record.state = NGX_HTTP_LLM_KEY_DOWN;
    record.refusal = 77;
    ngx_http_llm_state_get(&record, &back, 1000, WALL);
    ngx_llm_unit_ok(back.state == NGX_HTTP_LLM_KEY_USABLE
                    && back.refusal == NGX_HTTP_LLM_KEY_USABLE,
                    "state: marks that are not known");

    /* a node that was never out */

    ngx_memzero(&node, sizeof(node));
    ngx_http_llm_state_put(&record, &node, NOW, WALL);
    ngx_http_llm_state_get(&record, &back, 1000, WALL);
    ngx_llm_unit_ok(back.state == NGX_HTTP_LLM_KEY_USABLE && back.outs == 0
                    && back.worked == 0 && back.line == 0,
                    "state: a node that was never out");
}


static void
slots(void)
{
    u_char                       *slot, before[1024], after[1024];
    size_t                        len, i, offset;
    uint64_t                      serial;
    ngx_uint_t                    bad, bit;
    ngx_http_llm_state_header_t  *header;

    header = (ngx_http_llm_state_header_t *) image;

    ngx_llm_unit_ok(ngx_http_llm_state_choose(image, 0, &slot)
                    == NGX_HTTP_LLM_STATE_EMPTY && slot == NULL,
                    "state: an empty file");
    ngx_llm_unit_ok(ngx_http_llm_state_choose(image,
                                              2 * NGX_HTTP_LLM_STATE_SLOT,
                                              &slot)
                    == NGX_HTTP_LLM_STATE_EMPTY,
                    "state: a file of zeroes");

    len = seal(1);
    ngx_llm_unit_ok(chosen(len) == 1, "state: the first write");

    for (bad = 0, i = 0; i < len; i++) {
        bad += (chosen(i) != 0);
    }

    ngx_llm_unit_ok(bad == 0, "state: the first write, cut short");

    /* each write, cut short at every byte, leaves the one before */

    for (bad = 0, serial = 2; serial < 6; serial++) {
        offset = ngx_http_llm_state_offset(serial);

        ngx_memcpy(before, image + offset, len);
        (void) seal(serial);
        ngx_memcpy(after, image + offset, len);

        for (i = 0; i < len; i++) {
            ngx_memcpy(image + offset, after, i);
            ngx_memcpy(image + offset + i, before + i, len - i);

            /* bytes that are the same in both are no loss */

            bad += (chosen(2 * NGX_HTTP_LLM_STATE_SLOT) != serial - 1
                    && ngx_memcmp(image + offset, after, len) != 0);
        }

        ngx_memcpy(image + offset, after, len);
        bad += (chosen(2 * NGX_HTTP_LLM_STATE_SLOT) != serial);
    }

    ngx_llm_unit_ok(bad == 0, "state: writes, cut short");

    /* 5 is in the first slot, 4 in the second one */

    for (bad = 0, i = 0; i < len; i++) {

        for (bit = 0; bit < 8; bit++) {
            image[i] ^= 1 << bit;
            bad += (chosen(2 * NGX_HTTP_LLM_STATE_SLOT) != 4);
            bad += (ngx_http_llm_state_check(image, len)
                    == NGX_HTTP_LLM_STATE_VALID);
            image[i] ^= 1 << bit;
        }
    }

    ngx_llm_unit_ok(bad == 0, "state: every bit flipped");

    header->count = N - 1;
    ngx_llm_unit_ok(ngx_http_llm_state_check(image, len)
                    == NGX_HTTP_LLM_STATE_DAMAGED, "state: a record too few");

    header->count = N + 1;
    ngx_llm_unit_ok(ngx_http_llm_state_check(image, len)
                    == NGX_HTTP_LLM_STATE_DAMAGED, "state: one too many");

    header->count = (uint32_t) -1;
    ngx_llm_unit_ok(ngx_http_llm_state_check(image, NGX_HTTP_LLM_STATE_SLOT)
                    == NGX_HTTP_LLM_STATE_DAMAGED, "state: far too many");

    (void) seal(5);

    header->version++;
    ngx_llm_unit_ok(ngx_http_llm_state_check(image, len)
                    == NGX_HTTP_LLM_STATE_NEWER, "state: a newer version");
    ngx_llm_unit_ok(chosen(2 * NGX_HTTP_LLM_STATE_SLOT) == 4,
                    "state: beside one of this version");

    (void) seal(5);

    header->magic = 0x534d4c4c;
    ngx_llm_unit_ok(ngx_http_llm_state_check(image, len)
                    == NGX_HTTP_LLM_STATE_FOREIGN,
                    "state: another architecture");

    ngx_llm_unit_ok(ngx_http_llm_state_check((u_char *) "user nginx;\n", 12)
                    == NGX_HTTP_LLM_STATE_ALIEN, "state: something else");

    /* no records are a state too, and as many as there may be */

    len = ngx_http_llm_state_seal(image, 7, 0);
    ngx_llm_unit_ok(ngx_http_llm_state_check(image, len)
                    == NGX_HTTP_LLM_STATE_VALID, "state: no records");

    len = ngx_http_llm_state_seal(image, 7, NGX_HTTP_LLM_STATE_RECORDS);
    ngx_llm_unit_ok(len == NGX_HTTP_LLM_STATE_SLOT
                    && ngx_http_llm_state_check(image, len)
                       == NGX_HTTP_LLM_STATE_VALID, "state: a full slot");
}


/* what is written, and when */

static void
writes(ngx_pool_t *pool)
{
    u_char                        file[64];
    ngx_str_t                     name;
    ngx_uint_t                    i;
    ngx_http_llm_node_t          *nodes;
    ngx_http_llm_state_t         *state;
    ngx_http_llm_state_sh_t       sh;
    ngx_http_llm_state_record_t  *records;

    ngx_memzero(&sh, sizeof(sh));

    name.data = file;
    name.len = ngx_sprintf(file, "/tmp/llm-unit-state-%P%Z", ngx_pid) - file
               - 1;

    state = ngx_http_llm_state_create(pool, &name, 4);
    nodes = ngx_pcalloc(pool, 8 * sizeof(ngx_http_llm_node_t));

    if (state == NULL || nodes == NULL) {
        ngx_llm_unit_ok(0, "state: memory");
        return;
    }

    ngx_llm_unit_ok(ngx_http_llm_state_open(state, pool->log) == NGX_OK
                    && state->fd == NGX_INVALID_FILE && !state->created,
                    "state: a test makes no file");

    state->fd = open((char *) file, O_RDWR|O_CREAT|O_EXCL, 0600);

    if (state->fd == NGX_INVALID_FILE) {
        ngx_llm_unit_ok(0, "state: a file");
        return;
    }

    ngx_http_llm_state_commit(state, &sh, 5);

    records = ngx_http_llm_state_records(state->buffer);

    ngx_llm_unit_ok(ngx_http_llm_state_begin(state, &sh, nodes, 8, 0)
                    && state->records == 0, "state: nodes without a history");
    ngx_llm_unit_ok(!ngx_http_llm_state_begin(state, &sh, nodes, 8, 0),
                    "state: while it is written, nobody else does");
    ngx_llm_unit_ok(ngx_http_llm_state_write(state) == 0
                    && ngx_http_llm_state_end(state, &sh, 0) == 0
                    && sh.serial == 1, "state: written");
    ngx_llm_unit_ok(!ngx_http_llm_state_begin(state, &sh, nodes, 8, 1),
                    "state: nothing has changed");

    sh.counts++;
    ngx_llm_unit_ok(!ngx_http_llm_state_begin(state, &sh, nodes, 8, 0),
                    "state: counts wait");

    sh.at = ngx_current_msec - 11000;
    ngx_llm_unit_ok(ngx_http_llm_state_begin(state, &sh, nodes, 8, 0),
                    "state: for ten seconds");
    (void) ngx_http_llm_state_end(state, &sh, 0);

    sh.counts++;
    ngx_llm_unit_ok(ngx_http_llm_state_begin(state, &sh, nodes, 8, 1),
                    "state: not at the end");
    (void) ngx_http_llm_state_end(state, &sh, 0);

    /* more than there is space for: those that worked are the least */

    for (i = 0; i < 8; i++) {
        nodes[i].id[0] = (u_char) i;
        nodes[i].worked = 1;
    }

    nodes[5].window.today = 1;
    nodes[7].state = NGX_HTTP_LLM_KEY_COOLING;
    nodes[7].until = ngx_current_msec + 5000;

    sh.changes++;
    (void) ngx_http_llm_state_begin(state, &sh, nodes, 8, 0);
    ngx_llm_unit_ok(state->records == 4 && records[0].id[0] == 5
                    && records[1].id[0] == 7 && records[2].id[0] == 0
                    && records[3].id[0] == 1, "state: what matters goes first");

    /* a write that fails is tried again in the same place, and told once */

    i = state->next;
    ngx_llm_unit_ok(ngx_http_llm_state_end(state, &sh, NGX_ENOSPC) == 1,
                    "state: a failure is told");
    ngx_llm_unit_ok(ngx_http_llm_state_begin(state, &sh, nodes, 8, 0)
                    && state->next == i, "state: and tried again");
    ngx_llm_unit_ok(ngx_http_llm_state_end(state, &sh, NGX_ENOSPC) == 0,
                    "state: another one is not told");
    (void) ngx_http_llm_state_begin(state, &sh, nodes, 8, 0);
    (void) ngx_http_llm_state_end(state, &sh, ngx_http_llm_state_write(state));
    ngx_llm_unit_ok(!ngx_http_llm_state_begin(state, &sh, nodes, 8, 0),
                    "state: until it works");

    /* a newer configuration has taken over */

    sh.changes++;
    sh.owner = 6;
    ngx_llm_unit_ok(!ngx_http_llm_state_begin(state, &sh, nodes, 8, 1),
                    "state: old processes do not write");

    (void) ngx_delete_file(file);
}


void
ngx_llm_unit_state(ngx_pool_t *pool)
{
    image = ngx_pcalloc(pool, 2 * NGX_HTTP_LLM_STATE_SLOT);

    if (image == NULL) {
        ngx_llm_unit_ok(0, "state: memory");
        return;
    }

    records();
    slots();
    writes(pool);
}
