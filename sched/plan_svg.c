/* SPDX-License-Identifier: Apache-2.0 */
/* The plan as a picture. Boxes in boxes, as the host is built: NUMA node, L3, core, hardware
 * thread; on the threads their stages, between them the edges that cross, below a line for each
 * edge.
 *
 * Two passes: the first gives every thread and stage its place, the second draws.
 */
#include <stdlib.h>
#include <string.h>

#include "sched/plan_priv.h"

/* All in pixels. */
#define PAGE_WIDTH 1400.0
#define MARGIN 24.0
#define GAP 8.0
/* Between cores, for arrows to be seen. */
#define CORE_GAP 20.0
#define HEAD 22.0
#define TITLE 64.0
#define USED_WIDTH 190.0
#define IDLE_WIDTH 40.0
#define THREAD_HEAD 18.0
#define STAGE_HEIGHT 34.0
#define LINE 18.0
/* Characters of a stage box at 11 and 10 pixels. */
#define NAME_CHAR_CNT 26
#define NOTE_CHAR_CNT 30
/* More curves than this hide what they show: then one stands for all of a pair of cores. */
#define CURVE_CNT_MAX 192
/* From so many on, curves are pale: they cross the boxes that they pass. */
#define PALE_CNT_MIN 16

struct rect {
    double x;
    double y;
    double w;
    double h;
};

struct picture {
    const struct weir_plan *plan;
    const struct weir_topo *topo;
    FILE *to;
    struct rect *threads; /* by CPU index of the topology */
    struct rect *stages;
    uint32_t *core_of; /* by CPU index: index into the plan's cores, or PLAN_NONE */
    double y;
};

/* --- text ----------------------------------------------------------------------------------- */

static void
put_escaped(FILE *to, const char *text, size_t char_cnt)
{
    for (size_t i = 0; text[i] != '\0' && i < char_cnt; i++) {
        switch (text[i]) {
        case '<':
            (void)fputs("&lt;", to);
            break;
        case '>':
            (void)fputs("&gt;", to);
            break;
        case '&':
            (void)fputs("&amp;", to);
            break;
        case '"':
            (void)fputs("&quot;", to);
            break;
        default:
            (void)fputc(text[i], to);
        }
    }
    if (strlen(text) > char_cnt) {
        (void)fputs("\xe2\x80\xa6", to); /* an ellipsis */
    }
}

static void
put_text(const struct picture *picture, double x, double y, const char *kind, const char *text)
{
    (void)fprintf(picture->to, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\">", x, y, kind);
    size_t char_cnt = strcmp(kind, "name") == 0   ? NAME_CHAR_CNT
                      : strcmp(kind, "note") == 0 ? NOTE_CHAR_CNT
                                                  : SIZE_MAX;
    put_escaped(picture->to, text, char_cnt);
    (void)fputs("</text>\n", picture->to);
}

static void
put_rect(const struct picture *picture, const struct rect *rect, const char *kind)
{
    (void)fprintf(picture->to,
        "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"4\" class=\"%s\"/>\n",
        rect->x, rect->y, rect->w, rect->h, kind);
}

/* --- first pass: places --------------------------------------------------------------------- */

static uint32_t
stage_cnt_of(const struct picture *picture, uint32_t thread)
{
    uint32_t core = picture->core_of[thread];
    return core == PLAN_NONE ? 0 : picture->plan->cores[core].stage_cnt;
}

/* The end of the run of threads from `from` that share everything up to a level. */
static uint32_t
run_end(const struct picture *picture, uint32_t from, bool same_core, bool same_l3)
{
    const struct weir_topo_cpu *cpus = picture->topo->cpu;
    uint32_t to = from + 1;
    while (to < picture->topo->cpu_cnt && cpus[to].node == cpus[from].node &&
           (!same_l3 || cpus[to].l3 == cpus[from].l3) &&
           (!same_core || cpus[to].core == cpus[from].core)) {
        to++;
    }
    return to;
}

