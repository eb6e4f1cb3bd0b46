// SPDX-License-Identifier: Apache-2.0
// drive: runs CNI plugins as a runtime does, and records the duration of each call.
//
//   drive PLAN >SAMPLES
//
// PLAN has one statement a line, words separated by one space:
//
//   rounds COUNT WARMUP             measured rounds, and rounds before them that are not measured
//   pods COUNT AT-ONCE              attachments in a round, and the number of concurrent ones
//   verbs VERB...                   in a round each verb runs for all pods, then the next verb; GC is one call
//                                   that keeps only the resident pod
//   contestant NAME NODE            NODE: a network namespace by path; its pods: NODE-1, NODE-2, ...
//   stage PROGRAM CONFIGURATION [VERB=WORD...]
//                                   a stage of the last contestant; ADD runs its stages in this order,
//                                   DEL in reverse. With WORD, PROGRAM's arguments are WORD and the pod
//
// Each round runs the contestants in a new random order (with a fixed seed), so that work that the kernel
// puts off after one contestant's calls slows all others alike. Each node also has a resident pod, number
// COUNT + 1, for the whole plan: the measured pods are never the first or the last of a network.
//
// SAMPLES has a line for each call: contestant, round, verb, pod, number of failed stages, nanoseconds, peak
// memory in KiB, nanoseconds of each stage. Pod 0 is all pods of that verb together.
//
// The measured time includes making the configuration with prevResult, posix_spawn, the plugin, wait4 and
// reading the result. It excludes making the namespaces and entering the node's.

#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_STAGES = 4, MAX_VERBS = 3, MAX_CONTESTANTS = 24, MAX_PODS = 256, MAX_AT_ONCE = 64 };

/// A pause before the next call, for work that the kernel puts off after a DEL (RCU callbacks, work queues).
/// Plans that delete nothing have none: a processor that wakes up from a pause is slow at first.
static const struct timespec settle = {.tv_nsec = 5 * 1000 * 1000};

struct stage {
  char *program;
  char *configuration;
  size_t configuration_length;
  char *words[MAX_VERBS];
};

struct contestant {
  char *name;
  char *node;
  int node_fd;
  int stage_count;
  struct stage stages[MAX_STAGES];
  /// The final result of each pod's last ADD: prevResult of its DEL.
  char *results[MAX_PODS + 2];
  int failures;
};

static bool deletes;
static int rounds = 1, warmup, pods = 1, at_once = 1, verb_count, contestant_count;
static char *verbs[MAX_VERBS];
static struct contestant contestants[MAX_CONTESTANTS];

