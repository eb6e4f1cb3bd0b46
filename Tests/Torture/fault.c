// SPDX-License-Identifier: Apache-2.0
// fault: runs a program, and has one system call of it, or of a process that it starts, fail or be the last.
//
//   fault LOG list PROGRAM                         lists the system calls
//   fault LOG PROCESS CALL PLACE ERROR PROGRAM     has one fail with an error number
//   fault LOG PROCESS CALL PLACE kill PROGRAM      has the process killed in place of one
//
// PROCESS is 0 for the program and counts its descendants in the order of their start; CALL is the number of
// a system call; PLACE counts the process's calls of that number from 1. What comes before the program's own
// first instruction is not counted.
//
// LOG gets a line "PROCESS CALL PLACE" for each call of a list, otherwise "done" or "missed". The end comes
// when all processes have ended. The exit status is the program's, or 128 and the signal that ended it.

#define _GNU_SOURCE
#include <asm/unistd.h>
#include <err.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef __x86_64__
#error "The way to replace a system call is written for x86-64."
#endif

enum { CALLS = 1024, PROCESSES = 64, LISTED = 1 << 16 };

struct process {
  pid_t id;
  int is_over;
  int count[CALLS];
  /// Whether the call that it is in gets another result at its end.
  int is_failing;
};

static struct process processes[PROCESSES];
static int process_count, running;

static struct { int process, call, place; } listed[LISTED];
static int listed_count;

/// The fault: what is asked for.
static int is_list, wanted_process, wanted_call, wanted_place, wanted_error, is_done;

static struct process *process_of(pid_t id) {
  for (int index = process_count - 1; index >= 0; index--)
    if (processes[index].id == id && !processes[index].is_over) return &processes[index];
  if (process_count == PROCESSES) errx(125, "too many processes");
  running++;
  processes[process_count].id = id;
  return &processes[process_count++];
}

/// Whether a process has been heard of, even if it is over.
static int is_known(pid_t id) {
  for (int index = 0; index < process_count; index++)
    if (processes[index].id == id) return 1;
  return 0;
}

static void set_register(pid_t id, size_t offset, long value) {
  if (ptrace(PTRACE_POKEUSER, id, offset, value) && errno != ESRCH) err(125, "ptrace");
}

/// At the begin of a system call.
static void begin(struct process *process, long call) {
  int number = process - processes;
  if (call < 0 || call >= CALLS) return;
  int place = ++process->count[call];
  if (is_list) {
    if (listed_count == LISTED) errx(125, "too many system calls");
    listed[listed_count].process = number;
    listed[listed_count].call = call;
    listed[listed_count++].place = place;
  } else if (!is_done && number == wanted_process && call == wanted_call && place == wanted_place) {
    is_done = 1;
    if (!wanted_error) {
      kill(process->id, SIGKILL);
      return;
    }
    // The kernel closes a descriptor before it answers an error.
    if (call != __NR_close) set_register(process->id, offsetof(struct user_regs_struct, orig_rax), -1);
    process->is_failing = 1;
  }
}

static void stopped(struct process *process, int how) {
  int signal = WSTOPSIG(how), event = how >> 16, delivered = 0;
  if (signal == (SIGTRAP | 0x80)) {
    struct __ptrace_syscall_info info;
    if (ptrace(PTRACE_GET_SYSCALL_INFO, process->id, sizeof info, &info) > 0) {
      if (info.op == PTRACE_SYSCALL_INFO_ENTRY) {
        begin(process, info.entry.nr);
      } else if (info.op == PTRACE_SYSCALL_INFO_EXIT && process->is_failing) {
        process->is_failing = 0;
        set_register(process->id, offsetof(struct user_regs_struct, rax), -wanted_error);
      }
    }
  } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK || event == PTRACE_EVENT_CLONE) {
    // The child's number is that of its start, whichever of the two is heard of first. It may even be over.
    unsigned long child;
    if (!ptrace(PTRACE_GETEVENTMSG, process->id, 0, &child) && !is_known(child)) process_of(child);
  } else if (!event && signal != SIGSTOP && signal != SIGTRAP) {
    delivered = signal;
  }
  // After the fault only starts and ends of processes are of interest.
  int is_watched = is_list || !is_done || process->is_failing;
  ptrace(is_watched ? PTRACE_SYSCALL : PTRACE_CONT, process->id, 0, delivered);
}

int main(int count, char **words) {
  if (count >= 4 && !strcmp(words[2], "list")) {
    is_list = 1;
  } else if (count >= 7) {
    wanted_process = atoi(words[2]);
    wanted_call = atoi(words[3]);
    wanted_place = atoi(words[4]);
    wanted_error = atoi(words[5]);
    if (!wanted_error && strcmp(words[5], "kill")) errx(125, "no error number: %s", words[5]);
  } else {
    errx(125, "usage: see above");
  }
  char **command = words + (is_list ? 3 : 6);
  pid_t program = fork();
  if (program < 0) err(125, "fork");
  if (program == 0) {
    if (ptrace(PTRACE_TRACEME, 0, 0, 0)) err(125, "ptrace");
    raise(SIGSTOP);
    execv(command[0], command);
    err(125, "%s", command[0]);
  }
  int how, status = 125;
  if (waitpid(program, &how, 0) < 0) err(125, "waitpid");
  if (ptrace(PTRACE_SETOPTIONS, program, 0,
             PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK
             | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE))
    err(125, "ptrace");
  // To where the program has taken the place of this one.
  ptrace(PTRACE_CONT, program, 0, 0);
  if (waitpid(program, &how, 0) < 0) err(125, "waitpid");
  if (!WIFSTOPPED(how) || how >> 16 != PTRACE_EVENT_EXEC) errx(125, "%s did not start", command[0]);
  stopped(process_of(program), how);
  while (running) {
    pid_t id = waitpid(-1, &how, __WALL);
    if (id < 0 && errno == EINTR) continue;
    if (id < 0) err(125, "waitpid");
    struct process *process = process_of(id);
    if (WIFSTOPPED(how)) {
      stopped(process, how);
      continue;
    }
    process->is_over = 1;
    running--;
    if (id == program) status = WIFSIGNALED(how) ? 128 + WTERMSIG(how) : WEXITSTATUS(how);
  }
  FILE *log = fopen(words[1], "w");
  if (!log) err(125, "%s", words[1]);
  for (int index = 0; index < listed_count; index++)
    fprintf(log, "%d %d %d\n", listed[index].process, listed[index].call, listed[index].place);
  if (!is_list) fputs(is_done ? "done" : "missed", log);
  return fclose(log) ? 125 : status;
}
