
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_state.h"


#define NGX_HTTP_LLM_STATE_MAGIC    0x4c4c4d53
#define NGX_HTTP_LLM_STATE_SWAPPED  0x534d4c4c

/* no deadline is farther away, unless a clock was set */

#define NGX_HTTP_LLM_STATE_CAP      (25 * 60 * 60 * 1000)             /* ms */

/* what counters say that change with every request */

#define NGX_HTTP_LLM_STATE_COUNTS   10000                             /* ms */


static ngx_int_t ngx_http_llm_state_open_file(ngx_http_llm_state_t *state,
    ngx_log_t *log);
static ngx_int_t ngx_http_llm_state_test_dir(ngx_http_llm_state_t *state);
static ngx_int_t ngx_http_llm_state_read(ngx_http_llm_state_t *state,
    ngx_log_t *log);
static void ngx_http_llm_state_close(ngx_http_llm_state_t *state);
static void ngx_http_llm_state_cleanup(void *data);
static uint32_t ngx_http_llm_state_known(uint32_t state);
static ngx_uint_t ngx_http_llm_state_add(ngx_http_llm_state_t *state,
    ngx_http_llm_node_t *nodes, ngx_uint_t nodes_n, ngx_uint_t n,
    ngx_uint_t urgent);
static ngx_uint_t ngx_http_llm_state_urgent(ngx_http_llm_node_t *node,
    ngx_msec_t now);
static ngx_uint_t ngx_http_llm_state_worth(ngx_http_llm_node_t *node);


static const char  *ngx_http_llm_state_complaints[] = {
    "is empty",
    "is no state of llm_balancer, it is left alone",
    "is damaged, it is not used",
    "is of another architecture, it is not used",
    "is of a newer version, it is not used"
};


size_t
ngx_http_llm_state_seal(u_char *slot, uint64_t serial, ngx_uint_t n)
{
    size_t                        len;
    ngx_http_llm_state_header_t  *header;

    header = (ngx_http_llm_state_header_t *) slot;
    len = ngx_http_llm_state_len(n);

    header->magic = NGX_HTTP_LLM_STATE_MAGIC;
    header->version = NGX_HTTP_LLM_STATE_VERSION;
    header->serial = serial;
    header->count = (uint32_t) n;
    header->crc = 0;
    header->crc = ngx_crc32_long(slot, len);

    return len;
}


ngx_uint_t
ngx_http_llm_state_check(u_char *slot, size_t len)
{
    size_t                       n;
    uint32_t                     crc, magic, swapped;
    ngx_http_llm_state_header_t  header;

    magic = NGX_HTTP_LLM_STATE_MAGIC;
    swapped = NGX_HTTP_LLM_STATE_SWAPPED;

    ngx_memzero(&header, sizeof(ngx_http_llm_state_header_t));

    n = ngx_min(len, sizeof(ngx_http_llm_state_header_t));

    if (ngx_memcmp(slot, &header, n) == 0) {
        return NGX_HTTP_LLM_STATE_EMPTY;
    }

    ngx_memcpy(&header, slot, n);

    n = ngx_min(len, sizeof(uint32_t));

    if (ngx_memcmp(slot, &swapped, n) == 0) {
        return NGX_HTTP_LLM_STATE_FOREIGN;
    }

    if (ngx_memcmp(slot, &magic, n) != 0) {
        return NGX_HTTP_LLM_STATE_ALIEN;
    }

    if (header.version > NGX_HTTP_LLM_STATE_VERSION) {
        return NGX_HTTP_LLM_STATE_NEWER;
    }

    if (header.version != NGX_HTTP_LLM_STATE_VERSION
        || header.count > NGX_HTTP_LLM_STATE_RECORDS
        || ngx_http_llm_state_len(header.count) > len)
    {
        return NGX_HTTP_LLM_STATE_DAMAGED;
    }

    n = sizeof(ngx_http_llm_state_header_t);
    magic = header.crc;
    header.crc = 0;

    ngx_crc32_init(crc);
    ngx_crc32_update(&crc, (u_char *) &header, n);
    ngx_crc32_update(&crc, slot + n,
                     ngx_http_llm_state_len(header.count) - n);
    ngx_crc32_final(crc);

    return (crc == magic) ? NGX_HTTP_LLM_STATE_VALID
                          : NGX_HTTP_LLM_STATE_DAMAGED;
}