/// A call for one pod as it goes through the stages.
struct call {
  int pod;
  int step;
  pid_t process;
  int input, output;
  char *previous;
  int64_t begun, stage_begun;
  int64_t stage_times[MAX_STAGES];
  long peak_memory;
  int failures;
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

// MARK: The plan

static char *read_whole(const char *path, size_t *length) {
  FILE *file = fopen(path, "r");
  if (!file) err(1, "%s", path);
  struct stat status;
  fstat(fileno(file), &status);
  char *text = malloc(status.st_size + 1);
  *length = fread(text, 1, status.st_size, file);
  while (*length > 0 && text[*length - 1] == '\n') --*length;
  text[*length] = 0;
  fclose(file);
  return text;
}

static char *word(void) {
  char *next = strtok(NULL, " \n");
  if (!next) errx(1, "the plan ends in the middle of a line");
  return strdup(next);
}

static int verb_index(const char *verb, size_t length) {
  for (int index = 0; index < verb_count; index++)
    if (strlen(verbs[index]) == length && !strncmp(verbs[index], verb, length)) return index;
  errx(1, "%.*s is not among the plan's verbs", (int)length, verb);
}

static void read_stage(struct contestant *contestant) {
  if (contestant->stage_count == MAX_STAGES) errx(1, "too many stages");
  struct stage *stage = &contestant->stages[contestant->stage_count++];
  stage->program = word();
  char *path = word();
  stage->configuration = read_whole(path, &stage->configuration_length);
  for (char *pair; (pair = strtok(NULL, " \n"));) {
    char *equals = strchr(pair, '=');
    if (!equals) errx(1, "%s: expected VERB=WORD", pair);
    stage->words[verb_index(pair, equals - pair)] = strdup(equals + 1);
  }
}

static void read_plan(const char *path) {
  FILE *plan = fopen(path, "r");
  if (!plan) err(1, "%s", path);
  char line[4096];
  while (fgets(line, sizeof line, plan)) {
    char *statement = strtok(line, " \n");
    if (!statement) continue;
    if (!strcmp(statement, "rounds")) {
      rounds = atoi(word());
      warmup = atoi(word());
    } else if (!strcmp(statement, "pods")) {
      pods = atoi(word());
      at_once = atoi(word());
      if (pods > MAX_PODS || at_once > MAX_AT_ONCE) errx(1, "too many pods");
    } else if (!strcmp(statement, "verbs")) {
      for (char *verb; (verb = strtok(NULL, " \n"));) {
        if (verb_count == MAX_VERBS) errx(1, "too many verbs");
        deletes |= !strcmp(verb, "DEL") || !strcmp(verb, "GC");
        verbs[verb_count++] = strdup(verb);
      }
    } else if (!strcmp(statement, "contestant")) {
      if (contestant_count == MAX_CONTESTANTS) errx(1, "too many contestants");
      struct contestant *contestant = &contestants[contestant_count++];
      contestant->name = word();
      contestant->node = word();
      contestant->node_fd = open(contestant->node, O_RDONLY | O_CLOEXEC);
      if (contestant->node_fd < 0) err(1, "%s", contestant->node);
    } else if (!strcmp(statement, "stage") && contestant_count) {
      read_stage(&contestants[contestant_count - 1]);
    } else {
      errx(1, "%s: not a statement of a plan", statement);
    }
  }
  fclose(plan);
}

// MARK: One stage of one call

static struct stage *stage_of(struct contestant *contestant, struct call *call, const char *verb) {
  int last = contestant->stage_count - 1;
  return &contestant->stages[strcmp(verb, "DEL") ? call->step : last - call->step];
}

/// Writes the configuration, with prevResult before its closing brace, as the child's standard input.
static void compose(struct stage *stage, struct call *call, const char *verb) {
  struct iovec parts[4] = {{stage->configuration, stage->configuration_length}};
  int count = 1;
  char kept[128];
  if (!strcmp(verb, "GC")) {
    int length = snprintf(kept, sizeof kept,
        ",\"cni.dev/valid-attachments\":[{\"containerID\":\"bench-%d\",\"ifname\":\"eth0\"}]}", pods + 1);
    parts[0].iov_len--;
    parts[1] = (struct iovec){kept, length};
    count = 2;
  } else if (call->previous) {
    parts[0].iov_len--;
    parts[1] = (struct iovec){",\"prevResult\":", 14};
    parts[2] = (struct iovec){call->previous, strlen(call->previous)};
    parts[3] = (struct iovec){"}", 1};
    count = 4;
  }
  if (ftruncate(call->input, 0) || ftruncate(call->output, 0)) err(1, "ftruncate");
  lseek(call->input, 0, SEEK_SET);
  lseek(call->output, 0, SEEK_SET);
  if (writev(call->input, parts, count) < 0) err(1, "writev");
  lseek(call->input, 0, SEEK_SET);
}

static void spawn(struct contestant *contestant, struct call *call, int verb) {
  struct stage *stage = stage_of(contestant, call, verbs[verb]);
  static char path[1024];
  if (!*path) snprintf(path, sizeof path, "CNI_PATH=%s", getenv("CNI_PATH"));
  char command[32], container[32], namespace[256];
  snprintf(command, sizeof command, "CNI_COMMAND=%s", verbs[verb]);
  snprintf(container, sizeof container, "CNI_CONTAINERID=bench-%d", call->pod);
  snprintf(namespace, sizeof namespace, "CNI_NETNS=%s-%d", contestant->node, call->pod);
  char *environment[] = {command, container, namespace, "CNI_IFNAME=eth0", path,
                         "PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
  char *pod = strcmp(verbs[verb], "VERSION") ? strchr(namespace, '=') + 1 : NULL;
  char *arguments[] = {stage->program, stage->words[verb], pod, NULL};

  call->stage_begun = now();
  compose(stage, call, verbs[verb]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, call->input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, call->output, STDOUT_FILENO);
  int failure = posix_spawn(&call->process, stage->program, &actions, NULL, arguments, environment);
  if (failure) errx(1, "%s: %s", stage->program, strerror(failure));
  posix_spawn_file_actions_destroy(&actions);
}

static char *read_output(struct call *call) {
  off_t length = lseek(call->output, 0, SEEK_END);
  char *text = malloc(length + 1);
  if (pread(call->output, text, length, 0) != length) err(1, "pread");
  while (length > 0 && text[length - 1] == '\n') length--;
  text[length] = 0;
  return text;
}

/// Records how a stage ended. Returns true if the call has another stage to run.
static int advance(struct contestant *contestant, struct call *call, int verb, int status,
                   struct rusage *usage) {
  struct stage *stage = stage_of(contestant, call, verbs[verb]);
  char *output = read_output(call);
  call->stage_times[stage - contestant->stages] = now() - call->stage_begun;
  if (usage->ru_maxrss > call->peak_memory) call->peak_memory = usage->ru_maxrss;
  if (status) {
    call->failures++;
    if (contestant->failures++ < 3)
      warnx("%s: %s of pod %d: %s: %s", contestant->name, verbs[verb], call->pod,
            stage->program, output);
    free(output);
    // A failed ADD has no result, so its DEL has no prevResult.
    if (!strcmp(verbs[verb], "ADD")) {
      free(call->previous);
      call->previous = NULL;
    }
    return 0;
  }
  if (!strcmp(verbs[verb], "ADD")) {
    free(call->previous);
    call->previous = *output ? output : NULL;
    if (!*output) free(output);
  } else {
    free(output);
  }
  return ++call->step < contestant->stage_count;
}

// MARK: One verb for some pods of a contestant

static void finish(struct contestant *contestant, struct call *call, int verb, int round) {
  int64_t took = now() - call->begun;
  if (!strcmp(verbs[verb], "ADD"))
    contestant->results[call->pod] = call->previous;
  else if (!strcmp(verbs[verb], "DEL")) {
    free(contestant->results[call->pod]);
    contestant->results[call->pod] = NULL;
  } else if (!strcmp(verbs[verb], "GC")) {
    for (int pod = 1; pod <= pods; pod++) {
      free(contestant->results[pod]);
      contestant->results[pod] = NULL;
    }
  }
  if (round < 0) return;
  printf("%s\t%d\t%s\t%d\t%d\t%lld\t%ld", contestant->name, round, verbs[verb], call->pod,
         call->failures, (long long)took, call->peak_memory);
  for (int stage = 0; stage < contestant->stage_count; stage++)
    printf("\t%lld", (long long)call->stage_times[stage]);
  putchar('\n');
}

static void begin(struct contestant *contestant, struct call *call, int verb, int pod) {
  *call = (struct call){.pod = pod, .input = call->input, .output = call->output};
  if (!strcmp(verbs[verb], "DEL")) call->previous = contestant->results[pod];
  call->begun = now();
  spawn(contestant, call, verb);
}

static void run(struct contestant *contestant, int verb, int round, int first, int last) {
  static struct call calls[MAX_AT_ONCE];
  for (int slot = 0; slot < at_once && !calls[slot].input; slot++) {
    calls[slot].input = memfd_create("stdin", MFD_CLOEXEC);
    calls[slot].output = memfd_create("stdout", MFD_CLOEXEC);
  }
  if (setns(contestant->node_fd, CLONE_NEWNET)) err(1, "setns %s", contestant->node);
  if (deletes) nanosleep(&settle, NULL);

  int64_t begun = now();
  int next = first, active = 0, failures = 0;
  for (; active < at_once && next <= last; active++) begin(contestant, &calls[active], verb, next++);
  while (active > 0) {
    int status;
    struct rusage usage;
    pid_t process = wait4(-1, &status, 0, &usage);
    if (process < 0) err(1, "wait4");
    struct call *call = calls;
    while (call < calls + at_once && call->process != process) call++;
    if (call == calls + at_once) continue;  // a plugin's orphan
    if (advance(contestant, call, verb, status, &usage)) {
      spawn(contestant, call, verb);
      continue;
    }
    call->process = 0;
    failures += call->failures;
    finish(contestant, call, verb, round);
    if (next <= last)
      begin(contestant, call, verb, next++);
    else
      active--;
  }
  if (round >= 0 && last > 1)
    printf("%s\t%d\t%s\t0\t%d\t%lld\t0\n", contestant->name, round, verbs[verb], failures,
           (long long)(now() - begun));
}

/// ADD or DEL of the resident pod, if the plan has that verb.
static void run_resident(const char *name) {
  for (int verb = 0; verb < verb_count; verb++)
    for (int index = 0; index < contestant_count && !strcmp(verbs[verb], name); index++)
      run(&contestants[index], verb, -1, pods + 1, pods + 1);
}

static void shuffle(int *order, int count) {
  static uint32_t state = 72;
  for (int last = count - 1; last > 0; last--) {
    state ^= state << 13, state ^= state >> 17, state ^= state << 5;
    int other = state % (last + 1), kept = order[last];
    order[last] = order[other];
    order[other] = kept;
  }
}

/// This process's own peak memory. A child shares it until exec, so a child's peak below or at this value says
/// nothing about the plugin.
static long own_peak_memory(void) {
  char line[128];
  long kilobytes = 0;
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status)) sscanf(line, "VmHWM: %ld", &kilobytes);
  return kilobytes;
}

int main(int count, char **arguments) {
  if (count != 2) errx(2, "usage: drive PLAN >SAMPLES");
  if (!getenv("CNI_PATH")) errx(2, "CNI_PATH is not set");
  read_plan(arguments[1]);
  int order[MAX_CONTESTANTS];
  for (int index = 0; index < contestant_count; index++) order[index] = index;
  run_resident("ADD");
  for (int round = -warmup; round < rounds; round++) {
    shuffle(order, contestant_count);
    for (int index = 0; index < contestant_count; index++)
      for (int verb = 0; verb < verb_count; verb++)
        run(&contestants[order[index]], verb, round, 1, strcmp(verbs[verb], "GC") ? pods : 1);
  }
  run_resident("DEL");
  printf("drive\t0\tself\t0\t0\t0\t%ld\n", own_peak_memory());
  return 0;
}
