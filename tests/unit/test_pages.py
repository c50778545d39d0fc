"""Huge pages, asked for by processes of their own, where this system grants them to who asks."""

import json
import os
import subprocess
import sys

import pytest

from local.processes import ROOT
from runtime import native, pages

ASKED = """
import json, os, sys
from runtime.pages import prefer_huge
before = os.getpid()
prefer_huge()
kept = [(number,) for number in range(100_000)]
mappings = []
for line in open("/proc/self/smaps"):
    if line[0] in "0123456789abcdef":
        start, end = (int(one, 16) for one in line.split()[0].split("-"))
        of = line.split()[5:]
    elif line.startswith("VmFlags") and "hg" in line.split():
        mappings.append([of, end - start])
told = os.environ.get("GLIBC_TUNABLES"), sys.argv[1:], sys.flags.utf8_mode
print(json.dumps([mappings, *told]))
"""

granted = pytest.mark.skipif(
    pages._granted() != "madvise", reason="for Linux that grants on asking"
)


def ask(told=None):
    environ = {name: value for name, value in os.environ.items() if name != pages.TOLD_IN}
    if told is not None:
        environ[pages.TOLD_IN] = told
    command = [sys.executable, "-X", "utf8", "-c", ASKED, "one", "an other"]
    asked = subprocess.run(
        command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    return json.loads(asked.stdout)


@granted
@pytest.mark.parametrize("told", [None, "glibc.malloc.trim_threshold=131072"])
def test_a_process_that_asks_has_its_heap_and_its_objects_in_huge_pages(told):
    mappings, now_told, arguments, utf8 = ask(told)
    assert ["[heap]"] in [of for of, _ in mappings]
    assert now_told == (f"{told}:{pages.ASKS}" if told else pages.ASKS)
    assert (arguments, utf8) == (["one", "an other"], 1)
    if native.hold_in_huge_pages is not None:
        assert [size for of, size in mappings if not of and size >= 64 << 20]


@granted
def test_whoever_starts_it_may_refuse_them():
    mappings, told, arguments, _ = ask(f"{pages.TUNABLE}=0")
    assert (mappings, told) == ([], f"{pages.TUNABLE}=0")
    assert arguments == ["one", "an other"]


@pytest.mark.parametrize(
    ("modes", "granted"),
    [
        ("always [madvise] never\n", "madvise"),
        ("[always] madvise never\n", "always"),
        ("always madvise [never]\n", "never"),
        ("", "never"),
        (None, "never"),
    ],
)
def test_to_whom_the_system_grants_them(monkeypatch, tmp_path, modes, granted):
    mode = tmp_path / "enabled"
    if modes is not None:
        mode.write_text(modes)
    monkeypatch.setattr(pages, "_MODE", mode)
    assert pages._granted() == granted


@pytest.mark.parametrize("granted", ["never", "always"])
def test_a_process_is_not_started_anew_where_that_changes_nothing(monkeypatch, granted):
    started = []
    monkeypatch.setattr(pages, "_granted", lambda: granted)
    monkeypatch.setattr(os, "execv", lambda *command: started.append(command))
    monkeypatch.setattr(native, "hold_in_huge_pages", lambda: started.append("objects"))
    monkeypatch.delenv(pages.TOLD_IN, raising=False)
    pages.prefer_huge()
    assert started == (["objects"] if granted == "always" else [])


def test_where_it_cannot_be_started_anew_it_goes_on(monkeypatch):
    def cannot(*command):
        raise OSError("there is no such file")

    monkeypatch.setattr(pages, "_granted", lambda: "madvise")
    monkeypatch.setattr(os, "execv", cannot)
    held = []
    monkeypatch.setattr(native, "hold_in_huge_pages", lambda: held.append(True))
    monkeypatch.setenv(pages.TOLD_IN, "")
    pages.prefer_huge()
    assert held == [True]
