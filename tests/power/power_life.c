/* SPDX-License-Identifier: Apache-2.0 */
/* A job of a source, a two-phase file sink and the checkpoint store, on a disk whose power is cut.
 *
 *   power_life write PLACE SEED ENGINE ROUNDS NOTES PAGE
 *   power_life check PLACE SEED ENGINE CUT NOTES [NEW-NOTES PAGE]
 *
 * PLACE holds two file systems: out for outputs, ckpt for checkpoints.
 *
 * write runs job after job (a round each: its own directory of checkpoints, its own output), each
 * in several lives that end anywhere, and notes what was promised when. check looks at what a disk
 * holds whose power was cut behind CUT events, by the notes; then it goes on with the jobs to their
 * ends, and where that is recorded in turn, it notes what it promises meanwhile. Exits 0, or says
 * what is wrong.
 */
#include "tests/power/power_notes.h"
#include "tests/power/power_store.h"
#include "sched/store_look.h"
#include "tests/unit/sink_seen.h"

#define LIFE_CNT_MAX 6
#define LIGHT_ROUND_CNT 2 /* of those that have ended only so many are started again */

/* The payload of a subtask in a checkpoint. */
struct saved {
    uint64_t cnt; /* of subtasks */
    uint64_t pos[STREAM_CNT];
    uint64_t bytes;
    uint64_t parts[PARTS_BYTES / 8];
};

struct job {
    struct place *place;
    struct notes *notes;
    struct power_store *checkpoints;
    struct store store;
    struct life life;
    struct script script;
    uint32_t round;
    uint64_t failed_cnt; /* of writes, when this life began */
    bool has_noted_fault;
    uint32_t declined_cnt;
    uint32_t faulty_cnt; /* lives that ended by a failed write */
    char path[32];
    struct saved saved[SUBTASK_CNT_MAX];
};

static void
note(struct job *job, enum note_kind kind, uint64_t checkpoint)
{
    notes_put(job->notes, (struct note){.kind = kind,
                              .round = job->round,
                              .checkpoint = checkpoint,
                              .pos = {job->store.pos[0], job->store.pos[1]}});
}

static void
job_init(struct job *job, struct place *place, struct notes *notes, uint32_t round)
{
    memset(job, 0, sizeof *job);
    job->place = place;
    job->notes = notes;
    job->round = round;
    (void)snprintf(job->path, sizeof job->path, "out/%u%s", round, round % 2 == 0 ? "/" : ".csv");
}

/* Become the next epoch, and take up what it restores. */
static int
take_up(struct job *job)
{
    uint64_t id;
    struct store *store = &job->store;
    memset(store, 0, sizeof *store);
    int rc = power_store_start(job->checkpoints, &id);
    if (rc != 0) {
        return rc;
    }
    store->id = id;
    store->epoch = power_store_epoch(job->checkpoints) - 1; /* a life counts it up */
    store->last_id = power_store_next(job->checkpoints) - 1;
    store->cnt = power_store_payload_cnt(job->checkpoints);
    for (uint32_t s = 0; s < store->cnt; s++) {
        struct saved *saved = &job->saved[0];
        uint64_t bytes = sizeof *saved;
        rc = power_store_load(job->checkpoints, s, saved, &bytes);
        if (rc != 0) {
            return rc;
        }
        assert_int_equal(saved->cnt, store->cnt);
        assert_true(saved->bytes <= PARTS_BYTES);
        memcpy(store->pos, saved->pos, sizeof store->pos);
        memcpy(store->parts[s], saved->parts, saved->bytes);
        store->bytes[s] = saved->bytes;
    }
    return 0;
}

/* Make durable what the coordinator holds for complete; no sink has been told yet. */
static int
commit(struct job *job)
{
    struct power_payload payloads[SUBTASK_CNT_MAX];
    const struct store *store = &job->store;
    note(job, NOTE_TRY, store->id);
    for (uint32_t s = 0; s < store->cnt; s++) {
        struct saved *saved = &job->saved[s];
        saved->cnt = store->cnt;
        memcpy(saved->pos, store->pos, sizeof saved->pos);
        saved->bytes = store->bytes[s];
        memcpy(saved->parts, store->parts[s], store->bytes[s]);
        payloads[s] =
            (struct power_payload){saved, offsetof(struct saved, parts) + store->bytes[s]};
    }
    int rc = power_store_commit(job->checkpoints, store->id, payloads, store->cnt);
    if (rc == 0) {
        note(job, NOTE_ACK, store->id);
        rc = power_store_tidy(job->checkpoints);
    }
    return rc;
}

