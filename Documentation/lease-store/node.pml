// SPDX-License-Identifier: Apache-2.0
/* Events outside of the plugins: loss of power and reboot, an administrator's rm, and the start of the emptying at the
   end. This is the file that spin is given. */

#include "store.pml"
#include "steps.pml"
#include "calls.pml"
#include "host-local.pml"

#define highest(set) ((set) >= 8 -> 3 : ((set) >= 4 -> 2 : ((set) >= 2 -> 1 : 0)))

#ifdef DISK
/* Any part of what was not synced may survive. host-local's files may be there and empty. */
inline losePower(x) {
  if
  :: skip
  :: lease[x] != leaseOnDisk[x] ->
    lease[x] = leaseOnDisk[x]; ours = (ours & ~BIT(x)) | (oursOnDisk & BIT(x))
  :: lease[x] != leaseOnDisk[x] -> lease[x] = FREE; ours = ours & ~BIT(x)
  :: isLeased(x) && !HAS(ours, x) -> lease[x] = EMPTY
  fi;
  newer = newer & ~BIT(x);
  if
  :: skip
  :: isLeased(x) && !HAS(ours, x) -> newer = newer | BIT(x)
  fi;
  leaseOnDisk[x] = lease[x]
}

inline losePowerOf(q) {
  if
  :: skip
  :: file[q] != fileOnDisk[q] || names[q] != namesOnDisk[q] || HAS(soft, q) != HAS(softOnDisk, q) ->
    file[q] = fileOnDisk[q]; names[q] = namesOnDisk[q];
    soft = (soft & ~BIT(q)) | (softOnDisk & BIT(q))
  fi;
  told[q] = 0;
  if
  :: hasFile(q) && HAS(soft, q) -> file[q] = GARBAGE; names[q] = 0
  :: file[q] == CURRENT || file[q] == ENDED -> file[q] = OLD
  :: file[q] != CURRENT && file[q] != ENDED -> skip
  fi;
  fileOnDisk[q] = file[q]; namesOnDisk[q] = names[q];
  soft = soft & ~BIT(q)
}
#endif

proctype node() {
  byte some, a;
end:
  do
  :: atomic { nowhere && !draining -> SAY("-- drain\n") draining = 1 }
  :: atomic {
      draining && nowhere && drained == PODS ->
      MUST(emptiedIsEmpty, leaseFiles == 0 && !hasFile(0) && !hasFile(1) && !hasFile(2));
      drained = PODS + 1
    }
#ifdef DISK
  :: atomic {
      nowhere && !draining ->
      SAY("-- loss of power\n")
      losePowerOf(0); losePowerOf(1); losePowerOf(2);
      losePower(0); losePower(1); losePower(2); losePower(3);
      SAY("   leases %d %d %d", lease[0], lease[1], lease[2])
      SAY(", files %d:%d %d:%d %d:%d\n", file[0], names[0], file[1], names[1], file[2], names[2])
      softOnDisk = 0; oursOnDisk = ours;
      if :: skip :: last[0] = highest(SET0); last[1] = highest(SET1) fi;
#ifndef MARK_OF_ANY_BOOT
      marked = 0
#endif
    }
#endif
#ifdef REMOVALS
  /* A person's rm of a lease file, without the lock. */
  :: atomic {
      leaseFiles != 0 && !draining ->
      some = leaseFiles; take(some, a); some = 0;
      if
      :: isLeased(a) -> told[holder(a)] = told[holder(a)] & ~BIT(a)
      :: else
      fi;
      removeLease(a);
      a = 0
    }
#endif
  od
}

init {
  atomic {
    last[0] = highest(SET0); last[1] = highest(SET1);
    run node();
    run caller(0);
    if :: CALLERS > 1 -> run caller(1) :: else fi;
    if :: CALLERS > 2 -> run caller(2) :: else fi;
#ifdef HOST_LOCAL
    run hostLocal(3)
#endif
  }
}