/* Threads of one core, one under the other. Returns the size of the core's box. */
static struct rect
place_core(struct picture *picture, uint32_t from, uint32_t to, double x, double y)
{
    struct rect box = {.x = x, .y = y, .w = IDLE_WIDTH};
    for (uint32_t i = from; i < to; i++) {
        box.w = stage_cnt_of(picture, i) > 0 ? USED_WIDTH : box.w;
    }
    double at = y;
    for (uint32_t i = from; i < to; i++) {
        uint32_t cnt = stage_cnt_of(picture, i);
        double height = THREAD_HEAD + cnt * (STAGE_HEIGHT + 4) + (cnt > 0 ? 4 : 0);
        picture->threads[i] = (struct rect){.x = x, .y = at, .w = box.w, .h = height};
        for (uint32_t s = 0; s < cnt; s++) {
            uint32_t stage = picture->plan->cores[picture->core_of[i]].stages[s];
            picture->stages[stage] = (struct rect){.x = x + 6,
                .y = at + THREAD_HEAD + s * (STAGE_HEIGHT + 4),
                .w = box.w - 12,
                .h = STAGE_HEIGHT};
        }
        at += height + 2;
    }
    box.h = at - y;
    return box;
}

/* Boxes in rows, left to right; a row is as high as its highest box. */
struct rows {
    double left;
    double right; /* the limit */
    double gap;
    double x;
    double y;
    double row_height;
    double widest; /* right edge reached */
};

static void
next_place(struct rows *rows, double width)
{
    if (rows->x > rows->left && rows->x + width > rows->right) {
        rows->x = rows->left;
        rows->y += rows->row_height + GAP;
        rows->row_height = 0;
    }
}

static void
took_place(struct rows *rows, const struct rect *box)
{
    rows->x = box->x + box->w + rows->gap;
    rows->row_height = box->h > rows->row_height ? box->h : rows->row_height;
    rows->widest = box->x + box->w > rows->widest ? box->x + box->w : rows->widest;
}

static double
core_width(const struct picture *picture, uint32_t from, uint32_t to)
{
    double width = IDLE_WIDTH;
    for (uint32_t i = from; i < to; i++) {
        width = stage_cnt_of(picture, i) > 0 ? USED_WIDTH : width;
    }
    return width;
}

/* Cores that share an L3. */
static struct rect
place_l3(struct picture *picture, uint32_t from, uint32_t to, double x, double y)
{
    struct rows rows = {.left = x + GAP,
        .right = PAGE_WIDTH - MARGIN - 2 * GAP,
        .gap = CORE_GAP,
        .x = x + GAP,
        .y = y + HEAD,
        .widest = x + 120};
    for (uint32_t i = from; i < to;) {
        uint32_t end = run_end(picture, i, true, true);
        next_place(&rows, core_width(picture, i, end));
        struct rect core = place_core(picture, i, end, rows.x, rows.y);
        took_place(&rows, &core);
        i = end;
    }
    return (struct rect){
        .x = x, .y = y, .w = rows.widest + GAP - x, .h = rows.y + rows.row_height + GAP - y};
}

/* Draws nothing; where a box does not fit into its row it is placed again in the next one. */
static struct rect
place_in_row(struct picture *picture, uint32_t from, uint32_t to, struct rows *rows)
{
    struct rect box = place_l3(picture, from, to, rows->x, rows->y);
    double before = rows->y;
    next_place(rows, box.w);
    if (rows->y != before) {
        box = place_l3(picture, from, to, rows->x, rows->y);
    }
    took_place(rows, &box);
    return box;
}

/* --- second pass: drawing ------------------------------------------------------------------- */

static void
draw_stage(const struct picture *picture, uint32_t idx)
{
    const struct weir_plan *plan = picture->plan;
    const struct weir_plan_stage *stage = &plan->stages[idx];
    const struct rect *box = &picture->stages[idx];
    char bytes[PLAN_BYTES_TEXT];
    uint64_t sum = 0;
    for (int p = 0; p < WEIR_PLAN_MEM_CNT; p++) {
        sum += stage->bytes[p];
    }
    (void)weir_plan_priv_bytes(sum, bytes);
    (void)fprintf(picture->to,
        "<g><rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"3\" class=\"stage\" "
        "style=\"fill:hsl(%u,65%%,86%%)\"/>\n",
        box->x, box->y, box->w, box->h, stage->vertex * 67 % 360);
    put_text(picture, box->x + 6, box->y + 14, "name", stage->name);
    char note[96];
    (void)snprintf(note, sizeof note, "%u operator%s, %s", stage->operator_cnt,
        stage->operator_cnt == 1 ? "" : "s", bytes);
    put_text(picture, box->x + 6, box->y + 27, "note", note);
    (void)fputs("<title>", picture->to);
    for (uint32_t i = 0; i < stage->operator_cnt; i++) {
        put_escaped(picture->to, i > 0 ? ", " : "", SIZE_MAX);
        put_escaped(picture->to, plan->graph->operators[stage->operators[i]].name, SIZE_MAX);
    }
    (void)fputs(": ", picture->to);
    put_escaped(picture->to, stage->reason, SIZE_MAX);
    (void)fputs("</title></g>\n", picture->to);
}

