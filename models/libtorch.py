#!/usr/bin/env python3
"""Puts the libtorch that `lastmile-engine` links into `.libtorch/`.

Goes through three sources and takes the first that fits:

1. the folder `$LIBTORCH` names, when that variable is set;
2. the PyTorch of the Python that runs this script, when its version fits and its libraries load;
3. three wheels from the Python package index, of which only what a CPU needs is kept.

The first two are linked to, not copied. Run again, it sees that the work is done and returns at once.
Needs Python 3.9 and, for the third source, pip. For CUDA, use the first or the second.
"""

import argparse
import contextlib
import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

# `tch` in Cargo.toml accepts this version only: change both together.
VERSION = "2.13.0"

ROOT = Path(__file__).resolve().parent.parent

# The wheels of source 3. `keep` maps a path inside the wheel to its place in `.libtorch/`; a path that ends in `/`
# stands for the whole folder. libtorch_cpu.so was linked against CUPTI and the CUDA runtime and does not load
# without them; both are small and need no graphics card.
WHEELS = [
    {
        "package": f"torch=={VERSION}",
        "file": "torch-2.13.0-cp312-cp312-manylinux_2_28_x86_64.whl",
        "sha256": "796633c4cdf0fe2cdced72d8f88f22e73dbcfce83132763162f6d4bff13b820b",
        "platform": "manylinux_2_28_x86_64",
        "keep": {
            "torch/lib/libc10.so": "lib/libc10.so",
            "torch/lib/libgomp.so.1": "lib/libgomp.so.1",
            "torch/lib/libtorch_cpu.so": "lib/libtorch_cpu.so",
            "torch/include/": "include/",
            "torch-2.13.0.dist-info/licenses/": "licenses/torch/",
        },
    },
    {
        "package": "nvidia-cuda-cupti==13.0.85",
        "file": "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
        "sha256": "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
        "platform": "manylinux_2_25_x86_64",
        "keep": {
            "nvidia/cu13/lib/libcupti.so.13": "lib/libcupti.so.13",
            "nvidia_cuda_cupti-13.0.85.dist-info/licenses/": "licenses/nvidia-cuda-cupti/",
        },
    },
    {
        "package": "nvidia-cuda-runtime==13.0.96",
        "file": "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
        "sha256": "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
        "platform": "manylinux2014_x86_64",
        "keep": {
            "nvidia/cu13/lib/libcudart.so.13": "lib/libcudart.so.13",
            "nvidia_cuda_runtime-13.0.96.dist-info/licenses/": "licenses/nvidia-cuda-runtime/",
        },
    },
]

# The linker is asked for `-ltorch` and `-lgomp`. The wheel's own libtorch.so would pull in the CUDA libraries.
LINKS = {"lib/libtorch.so": "libtorch_cpu.so", "lib/libgomp.so": "libgomp.so.1"}


class Refused(Exception):
    """A reason, for a person, why no libtorch can be had; says what to do."""


def main():
    parser = argparse.ArgumentParser(description="Put libtorch into the folder that the build looks in.")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="look for already downloaded wheels here first")
    parser.add_argument("--into", type=Path, default=ROOT / ".libtorch", metavar="DIR", help="default: .libtorch")
    args = parser.parse_args()
    try:
        with only_one_run(args.into.parent):
            provide(args.into, args.wheels)
    except Refused as reason:
        sys.exit(f"error: {reason}")


def provide(into, wheels):
    named = os.environ.get("LIBTORCH")
    if named:
        named = Path(named).expanduser().resolve()
        check_named(named)
    if is_ready(into):
        if named:
            say(f"libtorch {VERSION}: cargo uses `$LIBTORCH`, {named}")
        return

    partial = into.with_name(into.name + ".partial")
    remove(partial)
    partial.mkdir(parents=True)
    if named:
        source = link(partial, named)
    else:
        found = python_torch()
        source = link(partial, found) if found else assemble(partial, wheels, into)
    (partial / "build-version").write_text(VERSION + "\n")

    # The rename is last, so a folder under the final name is always whole.
    remove(into)
    partial.rename(into)
    say(f"libtorch {VERSION} is ready in {into} ({source})")


def is_ready(into):
    with contextlib.suppress(OSError):
        version = (into / "build-version").read_text().strip()
        return version == VERSION and has_libraries(into)
    return False


def has_libraries(folder):
    return (folder / "include" / "torch").is_dir() and main_library(folder) is not None


def main_library(folder):
    names = ["libtorch_cpu.so", "libtorch_cpu.dylib", "torch_cpu.dll"]
    return next((folder / "lib" / name for name in names if (folder / "lib" / name).exists()), None)


# Source 1


def check_named(folder):
    if not has_libraries(folder):
        raise Refused(
            f"`LIBTORCH` names {folder}, which holds no libtorch (`lib/libtorch_cpu.*` and `include/torch`)\n"
            "hint: correct the variable, or unset it to have libtorch fetched"
        )
    version = version_of(folder)
    if version is None:
        say(f"warning: cannot tell the version of {folder}; the build needs libtorch {VERSION}")
    elif version != VERSION:
        raise Refused(
            f"`LIBTORCH` names libtorch {version}, but the build needs {VERSION}\n"
            f"hint: point it at libtorch {VERSION}, or unset it to have that fetched"
        )


