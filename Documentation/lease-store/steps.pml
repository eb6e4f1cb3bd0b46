// SPDX-License-Identifier: Apache-2.0
/* What the calls of humanz-ipam are made of. Each names its place in the sources.

   Under #ifdef is what is wrong on purpose: mistakes that spin has to find. check.py lists them. */

/* STEP is one system call, or several of which only one changes the store: a kill between the others leaves
   what a kill before them does. The process may be killed instead of the step. TRY is a STEP that may fail, too:
   the process then goes on where the sources catch the error. KILLED and FAILS are branches of an `if`. */
#define KILLED :: atomic { !draining -> SAY("killed\n") goto killed }
#ifdef FAULTS
#define FAILS(handler) :: atomic { !draining -> SAY("fails\n") goto handler }
#else
#define FAILS(handler)
#endif
#define STEP(...) if :: atomic { __VA_ARGS__ } KILLED fi
#define TRY(handler, ...) if :: atomic { __VA_ARGS__ } KILLED FAILS(handler) fi
/* fsync: a step only where it makes a difference. */
#if defined(DISK) || defined(FAULTS)
#define SYNC(handler, ...) TRY(handler, __VA_ARGS__)
#else
#define SYNC(handler, ...) skip
#endif

/* Takes one of its members out of a mask, any of them. */
inline take(mask, x) {
  if
  :: HAS(mask, 0) -> x = 0
  :: HAS(mask, 1) -> x = 1
  :: HAS(mask, 2) -> x = 2
  :: HAS(mask, 3) -> x = 3
  fi;
  mask = mask & ~BIT(x)
}

/* StoreLock */
#ifdef NO_LOCK
#define lockIsFree true
#else
#define lockIsFree (owner == 0)
#endif

/* What a pod holds: by its file where the files can be relied on, else by a look at every lease.
   LeaseStore.addresses(of:) */
#define addressesOf(q) (isIndexed && file[q] != GARBAGE -> names[q] & leasesOf(q) : leasesOf(q))

/* ---- LeaseStore.index ---- */

#ifdef BELIEVES_OLD_FILES
#define isNewer(x) false
#else
#define isNewer(x) HAS(newer, x)
#endif
#ifdef FORGETS_OLDER_LEASES
#define kept(q) 0
#else
#define kept(q) (names[q] & leasesOf(q))
#endif

/* Sees to it that a lease is in its holder's file. LeaseStore.index(_ lease:) */
inline complete(x) {
  v = holder(x);
  if
  :: !isReadable(v) -> writeFile(v, UNKNOWN, BIT(x))
  :: isReadable(v) && isNewer(x) -> writeFile(v, UNKNOWN, BIT(x) | kept(v))
  :: isReadable(v) && !isNewer(x) && !HAS(names[v], x) -> writeFile(v, file[v], names[v] | BIT(x))
  :: isReadable(v) && !isNewer(x) && HAS(names[v], x) -> skip
  fi;
  v = 0
}
inline lookAt(x) {
  if
#ifdef KEEPS_EMPTY_FILES
  :: lease[x] == EMPTY -> skip
#else
  :: lease[x] == EMPTY -> removeLease(x)
#endif
  :: isLeased(x) -> complete(x)
  :: lease[x] == FREE -> skip
  fi
}

/* Whether a file is that of a pod without a lease. */
#define isVain(q) (hasFile(q) && (names[q] & leasesOf(q)) == 0)

/* ---- LeaseStore.collect ---- */

/* Whether a pod has a file, or, where not all have one, a lease. LeaseStore.holders */
#define isHolder(q) (hasFile(q) || (!isIndexed && leasesOf(q) != 0))
#ifdef COLLECTS_THE_FIRST_ONLY
#define holders isHolder(0)
#else
#define holders (isHolder(0) | (isHolder(1) << 1) | (isHolder(2) << 2))
#endif
#define isCleared(q) (HAS(valid, q) || (leasesOf(q) == 0 && !hasFile(q)))

/* ---- Allocation.make ---- */

/* Chooses the next address of a set after the last one given: one with no file, or an empty one where that
   is free, too. RangeSet.firstFree */