static void
close_checkpoints(struct job *job)
{
    if (job->checkpoints != NULL) {
        power_store_close(job->checkpoints);
    }
    job->checkpoints = NULL;
}

/* A write of this life has failed, as it was to: an error is then the right answer. */
static bool
has_fault(const struct job *job)
{
    const struct notes *notes = job->notes;
    return notes->page != NULL &&
           weir_load_acq(&notes->page->failed_cnt) > job->failed_cnt; /* P6: see P5 */
}

/* The store did not take what the coordinator held for complete: nobody hears of it. */
static void
decline(struct job *job)
{
    struct life *life = &job->life;
    uint64_t id = job->store.id;
    for (uint32_t s = 0; s < job->script.cnt; s++) {
        struct subtask *sub = &life->subs[s];
        life->notify_id[s] = 0;
        sub->final_id = sub->final_id == id ? 0 : sub->final_id;
        assert_int_equal(sub->sink->type->aborted(sub->sink, id), 0);
    }
}

/* What the coordinator holds for complete is made so. 0: go on; 1: killed; an error. */
static int
complete_or_decline(struct job *job)
{
    int rc = commit(job);
    if (has_fault(job) && !job->has_noted_fault) {
        job->has_noted_fault = true;
        note(job, NOTE_FAULT, job->store.id);
    }
    if (rc == POWER_CUT) {
        return 1;
    }
    if (rc != 0 && has_fault(job) && !power_store_is_ended(job->checkpoints)) {
        job->declined_cnt++;
        weir_err_clear();
        decline(job);
        return 0;
    }
    return rc;
}

/* Until the job has ended. 0: ended; 1: killed; an error. */
static int
run_life(struct job *job)
{
    struct life *life = &job->life;
    int rc = start(life, job->place, &job->store, &job->script);
    while (rc == 0 && life->error == 0 && !has_ended(life)) {
        for (uint32_t s = 0; s < job->script.cnt && rc == 0; s++) {
            turn(life, &life->subs[s]);
            rc = counts(life) ? 0 : 1;
        }
        uint64_t before = job->store.id;
        if (rc == 0) {
            coordinate(life);
            rc = counts(life) ? 0 : 1;
        }
        if (job->store.id != before) {
            int committed = complete_or_decline(job);
            rc = committed != 0 ? committed : rc;
        }
        assert_true(life->step < 100000);
    }
    if (rc == 1) {
        close_checkpoints(job); /* what flies of them is of the io that the life drops */
        kill_here(life);
        return 1;
    }
    rc = rc != 0 ? rc : life->error;
    is_killing = rc != 0;
    int closed = close_life(life);
    is_killing = false;
    return rc != 0 ? rc : closed;
}

static void
open_checkpoints(struct job *job, uint64_t seed_value)
{
    char name[16];
    char root[96];
    (void)snprintf(name, sizeof name, "job%u", job->round);
    (void)snprintf(root, sizeof root, "%s/ckpt/root", job->place->dir);
    job->checkpoints = power_store_open(job->place->io, root, name, seed_value);
    job->script = (struct script){
        .path = job->path, .seed = seed_value, .kill_step = KILL_NEVER, .roll_bytes = 40};
}

static int
blame(const struct job *job, const char *what, int rc)
{
    print_message("round %u: %s: %d; store: %s; sink: %s\n", job->round, what, rc,
        power_store_fault(job->checkpoints), weir_err_cnt() > 0 ? weir_err_at(0) : "");
    return rc;
}

