// SPDX-License-Identifier: Apache-2.0
/* The state: what is in the store of one network and what the processes do; and what must always hold.

   README.md explains it. check.py chooses sizes and parts by -D. */

#ifndef CALLERS
#define CALLERS 2
#endif
/* A pod stands for an attachment: a container ID and an interface name. At most three. */
#ifndef PODS
#define PODS 2
#endif
/* Addresses are numbers from 0 on, at most four. A set of addresses or of pods is a mask: bit n is the
   one of number n. SET0 and SET1 are the range sets; SET1 is 0 where there is one only. */
#ifndef ADDRESSES
#define ADDRESSES 3
#define SET0 3
#define SET1 4
#endif

#define BIT(n) (1 << (n))
#define HAS(mask, n) (((mask) >> (n)) & 1)

/* What `check` prints of the way to a violation. */
#ifdef TRACE
#define SAY(...) printf(__VA_ARGS__);
#else
#define SAY(...)
#endif

#ifdef DISK
#define ON_DISK(...) __VA_ARGS__
#else
#define ON_DISK(...) skip
#endif
#ifdef INODES
#define ON_INODES(...) __VA_ARGS__
#else
#define ON_INODES(...) skip
#endif

/* ---- the directory of leases ---- */

/* What the lease file of an address says. EMPTY: a host-local that was killed wrote nothing into it. */
#define FREE 0
#define EMPTY 1
#define OF(q) ((q) + 2)
byte lease[4];
#define isLeased(x) (lease[x] > EMPTY)
#define holder(x) (lease[x] - 2)
#define holds(q, x) ((lease[x] == OF(q)) << (x))
#define leasesOf(q) (holds(q, 0) | holds(q, 1) | holds(q, 2) | holds(q, 3))
#define isThere(x) ((lease[x] != FREE) << (x))
#define leaseFiles (isThere(0) | isThere(1) | isThere(2) | isThere(3))
#define anyEmpty (lease[0] == EMPTY || lease[1] == EMPTY || lease[2] == EMPTY || lease[3] == EMPTY)

/* Leases that are newer than their holder's attachment file: somebody else made them. */
byte newer;
/* Whether the directory's time of modification has this boot's mark. */
bit marked;
/* last_reserved_ip.<set>. Where there is none: the last address of the set. */
byte last[2];

/* ---- the directory of attachment files ---- */

/* What a pod's file says of it. UNKNOWN: nothing, as of host-local's leases. CURRENT: boot and namespace
   of the pod as it is now. ENDED: those of a pod that has ended. OLD: an earlier boot. GARBAGE: no JSON. */
#define NOFILE 0
#define UNKNOWN 1
#define CURRENT 2
#define ENDED 3
#define OLD 4
#define GARBAGE 5
byte file[3];
/* The addresses it names. */
byte names[3];
#define hasFile(q) (file[q] != NOFILE)
#define isReadable(q) (file[q] != NOFILE && file[q] != GARBAGE)

#ifdef INODES
/* The file .lease: what it says, and the lease files that are other names of it. */
byte draft;
byte draftLinks;
#endif

#ifdef DISK
/* What has been synced to the disk. All else above may be lost in a power failure. */
byte leaseOnDisk[4];
#define holdsOnDisk(q, x) ((leaseOnDisk[x] == OF(q)) << (x))
#define leasesOnDiskOf(q) (holdsOnDisk(q, 0) | holdsOnDisk(q, 1) | holdsOnDisk(q, 2) | holdsOnDisk(q, 3))
byte oursOnDisk;
byte fileOnDisk[3];
byte namesOnDisk[3];
/* Pods whose file may have a content that is not on the disk. */
byte soft;
byte softOnDisk;
#endif

/* ---- the processes ---- */

/* Who has the lock: the number of a process, plus one. The kernel gives it back when the process dies. */
byte owner;

mtype = { NOTHING, ADD, DEL, GC, RELEASE, THEIR_ADD, THEIR_DEL };
/* The call that each process makes, and the pod that it is about. */
mtype verb[4] = NOTHING;
byte pod[4];
#define does(i, v, q) (verb[i] == v && pod[i] == q)
#define anybody(v, q) (does(0, v, q) || does(1, v, q) || does(2, v, q) || does(3, v, q))
#define anywhere(v) (verb[0] == v || verb[1] == v || verb[2] == v || verb[3] == v)
#define nowhere \
  (verb[0] == NOTHING && verb[1] == NOTHING && verb[2] == NOTHING && verb[3] == NOTHING)

/* What a runtime may call, by the specification: nothing beside a GC but DEL, and nothing beside another
   call for the same pod. Two ADDs of one pod are more than it allows. */
