/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/task_file.h"

#include <string.h>

#include "dataplane/flight.h"
#include "dataplane/snapshot.h"

void
weir_task_file_init(struct weir_task_file *file, char *parts, uint64_t parts_bytes)
{
    memset(file, 0, sizeof *file);
    memcpy(file->head.magic, "WEIRTASK", sizeof file->head.magic);
    file->head.version = WEIR_TASK_FILE_VERSION;
    file->head.parts_bytes = parts_bytes;
    file->parts = parts;
    file->dirty_bytes = parts_bytes;
    uint64_t end = weir_align_up(parts_bytes, sizeof(uint64_t));
    memset(parts + parts_bytes, 0, end - parts_bytes);
}

void
weir_task_file_pages(
    struct weir_task_file *file, const struct weir_arena *arena, struct weir_capture *capture)
{
    file->capture = capture;
    file->head.capture_version = WEIR_CAPTURE_VERSION;
    file->head.base_checkpoint = capture->is_full ? 0 : weir_capture_base(capture);
    file->head.page_cnt = arena->page_cnt;
    file->head.table_cnt = arena->spec.table_cnt_max;
    file->head.max_parallelism = arena->spec.max_parallelism;
    file->head.group_first = arena->spec.groups.first;
    file->head.group_cnt = arena->spec.groups.cnt;
}

void
weir_task_file_awaits_flight(struct weir_task_file *file)
{
    file->head.flags |= WEIR_TASK_FILE_FLIGHT;
}

void
weir_task_file_flight(struct weir_task_file *file, const char *flight, uint64_t bytes)
{
    file->flight = flight;
    file->flight_bytes = bytes;
    file->dirty_bytes += bytes;
}

/* Behind all pages. The head of the section is not split, so that a reader knows it from a
 * record. */
static int64_t
fill_flight(struct weir_task_file *file, char *buf, uint64_t bytes)
{
    if ((file->head.flags & WEIR_TASK_FILE_FLIGHT) == 0) {
        return 0;
    }
    if (file->flight == NULL) {
        return WEIR_SNAPSHOT_BUSY;
    }
    if (file->flight_at == 0 && bytes < WEIR_FLIGHT_HEAD_BYTES) {
        return WEIR_SNAPSHOT_FULL;
    }
    uint64_t got = weir_min_u64(bytes, file->flight_bytes - file->flight_at);
    memcpy(buf, file->flight + file->flight_at, got);
    file->flight_at += got;
    return (int64_t)got;
}

/* The rest of [from, from + bytes), of which `at` stands at off, as far as there is room. */
static uint64_t
copy(const struct weir_task_file *file, char *to, uint64_t room)
{
    uint64_t head_bytes = sizeof file->head;
    bool is_head = file->at < head_bytes;
    const char *from =
        is_head ? (const char *)&file->head + file->at : file->parts + (file->at - head_bytes);
    uint64_t end =
        is_head ? head_bytes : head_bytes + weir_align_up(file->head.parts_bytes, sizeof(uint64_t));
    uint64_t bytes = weir_min_u64(room, end - file->at);
    memcpy(to, from, bytes);
    return bytes;
}

int64_t
weir_task_file_fill(void *arg, void *buf, uint64_t bytes)
{
    struct weir_task_file *file = arg;
    uint64_t used = 0;
    for (;;) {
        uint64_t got = copy(file, (char *)buf + used, bytes - used);
        if (got == 0) {
            break;
        }
        file->at += got;
        used += got;
    }
    if (used > 0) {
        return (int64_t)used;
    }
    if (file->capture == NULL || file->has_pages) {
        return fill_flight(file, buf, bytes);
    }
    if (bytes < WEIR_CAPTURE_RECORD_BYTES_MAX) {
        return WEIR_SNAPSHOT_FULL;
    }
    uint64_t heads = file->capture->page_cnt;
    int64_t got = weir_capture_fill(file->capture, buf, bytes);
    heads = file->capture->page_cnt - heads;
    if (got > 0) {
        file->dirty_bytes += (uint64_t)got - heads * sizeof(struct weir_capture_record);
    }
    if (got == WEIR_DONE) {
        file->has_pages = true;
        return fill_flight(file, buf, bytes);
    }
    return got == WEIR_AGAIN ? WEIR_SNAPSHOT_BUSY : got;
}

uint64_t
weir_task_file_bytes_max(uint64_t parts_bytes, uint64_t page_cnt, uint32_t block_bytes)
{
    uint64_t room = block_bytes - WEIR_SNAPSHOT_HEAD_BYTES;
    uint64_t a_block = room / WEIR_CAPTURE_RECORD_BYTES_MAX;
    uint64_t first =
        sizeof(struct weir_task_file_head) + weir_align_up(parts_bytes, sizeof(uint64_t));
    uint64_t block_cnt = first / room;
    uint64_t used = first % room;
    uint64_t beside = (room - used) / WEIR_CAPTURE_RECORD_BYTES_MAX; /* the end of the parts */
    if (a_block == 0) {
        return 0;
    }
    if (page_cnt <= beside) {
        used += page_cnt * WEIR_CAPTURE_RECORD_BYTES_MAX;
    } else {
        block_cnt += 1 + (page_cnt - beside) / a_block;
        used = (page_cnt - beside) % a_block * WEIR_CAPTURE_RECORD_BYTES_MAX;
    }
    uint64_t last =
        used > 0 ? weir_align_up(WEIR_SNAPSHOT_HEAD_BYTES + used, WEIR_SNAPSHOT_ALIGN) : 0;
    return block_cnt * block_bytes + last + WEIR_SNAPSHOT_ALIGN; /* and the footer */
}

const char *
weir_task_file_check(const void *bytes_at, uint64_t bytes)
{
    struct weir_task_file_head head;
    if (bytes < sizeof head) {
        return "it is too short for the head of a task's file";
    }
    memcpy(&head, bytes_at, sizeof head);
    if (memcmp(head.magic, "WEIRTASK", sizeof head.magic) != 0) {
        return "it is not the file of a task";
    }
    if (head.version == 0 || head.version > WEIR_TASK_FILE_VERSION) {
        return "it is of another version";
    }
    if (head.capture_version != 0 && head.capture_version != WEIR_CAPTURE_VERSION) {
        return "its state pages are of another version";
    }
    return NULL;
}