def version_of(folder):
    """The version without its local part: `2.13.0+cpu` and `2.13.0` are the same code."""
    for name, pattern in [("build-version", r"\s*([0-9][^\s+]*)"), ("version.py", r"(?m)^__version__ = '([^'+]+)")]:
        with contextlib.suppress(OSError):
            match = re.match if name == "build-version" else re.search
            found = match(pattern, (folder / name).read_text())
            if found:
                return found.group(1)
    return None


# Source 2


def python_torch():
    """The folder of an installed PyTorch that fits. Finds it without importing it, which takes seconds."""
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec("torch")
        for place in (spec and spec.submodule_search_locations) or []:
            folder = Path(place).resolve()
            if version_of(folder) == VERSION and has_libraries(folder) and loads(folder):
                return folder
    return None


def loads(folder):
    """Whether the libraries find all they need. Asked in a process of its own, where they can do no harm."""
    library = main_library(folder)
    cuda = library.with_name(library.name.replace("torch_cpu", "torch_cuda"))
    code = "import ctypes, sys; [ctypes.CDLL(name) for name in sys.argv[1:]]"
    command = [sys.executable, "-c", code, str(library)] + ([str(cuda)] if cuda.exists() else [])
    answer = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if answer.returncode != 0:
        last_line = (answer.stderr.strip().splitlines() or ["killed"])[-1]
        say(f"warning: the libraries in {library.parent} do not load: {last_line}")
    return answer.returncode == 0


def link(partial, folder):
    for name in ["lib", "include"]:
        try:
            (partial / name).symlink_to(folder / name, target_is_directory=True)
        except OSError as error:
            raise Refused(
                f"cannot make a link to {folder}: {error}\nhint: set `LIBTORCH={folder}` for cargo instead"
            ) from error
    return f"linked to {folder}"


# Source 3


def assemble(partial, wheels, into):
    check_platform()
    kept_cache = os.environ.get("LASTMILE_CACHE")
    cache = Path(kept_cache).expanduser() if kept_cache else into.with_name(into.name + ".wheels")
    cache.mkdir(parents=True, exist_ok=True)
    # All three first: a wheel that cannot be had should be known before the long work.
    found = [(wheel, obtain(wheel, [wheels, cache] if wheels else [cache], cache)) for wheel in WHEELS]
    for wheel, path in found:
        extract(path, wheel["keep"], partial)
    for name, target in LINKS.items():
        (partial / name).symlink_to(target)
    if not loads(partial):
        raise Refused("the assembled libtorch does not load on this system\nhint: set `LIBTORCH` to one that does")
    if not kept_cache:
        remove(cache)
    return "for the CPU, from the package index"


def check_platform():
    system, machine = platform.system(), platform.machine()
    libc, libc_version = platform.libc_ver()
    if (system, machine) == ("Linux", "x86_64") and libc == "glibc":
        numbers = [int(part) for part in libc_version.split(".")[:2]]
        if numbers >= [2, 28]:
            return
    where = " ".join(part for part in [system, machine, libc, libc_version] if part)
    raise Refused(
        f"no libtorch is put together for this platform ({where}); Linux on x86_64 with glibc 2.28 or newer is\n"
        f"hint: install PyTorch {VERSION} for {sys.executable}, or unpack libtorch {VERSION} anywhere and set\n"
        "      `LIBTORCH` to that folder; then run this again"
    )


def obtain(wheel, folders, cache):
    for folder in folders:
        path = folder / wheel["file"]
        if path.exists():
            if sha256(path) == wheel["sha256"]:
                return path
            say(f"warning: {path} is damaged")
    path = cache / wheel["file"]
    remove(path)
    download(wheel, cache)
    if not path.exists():
        raise Refused(f"pip did not bring `{wheel['file']}`\nhint: try again, or set `LIBTORCH`")
    if sha256(path) != wheel["sha256"]:
        remove(path)
        raise Refused(
            f"`{wheel['file']}` is not the file that was pinned\n"
            "hint: the package index or a proxy served something else; try again, or set `LIBTORCH`"
        )
    return path


def download(wheel, cache):
    if importlib.util.find_spec("pip") is None:
        raise Refused(
            f"{sys.executable} has no pip\nhint: install it (Debian: `apt-get install python3-pip`), or set `LIBTORCH`"
        )
    say(f"downloading {wheel['file']}")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    # The files are taken apart, not run by Python: the tags choose the file, whatever Python this is.
    command += ["--only-binary=:all:", "--implementation=cp", "--python-version=3.12"]
    command += [f"--platform={wheel['platform']}", f"--dest={cache}", wheel["package"]]
    if subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode != 0:
        raise Refused(f"pip failed to download `{wheel['package']}`\nhint: check the connection, or set `LIBTORCH`")


def extract(path, keep, partial):
    say(f"unpacking {path.name}")
    missing = set(keep)
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            source = next((name for name in keep if entry.filename.startswith(name)), None)
            if source is None or entry.is_dir():
                continue
            missing.discard(source)
            target = partial / (keep[source] + entry.filename[len(source) :])
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as packed, target.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
    if missing:
        raise Refused(f"`{path.name}` lacks {', '.join(sorted(missing))}")


# Small tools


@contextlib.contextmanager
def only_one_run(folder):
    """Two builds in one checkout wait for each other; a killed run leaves no lock behind."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def sha256(path):
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def say(line):
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
