/* SPDX-License-Identifier: Apache-2.0 */
/* The commit protocol of sched/store.h: steps C3 to C5, R1, R3, R3b and R5, by four coordinators that
 * overlap as they like and may die after any step. Storage is sequentially consistent: a create is
 * durable, and seen by all, at once (create and both syncs are one step; a crash before the last sync
 * is the run in which the step did not happen).
 *
 *   R1   E[k] made            C3  look for a higher E; manifest made
 *   R3   scan, choose         C5  look for a higher E again; notify
 *   R3b  B[k] made, look      R5  started: pre-commits of older epochs that are not on the timeline
 *                                 are aborted
 *
 * A transaction is pre-committed before its manifest is made; a notified one may have been committed
 * to the outside world, an aborted one must never be.
 *
 * Invariant: each notified checkpoint is on the timeline of every coordinator that starts later, and
 * on no started coordinator's timeline is a checkpoint whose transactions were aborted.
 *
 * Weakenings, each of which must break it:  -DNO_LOOK   notify without the second look for E
 *   -DSCAN_FIRST   scan before the own E   -DNO_LOOK_B   start without the look after B
 */
#define COORDINATORS 4
#define CHECKPOINTS 2
#define SLOTS 17 /* a checkpoint of an epoch: epoch * 4 + number within the epoch; 0: nothing */

bool E[5];
bool B[5];
byte base[5];
bool manifest[SLOTS + 3];
bool notified[SLOTS + 3];
bool aborted[SLOTS + 3];
bool precommitted[SLOTS + 3];

#define slot(e, n) ((e) * 4 - 4 + (n)) /* n in 1..CHECKPOINTS */

/* The timeline rule, below epoch `mine`: the highest epoch with a B, its highest manifest, or else
 * its base. One atomic look is enough: what is made during a longer one is made by an older epoch. */
inline choose(mine, chosen)
{
    top = mine - 1;
    do
    :: top > 0 && !B[top] -> top--
    :: else -> break
    od;
    if
    :: top == 0 -> chosen = 0
    :: top > 0 && manifest[slot(top, 2)] -> chosen = slot(top, 2)
    :: top > 0 && !manifest[slot(top, 2)] && manifest[slot(top, 1)] -> chosen = slot(top, 1)
    :: else -> chosen = base[top]
    fi;
    top = 0
}

/* Is `what` on the timeline that ends in `tip`? Down from the tip: what its epoch wrote before it,
 * then the base of that epoch. */
inline on_timeline(what, tip, answer)
{
    at = tip;
    answer = (what == 0);
    do
    :: at == 0 || answer -> break
    :: else ->
        if
        :: at == what -> answer = true
        :: at != what && (at % 4 == 2) && manifest[at - 1] -> at = at - 1
        :: else -> at = base[(at + 3) / 4]
        fi
    od;
    at = 0
}

inline higher_e(mine, found)
{
    found = (mine < 4 && E[4]) || (mine < 3 && E[3]) || (mine < 2 && E[2])
}

/* What must hold when a coordinator starts from `tip`; and R5: it aborts the rest. */
inline start_from(mine, tip)
{
    i = 1;
    do
    :: i == SLOTS -> break
    :: else ->
        on_timeline(i, tip, on);
        assert(!notified[i] || (i + 3) / 4 >= mine || on);
        assert(!(on && aborted[i]));
        if
        :: precommitted[i] && (i + 3) / 4 < mine && !on -> aborted[i] = true
        :: else
        fi;
        i++
    od;
    i = 0;
    on = false
}

active [COORDINATORS] proctype coordinator()
{
    byte mine = 0;
    byte tip = 0;
    byte n = 1;
    byte top = 0;
    byte at = 0;
    byte i = 0;
    bool on = false;
    bool found = false;

    /* Who takes which epoch does not matter: process p takes p + 1, in that order. */
    mine = _pid + 1;
#ifdef SCAN_FIRST
    atomic { choose(mine, tip) };
#endif
    /* R1 */
    atomic { mine == 1 || E[mine - 1]; E[mine] = true };
    if
    :: goto dead
    :: skip
    fi;
    /* R3: after the own E is durable. */
#ifndef SCAN_FIRST
    atomic { choose(mine, tip) };
    if
    :: goto dead
    :: skip
    fi;
#endif
    /* R3b */
    atomic { base[mine] = tip; B[mine] = true };
    if
    :: goto dead
    :: skip
    fi;
#ifndef NO_LOOK_B
    atomic {
        higher_e(mine, found);
        if
        :: found -> goto dead
        :: else
        fi
    };
#endif
    /* R5 */
    atomic { start_from(mine, tip) };
    do
    :: n > CHECKPOINTS -> break
    :: n <= CHECKPOINTS ->
        /* Tasks pre-commit; then C3, with its early look. */
        precommitted[slot(mine, n)] = true;
        atomic {
            higher_e(mine, found);
            if
            :: found -> goto dead
            :: else
            fi
        };
        if
        :: goto dead
        :: skip
        fi;
        manifest[slot(mine, n)] = true; /* C4, C5's sync */
        if
        :: goto dead
        :: skip
        fi;
#ifndef NO_LOOK
        atomic {
            higher_e(mine, found);
            if
            :: found -> goto dead
            :: else
            fi
        };
#endif
        atomic { assert(!aborted[slot(mine, n)]); notified[slot(mine, n)] = true };
        n++
    od;
dead:
    /* What the dead knew tells no two states apart. */
    atomic { mine = 0; tip = 0; n = 0; found = false }
}