#define canAdd(q) \
  (!anybody(DEL, q) && !anybody(THEIR_ADD, q) && !anybody(THEIR_DEL, q) && !anywhere(GC))
#define canAddTheirs(q) (told[q] == 0 && canAdd(q) && !anybody(ADD, q))
#define canDelete(q) (!anybody(ADD, q) && !anybody(THEIR_ADD, q) && !anywhere(GC))
#define canCollect (!anywhere(ADD) && !anywhere(THEIR_ADD))

/* The store is being emptied: nobody is killed and nothing fails; the number of pods deleted so far. */
bit draining;
byte drained;

/* ---- what was promised ---- */

/* The addresses that a pod was told and may use. */
byte told[3];
/* The leases that our ADD made. */
byte ours;

/* ---- what must hold ---- */

/* The laws. These are never set: where one is broken, spin prints its name. */
bit usedAddressesAreLeased, leasesAreFound, leasesAreDated, allOrNoneAreLeased, releasedIsGone,
  collectedIsGone, oldIsReclaimed, emptiedIsEmpty;
#define MUST(law, condition) if :: (condition) -> skip :: else -> assert(law) fi

/* A pod has the leases of the addresses that it uses: so no two pods use the same one. */
#define isKept(q) ((told[q] & ~leasesOf(q)) == 0)
#define ALL_ARE_KEPT (isKept(0) && isKept(1) && isKept(2))

/* Where the directory is marked, its holder's file leads to each lease, and no lease file is empty. */
#define isFound(x) (lease[x] == FREE \
  || (isLeased(x) && (file[holder(x)] == GARBAGE || HAS(names[holder(x)], x))))
#define ALL_ARE_FOUND (!marked || (isFound(0) && isFound(1) && isFound(2) && isFound(3)))

/* Where the directory is marked, the file of a pod that has only leases of ours says in which boot they
   were made: they can be reclaimed after it. */
#define isDated(q) (leasesOf(q) == 0 || (leasesOf(q) & ~ours) != 0 \
  || file[q] == CURRENT || file[q] == ENDED || file[q] == OLD)
#define ALL_ARE_DATED (!marked || (isDated(0) && isDated(1) && isDated(2)))

/* Whether a person may have freed an address in the middle of a call. */
#ifdef REMOVALS
#define mayBeRemoved true
#else
#define mayBeRemoved false
#endif

/* Runs only if a law does not hold, in whatever state that is. */
active proctype watch() {
end:
  atomic {
    !(ALL_ARE_KEPT && ALL_ARE_FOUND && ALL_ARE_DATED) ->
    MUST(usedAddressesAreLeased, ALL_ARE_KEPT);
    MUST(leasesAreFound, ALL_ARE_FOUND);
    MUST(leasesAreDated, ALL_ARE_DATED)
  }
}

/* ---- what system calls do to the store ---- */

/* A file that is made or removed in the directory of leases takes the mark from it. */
inline removeLease(x) {
  SAY("removes lease %d of %d\n", x, lease[x] - 2)
  lease[x] = FREE; marked = 0; newer = newer & ~BIT(x); ours = ours & ~BIT(x);
  ON_INODES(draftLinks = draftLinks & ~BIT(x))
}

/* An attachment file takes the place of another. It is newer than the leases that are there. */
inline writeFile(q, kind, addresses) {
  SAY("writes file of %d: %d, kind %d\n", q, addresses, kind)
  file[q] = kind; names[q] = addresses; newer = newer & ~leasesOf(q);
  ON_DISK(soft = soft | BIT(q))
}

/* Its content was written to the disk before. */
#define HARDEN(q) ON_DISK(soft = soft & ~BIT(q))

inline removeFile(q) {
  SAY("removes file of %d\n", q)
  file[q] = NOFILE; names[q] = 0; HARDEN(q)
}

/* fsync of the directories */
#define SYNC_LEASES ON_DISK( \
  leaseOnDisk[0] = lease[0]; leaseOnDisk[1] = lease[1]; leaseOnDisk[2] = lease[2]; \
  leaseOnDisk[3] = lease[3]; oursOnDisk = ours)
#define SYNC_FILES ON_DISK( \
  fileOnDisk[0] = file[0]; fileOnDisk[1] = file[1]; fileOnDisk[2] = file[2]; \
  namesOnDisk[0] = names[0]; namesOnDisk[1] = names[1]; namesOnDisk[2] = names[2]; softOnDisk = soft)

/* A pod ends: it uses its addresses no more, and what its file says is of the past. */
inline endPod(q) {
  told[q] = 0;
  if :: file[q] == CURRENT -> file[q] = ENDED :: else fi
}
