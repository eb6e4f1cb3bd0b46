// SPDX-License-Identifier: Apache-2.0
/* A process of host-local: it takes the same lock, makes and removes lease files, and knows of no
   attachment file. It takes the lock once per range set. */

#ifdef HOST_LOCAL
#define p pod[me]

/* Between its turns only a person frees what it has. */
#ifdef RELEASES
#define mayBeReleased true
#else
#define mayBeReleased mayBeRemoved
#endif

proctype hostLocal(byte me) {
  /* The number of the set; its addresses; those of the pod that are to be removed. */
  bit number;
  byte set, held;
  byte chosen, all, a, i;
  bit none;

idle:
progress:
end:
  atomic {
    !draining;
    if :: p = 0 :: PODS > 1 -> p = 1 :: PODS > 2 -> p = 2 fi;
    if
    :: canAddTheirs(p) -> verb[me] = THEIR_ADD
    :: canDelete(p) -> verb[me] = THEIR_DEL; endPod(p)
    :: else -> goto ended
    fi;
    SAY("-- host-local: %e %d\n", verb[me], p)
  }
  if
  :: verb[me] == THEIR_DEL -> goto release
  :: else
  fi;

nextSet:
  STEP(lockIsFree -> owner = me + 1; set = (number == 0 -> SET0 : SET1));
  STEP(
    if
    :: (leasesOf(p) & set) != 0 -> none = 1
    :: (leasesOf(p) & set) == 0 -> choose(set, number, FREE)
    fi);
  if
  :: none -> goto unlock
  :: else
  fi;
  atomic { held = chosen; take(held, a); held = 0 };
  STEP(SAY("makes empty %d\n", a) lease[a] = EMPTY; marked = 0);
  STEP(
    if
    :: lease[a] == EMPTY ->
      SAY("fills %d\n", a)
      lease[a] = OF(p); newer = newer | BIT(a); ours = ours & ~leasesOf(p);
      ON_DISK(oursOnDisk = oursOnDisk & ~leasesOnDiskOf(p))
    :: else
    fi);
  STEP(last[number] = a; marked = 0);
unlock:
  STEP(
    all = all | chosen; chosen = 0; a = 0; set = 0; owner = 0;
    if
    :: none || (number == 0 && SET1 != 0) -> skip
    :: else -> SAY("told\n")
      MUST(allOrNoneAreLeased, mayBeReleased || (all & ~leasesOf(p)) == 0);
      told[p] = all & leasesOf(p)
    fi);
  if
  :: none && number == 0 -> goto ended
  :: none && number == 1 -> all = 0; goto release
  :: !none && number == 0 && SET1 != 0 -> number = 1; goto nextSet
  :: else -> goto ended
  fi;

  /* For a DEL, and for an ADD that failed: it looks through all files. */
release:
  STEP(lockIsFree -> owner = me + 1; held = leasesOf(p));
  do
  :: atomic { held != 0 -> take(held, a); removeLease(a); a = 0 }
  :: atomic { held == 0 -> break }
  KILLED
  od;

killed:
ended:
  atomic {
    if :: owner == me + 1 -> owner = 0 :: else fi;
    verb[me] = NOTHING; p = 0;
    number = 0; set = 0; held = 0; chosen = 0; all = 0; a = 0; i = 0; none = 0
  }
  goto idle
}

#undef p
#endif
