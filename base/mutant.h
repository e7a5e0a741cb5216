/* SPDX-License-Identifier: Apache-2.0 */
/* mutant.h: planted bugs, by which it is seen that `weir sim` finds bugs.
 *
 * They are there only in a build that is set up with -Dmutants=true (build/mutants); in all others
 * WEIR_MUTANT() is a constant false, and nothing of them is left. A process has at most one of them
 * on, chosen before anything runs: `weir sim --mutant NAME`. scripts/mutants runs them all. Where a
 * mutant stands, the line beside it is what is right.
 *
 * A mutant is of RACE where one thread cannot see it: tests/race kills it, by a model of its own.
 * The one of CRASH shows that a crash is told apart from a find.
 */
#ifndef WEIR_BASE_MUTANT_H
#define WEIR_BASE_MUTANT_H

#include "base/base.h"

/* X(name, by, what is wrong) */
#define WEIR_MUTANT_TABLE(X)                                                                      \
    /* files of snapshots */                                                                      \
    X(SNAPSHOT_UNSYNCED, SIM, "a snapshot's file is acknowledged before it is synced")            \
    X(SNAPSHOT_DIR_UNSYNCED, SIM, "the directory of a snapshot's file is not synced")             \
    X(SNAPSHOT_SYNCED_AGAIN, SIM, "a sync that failed is tried again, and taken for done")        \
    X(SNAPSHOT_SHORT_WRITE, SIM, "a short write counts as a whole one")                           \
    X(SNAPSHOT_FULL_DISK, SIM, "a write that finds the disk full is passed over")                 \
    X(SNAPSHOT_BUFFER_SHARED, SIM, "a buffer is filled again before its write has ended")         \
    X(READ_UNCHECKED, SIM, "checksums of snapshots are not looked at when they are read")         \
    /* state pages */                                                                             \
    X(UNDO_PUBLISH_LATE, SIM, "old lines are not published before lines are written")             \
    X(UNDO_NO_OVERLAY, SIM, "saved lines are not laid over the copy of a page")                   \
    X(UNDO_OLD_MASK, SIM, "the mask of the epoch before is used on")                              \
    X(UNDO_FULL_PASSED_OVER, SIM, "a line is written unsaved where the undo ring is full")        \
    X(UNDO_STALE, SIM, "old lines of a snapshot that is given up get into the next one")          \
    X(UNDO_MARK_EARLY, RACE, "a page is marked as captured before the ring is looked at")         \
    X(CARRY_LOST, SIM, "what a declined snapshot held of a page is not in the next one")          \
    X(GIVEN_UP_LOST, SIM, "pages of a snapshot that is given up count as clean")                  \
    X(PAGE_TAKEN_CLEAN, SIM, "a page that is taken does not count as written")                    \
    X(PAGE_REUSED_UNSAVED, SIM, "only the head of a page that is given and taken is saved")       \
    X(PAGE_TURNED_INDEX, SIM, "a page of state that became one of an index is not told as gone")  \
    X(CHAIN_LINK_MISSED, SIM, "the newest change before a snapshot is not in its chain")          \
    X(DELETE_UNTOUCHED, SIM, "an entry is deleted without a mark on its lines")                   \
    X(DELETE_LEAVES_DISPLACED, SIM, "an entry that a full group turned away stays where it is")   \
    X(SPLIT_UNTOUCHED, SIM, "a bucket is split without a mark on its lines")                      \
    X(SPLIT_UNTOLD, SIM, "who keeps places of entries is not told that a bucket was split")       \
    X(REST_UNTOUCHED, SIM, "a pane leaves a window without a mark on the result's lines")         \
    /* the store */                                                                               \
    X(MANIFEST_UNSYNCED, SIM, "a manifest is renamed before it is synced")                        \
    X(MANIFEST_DIR_UNSYNCED, SIM, "the directory of the manifest is not synced")                  \
    X(MANIFEST_FULL_DISK, SIM, "a manifest that a full disk did not take is renamed")             \
    X(MANIFEST_WRITE_UNHEEDED, SIM, "a manifest whose write failed is renamed")                   \
    X(MANIFEST_SYNC_UNHEEDED, SIM, "a manifest whose sync failed is renamed")                     \
    X(MANIFEST_RENAME_UNHEEDED, SIM, "a manifest that was not renamed counts as there")           \
    X(OUTCOME_DECLINED, SIM, "what may be complete or not counts as declined")                    \
    X(BASE_LEFT_OUT, SIM, "tasks start without a record of what they started from")               \
    X(OLDER_RESTORED, SIM, "of all manifests the oldest is restored")                             \
    X(DAMAGE_PASSED_OVER, SIM, "an older checkpoint is restored where the newest is damaged")     \
    X(DAMAGE_FORGOTTEN, SIM, "a job starts empty where its checkpoint is damaged")                \
    X(UNLISTED_STARTS_EMPTY, SIM, "a store that cannot be listed counts as an empty one")         \
    X(EPOCH_SHARED, SIM, "an epoch that is taken is used once more: the lock is all there is")    \
    X(RETAINED_TOO_FEW, SIM, "one checkpoint fewer than asked for is kept")                       \
    X(CHAIN_FILE_REMOVED, SIM, "files of a chain go with the manifest that first named them")     \
    X(KEPT_FILE_REMOVED, SIM, "files go that only a checkpoint beside the timeline names")        \
    X(ORPHAN_TOO_YOUNG, SIM, "files of this very epoch that no manifest names yet count as left") \
    X(UNREAD_PASSED_OVER, SIM, "a manifest that could not be read counts as naming nothing")      \
    X(DROP_UNSYNCED, SIM, "files of a checkpoint go before its manifest is gone for good")        \
    X(DROP_UNHEEDED, SIM, "files go though the removal of their manifest was not synced")         \
    X(SUBSUMED_COMPLETES, SIM, "an older checkpoint still becomes complete after a newer one")    \
    /* sinks */                                                                                   \
    X(SINK_COMMITS_EARLY, SIM, "a sink commits before the manifest is there")                     \
    X(SINK_UNSYNCED, SIM, "a sink pre-commits parts that are not durable")                        \
    X(SINK_NAMES_UNSYNCED, SIM, "the directory of hidden parts is not synced")                    \
    X(SINK_NAMES_UNHEEDED, SIM, "hidden parts count as named though their directory is unsynced") \
    X(SINK_NAMES_ONE_MORE, SIM, "one hidden part more than those named durably counts as such")   \
    X(SINK_FULL_DISK, SIM, "rows that the full disk did not take count as written")               \
    X(SINK_SYNC_UNHEEDED, SIM, "a part whose sync failed counts as durable")                      \
    X(SINK_MOVE_UNHEEDED, SIM, "a part that was not renamed counts as committed")                 \
    X(SINK_COMMIT_UNSYNCED, SIM, "committed parts are forgotten before their names are durable")  \
    X(SINK_COMMIT_UNHEEDED, SIM, "committed parts are forgotten though their names are unsynced") \
    X(SINK_ABORTED_DROPPED, SIM, "parts of an aborted checkpoint are not in the next one")        \
    X(SINK_UNLISTED_COMMITTED, SIM, "parts that no checkpoint lists are committed at a restart")  \
    X(SINK_NOT_RECOMMITTED, SIM, "a restart does not commit what its checkpoint lists")           \
    X(SINK_OWN_RECOMMITTED, SIM, "a subtask commits only what the one of its number had listed")  \
    X(SINK_RESTORED_UNSYNCED, SIM, "what a restart commits is not synced")                        \
    X(SINK_PARTS_UNCOMPARED, SIM, "what waits for its output is not compared with what was")      \
    X(SINK_PARTS_UNREAD, SIM, "an output is put together without a look at checksums")            \
    X(FINAL_SKIPPED, SIM, "a job ends without a checkpoint of its last rows")                     \
    X(FINAL_TOO_SOON, SIM, "the checkpoint before that of the last rows ends the job")            \
    /* barriers, channels, time */                                                                \
    X(BARRIER_OVERTAKES, SIM, "a channel goes on behind a barrier that others have yet to bring") \
    X(BUFFER_GIVEN_EARLY, SIM, "a buffer is taken anew while its last slot is being read")        \
    X(WATERMARK_OVERTAKES, SIM, "a watermark leaves before the rows that came before it")         \
    X(IDLE_HOLDS, SIM, "an idle channel holds the watermark back")                                \
    X(TIMERS_NOT_RESTORED, SIM, "timers are not in the index after a restart")                    \
    X(WINDOW_PASSED_OVER, SIM, "a restart takes a window for fired that was not")                 \
    X(WINDOW_CLOSED_EARLY, SIM, "a window takes no rows of its last millisecond")                 \
    X(VALVE_CHILD_UNSEEN, SIM, "of two channels one is not looked at when the least is found")    \
    X(VALVE_RESTORED_UNHELD, SIM, "channels that were not there hold no watermark back")          \
    X(BEGIN_GOES_ON, SIM, "a source is read behind the place where it begins a checkpoint")       \
    X(BEGUN_AS_OTHER, SIM, "a source takes part in a checkpoint that it has not begun")           \
    X(SAVEPOINT_OVERTAKES, SIM, "barriers of savepoints overtake, too")                           \
    X(PIECE_ROW_LOST, SIM, "a batch that is worked on in pieces loses a row between two")         \
    X(LAST_WATERMARK_SKIPPED, SIM, "a source ends without a watermark behind all time")           \
    /* rows under way */                                                                          \
    X(FLIGHT_COPIED_TWICE, SIM, "a batch that was copied is copied again when it is taken")       \
    X(FLIGHT_PIECE_LOST, SIM, "the rest of a batch that is worked on in pieces is not copied")    \
    X(FLIGHT_QUEUED_LOST, SIM, "what is in the channel when copying begins is not copied")        \
    X(FLIGHT_KEPT_LOST, SIM, "what edges keep is not copied")                                     \
    X(KEEP_OPEN_TWICE, SIM, "rows of an open buffer are kept, and are in the buffer still")       \
    X(REGAINED_BEHIND, SIM, "new rows come before those that were under way")                     \
    /* timers and windows of keys */                                                              \
    X(TIMER_CHILD_UNSEEN, SIM, "of four timers the last is not looked at for the first")          \
    X(TIMER_EARLY, SIM, "timers fire a millisecond early")                                        \
    X(TIMER_FIRED_STAYS, SIM, "a timer that has fired is there again after a restart")            \
    X(WINDOW_FIRES_ANYTIME, SIM, "a window fires with any of its timers")                         \
    X(WINDOW_FIRES_AGAIN, SIM, "a window fires once more when it is forgotten")                   \
    X(EVICTED_AFTER, SIM, "rows are left out of a window only when it has fired")                 \
    X(SESSION_MERGE_FORGETS, SIM, "what one of two sessions had summed up is lost in a merge")    \
    X(SESSION_LAST_DROPPED, SIM, "not the session that goes, but the last of its key goes")       \
    /* loops */                                                                                   \
    X(LOOP_ENDS_BUSY, SIM, "a loop ends though rows have come back since the last round")         \
    X(LOOP_CUT_LATE, SIM, "rows that a head takes between two barriers are in no checkpoint")     \
    X(LOOP_UNSAVED, SIM, "rows on their way back are not taken out of a checkpoint")              \
    X(LOOP_END_OVERTAKES, SIM, "the watermark behind all times leaves a loop before its rows")    \
    /* other operators */                                                                         \
    X(BROADCAST_NOT_RESTORED, SIM, "a map that all subtasks have is empty after a restart")       \
    X(ASYNC_FLYING_LOST, SIM, "the newest row that waits for an answer is not saved")             \
    X(ASYNC_TIMED_OUT_LOST, SIM, "no answer is made up for a row whose time is over")             \
    X(ASYNC_FAILED_COUNTED, SIM, "what an attempt that failed had answered goes out, too")        \
    X(ASYNC_WATERMARK_OVERTAKES, SIM, "a watermark goes on before answers to rows before it")     \
    X(INTERVAL_BOUND_SHORT, SIM, "pairs whose times are furthest apart are not made")             \
    X(INTERVAL_PANE_EARLY, SIM, "rows are kept as long as one side needs them, not both")         \
    X(GROUP_BEFORE_UNTOLD, SIM, "an update is told without the row that it replaces")             \
    X(GROUP_DISTINCT_KEPT, SIM, "a value that nobody has any more is counted on")                 \
    X(GROUP_EXTREME_KEPT, SIM, "a least value that is taken back stays the least")                \
    X(RANK_DISPLACED_UNTOLD, SIM, "a row that is no longer among the first is not taken back")    \
    X(JOIN_LONE_KEPT, SIM, "a row told alone is not taken back when its partner comes")           \
    X(JOIN_HALF_AGAIN, SIM, "a row that was told in part is told from its beginning again")       \
    X(JOIN_ROW_KEPT, SIM, "a row of a join that is taken back stays among those to be met")       \
    X(RANK_BAR_AT_FIRST, SIM, "rows are measured by the best one, not by the last that counts")   \
    X(TOP_TIES_CUT, SIM, "rows that equal the last of the best are left out")                     \
    /* sources and rescaling */                                                                   \
    X(SOURCE_BACK_ONE, SIM, "a source reads its last row again")                                  \
    X(SOURCE_AHEAD_ONE, SIM, "a source leaves a row out")                                         \
    X(SOURCE_DIES, CRASH, "a source ends the process where it is restored")                       \
    X(UNION_CUT, SIM, "a subtask sees only its own part of a union list")                         \
    X(LIST_UNCUT, SIM, "each subtask sees all of a list that is to be dealt out")                 \
    X(KEY_GROUP_OFF_BY_ONE, SIM, "another range of key groups lacks its last one")                \
    X(RESCALED_AS_SAME, SIM, "another parallelism is taken for the old one")                      \
    /* key groups that move */                                                                    \
    X(MOVE_UNROUTED, SIM, "rows behind a move go to the old owners")                              \
    X(MOVE_UNWAITED, SIM, "state moves before the giver has all rows before its barriers")        \
    X(MOVE_LOSES_ENTRY, SIM, "an entry of a key group does not move with it")                     \
    X(MOVE_STATE_BACK, SIM, "a restart deals rows out as key groups had moved, and their state not")

#if defined(WEIR_WITH_MUTANTS)

enum weir_mutant {
    WEIR_MUTANT_NONE,
#define X(name, by, text) WEIR_MUTANT_##name,
    WEIR_MUTANT_TABLE(X)
#undef X
        WEIR_MUTANT_CNT
};

/* writer: main, before anything runs */
extern WEIR_API uint32_t weir_mutant_on;

#define WEIR_MUTANT(name) (weir_mutant_on == WEIR_MUTANT_##name)

/* weir_mutant_choose - the one to be on, by its name; false: there is none of that name. */
WEIR_API bool weir_mutant_choose(const char *name);

#else
#define WEIR_MUTANT(name) false
#endif

#endif
