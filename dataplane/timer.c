/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/timer.h"

#include <string.h>

#include "base/check.h"
#include "base/mutant.h"

/* Namespace and time follow the key. */
#define TAIL_CNT 2
/* An index page: a header line, and entries in whole lines. */
#define PAGE_ENTRY_CNT (WEIR_ARENA_BODY_BYTES / sizeof(struct entry))
/* Children of a heap entry, which lie in one line. */
#define CHILD_CNT 4
/* Entries with no row that one peek drops before it lets others run: some 20 us. */
#define STALE_CNT_MAX 128
/* Index entries swept with each timer set, and from how many stale ones on. */
#define SWEEP_CNT 4
#define SWEEP_ENTRY_CNT_MIN 4096
#define DIR_LG2_MIN 4

struct entry {
    int64_t time;
    uint64_t hash;
};
WEIR_STATIC_ASSERT(CHILD_CNT * sizeof(struct entry) == WEIR_LINE_BYTES, "children share a line");

/* ---- the heap ---- */

static struct entry *
entry_at(const struct weir_arena *arena, const struct weir_timer_heap *heap, uint64_t idx)
{
    /* Entry 0 stands at the end of the first line, so that entries 4 i + 1 .. 4 i + 4 share one. */
    uint64_t at = idx + CHILD_CNT - 1;
    uint32_t page = arena->index[heap->dir + at / PAGE_ENTRY_CNT];
    char *base = (char *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS) + WEIR_LINE_BYTES;
    return (struct entry *)(void *)base + at % PAGE_ENTRY_CNT;
}

static bool
is_before(const struct entry *a, const struct entry *b)
{
    return a->time != b->time ? a->time < b->time : a->hash < b->hash;
}

static int
heap_grow(struct weir_arena *arena, struct weir_timer_heap *heap)
{
    if (heap->dir == 0 || heap->page_cnt == UINT32_C(1) << heap->dir_lg2) {
        uint32_t lg2 = heap->dir == 0 ? DIR_LG2_MIN : heap->dir_lg2 + 1;
        uint32_t dir;
        int err = weir_arena_index_take(arena, lg2, &dir);
        if (err < 0) {
            return err;
        }
        if (heap->dir != 0) {
            memcpy(arena->index + dir, arena->index + heap->dir, heap->page_cnt * sizeof(uint32_t));
            weir_arena_index_give(arena, heap->dir, heap->dir_lg2);
        }
        heap->dir = dir;
        heap->dir_lg2 = lg2;
    }
    uint32_t page;
    int err = weir_arena_page_take(arena, &page);
    if (err < 0) {
        return err;
    }
    struct weir_slab *head = (struct weir_slab *)weir_arena_ptr(arena, page * WEIR_ARENA_PAGE_REFS);
    memset(head, 0, sizeof *head);
    head->kind = WEIR_PAGE_INDEX;
    arena->index[heap->dir + heap->page_cnt++] = page;
    return 0;
}

/* Room for one more entry, so that a push cannot fail after its row was made. */
static int
heap_reserve(struct weir_arena *arena, struct weir_timer_heap *heap)
{
    while (heap->cnt + CHILD_CNT > heap->page_cnt * PAGE_ENTRY_CNT) {
        int err = heap_grow(arena, heap);
        if (err < 0) {
            return err;
        }
    }
    return 0;
}

static void
heap_push(const struct weir_arena *arena, struct weir_timer_heap *heap, const struct entry *entry)
{
    uint64_t at = heap->cnt++;
    while (at > 0) {
        uint64_t up = (at - 1) / CHILD_CNT;
        const struct entry *parent = entry_at(arena, heap, up);
        if (!is_before(entry, parent)) {
            break;
        }
        *entry_at(arena, heap, at) = *parent;
        at = up;
    }
    *entry_at(arena, heap, at) = *entry;
}

static void
heap_shrink(struct weir_arena *arena, struct weir_timer_heap *heap)
{
    /* One spare page is kept: timers come and go around a page's end. */
    uint64_t need = heap->cnt == 0 ? 0 : (heap->cnt + CHILD_CNT - 2) / PAGE_ENTRY_CNT + 2;
    while (heap->page_cnt > need) {
        weir_arena_page_give(arena, arena->index[heap->dir + --heap->page_cnt]);
    }
}