inline choose(set, number, highestFree) {
  i = 0; a = last[number];
  do
  :: i == ADDRESSES -> none = 1; break
  :: i < ADDRESSES ->
    i++; a = (a + 1) % ADDRESSES;
    if
    :: HAS(set, a) && lease[a] <= highestFree -> chosen = chosen | BIT(a); break
    :: else
    fi
  od;
  i = 0; a = 0
}

/* Adds a pod to `victims` if its leases are stale. Of a pod that has ended, namespace or veth may still be there.
   StaleLeases.reason */
inline addIfStale(q) {
  if
#ifdef KEEPS_OLD
  :: file[q] == OLD -> skip
#else
  :: file[q] == OLD -> victims = victims | BIT(q)
#endif
  :: file[q] == ENDED -> victims = victims | BIT(q)
  :: file[q] == ENDED -> skip
#ifdef RECLAIMS_ON_ONE_SIGN
  :: file[q] == CURRENT -> victims = victims | BIT(q)
#endif
  :: file[q] != OLD && file[q] != ENDED -> skip
  fi
}
#ifdef RECLAIMS_UNINDEXED
#define mayReclaim true
#else
#define mayReclaim isIndexed
#endif
#define isReclaimable(q) (file[q] == OLD && leasesOf(q) != 0)

/* ---- LeaseStore.lease ---- */

/* The file .lease: a lease file is a second name of it, and so never half a file. */
#ifdef INODES
#ifdef WRITES_OVER_DRAFT
#define overwrite(x) (HAS(draftLinks, x) -> OF(p) : lease[x])
#define MAKE_DRAFT TRY(notLeased, draft = OF(p); \
  lease[0] = overwrite(0); lease[1] = overwrite(1); lease[2] = overwrite(2); lease[3] = overwrite(3))
#else
#define MAKE_DRAFT TRY(notLeased, draft = OF(p); draftLinks = 0)
#endif
#define linkDraft(x) lease[x] = draft; draftLinks = draftLinks | BIT(x)
#define DROP_DRAFT(handler) TRY(handler, draft = 0; draftLinks = 0)
#else
#define MAKE_DRAFT skip
#define linkDraft(x) lease[x] = OF(p)
#define DROP_DRAFT(handler) skip
#endif

/* Makes the lease file of the chosen address of a set. LeaseStore.claim */
#define CLAIM(set) \
  todo = chosen & set; \
  take(todo, a); \
  do \
  :: atomic { lease[a] == FREE -> SAY("claims %d\n", a) linkDraft(a); ours = ours | BIT(a); marked = 0; DATE(a); break } \
  :: atomic { lease[a] == EMPTY -> removeLease(a) } \
  :: atomic { isLeased(a) -> goto notLeased } \
  KILLED \
  FAILS(notLeased) \
  od; \
  a = 0
#ifdef DRAFT_AFTER_FILE
#define DATE(x) newer = newer | BIT(x)
#else
#define DATE(x) newer = newer & ~BIT(x)
#endif

/* Notes the last address given. A rename into the directory of leases. LeaseStore.setLastGiven */
#define NOTE(set, number) \
  TRY(notLeased, todo = chosen & set; take(todo, last[number]); marked = 0)

/* Ends a change. LeaseStore.settle */
#ifdef MARKS_UNINDEXED
#define isComplete true
#else
#define isComplete isIndexed
#endif
#define MARK(handler) TRY(handler, if :: isComplete -> SAY("marks\n") marked = 1 :: else fi)
#ifdef MARKS_BEFORE_SYNC
#define SETTLE(handler) MARK(handler); SYNC(handler, SYNC_LEASES)
#else
#define SETTLE(handler) SYNC(handler, SYNC_LEASES); MARK(handler)
#endif

/* ---- LeaseStore.free ---- */

#ifdef SYNCS_WHAT_IT_FREES_ONLY
#define mustSync false
#else
#define mustSync !isIndexed
#endif

/* ---- LeaseStore.release(_ address:) ---- */

#ifdef REWRITES_UNINDEXED
#define mayRewrite true
#else
#define mayRewrite isIndexed
#endif
