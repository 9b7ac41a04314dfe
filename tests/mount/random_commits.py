#!/usr/bin/env python3
"""Random changes in a step's folder while others commit it: random_commits.py BUILDDIR SOURCE MOUNTED ORDINARY SEED COUNT TIMER

The changes are those of random_ops.py; meanwhile three processes sync the mount, the step and a folder in it.
So a commit may come before, in or after any change: then what was in the folder is the new step, and the folder is as its base. Or with
TIMER the mount publishes what there is, and the folder goes on as if nothing had happened.
For each change the ordinary folders say which outcomes there can be; the mount's must be one of them. What the folder held before it became
as its base has to be in a step, and a step may hold nothing but what the folder did at one time.
"""

import errno
import hashlib
import multiprocessing
import os
import random
import shutil
import sys
import time

TIMER = sys.argv.pop() == "yes"

import random_ops  # noqa: E402 # reads the other arguments
from random_ops import MOUNTED, ORDINARY, Random  # noqa: E402


def committer(folder, stop):
    random.seed(folder)
    while not stop.is_set():
        time.sleep(random.expovariate(20))
        try:
            fd = os.open(os.path.join(MOUNTED, folder), os.O_RDONLY)
        except FileNotFoundError:
            continue  # the folder is not there at any time
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.EBUSY):  # half a file; one that was moved is open
                raise
        finally:
            os.close(fd)


def digest(tree):
    return hashlib.sha256(repr(sorted(tree.items())).encode()).digest()


class Outcome:
    """What a change came to in one of the ordinary folders; COMMITTED: what was there before is in a step then."""

    def __init__(self, code, tree, committed):
        self.code, self.tree, self.committed = code, tree, committed


