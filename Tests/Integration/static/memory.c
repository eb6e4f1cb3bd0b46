// SPDX-License-Identifier: Apache-2.0
// memory: calls the C functions for memory in a random order and checks their results.
// memory WAY: asks for too much memory, which ends a program of ours with an answer.
//
// The exit status is 0 if they behave as C says; otherwise a line names what they broke.

#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { BLOCKS = 500, ROUNDS = 300000, EACH = 1000000 };

/// The heap's first chunk, which the linker script makes in our programs.
_Alignas(16) char humanz_heap[1 << 20];

static struct {
  unsigned char *start;
  size_t size;
  unsigned char fill;
} blocks[BLOCKS];

static uint64_t seed, state;

static uint32_t random_below(uint32_t bound) {
  state = state * 6364136223846793005u + 1442695040888963407u;
  return (state >> 33) % bound;
}

static void require(int is_so, const char *what) {
  if (is_so) return;
  printf("seed %llu: %s\n", (unsigned long long)seed, what);
  exit(1);
}

/// Any size; small ones are most likely.
static size_t random_size(void) { return random_below(1u << random_below(19)); }

static void fill(int i, void *start, size_t size, size_t alignment) {
  require(start != NULL, "no memory");
  require((uintptr_t)start % alignment == 0, "the alignment is another");
  require(malloc_usable_size(start) >= size, "the block is smaller");
  blocks[i].start = start;
  blocks[i].size = size;
  blocks[i].fill = random_below(256);
  memset(start, blocks[i].fill, size);
}

static void check(int i, size_t size) {
  for (size_t at = 0; at < size; at++)
    require(blocks[i].start[at] == blocks[i].fill, "the contents changed");
}

static void step(int i) {
  size_t size = random_size(), alignment = (size_t)8 << random_below(10);
  void *start = NULL;
  if (blocks[i].start == NULL) {
    switch (random_below(4)) {
    case 0:
      fill(i, malloc(size), size, 16);
      break;
    case 1:
      start = calloc(size, 3);
      require(start != NULL, "no memory");
      for (size_t at = 0; at < 3 * size; at++)
        require(((char *)start)[at] == 0, "calloc's memory is not zero");
      fill(i, start, 3 * size, 16);
      break;
    case 2:
      require(posix_memalign(&start, alignment, size) == 0, "posix_memalign failed");
      fill(i, start, size, alignment);
      break;
    case 3:
      fill(i, aligned_alloc(alignment, size), size, alignment);
      break;
    }
  } else if (random_below(3) == 0) {
    start = realloc(blocks[i].start, size);
    require(start != NULL, "no memory");
    blocks[i].start = start;
    check(i, size < blocks[i].size ? size : blocks[i].size);
    fill(i, start, size, 16);
  } else {
    check(i, blocks[i].size);
    free(blocks[i].start);
    blocks[i].start = NULL;
  }
}

/// The pages that this process uses.
static long resident(void) {
  long size, resident;
  FILE *file = fopen("/proc/self/statm", "r");
  require(file && fscanf(file, "%ld %ld", &size, &resident) == 2, "/proc/self/statm cannot be read");
  fclose(file);
  return resident;
}

// Asks for more memory than there is, in the way of a number. Returns if there is no such way.
static void ask_for_too_much(int way) {
  // The compiler must not know these sizes.
  volatile size_t huge = SIZE_MAX, half = SIZE_MAX / 2, two = 2, three = 3;
  void *start = malloc(10);
  switch (way) {
  case 0: start = malloc(huge); break;
  case 1: start = malloc(half); break;
  case 2: start = calloc(half, three); break;
  case 3: start = calloc(half + two, two); break;
  case 4: start = realloc(start, huge); break;
  case 5: start = aligned_alloc(4096, huge); break;
  case 6: posix_memalign(&start, 4096, huge); break;
  default: return;
  }
  require(0, "there was as much memory");
}

int main(int count, char **words) {
  if (count > 1) {
    ask_for_too_much(atoi(words[1]));
    return 0;
  }
  seed = state = time(NULL) ^ (uint64_t)getpid() << 32;

  free(NULL);
  require(malloc_usable_size(NULL) == 0, "nothing has a size");
  void *none = malloc(0);
  require(none != NULL, "malloc(0) is NULL");
  free(none);
  free(realloc(NULL, 100));

  for (int round = 0; round < ROUNDS; round++) step(random_below(BLOCKS));
  for (int i = 0; i < BLOCKS; i++) free(blocks[i].start);

  long before = resident();
  for (int round = 0; round < EACH; round++) {
    volatile char *block = malloc(1 + round % 5000);
    block[0] = 1;
    free((void *)block);
  }
  require(resident() <= before + 300, "freed memory is not used again");
  return 0;
}
