"""The child that opens devices, so that its parent need not: a read the kernel never finishes cannot be killed.

It is given lists of jobs on standard input and writes each answer to standard output as soon as it has it. Devices
that do not share a disk are read side by side, so one that never answers keeps only its own answer back. Both
streams carry `marshal`, the two ends being one interpreter and the text formats costing more than the reading.

It runs without site-packages: nothing here, in `blkid` or in `windows` imports more than the standard library.
"""

from __future__ import annotations

import _thread
import errno
import marshal
import os
import stat

from pre_nixos.host import windows

TYPE_CHECKING = False  # as type checkers know it; importing typing would cost a tenth of the child's whole life
if TYPE_CHECKING:
    from pre_nixos.host.devicejobs import Facts, Job

PATIENCE = 0.02
"""Seconds without an answer after which one device is no longer waited for before the next is asked."""
MOMENTS = 10
"""How many such moments pass before what is there by then is told."""

# What glibc's mallopt calls these; libblkid asks for up to a mebibyte for each device, and gives it back.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 32 << 20

_NOTHING: Facts = {
    "errno": 0,
    "error": "",
    "data": b"",
    "size": 0,
    "size_after": 0,
    "safeprobe": 1,
    "winner": {},
    "signatures": [],
    "incomplete": 0,
    "blank": None,
    "window_error": "",
}


def work(job: Job) -> Facts:
    """Do one job."""
    exclusive = os.O_EXCL if job["do"] == "exclusive" else 0
    try:
        # Without blocking: a drive without a medium then opens, and says so when read.
        descriptor = os.open(job["path"], os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | exclusive)
    except OSError as problem:
        return {**_NOTHING, "errno": problem.errno or errno.EIO, "error": problem.strerror or str(problem)}
    try:
        state = os.fstat(descriptor)
        number = f"{os.major(state.st_rdev)}:{os.minor(state.st_rdev)}"
        if not stat.S_ISBLK(state.st_mode) or number != job["number"]:
            return {**_NOTHING, "errno": errno.ENXIO, "error": f"{job['path']} is not device {job['number']}"}
        if job["do"] == "read":
            windows.past_the_cache(descriptor)
            data = windows.read(descriptor, job["offset"], job["length"], job["align"])
            return {**_NOTHING, "data": data}
        return probe(descriptor, job) if job["do"] == "probe" else _NOTHING
    except OSError as problem:
        return {**_NOTHING, "errno": problem.errno or errno.EIO, "error": problem.strerror or str(problem)}
    finally:
        os.close(descriptor)


