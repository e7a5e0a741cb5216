/* SPDX-License-Identifier: Apache-2.0 */
/* power_notes.h: what was done when, by the position in the stream that the recorder keeps.
 *
 * A line: POSITION KIND ROUND CHECKPOINT POS0 POS1, where POSITION is how many events were recorded
 * when it was written, and POS0, POS1 are the rows of the two streams that the checkpoint covers.
 */
#ifndef WEIR_TESTS_POWER_POWER_NOTES_H
#define WEIR_TESTS_POWER_POWER_NOTES_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/power/power_page.h"

#define NOTE_CNT_MAX 20000

enum note_kind {
    NOTE_BEGIN, /* of a life: written before it touches anything */
    NOTE_TRY, /* a commit begins */
    NOTE_ACK, /* it is durable; only behind this is anybody told */
    NOTE_END, /* the output is said to be whole */
    NOTE_FAULT, /* the commit that has just ended came behind a write of this life that failed */
    NOTE_KIND_CNT
};

static const char *const note_kinds[NOTE_KIND_CNT] = {"begin", "try", "ack", "end", "fault"};

struct note {
    uint64_t position;
    uint32_t kind;
    uint32_t round;
    uint64_t checkpoint;
    uint64_t pos[2];
};

struct notes {
    FILE *file; /* NULL: nothing is noted, for nothing is recorded */
    struct power_page *page;
    struct note *kept; /* read back */
    uint32_t cnt;
};

/* Fails by returning false. */
static WEIR_UNUSED bool
notes_open(struct notes *notes, const char *path, const char *page)
{
    notes->file = fopen(path, "we");
    notes->page = power_page_open(page);
    return notes->file != NULL && notes->page != NULL;
}

static WEIR_UNUSED void
notes_put(struct notes *notes, struct note note)
{
    if (notes->file == NULL) {
        return;
    }
    note.position =
        weir_load_acq(&notes->page->position); /* P2: all that was answered is counted; P1 */
    (void)fprintf(notes->file, "%" PRIu64 " %s %u %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
        note.position, note_kinds[note.kind], note.round, note.checkpoint, note.pos[0],
        note.pos[1]);
    (void)fflush(notes->file);
}

/* All of a recording, in order; false where it is none. */
static WEIR_UNUSED bool
notes_read(struct notes *notes, const char *path)
{
    static struct note kept[NOTE_CNT_MAX];
    char kind[8];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    notes->kept = kept;
    while (notes->cnt < NOTE_CNT_MAX) {
        struct note *note = &kept[notes->cnt];
        if (fscanf(file, "%" SCNu64 " %7s %u %" SCNu64 " %" SCNu64 " %" SCNu64, &note->position,
                kind, &note->round, &note->checkpoint, &note->pos[0], &note->pos[1]) != 6) {
            break;
        }
        while (note->kind < NOTE_KIND_CNT && strcmp(note_kinds[note->kind], kind) != 0) {
            note->kind++;
        }
        notes->cnt++;
    }
    bool is_whole = feof(file) != 0;
    (void)fclose(file);
    return is_whole;
}

#endif
