"""The pool of threads, as LLVM IR: workers that wait for blocks of work, one pool per process.

`void symprop.parallel(ptr work, ptr frame, i64 start, i64 stop, i64 step, i64 team)` calls
`work(frame, first, last, thread)` for the blocks of `range(start, stop)` of `step` indices each. The caller
is thread 0 and takes blocks from the front, the workers 1 ... team - 1 from the back. With `team` 1, with a
single block, or while the pool works for another caller, one call of `work` does everything. A negative
`team` is a short job: for those of so many threads that are awake, no other is woken or made.

How it goes: the caller writes the job and makes `generation` odd (the job is open). A worker that sees an odd
number counts itself in (`active`), looks at the number again, and works only if it is still the same. When no
block is left the caller makes the number even, and waits until no worker is counted in. A worker that comes
late so never reads a job that is being written, and nobody waits for it.

A worker looks for work in a short loop, then sleeps in a condition variable of its own. After a fork the
child has no workers: `symprop.forked` runs there first and empties the pool, which fills again when it is
used.
"""

from __future__ import annotations

from symprop.emit.builder import Target

__all__ = ["MOST_THREADS", "NEEDED", "PARALLEL", "pool_text"]

PARALLEL, FORKED, STOP = "symprop.parallel", "symprop.forked", "symprop.stop"
MOST_THREADS = 256

SPINS = 4000  # looks for work before a worker sleeps: 50 to 200 microseconds, by the length of a pause
PATIENCE = 2000  # looks of the caller at the last workers before it lets others run
STACK = 1 << 21  # bytes: what generated code needs at most, as the defaults of some systems are small

NEEDED = (
    *("pthread_create", "pthread_join", "pthread_sigmask", "sigfillset", "sched_yield"),
    *("pthread_attr_init", "pthread_attr_setstacksize"),
    *("pthread_mutex_init", "pthread_mutex_lock", "pthread_mutex_unlock"),
    *("pthread_cond_init", "pthread_cond_wait", "pthread_cond_signal"),
)
"""The functions of the C library that the pool calls."""


def pool_text(target: Target, threads: bool) -> str:
    """The module; without `threads` every job is one call."""
    if not threads:
        return _fill(_ALONE, target)
    return _fill(_POOL, target)


def _fill(text: str, target: Target) -> str:
    x86 = target.triple.startswith("x86_64")
    values = {
        "triple": target.triple,
        "most": MOST_THREADS,
        "spins": SPINS,
        "patience": PATIENCE,
        "stack": STACK,
        # numbers of <signal.h>: Darwin counts from 1
        "setmask": 3 if "apple" in target.triple or "darwin" in target.triple else 2,
        "pause": "call void @llvm.x86.sse2.pause()" if x86 else "call void @llvm.aarch64.hint(i32 1)",
        "get_mode": "call void @llvm.x86.sse.stmxcsr(ptr @mode)"
        if x86
        else "%mode = call i64 @llvm.aarch64.get.fpcr()\n  store i64 %mode, ptr @mode",
        "set_mode": "call void @llvm.x86.sse.ldmxcsr(ptr @mode)"
        if x86
        else "%mode = load i64, ptr @mode\n  call void @llvm.aarch64.set.fpcr(i64 %mode)",
        "declared": _X86 if x86 else _AARCH64,
        "attributes": f'nounwind "target-cpu"="{target.cpu}" "target-features"="{target.features}"',
    }
    for name, value in values.items():
        text = text.replace(f"<{name}>", str(value))
    return text


_X86 = """declare void @llvm.x86.sse2.pause()
declare void @llvm.x86.sse.stmxcsr(ptr)
declare void @llvm.x86.sse.ldmxcsr(ptr)"""

_AARCH64 = """declare void @llvm.aarch64.hint(i32)
declare i64 @llvm.aarch64.get.fpcr()
declare void @llvm.aarch64.set.fpcr(i64)"""

_ALONE = """target triple = "<triple>"

define void @symprop.parallel(ptr %work, ptr %frame, i64 %start, i64 %stop, i64 %step, i64 %team) #0 {
  call void %work(ptr %frame, i64 %start, i64 %stop, i64 0)
  ret void
}

define void @symprop.forked() #0 {
  ret void
}

define void @symprop.stop() #0 {
  ret void
}

attributes #0 = { <attributes> }
"""