static void
draw_thread(const struct picture *picture, uint32_t idx)
{
    const struct weir_plan *plan = picture->plan;
    const struct weir_topo_cpu *cpu = &picture->topo->cpu[idx];
    const struct rect *box = &picture->threads[idx];
    bool held = weir_cpuset_has(&plan->held, cpu->cpu);
    bool ours = weir_cpuset_has(&plan->effective, cpu->cpu);
    bool keeps_house = weir_cpuset_has(&plan->housekeeping, cpu->cpu);
    uint32_t core = picture->core_of[idx];
    put_rect(picture, box,
        core != PLAN_NONE ? "thread used"
        : !ours           ? "thread away"
        : held            ? "thread held"
        : keeps_house     ? "thread house"
                          : "thread");
    char text[96];
    if (core == PLAN_NONE) {
        (void)snprintf(text, sizeof text, "%u", cpu->cpu);
    } else {
        (void)snprintf(text, sizeof text, "CPU %u, %s%s%s", cpu->cpu,
            weir_plan_idle_name(plan->cores[core].idle), cpu->isolated ? ", isolated" : "",
            keeps_house ? ", housekeeping" : "");
    }
    put_text(picture, box->x + 6, box->y + 13, "cpu", text);
    for (uint32_t s = 0; s < stage_cnt_of(picture, idx); s++) {
        draw_stage(picture, plan->cores[core].stages[s]);
    }
}

static void
draw_l3(const struct picture *picture, uint32_t from, uint32_t to, const struct rect *box)
{
    char text[64];
    char bytes[PLAN_BYTES_TEXT];
    put_rect(picture, box, "l3");
    if (picture->topo->l3_bytes > 0) {
        (void)snprintf(text, sizeof text, "L3 %u, %s", picture->topo->cpu[from].l3,
            weir_plan_priv_bytes(picture->topo->l3_bytes, bytes));
    } else {
        (void)snprintf(text, sizeof text, "group %u", picture->topo->cpu[from].l3);
    }
    put_text(picture, box->x + GAP, box->y + 15, "head", text);
    for (uint32_t i = from; i < to; i++) {
        draw_thread(picture, i);
    }
}

/* A node's box is known only after its L3s were placed, and must be drawn before them. */
static void
draw_node(struct picture *picture, uint32_t from, uint32_t to)
{
    struct rect node = {.x = MARGIN, .y = picture->y};
    struct rows rows = {.left = MARGIN + GAP,
        .right = PAGE_WIDTH - MARGIN - GAP,
        .gap = GAP,
        .x = MARGIN + GAP,
        .y = picture->y + HEAD,
        .widest = MARGIN + 420};
    for (uint32_t i = from; i < to; i = run_end(picture, i, false, true)) {
        (void)place_in_row(picture, i, run_end(picture, i, false, true), &rows);
    }
    node.w = rows.widest + GAP - MARGIN;
    node.h = rows.y + rows.row_height + GAP - picture->y;
    put_rect(picture, &node, "node");
    uint16_t number = picture->topo->cpu[from].node;
    uint64_t planned = 0;
    for (uint32_t n = 0; n < picture->plan->node_cnt; n++) {
        for (int p = 0; p < WEIR_PLAN_MEM_CNT && picture->plan->nodes[n].node == number; p++) {
            planned += picture->plan->nodes[n].bytes[p];
        }
    }
    char text[160];
    char bytes[2][PLAN_BYTES_TEXT];
    const struct weir_topo_node *known = weir_topo_node(picture->topo, number);
    (void)snprintf(text, sizeof text, "NUMA node %u, socket %u: %s of %s planned", number,
        picture->topo->cpu[from].socket, weir_plan_priv_bytes(planned, bytes[0]),
        weir_plan_priv_bytes(known != NULL ? known->bytes : 0, bytes[1]));
    put_text(picture, node.x + GAP, node.y + 15, "head", text);
    rows = (struct rows){.left = MARGIN + GAP,
        .right = rows.right,
        .gap = GAP,
        .x = MARGIN + GAP,
        .y = picture->y + HEAD};
    for (uint32_t i = from; i < to;) {
        uint32_t end = run_end(picture, i, false, true);
        struct rect box = place_in_row(picture, i, end, &rows);
        draw_l3(picture, i, end, &box);
        i = end;
    }
    picture->y += node.h + 2 * GAP;
}