static struct entry
heap_pop_last(struct weir_arena *arena, struct weir_timer_heap *heap)
{
    struct entry last = *entry_at(arena, heap, --heap->cnt);
    heap_shrink(arena, heap);
    return last;
}

static void
heap_pop(struct weir_arena *arena, struct weir_timer_heap *heap)
{
    struct entry last = heap_pop_last(arena, heap);
    uint64_t at = 0;
    for (;;) {
        uint64_t first = at * CHILD_CNT + 1;
        if (first >= heap->cnt) {
            break;
        }
        const struct entry *child = entry_at(arena, heap, first);
        uint64_t cnt = weir_min_u64(CHILD_CNT, heap->cnt - first);
        uint64_t least = 0;
        for (uint64_t c = 1; c < cnt - (WEIR_MUTANT(TIMER_CHILD_UNSEEN) && cnt == CHILD_CNT); c++) {
            least = is_before(&child[c], &child[least]) ? c : least;
        }
        if (!is_before(&child[least], &last)) {
            break;
        }
        *entry_at(arena, heap, at) = child[least];
        at = first + least;
    }
    if (heap->cnt > 0) {
        *entry_at(arena, heap, at) = last;
    }
}

static void
heap_fini(struct weir_arena *arena, struct weir_timer_heap *heap)
{
    heap->cnt = 0;
    heap_shrink(arena, heap);
    if (heap->dir != 0) {
        weir_arena_index_give(arena, heap->dir, heap->dir_lg2);
    }
    memset(heap, 0, sizeof *heap);
}

/* ---- timers ---- */

struct weir_table_spec
weir_timers_spec(uint32_t key_kind)
{
    struct weir_table_spec spec = {0, key_kind, 0, TAIL_CNT};
    return spec;
}

int
weir_timers_adopt(struct weir_timers *timers, struct weir_table *table)
{
    memset(timers, 0, sizeof *timers);
    timers->arena = table->arena;
    timers->table = table;
    return WEIR_MUTANT(TIMERS_NOT_RESTORED) ? 0 : weir_timers_rebuild(timers);
}

int
weir_timers_init(
    struct weir_timers *timers, struct weir_arena *arena, uint32_t state_id, uint32_t key_kind)
{
    struct weir_table_spec spec = weir_timers_spec(key_kind);
    spec.state_id = state_id;
    memset(timers, 0, sizeof *timers);
    timers->arena = arena;
    return weir_table_take(arena, &spec, 0, &timers->table);
}

/* Index pages are given back a few buckets' worth at a time too, but they cost next to nothing. */
#define FINI_BUCKET_CNT 256

int
weir_timers_fini(struct weir_timers *timers)
{
    if (timers->table == NULL) {
        return WEIR_DONE;
    }
    if (weir_table_give(timers->table, FINI_BUCKET_CNT) == WEIR_AGAIN) {
        return WEIR_AGAIN;
    }
    timers->table = NULL;
    heap_fini(timers->arena, &timers->heap[0]);
    heap_fini(timers->arena, &timers->heap[1]);
    return WEIR_DONE;
}

/* The row of a timer as tables take keys: the key's words, namespace, time; and the row's hash. */
static uint64_t
row_of(const struct weir_timers *timers, const struct weir_timer_key *key, int64_t time,
    uint64_t *ret_word)
{
    uint32_t key_cnt = timers->table->word_cnt - TAIL_CNT;
    memcpy(ret_word, key->key, key_cnt * sizeof ret_word[0]);
    ret_word[key_cnt] = key->ns;
    ret_word[key_cnt + 1] = (uint64_t)time;
    return weir_table_hash_tail(
        key->hash, ret_word + key_cnt, TAIL_CNT, timers->arena->spec.max_parallelism);
}

static bool
is_live(const struct weir_timers *timers, const struct entry *entry)
{
    uint64_t stored[WEIR_TABLE_WORD_CNT_MAX];
    return weir_table_find_hashed(timers->table, entry->hash, (uint64_t)entry->time, stored);
}

