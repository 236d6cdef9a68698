"""What the tests of reports look at: a tiny run, trained by the program itself in a folder that goes afterwards."""
import contextlib
import pathlib
import subprocess
import sys
import tempfile

SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIPPED)


def program(*arguments, where):
    done = subprocess.run([*arguments], cwd=where, capture_output=True, text=True)
    assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"


@contextlib.contextmanager
def tiny_run(stprivacy, source):
    """Yields the folder of a finished run of tools/recipes/tiny.toml, beside which its clips lie."""
    with tempfile.TemporaryDirectory() as folder:
        where = pathlib.Path(folder)
        program(stprivacy, "synthesize", "runs/data/tiny", "--clips", "48", "--width", "32", "--height", "32",
                "--frames", "12", "--seed", "1", where=where)
        program(stprivacy, "train", str(pathlib.Path(source) / "tools/recipes/tiny.toml"), "--run", "run", "--threads",
                "1", where=where)
        yield where / "run"