/* One life of a round that is recorded. */
static int
write_life(struct job *job, struct weir_rng *rng, bool is_last)
{
    open_checkpoints(job, weir_rng_u64(rng));
    job->script.cnt = 1 + (uint32_t)weir_rng_below(rng, SUBTASK_CNT_MAX);
    uint64_t kill_step = 1 + weir_rng_below(rng, 400);
    uint64_t polls = 1 + weir_rng_below(rng, 2000);
    uint64_t fail_in = 1 + weir_rng_below(rng, 30);
    switch (is_last ? 3 : weir_rng_below(rng, 3)) {
    case 0:
        job->script.kill_step = kill_step;
        break;
    case 1:
        power_store_grant(job->checkpoints, polls);
        break;
    case 2:
        weir_store_rel(&job->notes->page->fail_in, fail_in); /* P7: nothing flies yet; see P3 */
        break;
    default:
        break;
    }
    job->has_noted_fault = false;
    job->failed_cnt = weir_load_acq(&job->notes->page->failed_cnt); /* P6 */
    note(job, NOTE_BEGIN, 0);
    int rc = take_up(job);
    if (rc == 0) {
        note(job, NOTE_ACK, job->store.id); /* to start from it is to commit it */
        rc = run_life(job);
    }
    rc = rc == POWER_CUT ? 1 : rc;
    weir_store_rel(&job->notes->page->fail_in, 0); /* P7: its files are closed */
    if (rc < 0 && has_fault(job)) {
        job->faulty_cnt++;
        weir_err_clear();
        rc = 1; /* the next life goes on */
    }
    if (rc == 0) {
        note(job, NOTE_END, job->store.id);
    } else if (rc != 1) {
        (void)blame(job, "a life failed", rc);
    }
    close_checkpoints(job);
    return rc;
}

static int
write_rounds(struct place *place, struct notes *notes, uint64_t seed_value, uint32_t round_cnt)
{
    static struct job job;
    struct weir_rng rng;
    uint32_t declined_cnt = 0;
    uint32_t faulty_cnt = 0;
    weir_rng_init(&rng, seed_value);
    for (uint32_t round = 0; round < round_cnt; round++) {
        int rc = 1;
        job_init(&job, place, notes, round);
        for (int life = 0; rc == 1; life++) {
            rc = write_life(&job, &rng, life + 1 >= LIFE_CNT_MAX);
        }
        if (rc != 0) {
            return rc;
        }
        declined_cnt += job.declined_cnt;
        faulty_cnt += job.faulty_cnt;
    }
    print_message("failed writes: %" PRIu64 "; %u checkpoints declined, %u lives ended by one\n",
        weir_load_acq(&notes->page->failed_cnt), declined_cnt, faulty_cnt);
    return 0;
}

/* ---- what the notes promise of a round at a cut ---- */

struct promise {
    bool has_begun;
    bool has_ended;
    uint64_t acked; /* the least that a start may find */
    uint64_t tried; /* the most */
    uint64_t pos[STREAM_CNT]; /* rows that may be visible */
};

static struct promise
promise_of(const struct notes *notes, uint32_t round, uint64_t cut)
{
    struct promise promise = {0};
    for (uint32_t i = 0; i < notes->cnt; i++) {
        const struct note *n = &notes->kept[i];
        if (n->round != round || n->position > cut) {
            continue;
        }
        switch (n->kind) {
        case NOTE_BEGIN:
            promise.has_begun = true;
            break;
        case NOTE_TRY:
            promise.tried = weir_max_u64(promise.tried, n->checkpoint);
            break;
        case NOTE_ACK:
            promise.acked = weir_max_u64(promise.acked, n->checkpoint);
            memcpy(promise.pos, n->pos, sizeof promise.pos);
            break;
        case NOTE_END:
            promise.has_ended = true;
            break;
        default:
            break;
        }
    }
    return promise;
}

/* What is visible before anybody starts again. */
static void
check_visible(struct job *job, const struct promise *promise)
{
    memset(&job->store, 0, sizeof job->store);
    memcpy(job->store.pos, promise->pos, sizeof job->store.pos);
    job->store.has_ended = promise->has_ended;
    may_leave = true; /* what is removed at the end may be there again */
    check_output(job->place, &job->store, job->path);
    may_leave = false;
}

/* All manifests that have a name are whole, and so is all that they name. */
static void
check_manifests(struct job *job, uint64_t acked)
{
    char dir[160];
    struct weir_look *look;
    (void)snprintf(dir, sizeof dir, "%s/ckpt/root/job%u", job->place->dir, job->round);
    int rc = weir_look_open(NULL, dir, &look);
    weir_err_clear();
    if (rc == WEIR_ENOINPUT && acked == 0) {
        return;
    }
    assert_int_equal(rc, 0);
    for (uint32_t i = 0; i < weir_look_cnt(look); i++) {
        rc = weir_look_verify(look, i);
        const struct weir_look_checkpoint *found = weir_look_at(look, i);
        if (rc != 0 || found->err != 0) {
            print_message("round %u: checkpoint %" PRIu64 "-%" PRIu64 ": %s\n", job->round,
                found->checkpoint, found->epoch, found->wrong);
        }
        assert_int_equal(rc, 0);
        assert_int_equal(found->err, 0);
    }
    weir_look_close(look);
}