/* Move some entries from the end of the old heap, which leaves it a heap, into the new one. */
static int
sweep(struct weir_timers *timers, uint32_t cnt)
{
    struct weir_timer_heap *from = &timers->heap[0];
    struct weir_timer_heap *to = &timers->heap[1];
    for (; cnt > 0 && from->cnt > 0; cnt--) {
        int err = heap_reserve(timers->arena, to);
        if (err < 0) {
            return err;
        }
        struct entry last = heap_pop_last(timers->arena, from);
        if (is_live(timers, &last)) {
            heap_push(timers->arena, to, &last);
        }
    }
    if (from->cnt == 0) {
        heap_fini(timers->arena, from);
        *from = *to;
        memset(to, 0, sizeof *to);
        timers->is_sweeping = false;
    }
    return 0;
}

int
weir_timers_set(
    struct weir_timers *timers, const struct weir_timer_key *key, int64_t time, bool *ret_made)
{
    if (!timers->is_sweeping &&
        timers->heap[0].cnt > 2 * timers->table->entry_cnt + SWEEP_ENTRY_CNT_MIN) {
        timers->is_sweeping = true;
    }
    int err = timers->is_sweeping ? sweep(timers, SWEEP_CNT) : 0;
    struct weir_timer_heap *heap = &timers->heap[timers->is_sweeping];
    if (err < 0 || (err = heap_reserve(timers->arena, heap)) < 0) {
        return err;
    }
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    struct entry entry = {time, row_of(timers, key, time, word)};
    struct weir_table_rows row;
    memset(&row, 0, sizeof row);
    row.hash = &key->hash;
    row.key = (const char *)word;
    row.heap = key->heap;
    void *val;
    bool is_made = false;
    err = weir_table_find_or_make(timers->table, &row, &val, &is_made);
    if (err < 0) {
        return err;
    }
    if (is_made) {
        heap_push(timers->arena, heap, &entry);
    }
    *ret_made = is_made;
    return 0;
}

bool
weir_timers_delete(struct weir_timers *timers, const struct weir_timer_key *key, int64_t time)
{
    uint64_t word[WEIR_TABLE_WORD_CNT_MAX];
    (void)row_of(timers, key, time, word);
    return weir_table_delete(timers->table, key->hash, word, key->heap);
}

/* The heap whose first entry is the earliest, or NULL. */
static struct weir_timer_heap *
earliest(struct weir_timers *timers, struct entry *ret_entry)
{
    struct weir_timer_heap *first = NULL;
    for (uint32_t h = 0; h < 2; h++) {
        struct weir_timer_heap *heap = &timers->heap[h];
        if (heap->cnt > 0) {
            const struct entry *entry = entry_at(timers->arena, heap, 0);
            if (first == NULL || is_before(entry, ret_entry)) {
                first = heap;
                *ret_entry = *entry;
            }
        }
    }
    return first;
}

int
weir_timers_peek(struct weir_timers *timers, int64_t up_to, struct weir_timer *ret_timer)
{
    for (uint32_t stale = 0; stale < STALE_CNT_MAX; stale++) {
        struct entry entry;
        struct weir_timer_heap *heap = earliest(timers, &entry);
        if (heap == NULL || entry.time - WEIR_MUTANT(TIMER_EARLY) > up_to) {
            return 0;
        }
        if (weir_table_find_hashed(
                timers->table, entry.hash, (uint64_t)entry.time, ret_timer->stored)) {
            uint32_t key_cnt = timers->table->word_cnt - TAIL_CNT;
            ret_timer->time = entry.time;
            ret_timer->ns = ret_timer->stored[key_cnt];
            ret_timer->hash = weir_table_stored_key_hash(timers->table, ret_timer->stored);
            return 1;
        }
        heap_pop(timers->arena, heap);
    }
    return WEIR_TIMERS_BUSY;
}

uint32_t
weir_timers_ahead(const struct weir_timers *timers, int64_t up_to, uint32_t cnt, uint64_t *ret_key)
{
    uint32_t key_cnt = timers->table->word_cnt - TAIL_CNT;
    const struct weir_timer_heap *heap = &timers->heap[0];
    uint64_t end = weir_min_u64(cnt, heap->cnt);
    uint32_t found = 0;
    for (uint64_t i = 0; i < end; i++) {
        const struct entry *entry = entry_at(timers->arena, heap, i);
        uint64_t stored[WEIR_TABLE_WORD_CNT_MAX];
        if (entry->time <= up_to &&
            weir_table_find_hashed(timers->table, entry->hash, (uint64_t)entry->time, stored)) {
            memcpy(ret_key, stored, key_cnt * sizeof *ret_key);
            ret_key += key_cnt;
            found++;
        }
    }
    return found;
}