static void
draw_curve(const struct picture *picture, const struct weir_plan_channel *channel)
{
    const struct rect *a = &picture->stages[channel->from_stage];
    const struct rect *b = &picture->stages[channel->to_stage];
    bool right = b->x >= a->x + a->w;
    bool left = b->x + b->w <= a->x;
    double x1 = left ? a->x : a->x + a->w;
    double x2 = right ? b->x : b->x + b->w;
    double y1 = a->y + a->h / 2;
    double y2 = b->y + b->h / 2;
    double bend = right || left ? (x2 - x1) / 2 : 28;
    (void)fprintf(picture->to,
        "<path d=\"M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f\" class=\"%s\" "
        "marker-end=\"url(#to)\"/>\n",
        x1, y1, x1 + bend, y1, right || left ? x2 - bend : x2 + bend, y2, x2, y2,
        weir_plan_edge_kind_name(picture->plan->edges[channel->edge].kind));
}

/* With too many channels, the first of each pair of cores and edge stands for all of them. */
static void
draw_curves(const struct picture *picture)
{
    const struct weir_plan *plan = picture->plan;
    bool all = plan->channel_cnt <= CURVE_CNT_MAX;
    uint32_t drawn = 0;
    (void)fprintf(
        picture->to, "<g opacity=\"%.2f\">\n", plan->channel_cnt > PALE_CNT_MIN ? 0.5 : 1.0);
    for (uint32_t c = 0; c < plan->channel_cnt && drawn < 8 * CURVE_CNT_MAX; c++) {
        const struct weir_plan_channel *channel = &plan->channels[c];
        bool known = false;
        for (uint32_t d = c;
             d-- > 0 && !all && !known && plan->channels[d].edge == channel->edge;) {
            known = plan->stages[plan->channels[d].from_stage].core ==
                        plan->stages[channel->from_stage].core &&
                    plan->stages[plan->channels[d].to_stage].core ==
                        plan->stages[channel->to_stage].core;
        }
        if (!known) {
            draw_curve(picture, channel);
            drawn++;
        }
    }
    (void)fputs("</g>\n", picture->to);
}

static void
draw_lines(struct picture *picture)
{
    const struct weir_plan *plan = picture->plan;
    for (uint32_t i = 0; i < plan->graph->link_cnt; i++) {
        const struct weir_plan_link *link = &plan->graph->links[i];
        const struct weir_plan_edge *edge = &plan->edges[i];
        char text[512];
        char bytes[PLAN_BYTES_TEXT];
        picture->y += LINE;
        (void)fprintf(picture->to, "<path d=\"M%.1f %.1fh36\" class=\"%s\"/>\n", MARGIN,
            picture->y - 4, weir_plan_edge_kind_name(edge->kind));
        int n = snprintf(text, sizeof text, "%s to %s: %s", plan->graph->operators[link->from].name,
            plan->graph->operators[link->to].name, weir_plan_edge_kind_name(edge->kind));
        if (edge->kind != WEIR_PLAN_FUSED) {
            n += snprintf(text + n, sizeof text - (size_t)n, ", %u channel%s, %u buffers, %s",
                edge->channel_cnt, edge->channel_cnt == 1 ? "" : "s", edge->buffer_cnt,
                weir_plan_priv_bytes(edge->bytes, bytes));
        }
        (void)snprintf(text + n, sizeof text - (size_t)n, " (%s)", edge->reason);
        put_text(picture, MARGIN + 46, picture->y, "line", text);
    }
    for (uint32_t i = 0; i < plan->decision_cnt; i++) {
        picture->y += LINE;
        put_text(picture, MARGIN + 46, picture->y, "line", plan->decisions[i]);
    }
}