ngx_uint_t
ngx_http_llm_state_choose(u_char *image, size_t len, u_char **slot)
{
    size_t                        offset;
    uint64_t                      serial;
    ngx_uint_t                    i, rc, best;
    ngx_http_llm_state_header_t  *header;

    best = NGX_HTTP_LLM_STATE_EMPTY;
    serial = 0;
    *slot = NULL;

    for (i = 0; i < 2; i++) {
        offset = i * NGX_HTTP_LLM_STATE_SLOT;

        if (offset >= len) {
            break;
        }

        rc = ngx_http_llm_state_check(image + offset,
                                      ngx_min(len - offset,
                                              NGX_HTTP_LLM_STATE_SLOT));
        best = ngx_max(best, rc);

        if (rc != NGX_HTTP_LLM_STATE_VALID) {
            continue;
        }

        header = (ngx_http_llm_state_header_t *) (image + offset);

        if (*slot == NULL || header->serial > serial) {
            *slot = image + offset;
            serial = header->serial;
        }
    }

    return best;
}


void
ngx_http_llm_state_put(ngx_http_llm_state_record_t *record,
    const ngx_http_llm_node_t *node, ngx_msec_t now, uint64_t wall)
{
    record->kind = NGX_HTTP_LLM_STATE_NODE;
    record->flags = node->worked ? NGX_HTTP_LLM_STATE_WORKED : 0;

    if (node->held) {
        record->flags |= (node->held == NGX_HTTP_LLM_HELD_DRAINING)
                         ? NGX_HTTP_LLM_STATE_DRAINING
                         : NGX_HTTP_LLM_STATE_PARKED;
    }

    ngx_memcpy(record->id, node->id, NGX_HTTP_LLM_FINGERPRINT_LEN);

    record->state = node->state;
    record->refusal = node->refusal;
    record->level = node->level;
    record->served = node->served;
    record->outs = node->outs;

    /* differences are signed: both may lie in the past */

    record->until = wall + (int64_t) (ngx_msec_int_t) (node->until - now);
    record->since = wall + (int64_t) (ngx_msec_int_t) (node->since - now);

    record->organization = node->organization;
    record->line = node->line;
    record->day = node->window.day;
    record->today = node->window.today;
}


void
ngx_http_llm_state_get(const ngx_http_llm_state_record_t *record,
    ngx_http_llm_node_t *node, ngx_msec_t now, uint64_t wall)
{
    int64_t  left, age;

    left = (int64_t) (record->until - wall);
    age = (int64_t) (wall - record->since);

    node->state = ngx_http_llm_state_known(record->state);
    node->refusal = ngx_http_llm_state_known(record->refusal);
    node->level = record->level;
    node->served = record->served;
    node->worked = (record->flags & NGX_HTTP_LLM_STATE_WORKED) ? 1 : 0;
    node->held = (record->flags & NGX_HTTP_LLM_STATE_DRAINING)
                 ? NGX_HTTP_LLM_HELD_DRAINING
                 : (record->flags & NGX_HTTP_LLM_STATE_PARKED)
                   ? NGX_HTTP_LLM_HELD_PARKED : NGX_HTTP_LLM_HELD_NOT;
    node->outs = record->outs;
    node->since = now - (ngx_msec_t) ngx_max(age, 0);
    node->until = now;

    if (left > NGX_HTTP_LLM_STATE_CAP) {
        node->state = NGX_HTTP_LLM_KEY_USABLE;

    } else if (left > 0) {
        node->until = now + (ngx_msec_t) left;

    } else if (node->state == NGX_HTTP_LLM_KEY_COOLING) {
        node->state = NGX_HTTP_LLM_KEY_USABLE;
    }

    /* what was finished and is due gets its one try */

    node->organization = record->organization;
    node->line = record->line;
    node->window.day = record->day;
    node->window.today = record->today;
}


static uint32_t
ngx_http_llm_state_known(uint32_t state)
{
    return (state == NGX_HTTP_LLM_KEY_COOLING
            || state == NGX_HTTP_LLM_KEY_FINISHED)
           ? state : NGX_HTTP_LLM_KEY_USABLE;
}


ngx_http_llm_state_t *
ngx_http_llm_state_create(ngx_pool_t *pool, ngx_str_t *name,
    ngx_uint_t capacity)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_llm_state_t  *state;

    cln = ngx_pool_cleanup_add(pool, sizeof(ngx_http_llm_state_t));
    if (cln == NULL) {
        return NULL;
    }

    state = cln->data;

    ngx_memzero(state, sizeof(ngx_http_llm_state_t));

    state->name = *name;
    state->fd = NGX_INVALID_FILE;
    state->capacity = ngx_min(capacity, NGX_HTTP_LLM_STATE_RECORDS);

    cln->handler = ngx_http_llm_state_cleanup;

    state->buffer = ngx_palloc(pool, ngx_http_llm_state_len(state->capacity));
    if (state->buffer == NULL) {
        return NULL;
    }

    return state;
}


