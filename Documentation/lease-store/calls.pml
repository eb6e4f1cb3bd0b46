// SPDX-License-Identifier: Apache-2.0
/* A process of humanz-ipam, and the calls that it makes one after the other. */

#define p pod[me]

proctype caller(byte me) {
  /* Whether every lease is known to be in its pod's file. */
  bit isIndexed;
  /* The pods whose leases are to be freed; the one whose turn it is, its leases, whether it had any. */
  byte victims, v, held;
  bit isAny;
  /* The pods that GC keeps, and whether anything failed. */
  byte valid;
  bit hasFailed;
  /* The address of the first set that ADD was asked for, plus one; the addresses that it gives. */
  byte wish, chosen;
  /* No address is free; stale leases have been reclaimed; what a failed ADD claimed is freed. */
  bit none, hasReclaimed, isUndoing;
  byte todo, a, i;

idle:
progress:
end:
  atomic {
    if
    :: draining && me == 0 && drained < PODS -> verb[me] = DEL; p = drained; drained++; endPod(p)
    :: draining && me == 0 && drained == 0 ->
      verb[me] = GC; drained = PODS; endPod(0); endPod(1); endPod(2)
    :: !draining ->
      if :: p = 0 :: PODS > 1 -> p = 1 :: PODS > 2 -> p = 2 fi;
      if
      :: canAdd(p) -> verb[me] = ADD
#ifdef WISHES
      :: canAdd(p) -> verb[me] = ADD; todo = SET0; take(todo, wish); wish++
#endif
      :: canDelete(p) -> verb[me] = DEL; endPod(p)
      :: canCollect ->
        verb[me] = GC; p = 0;
        valid = (told[0] != 0) | ((told[1] != 0) << 1) | ((told[2] != 0) << 2)
#ifdef RELEASES
      :: verb[me] = RELEASE
#endif
      :: else -> goto ended
      fi
    fi;
    SAY("-- caller %d: %e %d\n", me, verb[me], p)
  }

  /* The lock, and then a look at the mark. LeaseStore.init */
  STEP(lockIsFree -> owner = me + 1; isIndexed = marked);

  /* LeaseStore.index */
  if
  :: isIndexed
  :: else ->
    TRY(indexed, todo = leaseFiles);
    do
    :: atomic { todo != 0 -> take(todo, a); lookAt(a); a = 0 }
    :: atomic { todo == 0 -> break }
    KILLED
    FAILS(indexed)
    od;
#ifndef INDEX_DOES_NOT_SYNC
    SYNC(indexed, SYNC_LEASES);
#endif
    do
    :: atomic { isVain(0) -> removeFile(0) }
    :: atomic { isVain(1) -> removeFile(1) }
    :: atomic { isVain(2) -> removeFile(2) }
    :: atomic { !isVain(0) && !isVain(1) && !isVain(2) -> isIndexed = 1; break }
    KILLED
    FAILS(indexed)
    od;
    SETTLE(indexed)
  fi;
indexed:
  todo = 0;

  if
  :: verb[me] == ADD ->
    TRY(failed, held = addressesOf(p));
    if
    :: held != 0 -> goto failed
    :: else -> goto allocate
    fi
  :: verb[me] == DEL -> victims = BIT(p)
  :: verb[me] == GC -> TRY(failed, hasFailed = !isIndexed; victims = holders & ~valid)
  :: verb[me] == RELEASE -> goto releaseAddress
  fi;

  /* LeaseStore.release(_ attachment:), of one pod after the other */
release:
  do
  :: victims == 0 -> break
  :: atomic { victims != 0 -> take(victims, v) };
    TRY(notReleased, held = addressesOf(v));
free:
    isAny = held != 0;
#ifdef REMOVES_FILE_FIRST
    TRY(notReleased, removeFile(v));
#endif
    do
    :: atomic { held != 0 -> take(held, a); removeLease(a); a = 0 }
    :: atomic { held == 0 -> break }
    KILLED
    FAILS(notReleased)
    od;
#ifndef DOES_NOT_SYNC_LEASES
    if
    :: isAny || mustSync -> SYNC(notReleased, SYNC_LEASES)
    :: else
    fi;
#endif
#ifndef KEEPS_FILE
    TRY(notReleased, isAny = isAny || hasFile(v); removeFile(v));
#endif
    if
    :: isAny -> SETTLE(notReleased)
    :: else
    fi;
    atomic { MUST(releasedIsGone, isUndoing || (leasesOf(v) == 0 && !hasFile(v))); goto released };
notReleased:
    hasFailed = 1;
released:
    atomic {
      held = 0; v = 0; a = 0; isAny = 0;
      if
      :: isUndoing || (hasFailed && verb[me] == ADD) -> goto failed
      :: else
      fi
    }
  od;
  if
  :: verb[me] == ADD -> goto allocate
  :: verb[me] == DEL -> MUST(releasedIsGone, hasFailed || !isIndexed || !anyEmpty)
  :: verb[me] == GC ->
    MUST(collectedIsGone, hasFailed || (isCleared(0) && isCleared(1) && isCleared(2) && !anyEmpty))
  fi;
  goto ended;

  /* Allocation.make */
allocate:
  TRY(failed,
    chosen = 0; none = 0;
    if
    :: wish == 0 -> choose(SET0, 0, EMPTY)
    :: wish != 0 && !isLeased(wish - 1) -> chosen = BIT(wish - 1)
    :: wish != 0 && isLeased(wish - 1) -> none = 1
    fi;
    if
    :: SET1 != 0 && !none -> choose(SET1, 1, EMPTY)
    :: SET1 == 0 || none -> skip
    fi);
  if
  :: !none -> goto lease_
  :: none && !hasReclaimed -> skip
  :: none && hasReclaimed ->
    MUST(oldIsReclaimed, wish != 0 || !isIndexed
      || !(isReclaimable(0) || isReclaimable(1) || isReclaimable(2)));
    goto failed
  fi;
  /* LeaseStore.reclaim */
  TRY(failed,
    hasReclaimed = 1;
    if
    :: !mayReclaim -> skip
    :: mayReclaim && wish != 0 && isLeased(wish - 1) -> addIfStale(holder(wish - 1))
    :: mayReclaim && (wish == 0 || !isLeased(wish - 1)) ->
      addIfStale(0); addIfStale(1); addIfStale(2)
    fi);
  goto release;

  /* LeaseStore.lease */
lease_:
#ifdef CLAIMS_FIRST
  MAKE_DRAFT;
  CLAIM(SET0);
#endif
#ifndef DRAFT_AFTER_FILE
  MAKE_DRAFT;
#endif
  TRY(notLeased, writeFile(p, CURRENT, chosen); HARDEN(p));
#ifndef DOES_NOT_SYNC_FILES
  SYNC(notLeased, SYNC_FILES);
#endif
#ifdef DRAFT_AFTER_FILE
  MAKE_DRAFT;
#endif
#ifndef CLAIMS_FIRST
  CLAIM(SET0);
#endif
#if SET1
  CLAIM(SET1);
#endif
  DROP_DRAFT(notLeased);
  if
  :: wish == 0 -> NOTE(SET0, 0)
  :: else
  fi;
#if SET1
  NOTE(SET1, 1);
#endif
  SETTLE(notLeased);
  atomic {
    MUST(allOrNoneAreLeased, leasesOf(p) == chosen || mayBeRemoved);
    SAY("told\n") told[p] = chosen & leasesOf(p);
    goto ended
  };

  /* What was claimed is freed. */
notLeased:
  DROP_DRAFT(undo);
undo:
  isUndoing = 1; v = p; todo = 0; a = 0;
#ifdef KEEPS_PART
  goto failed;
#endif
  if
  :: atomic { held = leasesOf(p) & chosen; goto free }
  KILLED
#ifdef FREES_UNREAD
  FAILS(free)
#else
  FAILS(notUndone)
#endif
  fi;
notUndone:
  hasFailed = 1;
  goto failed;

  /* LeaseStore.release(_ address:), for a person: here of address p */
releaseAddress:
  if
  :: isLeased(p) -> skip
  :: else -> goto ended
  fi;
  TRY(failed, v = holder(p); told[v] = told[v] & ~BIT(p); removeLease(p));
#ifndef RELEASE_DOES_NOT_SYNC
  SYNC(failed, SYNC_LEASES);
#endif
  if
  :: mayRewrite && isReadable(v) ->
    TRY(failed,
      if
      :: (names[v] & ~BIT(p)) == 0 -> removeFile(v)
      :: (names[v] & ~BIT(p)) != 0 -> writeFile(v, file[v], names[v] & ~BIT(p)); HARDEN(v)
      fi);
    SYNC(failed, SYNC_FILES)
  :: else
  fi;
  SETTLE(failed);
  goto ended;

failed:
  MUST(allOrNoneAreLeased, verb[me] != ADD || hasFailed || (leasesOf(p) & chosen) == 0);
killed:
ended:
  /* The process is gone, and what it knew; the kernel unlocks. */
  atomic {
    SAY("-- end %d\n", me)
    if :: owner == me + 1 -> owner = 0 :: else fi;
    if
    :: verb[me] == ADD && told[p] == 0 ->
      verb[me] = NOTHING;
      if :: !anybody(ADD, p) -> endPod(p) :: else fi
    :: else
    fi;
    verb[me] = NOTHING; p = 0;
    isIndexed = 0; victims = 0; v = 0; held = 0; isAny = 0; valid = 0; hasFailed = 0; wish = 0;
    chosen = 0; none = 0; hasReclaimed = 0; isUndoing = 0; todo = 0; a = 0; i = 0
  }
  goto idle
}

#undef p