def probe(descriptor: int, job: Job) -> Facts:
    """Look for signatures on an open device, and at its windows if there are none."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    facts: Facts = {**_NOTHING, "size": size, "size_after": size}
    if size == 0:
        return facts
    # What another node of the same disk wrote is not in this node's cache: forget the ends of it.
    for start in (0, max(0, size - (16 << 20))):
        os.posix_fadvise(descriptor, start, 16 << 20, os.POSIX_FADV_DONTNEED)
    from pre_nixos.host import blkid  # see load

    look = blkid.Probe(descriptor)
    try:
        facts["safeprobe"], facts["winner"] = look.verdict()
        facts["signatures"], facts["incomplete"] = look.signatures()
    finally:
        look.close()
    if job["partition"]:
        facts["signatures"] = [found for found in facts["signatures"] if not _boot_code(descriptor, found)]
        if not facts["signatures"] and facts["safeprobe"] == 0:
            facts["safeprobe"] = 1
    if not facts["signatures"] and facts["safeprobe"] == 1 and job["window"]:
        try:
            windows.past_the_cache(descriptor)
            facts["blank"] = windows.blank(descriptor, size, job["window"], job["align"])
        except OSError as problem:
            facts["window_error"] = problem.strerror or str(problem)
    facts["size_after"] = os.lseek(descriptor, 0, os.SEEK_END)
    return facts


def _boot_code(descriptor: int, found: dict[str, str]) -> bool:
    """Tell whether this is an MBR without a single partition: a boot sector rather than a table, in a partition."""
    if found.get("PTTYPE") != "dos":
        return False
    entries = os.pread(descriptor, 64, 446)
    return len(entries) == 64 and not any(
        entries[start + 4] and any(entries[start + 12 : start + 16]) for start in range(0, 64, 16)
    )


def answer(groups: list[list[Job]], output: int) -> None:
    """Do the jobs of each group in turn, and write the answers soon after they are there.

    Groups are done one after the other as long as answers keep coming: threads would only take the processor from
    each other. Whenever none has come for a moment and nobody is at work, because a disk is slow or never answers,
    another thread goes on with the next group, until all are being done side by side. Answers are written a few at a
    time for a like reason: each would wake who waits for all of them.
    """
    if [len(jobs) for jobs in groups] == [1]:
        _tell([marshal.dumps((groups[0][0]["number"], dict(safely(groups[0][0]))))], output)
        return
    waiting = groups[::-1]
    going_on = [len(groups)]
    answers: list[bytes] = []
    begun: list[int] = []
    turn, finished = _thread.allocate_lock(), _thread.allocate_lock()
    finished.acquire()

    def work_off() -> None:
        begun.append(_thread.get_native_id())
        while True:
            try:
                jobs = waiting.pop()
            except IndexError:
                return
            for job in jobs:
                answers.append(marshal.dumps((job["number"], dict(safely(job)))))  # noqa: PERF401 - each counts at once
            with turn:
                going_on[0] -= 1
                if not going_on[0]:
                    finished.release()

    moments, started, written, before, over = 0, 0, 0, -1, False
    while not over:
        moments += 1
        idle = len(begun) == started and not any(map(_at_work, begun))
        if waiting and len(answers) in (0, before) and idle:
            started += 1
            _thread.start_new_thread(work_off, ())
        before = len(answers)
        over = finished.acquire(timeout=PATIENCE)
        there = len(answers)
        if over or moments % MOMENTS == 0:
            _tell(answers[written:there], output)
            written = there


def _at_work(thread: int) -> bool:
    """Tell whether a thread of ours has the processor, or waits for that alone."""
    try:
        with open(f"/proc/self/task/{thread}/stat", "rb", buffering=0) as file:
            return file.read(512).rpartition(b")")[2].split()[:1] == [b"R"]
    except OSError:  # it has ended
        return False


def safely(job: Job) -> Facts:
    """Do one job; what goes wrong with it, be it a defect here, is its answer and nobody else's."""
    try:
        return work(job)
    except Exception as problem:  # noqa: BLE001 - it is said in the answer, as the device's
        return {**_NOTHING, "errno": errno.EIO, "error": f"{type(problem).__name__}: {problem}"}


def main() -> None:
    """Take jobs from standard input until there are no more, and leave without ceremony."""
    ready = False
    while head := _read(8):
        groups: list[list[Job]] = marshal.loads(_read(int.from_bytes(head, "big")))  # noqa: S302 - from our own parent
        if not ready and any(job["do"] == "probe" for jobs in groups for job in jobs):
            load()
            _keep_memory()
            ready = True
        answer(groups, 1)
    os._exit(0)


def load() -> None:
    """Load libblkid before there are threads; where there is none, each device's answer says so."""
    try:
        from pre_nixos.host import blkid  # ctypes is a third of the child's life, and most jobs are not probes

        blkid.load()
    except OSError:
        pass


def _keep_memory() -> None:
    """Keep freed memory for the next device: having it anew, page by page, can take longer than what it is for."""
    import ctypes  # libblkid's part has loaded it

    tune = getattr(ctypes.CDLL(None), "mallopt", None)
    if tune is not None:  # not every C library has it
        tune(_TRIM_THRESHOLD, _KEPT)
        tune(_MMAP_THRESHOLD, _KEPT)


def _read(length: int) -> bytes:
    """Read so many bytes of standard input, or nothing at its end."""
    data = b""
    while len(data) < length:
        piece = os.read(0, length - len(data))
        if not piece:
            return b""
        data += piece
    return data


def _tell(answers: list[bytes], output: int) -> None:
    rest = memoryview(b"".join(len(each).to_bytes(8, "big") + each for each in answers))
    try:
        while rest:
            rest = rest[os.write(output, rest) :]
    except OSError:  # nobody is there to hear it
        os._exit(1)