static const char style[] =
    "<style>text{font-family:sans-serif;fill:#222}.title{font-size:18px;font-weight:bold}"
    ".sub,.line{font-size:12px}.head{font-size:12px;font-weight:bold;fill:#555}.cpu{font-size:11px;"
    "fill:#555}.name{font-size:11px;font-weight:bold}.note{font-size:10px;fill:#444}"
    "rect{stroke:#999}.page{fill:#fff;stroke:none}.node{fill:#f4f5f7;stroke:#778}"
    ".l3{fill:#e9ecf1;stroke:#9ab}.thread{fill:#fff;stroke:#bcc}.used{stroke:#345;stroke-width:1.5}"
    ".house{fill:#eaf6ea}.held{fill:#f7dede}.away{fill:#ddd}.stage{stroke:#667}"
    "path{fill:none}.ring{stroke:#1f5fbf;stroke-width:1.6}.exchange{stroke:#c2571a;"
    "stroke-width:1.4;stroke-dasharray:5 3}.transport{stroke:#7a1fa2;stroke-width:1.6}"
    ".fused{stroke:#999;stroke-width:1.6;stroke-dasharray:1 3}</style>\n"
    "<defs><marker id=\"to\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" "
    "markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" style=\"fill:#444;stroke:none\"/>"
    "</marker></defs>\n";

static void
draw_body(struct picture *picture)
{
    const struct weir_plan *plan = picture->plan;
    char text[256];
    char bytes[2][PLAN_BYTES_TEXT];
    (void)snprintf(text, sizeof text, "%s: %u stage%s on %u CPU%s", plan->graph->name,
        plan->stage_cnt, plan->stage_cnt == 1 ? "" : "s", plan->core_cnt,
        plan->core_cnt == 1 ? "" : "s");
    put_text(picture, MARGIN, MARGIN + 10, "title", text);
    (void)snprintf(text, sizeof text,
        "%s of %s planned. Boxes: NUMA node, L3, core, hardware thread, stage. Green: "
        "housekeeping; "
        "red: held by another job; grey: not ours.",
        weir_plan_priv_bytes(plan->bytes, bytes[0]),
        weir_plan_priv_bytes(plan->budget_bytes, bytes[1]));
    put_text(picture, MARGIN, MARGIN + 28, "sub", text);
    picture->y = TITLE;
    for (uint32_t i = 0; i < picture->topo->cpu_cnt;) {
        uint32_t end = run_end(picture, i, false, false);
        draw_node(picture, i, end);
        i = end;
    }
    draw_curves(picture);
    draw_lines(picture);
}

static int
write_page(struct picture *picture, FILE *to)
{
    char *body = NULL;
    size_t body_bytes = 0;
    picture->to = open_memstream(&body, &body_bytes);
    if (picture->to == NULL) {
        return weir_err_push(WEIR_ENOMEM, "the picture of the plan");
    }
    draw_body(picture);
    bool whole = fclose(picture->to) == 0;
    double height = picture->y + MARGIN;
    if (whole) {
        (void)fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" "
            "viewBox=\"0 0 %.0f %.0f\">\n%s<rect class=\"page\" width=\"%.0f\" height=\"%.0f\"/>\n",
            PAGE_WIDTH, height, PAGE_WIDTH, height, style, PAGE_WIDTH, height);
        whole = fwrite(body, 1, body_bytes, to) == body_bytes && fputs("</svg>\n", to) >= 0;
    }
    free(body);
    return whole && ferror(to) == 0 ? 0
                                    : weir_err_push(WEIR_EIO, "writing the picture of the plan");
}

int
weir_plan_svg(const struct weir_plan *plan, FILE *to)
{
    struct picture picture = {.plan = plan, .topo = plan->topo};
    uint32_t cpu_cnt = plan->topo->cpu_cnt;
    picture.threads = (struct rect *)calloc(cpu_cnt, sizeof *picture.threads);
    picture.stages = (struct rect *)calloc(plan->stage_cnt, sizeof *picture.stages);
    picture.core_of = (uint32_t *)calloc(cpu_cnt, sizeof *picture.core_of);
    int err = 0;
    if (picture.threads == NULL || picture.stages == NULL || picture.core_of == NULL) {
        err = weir_err_push(WEIR_ENOMEM, "the picture of the plan");
        goto out;
    }
    for (uint32_t i = 0; i < cpu_cnt; i++) {
        picture.core_of[i] = PLAN_NONE;
        for (uint32_t c = 0; c < plan->core_cnt; c++) {
            if (plan->cores[c].cpu == plan->topo->cpu[i].cpu) {
                picture.core_of[i] = c;
            }
        }
    }
    err = write_page(&picture, to);
out:
    free(picture.threads);
    free(picture.stages);
    free(picture.core_of);
    return err;
}