class Commits(Random):
    COMMIT = "1" if TIMER else "sync"
    SIZES = (5, 5000)

    def begin(self, base):
        super().begin(base)
        self.base_tree = self.tree(self.kept)
        self.now = dict(self.base_tree)  # what the folder holds
        self.held = {}  # what it held at any time, as a step
        self.hold(self.now, "at first")
        self.steps = {}  # digest of each step that was seen, by name
        self.trial = os.path.join(ORDINARY, "trial")
        self.see_steps()

    # --- what is there

    def lay_out(self, tree):
        shutil.rmtree(self.trial, ignore_errors=True)
        os.mkdir(self.trial)
        for path, data in sorted(tree.items()):
            at = os.path.join(self.trial, path)
            if data is None:
                os.makedirs(at, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(at), exist_ok=True)
                with open(at, "wb") as file:
                    file.write(data)

    def see_steps(self):
        for name in os.listdir(MOUNTED):
            if name.startswith("base-") and name not in self.steps:
                tree = self.tree(os.path.join(MOUNTED, name))
                self.steps[name] = digest(tree)
                if name != "base-0":
                    assert self.steps[name] in self.held, (
                        f"{name} holds what the folder never did: {self.nearest(tree)}; the folder had {self.brief(self.now)}, "
                        f"its base has {self.brief(self.base_tree)}"
                    )

    def hold(self, tree, when):
        saved = self.saved(tree)
        self.held.setdefault(digest(saved), (self.brief(saved), when))

    def nearest(self, tree):
        """How it differs from the one that is most like it of those that the folder held."""
        have = set(self.brief(tree).items())
        held, when = min(self.held.values(), key=lambda h: len(have ^ set(h[0].items())))
        return f"{sorted(have - set(held.items()))}, and not {sorted(set(held.items()) - have)}, as it did after {when}"

    def is_in_a_step(self, tree):
        """Or is nothing that a commit would keep."""
        saved = self.saved(tree)
        wanted = digest(saved)
        if wanted == digest(self.saved(self.base_tree)) or saved == {".": None}:
            return True
        self.see_steps()
        return wanted in self.steps.values()

    def brief(self, tree):
        return {path: data and hashlib.sha256(data).hexdigest()[:6] for path, data in sorted(tree.items())}

    def mounted_tree(self):
        """A commit may come while it is looked at."""
        for _ in range(1000):
            try:
                tree = self.tree(self.step)
                if tree == self.tree(self.step):
                    return tree
            except FileNotFoundError:
                pass
        raise AssertionError("the folder changes and changes")

    # --- one change

    def try_on(self, tree, call, committed):
        self.lay_out(tree)
        try:
            call(self.trial)
            code = 0
        except OSError as error:
            code = errno.errorcode[error.errno]
        return Outcome(code, self.tree(self.trial), committed)

    def outcomes(self, call, opened):
        before = self.try_on(self.now, call, False)  # and a commit comes later, or never
        if TIMER:
            return [before]  # the folder goes on as it is
        after = self.try_on(self.base_tree, call, True)
        found = [before, after]
        if opened and before.code == 0 and opened in before.tree:
            # In between: the file is open, and goes on over the base. It may be committed so before it is written to.
            had, has = self.now.get(opened), before.tree[opened]
            found.append(Outcome(0, self.with_file(opened, has), True))
            if had is not None:
                self.hold(self.with_file(opened, had), f"{opened} was opened")
                # A variable that was renamed has its old name again.
                old = [path for path, data in self.base_tree.items() if data == had and path != opened]
                found += [Outcome(0, self.with_file(path, has), True) for path in old]
        return found

    def with_file(self, path, data):
        """The base, with this file."""
        tree = {**self.base_tree, path: data}
        while path := os.path.dirname(path):
            tree.setdefault(path, None)
        return tree

    def both(self, what, call, opened=None):
        self.log.append(what)
        outcomes = self.outcomes(call, opened)
        if what.startswith("rename") and not TIMER:
            # A commit came between its two look-ups, and what is to be moved is above where it is to go by the names that it has now.
            outcomes.append(Outcome("EINVAL", self.base_tree, True))
        if not TIMER:
            # The kernel looks the names up again once: a second commit came in between, too, and nothing was done.
            outcomes.append(Outcome("ESTALE", self.base_tree, True))
        for outcome in outcomes:
            self.hold(outcome.tree, f"{len(self.log)}: {what}")
        try:
            call(self.step)
            code = 0
        except OSError as error:
            code = errno.errorcode[error.errno]
        self.settle(what, code, outcomes)

    def settle(self, what, code, outcomes):
        """Which outcome it was."""
        same = [o for o in outcomes if o.code == code or {o.code, code} == {"EEXIST", "ENOTEMPTY"}]
        assert same, f"{what}: {code}, expected one of {[o.code for o in outcomes]}"
        for _ in range(200):
            tree = self.mounted_tree()
            for outcome in same:
                if outcome.committed and self.now != self.base_tree and not self.is_in_a_step(self.now):
                    continue
                if tree == outcome.tree or (not TIMER and tree == self.base_tree and self.is_in_a_step(outcome.tree)):
                    self.now = tree
                    self.see_steps()
                    return
            time.sleep(0.01)  # the kernel is told of a commit's end a little later
        raise AssertionError(
            f"{what}: {code}; the folder has {self.brief(tree)}, before {self.brief(self.now)}, base {self.brief(self.base_tree)}, "
            f"expected one of {[self.brief(o.tree) for o in same]}, or that in a step: {[self.is_in_a_step(o.tree) for o in same]}"
        )

    # --- names are chosen by what is there now

    def folders(self):
        return ["" if path == "." else path for path, data in sorted(self.now.items()) if data is None]

    def files(self):
        return [path for path, data in sorted(self.now.items()) if data is not None and path.endswith(".npy")]

    def look(self):
        pass  # each change is looked at

    def remove_tree(self):
        pass  # of many calls a commit may come between any two

    def pause(self):
        """And now and then the daemon is killed: what it has published is not published once more."""
        time.sleep(random.uniform(0.9, 1.1))
        if random.random() < 0.4:
            self.restart()
            assert self.mounted_tree() == self.now, "the folder is another after a crash"

    def each_is_another(self):
        self.see_steps()
        names = sorted(self.steps, key=lambda name: int(name[len("base-") :]))
        for one, next_one in zip(names, names[1:]):
            assert self.steps[one] != self.steps[next_one], f"{one} and {next_one} are the same"

    def run(self):
        stop = multiprocessing.Event()
        folders = [] if TIMER else [".", self.base, os.path.join(self.base, "d0")]
        committers = [multiprocessing.Process(target=committer, args=(folder, stop)) for folder in folders]
        for process in committers:
            process.start()
        changes = [self.write] * 5 + [self.patch] * 3 + [self.refill] + [self.copy] * 4 + [self.rename] * 6 + [self.unlink] * 2
        changes += [self.mkdir] * 2 + [self.rmdir]
        try:
            for number in range(random_ops.COUNT):
                random.choice(changes)()
                assert all(process.is_alive() for process in committers), "a committer has failed"
                if TIMER and number % 20 == 19:
                    self.pause()
        finally:
            stop.set()
            for process in committers:
                process.join()
        assert not any(process.exitcode for process in committers), "a committer has failed"
        self.sync()
        assert self.is_in_a_step(self.now), "the last changes are in no step"
        if TIMER:
            self.each_is_another()
        self.number_of_steps = len(self.steps)
        assert self.number_of_steps > 2, "nothing was committed meanwhile"
        self.unmount()


if __name__ == "__main__":
    random_ops.main(Commits)
