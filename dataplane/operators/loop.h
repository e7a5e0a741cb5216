/* SPDX-License-Identifier: Apache-2.0 */
/* loop.h: the three operators of a loop: what comes back, the head, and the tail.
 *
 *     input ---------> head --> body ... --> tail
 *     feedback source --^                     |
 *            '------- feedback.h <------------'
 *
 * The head passes rows of either input, those that come back first. It stands in one stage with the
 * feedback source; the tail is a sink, on the same core.
 *
 * A loop ends in one of two ways, when the input of its head has ended:
 *
 *     wait      nothing has come back for wait_ns. The feedback is idle from the start, so that
 *               watermarks go through the head as its input has them; the MAX one goes out when
 *               the loop ends. A row that comes back later is dropped and counted as late: the
 *               body must be faster.
 *     frontier  with the last row. No watermark of the input goes into the loop; the head sends
 *               rounds in their place, far below all times, until none is left, then the MAX one.
 *
 * A round goes through the body as any watermark does: behind the rows before it, on all channels,
 * and out of the other end once it has come on all. Each head sends round k + 1 when its queue is
 * empty and round k has come to the tails of all subtasks, unless none of these had a row between
 * rounds k - 1 and k: then the loop is empty. For a row that is left would be in a queue or in the
 * body. In a queue: it was put in behind round k - 1 then, for all from before were taken before
 * round k was sent, and not between the two, which none was, so behind round k; it comes of
 * another one that went out of a head behind round k, which was in a queue likewise, and so on,
 * and no row is the first of these. In the body: the same.
 *
 * Source: Flink's StreamIterationHead and StreamIterationTail, which have the first mode only.
 *         There the head puts out the MAX watermark at its start; here it is idle, for an input
 *         that is idle, too, must not let the MAX one through.
 *
 * Who restores a loop begins a new round above all that were sent, and none counts as empty before
 * the next one. Rows that an operator of the body keeps in its state are in no loop.
 *
 * [format: State / Parts of a loop]
 *
 *     tail  "rows"   a list (state.h): sections of rows under way (flight.h), one batch each
 *     head  "round"  a list of one u64: the last round that it has sent
 *
 * [end of format]
 */
#ifndef WEIR_DATAPLANE_OPERATORS_LOOP_H
#define WEIR_DATAPLANE_OPERATORS_LOOP_H

#include "dataplane/operator.h"

WEIR_C_BEGIN

struct weir_feedback;

/* Of all three. */
struct weir_loop_conf {
    const struct weir_feedback *feedback;
};

/* Round k is the watermark WEIR_LOOP_ROUND_0 + k: no event time, and far enough from both ends for
 * who counts with it. */
#define WEIR_LOOP_ROUND_0 (INT64_MIN / 2)

extern const struct weir_operator_type weir_loop_feedback_type;
/* Input 0: the stream, input 1: the feedback source. */
extern const struct weir_operator_type weir_loop_wait_type;
extern const struct weir_operator_type weir_loop_frontier_type;
extern const struct weir_operator_type weir_loop_tail_type;

WEIR_C_END

#endif