/* With the state that was written under this id, by the last who did. */
static void
check_found(const struct job *job, const struct promise *promise, uint64_t cut)
{
    const struct note *written = NULL;
    uint64_t found = job->store.id;
    print_message("round %u: found checkpoint %" PRIu64 ", acknowledged %" PRIu64 ", tried %" PRIu64
                  "\n",
        job->round, found, promise->acked, promise->tried);
    assert_in_range(found, promise->acked, promise->tried);
    for (uint32_t i = 0; found != 0 && i < job->notes->cnt; i++) {
        const struct note *n = &job->notes->kept[i];
        if (n->kind == NOTE_TRY && n->round == job->round && n->checkpoint == found &&
            n->position <= cut) {
            written = n;
        }
    }
    if (found != 0) {
        assert_non_null(written);
        assert_memory_equal(job->store.pos, written->pos, sizeof written->pos);
    }
}

static void
check_round(struct job *job, uint64_t seed_value, uint64_t cut, bool is_light)
{
    struct promise promise = promise_of(job->notes, job->round, cut);
    if (!promise.has_begun) {
        return;
    }
    check_visible(job, &promise);
    if (promise.has_ended && is_light) {
        return;
    }
    check_manifests(job, promise.acked);
    open_checkpoints(job, seed_value + job->round);
    job->script.cnt = 1 + (uint32_t)(seed_value % SUBTASK_CNT_MAX);
    int rc = take_up(job);
    if (rc != 0) {
        fail_msg("a start fails: %d", blame(job, "start", rc));
    }
    check_found(job, &promise, cut);
    note(job, NOTE_ACK, job->store.id);
    if (!promise.has_ended) {
        rc = run_life(job);
        if (rc != 0) {
            fail_msg("a life fails: %d", blame(job, "life", rc));
        }
        note(job, NOTE_END, job->store.id);
        job->store.has_ended = true;
        check_output(job->place, &job->store, job->path);
    }
    close_checkpoints(job);
    check_manifests(job, 1);
}

static uint32_t
round_cnt_at(const struct notes *notes, uint64_t cut)
{
    uint32_t cnt = 0;
    for (uint32_t i = 0; i < notes->cnt; i++) {
        if (notes->kept[i].position <= cut) {
            cnt = notes->kept[i].round + 1;
        }
    }
    return cnt;
}

static void
check(struct place *place, struct notes *notes, uint64_t seed_value, uint64_t cut)
{
    static struct job job;
    uint32_t cnt = round_cnt_at(notes, cut);
    for (uint32_t round = 0; round < cnt; round++) {
        job_init(&job, place, notes, round);
        check_round(&job, seed_value, cut, round + LIGHT_ROUND_CNT < cnt);
    }
}

/* Asserts want to be in a test. */
static struct {
    char **args;
    bool writes;
    struct notes notes;
} told;

static void
t_power_life(void **state)
{
    static struct place place;
    char **args = told.args;
    (void)state;
    (void)snprintf(place.dir, sizeof place.dir, "%s", args[2]);
    place.kind = strcmp(args[4], "posix") == 0 ? WEIR_IO_POSIX : WEIR_IO_URING;
    open_io(&place);
    place.now_ns = weir_io_clock_ns(place.io);
    uint64_t seed_value = strtoull(args[3], NULL, 10);
    uint64_t number = strtoull(args[5], NULL, 10);
    if (told.writes) {
        assert_int_equal(write_rounds(&place, &told.notes, seed_value, (uint32_t)number), 0);
    } else {
        check(&place, &told.notes, seed_value, number);
    }
    weir_io_close(place.io);
}

static bool
understand(int argc, char **argv)
{
    struct notes *notes = &told.notes;
    told.args = argv;
    if (argc < 7 || strlen(argv[2]) >= sizeof((struct place *)NULL)->dir) {
        return false;
    }
    told.writes = strcmp(argv[1], "write") == 0;
    if (told.writes) {
        return argc == 8 && notes_open(notes, argv[6], argv[7]);
    }
    return strcmp(argv[1], "check") == 0 && notes_read(notes, argv[6]) &&
           (argc == 7 || (argc == 9 && notes_open(notes, argv[7], argv[8])));
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(t_power_life)};
    if (!understand(argc, argv)) {
        (void)fprintf(stderr,
            "usage: power_life write PLACE SEED ENGINE ROUNDS NOTES PAGE\n"
            "       power_life check PLACE SEED ENGINE CUT NOTES [NEW-NOTES PAGE]\n");
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