static void
ngx_http_llm_state_cleanup(void *data)
{
    ngx_http_llm_state_t *state = data;

    ngx_http_llm_state_drop(state);

    if (state->created && !state->committed) {
        (void) ngx_delete_file(state->name.data);
    }

    ngx_http_llm_state_close(state);
}


ngx_int_t
ngx_http_llm_state_open(ngx_http_llm_state_t *state, ngx_log_t *log)
{
    if (ngx_http_llm_state_open_file(state, log) != NGX_OK) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_open_file_n " \"%V\" failed", &state->name);
        return NGX_ERROR;
    }

    if (state->fd == NGX_INVALID_FILE || state->created) {
        return NGX_OK;
    }

    return ngx_http_llm_state_read(state, log);
}


static ngx_int_t
ngx_http_llm_state_open_file(ngx_http_llm_state_t *state, ngx_log_t *log)
{
    u_char  *name;

    name = state->name.data;

    state->fd = open((const char *) name, O_RDWR|O_CLOEXEC|O_NONBLOCK);

    if (state->fd != NGX_INVALID_FILE) {
        return NGX_OK;
    }

    if (ngx_errno != NGX_ENOENT) {
        return NGX_ERROR;
    }

    if (ngx_test_config) {
        return ngx_http_llm_state_test_dir(state);
    }

    state->fd = open((const char *) name,
                     O_RDWR|O_CLOEXEC|O_CREAT|O_EXCL, 0600);

    if (state->fd == NGX_INVALID_FILE) {
        return NGX_ERROR;
    }

    state->created = 1;

    return NGX_OK;
}


/* a test leaves no file behind, but tells whether there could be one */

static ngx_int_t
ngx_http_llm_state_test_dir(ngx_http_llm_state_t *state)
{
    int      rc;
    u_char  *p, *name;

    name = state->name.data;

    for (p = name + state->name.len; p > name + 1 && *p != '/'; p--) {
        /* void */
    }

    if (*p != '/') {
        return NGX_OK;
    }

    *p = '\0';

    rc = access((const char *) name, R_OK|W_OK|X_OK);

    *p = '/';

    return (rc == 0) ? NGX_OK : NGX_ERROR;
}


static ngx_int_t
ngx_http_llm_state_read(ngx_http_llm_state_t *state, ngx_log_t *log)
{
    size_t            len;
    ssize_t           n;
    ngx_uint_t        level, rc;
    ngx_file_info_t   fi;

    if (ngx_fd_info(state->fd, &fi) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                      ngx_fd_info_n " \"%V\" failed", &state->name);
        return NGX_ERROR;
    }

    if (!ngx_is_file(&fi)) {
        ngx_log_error(NGX_LOG_EMERG, log, 0, "\"%V\" is not a file",
                      &state->name);
        return NGX_ERROR;
    }

    state->image = ngx_alloc(2 * NGX_HTTP_LLM_STATE_SLOT, log);
    if (state->image == NULL) {
        return NGX_ERROR;
    }

    for (len = 0; len < 2 * NGX_HTTP_LLM_STATE_SLOT; len += n) {
        n = pread(state->fd, state->image + len,
                  2 * NGX_HTTP_LLM_STATE_SLOT - len, len);

        if (n == -1) {
            ngx_log_error(NGX_LOG_EMERG, log, ngx_errno,
                          "pread() \"%V\" failed", &state->name);
            return NGX_ERROR;
        }

        if (n == 0) {
            break;
        }
    }

    rc = ngx_http_llm_state_choose(state->image, len, &state->slot);

    if (rc == NGX_HTTP_LLM_STATE_VALID) {
        state->serial = ((ngx_http_llm_state_header_t *) state->slot)->serial;
        return NGX_OK;
    }

    level = (rc == NGX_HTTP_LLM_STATE_EMPTY) ? NGX_LOG_NOTICE : NGX_LOG_WARN;

    ngx_log_error(level, log, 0, "llm_state \"%V\" %s", &state->name,
                  ngx_http_llm_state_complaints[rc]);

    ngx_http_llm_state_drop(state);

    if (rc == NGX_HTTP_LLM_STATE_ALIEN) {
        ngx_http_llm_state_close(state);
    }

    return NGX_OK;
}


void
ngx_http_llm_state_drop(ngx_http_llm_state_t *state)
{
    if (state->image) {
        ngx_free(state->image);
    }

    state->image = NULL;
    state->slot = NULL;
}


