/* SPDX-License-Identifier: Apache-2.0 */
/* killpoint.h: named places at which a test lets the process die as of kill -9.
 *
 *     WEIR_KILLPOINT(C4_RENAMED);       nothing, but in the library that scripts/torture loads
 *
 * They stand behind the steps of the commit protocol, of the sink that commits with it, and of what
 * goes before the first row and behind the last. Where WEIR_KILLPOINTS is not defined nothing of
 * them is compiled; tests/torture builds libweir.so once more, with it, for the commands and jobs
 * that are there. There the variable KILLPOINT arms them as the library is loaded:
 *
 *     list            print name and sentence of each, and end
 *     NAME            die when it is passed for the first time; NAME:3 for the third
 *     any%100:7       die at one of 100 passings of any, drawn from the seed 7
 *
 * Who dies says so on standard error first: "killed at c4-renamed".
 *
 * Thread:  any.
 * Source:  RELIABILITY 3, P3.
 */
#ifndef WEIR_BASE_KILLPOINT_H
#define WEIR_BASE_KILLPOINT_H

#include "base/base.h"

/* What has just been done, and nothing of what follows. */
/* clang-format off */
#define WEIR_KILLPOINT_TABLE(X)                                                                   \
    X(W0_DIRECTORIES, "w0-directories", "the directories of checkpoints are made and synced")     \
    X(W1_FILE, "w1-file", "the file of a snapshot is made")                                       \
    X(W2_ALLOCATED, "w2-allocated", "its room is reserved")                                       \
    X(W3_SUBMITTED, "w3-submitted", "blocks of it are on their way")                              \
    X(W4_LANDED, "w4-landed", "a block of it is written")                                         \
    X(W5_FOOTER, "w5-footer", "its footer is to be written")                                      \
    X(W6_WRITTEN, "w6-written", "all of it is written, and not synced")                           \
    X(W6_SYNCED, "w6-synced", "it is synced, and its directory is not")                           \
    X(W7_DURABLE, "w7-durable", "its directory is synced")                                        \
    X(W8_READ_BACK, "w8-read-back", "its footer is read back")                                    \
    X(W9_ACK, "w9-ack", "a task's part is to be acknowledged")                                    \
    X(C1_TRIGGERED, "c1-triggered", "a checkpoint has an id, and its tasks are not told")         \
    X(C2_ACKED, "c2-acked", "all tasks have acknowledged it")                                     \
    X(C3_LOOKED, "c3-looked", "no newer start was seen before its manifest")                      \
    X(C3_MADE, "c3-made", "its manifest has a file under a name that means nothing")              \
    X(C3_WRITTEN, "c3-written", "its manifest is written, and not synced")                        \
    X(C3_SYNCED, "c3-synced", "its manifest is synced, and has not its name")                     \
    X(C4_RENAMED, "c4-renamed", "its manifest has its name, which is not synced")                 \
    X(C5_DURABLE, "c5-durable", "its manifest is durable, and newer starts are not looked for")   \
    X(C5_COMPLETE, "c5-complete", "it is complete, and nobody is told")                           \
    X(C6_NOTIFIED, "c6-notified", "its tasks are told that it is complete")                       \
    X(C6_COMMITTED, "c6-committed", "all sinks have committed it")                                \
    X(C7_MANIFEST, "c7-manifest", "the manifest of an older one is removed")                      \
    X(C7_DURABLE, "c7-durable", "and durably so, but its files are there")                        \
    X(C7_FILE, "c7-file", "a file of an older one is removed")                                    \
    X(R1_LOCKED, "r1-locked", "a start has the lock")                                             \
    X(R1_EPOCH_MADE, "r1-epoch-made", "its epoch has a file, which is empty")                     \
    X(R1_EPOCH_DURABLE, "r1-epoch-durable", "its epoch is durable")                               \
    X(R2_SYNCED, "r2-synced", "all that is there is synced, and not read")                        \
    X(R3_CHOSEN, "r3-chosen", "it has chosen a checkpoint")                                       \
    X(R3B_RENAMED, "r3b-renamed", "what it starts from has its name, which is not synced")        \
    X(R3B_DURABLE, "r3b-durable", "what it starts from is durable")                               \
    X(R3B_LOOKED, "r3b-looked", "no newer start was seen behind that")                            \
    X(R5_READ, "r5-read", "files of the checkpoint are read, and in no place")                    \
    X(R5_LOADED, "r5-loaded", "state is in its place")                                            \
    X(R5_FENCED, "r5-fenced", "a sink has its own hidden directory, and no others")               \
    X(R5_TAKEN, "r5-taken", "a sink has taken over a hidden directory")                           \
    X(R5_ABORTED, "r5-aborted", "a sink has removed a part that was not committed")               \
    X(R5_COMMITTED, "r5-committed", "a sink has committed a part that the last start had not")    \
    X(R6_ORPHAN, "r6-orphan", "a file of no checkpoint is removed")                               \
    X(R6_NAME, "r6-name", "the epoch of an older start is removed")                               \
    X(SINK_SEALED, "sink-sealed", "a sink's part ends with a checkpoint")                         \
    X(SINK_WRITTEN, "sink-written", "it is written, and not synced")                              \
    X(SINK_SYNCED, "sink-synced", "it is synced, and its directory is not")                       \
    X(SINK_PRECOMMITTED, "sink-precommitted", "all that a sink has for a checkpoint is durable")  \
    X(SINK_MOVED, "sink-moved", "a part has its name, which is not synced")                       \
    X(SINK_COMMITTED, "sink-committed", "the names of parts are durable")                         \
    X(FINAL_TAKEN, "final-taken", "a task has its snapshot behind all rows")                      \
    X(FINAL_TOLD, "final-told", "it is told that the last checkpoint is complete")                \
    X(PUBLISH_MARKED, "publish-marked", "a sink has said that it is done")                        \
    X(PUBLISH_CLAIMED, "publish-claimed", "one of its subtasks puts the output together")         \
    X(PUBLISH_MERGED, "publish-merged", "the output is written and synced, and has not its name") \
    X(PUBLISH_RENAMED, "publish-renamed", "the output has its name, which is not synced")         \
    X(PUBLISH_DURABLE, "publish-durable", "the output is there, and so are its parts")            \
    X(PUBLISH_SWEPT, "publish-swept", "the directory of its parts has got another name")          \
    X(SAVEPOINT_WRITTEN, "savepoint-written", "the file of a savepoint is there")                 \
    X(SAVEPOINT_STORED, "savepoint-stored", "a savepoint has its manifest")
/* clang-format on */

#ifdef WEIR_KILLPOINTS

enum weir_killpoint {
#define X(id, name, text) WEIR_KILLPOINT_##id,
    WEIR_KILLPOINT_TABLE(X)
#undef X
        WEIR_KILLPOINT_CNT
};

/* weir_killpoint_pass - die, if this is where. */
void weir_killpoint_pass(enum weir_killpoint point);
#define WEIR_KILLPOINT(id) weir_killpoint_pass(WEIR_KILLPOINT_##id)
#define WEIR_KILLPOINT_IF(condition, id)              \
    do {                                              \
        if (condition) {                              \
            weir_killpoint_pass(WEIR_KILLPOINT_##id); \
        }                                             \
    } while (0)

#else
#define WEIR_KILLPOINT(id) ((void)0)
#define WEIR_KILLPOINT_IF(condition, id) ((void)0)
#endif

#endif