void
weir_timers_pop(struct weir_timers *timers, const struct weir_timer *timer)
{
    timers->fired_cnt++;
    /* Its index entry is stale from now on, and mostly on top. */
    if (WEIR_MUTANT(TIMER_FIRED_STAYS) || weir_table_delete_stored(timers->table, timer->stored)) {
        struct entry entry;
        struct weir_timer_heap *heap = earliest(timers, &entry);
        if (heap != NULL && entry.time == timer->time &&
            (WEIR_MUTANT(TIMER_FIRED_STAYS) || !is_live(timers, &entry))) {
            heap_pop(timers->arena, heap);
        }
    }
}

/* Those of one bucket: their places do not change while others go, and their hashes are taken
 * before, since the text of a long key goes with its timer. */
static int
each_of_bucket(
    struct weir_timers *timers, const uint64_t *stored, uint32_t cnt, weir_timers_fn *fn, void *arg)
{
    uint64_t hash[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX];
    uint32_t word_cnt = timers->table->word_cnt;
    for (uint32_t i = 0; i < cnt; i++) {
        hash[i] = weir_table_stored_hash(timers->table, stored + (size_t)i * word_cnt);
    }
    for (uint32_t i = 0; i < cnt; i++) {
        const uint64_t *row = stored + (size_t)i * word_cnt;
        struct weir_timer timer = {
            .time = (int64_t)row[word_cnt - 1], .ns = row[word_cnt - TAIL_CNT]};
        if (!weir_table_find_hashed(timers->table, hash[i], row[word_cnt - 1], timer.stored)) {
            continue;
        }
        timer.hash = weir_table_stored_key_hash(timers->table, timer.stored);
        int rc = fn(arg, &timer);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

int
weir_timers_each(struct weir_timers *timers, weir_timers_fn *fn, void *arg)
{
    uint64_t stored[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX * WEIR_TABLE_WORD_CNT_MAX];
    void *vals[WEIR_TABLE_BUCKET_ENTRY_CNT_MAX];
    for (uint32_t g = 0; g < timers->arena->spec.groups.cnt; g++) {
        struct weir_table_cursor cursor = {.group = g};
        uint32_t cnt;
        while ((cnt = weir_table_scan_ordered(timers->table, &cursor, stored, vals)) > 0) {
            int rc = each_of_bucket(timers, stored, cnt, fn, arg);
            if (rc != 0) {
                return rc;
            }
        }
    }
    return 0;
}

int64_t
weir_timers_next_time(const struct weir_timers *timers)
{
    int64_t next = INT64_MAX;
    for (uint32_t h = 0; h < 2; h++) {
        if (timers->heap[h].cnt > 0) {
            next = weir_min_i64(next, entry_at(timers->arena, &timers->heap[h], 0)->time);
        }
    }
    return next;
}

int
weir_timers_rebuild(struct weir_timers *timers)
{
    /* Pages and directory went with the arena's other indexes. */
    memset(timers->heap, 0, sizeof timers->heap);
    timers->is_sweeping = false;
    struct weir_table_cursor cursor = {0, 0, 0};
    uint32_t word_cnt = timers->table->word_cnt;
    for (;;) {
        uint64_t stored[64 * WEIR_TABLE_WORD_CNT_MAX];
        void *vals[64];
        uint32_t cnt = weir_table_scan(timers->table, &cursor, 64, stored, vals);
        if (cnt == 0) {
            return 0;
        }
        for (uint32_t i = 0; i < cnt; i++) {
            const uint64_t *row = stored + (size_t)i * word_cnt;
            struct entry entry = {
                (int64_t)row[word_cnt - 1], weir_table_stored_hash(timers->table, row)};
            int err = heap_reserve(timers->arena, &timers->heap[0]);
            if (err < 0) {
                return err;
            }
            heap_push(timers->arena, &timers->heap[0], &entry);
        }
    }
}