static void
ngx_http_llm_state_close(ngx_http_llm_state_t *state)
{
    if (state->fd == NGX_INVALID_FILE) {
        return;
    }

    if (ngx_close_file(state->fd) == NGX_FILE_ERROR) {
        ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, ngx_errno,
                      ngx_close_file_n " \"%V\" failed", &state->name);
    }

    state->fd = NGX_INVALID_FILE;
}


void
ngx_http_llm_state_commit(ngx_http_llm_state_t *state,
    ngx_http_llm_state_sh_t *sh, ngx_uint_t owner)
{
    state->committed = 1;
    state->owner = owner;

    sh->owner = owner;
    sh->serial = ngx_max(sh->serial, state->serial);

    /* it may be another file */

    sh->changes++;
}


ngx_uint_t
ngx_http_llm_state_begin(ngx_http_llm_state_t *state,
    ngx_http_llm_state_sh_t *sh, ngx_http_llm_node_t *nodes,
    ngx_uint_t nodes_n, ngx_uint_t last)
{
    ngx_uint_t  n;

    /* old workers would write to the old file */

    if (state->fd == NGX_INVALID_FILE || sh->owner != state->owner) {
        return 0;
    }

    if (sh->changes == sh->changes_written
        && (sh->counts == sh->counts_written
            || (!last
                && !ngx_http_llm_node_passed(ngx_current_msec,
                                     sh->at + NGX_HTTP_LLM_STATE_COUNTS))))
    {
        return 0;
    }

    if (sh->writer
        && (kill(sh->writer, 0) == 0 || ngx_errno != NGX_ESRCH))
    {
        return 0;
    }

    n = ngx_http_llm_state_add(state, nodes, nodes_n, 0, 1);
    n = ngx_http_llm_state_add(state, nodes, nodes_n, n, 0);

    sh->writer = ngx_pid;

    state->next = sh->serial + 1;
    state->changes = sh->changes;
    state->counts = sh->counts;
    state->records = n;

    return 1;
}


/* if there is too little space, what is out now or counted goes first */

static ngx_uint_t
ngx_http_llm_state_add(ngx_http_llm_state_t *state,
    ngx_http_llm_node_t *nodes, ngx_uint_t nodes_n, ngx_uint_t n,
    ngx_uint_t urgent)
{
    uint64_t                      wall;
    ngx_uint_t                    i;
    ngx_time_t                   *tp;
    ngx_http_llm_state_record_t  *records;

    tp = ngx_timeofday();
    wall = (uint64_t) tp->sec * 1000 + tp->msec;

    records = ngx_http_llm_state_records(state->buffer);

    for (i = 0; i < nodes_n && n < state->capacity; i++) {

        if (ngx_http_llm_state_urgent(&nodes[i], ngx_current_msec) == urgent
            && (urgent || ngx_http_llm_state_worth(&nodes[i])))
        {
            ngx_http_llm_state_put(&records[n++], &nodes[i], ngx_current_msec,
                                   wall);
        }
    }

    return n;
}


static ngx_uint_t
ngx_http_llm_state_urgent(ngx_http_llm_node_t *node, ngx_msec_t now)
{
    return ngx_http_llm_node_out(node, now)
           || node->state == NGX_HTTP_LLM_KEY_FINISHED
           || node->window.today
           || node->held;
}


static ngx_uint_t
ngx_http_llm_state_worth(ngx_http_llm_node_t *node)
{
    return node->level || node->worked || node->line || node->organization;
}


ngx_err_t
ngx_http_llm_state_write(ngx_http_llm_state_t *state)
{
    off_t    offset;
    size_t   len, done;
    ssize_t  n;

    len = ngx_http_llm_state_seal(state->buffer, state->next, state->records);
    offset = ngx_http_llm_state_offset(state->next);

    for (done = 0; done < len; done += n) {
        n = pwrite(state->fd, state->buffer + done, len - done, offset + done);

        if (n == -1) {
            return ngx_errno;
        }

        if (n == 0) {
            return NGX_ENOSPC;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_state_end(ngx_http_llm_state_t *state,
    ngx_http_llm_state_sh_t *sh, ngx_err_t err)
{
    ngx_uint_t  first;

    sh->writer = 0;
    sh->at = ngx_current_msec;

    first = (err && !sh->failed);
    sh->failed = err ? 1 : 0;

    if (err == 0) {
        sh->changes_written = state->changes;
        sh->counts_written = state->counts;
        sh->serial = ngx_max(sh->serial, state->next);
    }

    return first;
}
