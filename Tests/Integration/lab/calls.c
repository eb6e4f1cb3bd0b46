// SPDX-License-Identifier: Apache-2.0
// calls: runs plugins as a runtime does, many at once, and kills some of them.
//
//   calls WORKERS [KILL-PERCENT KILL-MICROSECONDS SEED] <PLAN >REPORT
//
// PLAN has a call a line, words separated by one space:
//
//   PROGRAM VERB CONTAINER CONFIGURATION [N]
//
// CONFIGURATION is the file for stdin; the container's interface is eth0, its namespace
// /run/netns/CONTAINER. With N the process is killed before its N-th system call, counted from the
// first one of the program's own. Worker W makes the calls W, W + WORKERS, ... in this order.
// KILL-PERCENT of the calls without N are killed at a random time within KILL-MICROSECONDS.
//
// REPORT has a line for each call: its place in PLAN from 0, its exit status (or the negative signal
// that killed it), its duration in nanoseconds, and its output on one line.

#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct call {
  char *program, *verb, *container, *configuration;
  long kill_at;
};

static int64_t now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000000000LL + time.tv_nsec;
}

/// In the child: executes the plugin.
static void become(const struct call *call, int output) {
  char namespace[256];
  snprintf(namespace, sizeof namespace, "/run/netns/%s", call->container);
  setenv("CNI_COMMAND", call->verb, 1);
  setenv("CNI_CONTAINERID", call->container, 1);
  setenv("CNI_NETNS", namespace, 1);
  setenv("CNI_IFNAME", "eth0", 1);
  setenv("CNI_PATH", "/usr/lib/cni", 1);
  int input = open(call->configuration, O_RDONLY | O_CLOEXEC);
  if (input < 0) err(1, "%s", call->configuration);
  dup2(input, STDIN_FILENO);
  dup2(output, STDOUT_FILENO);
  if (call->kill_at && ptrace(PTRACE_TRACEME, 0, 0, 0)) err(1, "ptrace");
  execl(call->program, call->program, (char *)NULL);
  err(1, "%s", call->program);
}

/// Lets a traced process run to its N-th system call and kills it there.
static int kill_at(pid_t process, long n) {
  int status;
  // The first stop is the one after exec.
  if (waitpid(process, &status, 0) < 0) err(1, "waitpid");
  ptrace(PTRACE_SETOPTIONS, process, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  // A system call stops the process twice: on entry and on exit.
  for (long stops = 0; WIFSTOPPED(status); ) {
    ptrace(PTRACE_SYSCALL, process, 0, 0);
    if (waitpid(process, &status, 0) < 0) err(1, "waitpid");
    if (WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80) && ++stops == 2 * n - 1) {
      kill(process, SIGKILL);
      if (waitpid(process, &status, 0) < 0) err(1, "waitpid");
    }
  }
  return status;
}

static void make(const struct call *call, size_t place, int percent, unsigned microseconds) {
  int output[2];
  if (pipe2(output, O_CLOEXEC)) err(1, "pipe");
  int64_t start = now();
  pid_t process = fork();
  if (process < 0) err(1, "fork");
  if (process == 0) become(call, output[1]);
  close(output[1]);
  int status = 0;
  if (call->kill_at) {
    status = kill_at(process, call->kill_at);
  } else if (random() % 100 < percent) {
    usleep(random() % microseconds);
    kill(process, SIGKILL);
  }
  char printed[65536];
  size_t length = 0;
  ssize_t count;
  while ((count = read(output[0], printed + length, sizeof printed - 1 - length)) > 0) length += count;
  close(output[0]);
  if (!call->kill_at && waitpid(process, &status, 0) < 0) err(1, "waitpid");
  int64_t nanoseconds = now() - start;
  printed[length] = 0;
  for (char *end = printed; (end = strchr(end, '\n')); ) *end = ' ';
  char *line;
  int size = asprintf(&line, "%zu %d %lld %s\n", place,
                      WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status),
                      (long long)nanoseconds, printed);
  if (size < 0 || write(STDOUT_FILENO, line, size) != size) err(1, "write");
  free(line);
}

int main(int count, char **words) {
  if (count != 2 && count != 5) errx(1, "usage: see above");
  size_t workers = strtoul(words[1], NULL, 10);
  int percent = count == 5 ? atoi(words[2]) : 0;
  unsigned microseconds = count == 5 ? strtoul(words[3], NULL, 10) : 1;
  unsigned seed = count == 5 ? strtoul(words[4], NULL, 10) : 0;

  struct call *calls = NULL;
  size_t call_count = 0;
  char *line = NULL;
  size_t capacity = 0;
  while (getline(&line, &capacity, stdin) > 0) {
    struct call call = {0};
    int words = sscanf(line, "%ms %ms %ms %ms %ld", &call.program, &call.verb, &call.container,
                       &call.configuration, &call.kill_at);
    if (words < 4) errx(1, "not a call: %s", line);
    calls = reallocarray(calls, call_count + 1, sizeof *calls);
    if (!calls) err(1, "reallocarray");
    calls[call_count++] = call;
  }

  for (size_t worker = 0; worker < workers; worker++) {
    pid_t process = fork();
    if (process < 0) err(1, "fork");
    if (process) continue;
    srandom(seed * 1000 + worker);
    for (size_t place = worker; place < call_count; place += workers)
      make(&calls[place], place, percent, microseconds);
    _exit(0);
  }
  int failures = 0, status;
  while (wait(&status) > 0) failures += status != 0;
  return failures != 0;
}