# Each of the numbers that threads write and read at the same time has cache lines to itself.
_POOL = """target triple = "<triple>"

%place = type { i64, i64, [14 x i64], [16 x i64], [16 x i64] }  ; number, asleep, -, mutex, condition
@busy = internal global i32 0, align 128
@created = internal global i64 0, align 128
@ended = internal global i32 0, align 128
@generation = internal global i64 0, align 128
@left = internal global i64 0, align 128
@back = internal global i64 0, align 128
@active = internal global i64 0, align 128
@work = internal global ptr null, align 128
@frame = internal global ptr null
@start = internal global i64 0
@stop = internal global i64 0
@step = internal global i64 0
@team = internal global i64 0
@mode = internal global i64 0
@attributes = internal global [16 x i64] zeroinitializer, align 128
@slots = internal global [<most> x %place] zeroinitializer, align 128
@handles = internal global [<most> x ptr] zeroinitializer, align 128

declare i64 @llvm.abs.i64(i64, i1)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(ptr, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sched_yield()
declare i32 @pthread_attr_init(ptr)
declare i32 @pthread_attr_setstacksize(ptr, i64)
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
<declared>

; -- a job ------------------------------------------------------------------------------------------------

define void @symprop.parallel(ptr %work, ptr %frame, i64 %start, i64 %stop, i64 %step, i64 %wanted) #0 {
entry:
  %team = call i64 @llvm.abs.i64(i64 %wanted, i1 false)
  %long = icmp sgt i64 %wanted, 1
  %several = icmp sgt i64 %team, 1
  %length = sub i64 %stop, %start
  %blocks = icmp sgt i64 %length, %step
  %worth = and i1 %several, %blocks
  br i1 %worth, label %acquire, label %alone
acquire:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %open, label %alone
open:
  %count = load i64, ptr @created
  %fewer = icmp slt i64 %count, %team
  %missing = and i1 %fewer, %long
  br i1 %missing, label %grow, label %ready
grow:
  call void @grow(i64 %team)
  br label %ready
ready:
  store ptr %work, ptr @work
  store ptr %frame, ptr @frame
  store i64 %start, ptr @start
  store i64 %stop, ptr @stop
  store i64 %step, ptr @step
  store i64 %team, ptr @team
  <get_mode>
  %rest = sub i64 %step, 1
  %filled = add i64 %length, %rest
  %parts = sdiv i64 %filled, %step
  store atomic i64 %parts, ptr @left monotonic, align 8
  store atomic i64 %parts, ptr @back monotonic, align 8
  %opened = atomicrmw add ptr @generation, i64 1 seq_cst
  br i1 %long, label %rouse, label %begin
rouse:
  call void @wake(i64 %team)
  br label %begin
begin:
  call void @take(ptr %work, ptr %frame, i64 %start, i64 %stop, i64 %step, i64 0)
  %closed = atomicrmw add ptr @generation, i64 1 seq_cst
  br label %wait
wait:
  %turn = phi i64 [ 0, %begin ], [ %following, %again ]
  %inside = load atomic i64, ptr @active seq_cst, align 8
  %done = icmp eq i64 %inside, 0
  br i1 %done, label %leave, label %look
look:
  %tired = icmp sgt i64 %turn, <patience>
  br i1 %tired, label %yield, label %pause
yield:
  %ignored = call i32 @sched_yield()
  br label %again
pause:
  <pause>
  br label %again
again:
  %following = add i64 %turn, 1
  br label %wait
leave:
  store atomic i32 0, ptr @busy release, align 4
  ret void
alone:
  call void %work(ptr %frame, i64 %start, i64 %stop, i64 0)
  ret void
}

; Take blocks until none is left: the caller from the front, workers from the back. So a thread of two mostly
; gets what it had in the call before, and in other loops over the same rows, and finds it in its caches.
define internal void @take(ptr %work, ptr %frame, i64 %start, i64 %stop, i64 %step, i64 %thread) #0 {
entry:
  %caller = icmp eq i64 %thread, 0
  br label %more
more:
  %front = phi i64 [ 0, %entry ], [ %following, %block ]
  %left = atomicrmw sub ptr @left, i64 1 monotonic
  %some = icmp sgt i64 %left, 0
  br i1 %some, label %choose, label %done
choose:
  br i1 %caller, label %block, label %behind
behind:
  %last = atomicrmw sub ptr @back, i64 1 monotonic
  %before = sub i64 %last, 1
  br label %block
block:
  %number = phi i64 [ %front, %choose ], [ %before, %behind ]
  %distance = mul i64 %number, %step
  %first = add i64 %start, %distance
  %next = add i64 %first, %step
  %within = icmp slt i64 %next, %stop
  %end = select i1 %within, i64 %next, i64 %stop
  call void %work(ptr %frame, i64 %first, i64 %end, i64 %thread)
  %following = add i64 %front, 1
  br label %more
done:
  ret void
}

; -- a worker ---------------------------------------------------------------------------------------------

define internal ptr @worker(ptr %slot) #0 {
entry:
  %number = load i64, ptr %slot
  %asleep = getelementptr %place, ptr %slot, i64 0, i32 1
  %mutex = getelementptr %place, ptr %slot, i64 0, i32 3
  %condition = getelementptr %place, ptr %slot, i64 0, i32 4
  br label %look
look:
  %seen = phi i64 [ 0, %entry ], [ %seen, %pause ], [ %now, %late ], [ %now, %others ], [ %now, %finished ],
    [ %seen, %awake ]
  %turn = phi i64 [ 0, %entry ], [ %following, %pause ], [ 0, %late ], [ %following2, %others ],
    [ 0, %finished ], [ 0, %awake ]
  %now = load atomic i64, ptr @generation seq_cst, align 8
  %end = load atomic i32, ptr @ended monotonic, align 4
  %over = icmp ne i32 %end, 0
  br i1 %over, label %leave, label %go
go:
  %odd = and i64 %now, 1
  %open = icmp ne i64 %odd, 0
  %other = icmp ne i64 %now, %seen
  %fresh = and i1 %open, %other
  br i1 %fresh, label %enter, label %idle
idle:
  %following = add i64 %turn, 1
  %tired = icmp sgt i64 %turn, <spins>
  br i1 %tired, label %sleep, label %pause
pause:
  <pause>
  br label %look

enter:
  %before = atomicrmw add ptr @active, i64 1 seq_cst
  %again = load atomic i64, ptr @generation seq_cst, align 8
  %same = icmp eq i64 %again, %now
  br i1 %same, label %counted, label %late
late:
  %gone = atomicrmw sub ptr @active, i64 1 release
  br label %look
counted:
  %team = load i64, ptr @team
  %member = icmp slt i64 %number, %team
  br i1 %member, label %run, label %others
others:
  %gone2 = atomicrmw sub ptr @active, i64 1 release
  %following2 = add i64 %turn, 1
  br label %look
run:
  %work = load ptr, ptr @work
  %frame = load ptr, ptr @frame
  %start = load i64, ptr @start
  %stop = load i64, ptr @stop
  %step = load i64, ptr @step
  <set_mode>
  call void @take(ptr %work, ptr %frame, i64 %start, i64 %stop, i64 %step, i64 %number)
  br label %finished
finished:
  %gone3 = atomicrmw sub ptr @active, i64 1 release
  br label %look

sleep:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 1, ptr %asleep seq_cst, align 8
  br label %dream
dream:
  %then = load atomic i64, ptr @generation seq_cst, align 8
  %end2 = load atomic i32, ptr @ended seq_cst, align 4
  %news = icmp ne i64 %then, %now
  %over2 = icmp ne i32 %end2, 0
  %call = load atomic i64, ptr %asleep seq_cst, align 8
  %called = icmp eq i64 %call, 0
  %up = or i1 %called, %over2
  %rise = or i1 %up, %news
  br i1 %rise, label %awake, label %rest
rest:
  %w = call i32 @pthread_cond_wait(ptr %condition, ptr %mutex)
  br label %dream
awake:
  store atomic i64 0, ptr %asleep seq_cst, align 8
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %look
leave:
  ret ptr null
}

; Wake the members of a team that sleep.
define internal void @wake(i64 %team) #0 {
entry:
  %count = load i64, ptr @created
  %few = icmp slt i64 %count, %team
  %stop = select i1 %few, i64 %count, i64 %team
  br label %head
head:
  %k = phi i64 [ 1, %entry ], [ %next, %tail ]
  %more = icmp slt i64 %k, %stop
  br i1 %more, label %body, label %done
body:
  %asleep = getelementptr %place, ptr @slots, i64 %k, i32 1
  %state = load atomic i64, ptr %asleep seq_cst, align 8
  %sleeps = icmp ne i64 %state, 0
  br i1 %sleeps, label %call, label %tail
call:
  %mutex = getelementptr %place, ptr @slots, i64 %k, i32 3
  %condition = getelementptr %place, ptr @slots, i64 %k, i32 4
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  store atomic i64 0, ptr %asleep seq_cst, align 8
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  %s = call i32 @pthread_cond_signal(ptr %condition)
  br label %tail
tail:
  %next = add i64 %k, 1
  br label %head
done:
  ret void
}

; -- the pool ---------------------------------------------------------------------------------------------

; Make workers until there are `team` threads with the caller (`created` counts the caller, or is 0). Signals
; of the process are for its other threads.
define internal void @grow(i64 %team) #0 {
entry:
  %all = alloca [32 x i64], align 16
  %old = alloca [32 x i64], align 16
  %end = load atomic i32, ptr @ended seq_cst, align 4
  %over = icmp ne i32 %end, 0
  br i1 %over, label %leave, label %begin
begin:
  %a = call i32 @pthread_attr_init(ptr @attributes)
  %b = call i32 @pthread_attr_setstacksize(ptr @attributes, i64 <stack>)
  %c = call i32 @sigfillset(ptr %all)
  %d = call i32 @pthread_sigmask(i32 <setmask>, ptr %all, ptr %old)
  %have = load i64, ptr @created
  %none = icmp slt i64 %have, 1
  %first = select i1 %none, i64 1, i64 %have
  br label %head
head:
  %k = phi i64 [ %first, %begin ], [ %next, %made ]
  store i64 %k, ptr @created
  %more = icmp slt i64 %k, %team
  br i1 %more, label %make, label %done
make:
  %slot = getelementptr %place, ptr @slots, i64 %k
  %asleep = getelementptr %place, ptr %slot, i64 0, i32 1
  %mutex = getelementptr %place, ptr %slot, i64 0, i32 3
  %condition = getelementptr %place, ptr %slot, i64 0, i32 4
  %handle = getelementptr ptr, ptr @handles, i64 %k
  store i64 %k, ptr %slot
  store i64 0, ptr %asleep
  call void @llvm.memset.p0.i64(ptr %mutex, i8 0, i64 256, i1 0)
  %m = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %n = call i32 @pthread_cond_init(ptr %condition, ptr null)
  %failed = call i32 @pthread_create(ptr %handle, ptr @attributes, ptr @worker, ptr %slot)
  %good = icmp eq i32 %failed, 0
  br i1 %good, label %made, label %done
made:
  %next = add i64 %k, 1
  br label %head
done:
  %e = call i32 @pthread_sigmask(i32 <setmask>, ptr %old, ptr null)
  br label %leave
leave:
  ret void
}
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)

; In the child of a fork, before anything else runs there.
define void @symprop.forked() #0 {
  store i64 0, ptr @created
  store i64 0, ptr @active
  store i64 0, ptr @generation
  store i32 0, ptr @ended
  store atomic i32 0, ptr @busy seq_cst, align 4
  ret void
}

; End all workers. Afterwards every job is one call.
define void @symprop.stop() #0 {
entry:
  br label %acquire
acquire:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue { i32, i1 } %pair, 1
  br i1 %mine, label %end, label %yield
yield:
  %ignored = call i32 @sched_yield()
  br label %acquire
end:
  store atomic i32 1, ptr @ended seq_cst, align 4
  %count = load i64, ptr @created
  call void @wake(i64 <most>)
  br label %head
head:
  %k = phi i64 [ 1, %end ], [ %next, %body ]
  %more = icmp slt i64 %k, %count
  br i1 %more, label %body, label %done
body:
  %kept = getelementptr ptr, ptr @handles, i64 %k
  %handle = load ptr, ptr %kept
  %j = call i32 @pthread_join(ptr %handle, ptr null)
  %next = add i64 %k, 1
  br label %head
done:
  store i64 0, ptr @created
  ret void
}

attributes #0 = { <attributes> }
"""
