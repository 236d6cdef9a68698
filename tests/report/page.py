"""A report in headless Chromium, as wide as a desk and as a phone: no console error, no request, nothing wider than the
   page, ink in every chart and picture, and charts whose words can be read.
   page.py STPRIVACY SOURCE_FOLDER [FOLDER]    FOLDER: where to leave the page and its screenshots"""
import html.parser
import json
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

from made import program, skip, tiny_run

BROWSER = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND", "--hide-scrollbars",
         "--enable-logging=stderr", "--virtual-time-budget=10000"]
WIDTHS = {"desktop": 1280, "phone": 390}
NARROWEST = 500  # Headless Chromium has no narrower window: the page stands in a frame of the width it is looked at.
SMALLEST = 9  # pixels of a letter that can be read

FRAME = """<!DOCTYPE html><body style="margin: 0"><iframe src="%s" style="border: 0; width: %dpx; height: %dpx"></iframe>
<pre id="probe"></pre>
<script>addEventListener('message', m => document.getElementById('probe').textContent = m.data);</script>"""

# Put into a copy of the page: where everything that must show stands, and what the page asked for.
PROBE = """<script>addEventListener('load', () => {
  const box = e => { const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; };
  const letters = e => parseFloat(getComputedStyle(e).fontSize) * e.getScreenCTM().d;
  parent.postMessage(JSON.stringify({
    height: document.documentElement.scrollHeight, width: document.documentElement.scrollWidth,
    charts: [...document.querySelectorAll('.chart svg')].map(box),
    letters: Math.min(...[...document.querySelectorAll('.chart text:not([transform])')].map(letters)),
    pictures: [...document.images].map(i => [...box(i), i.naturalWidth]),
    requests: performance.getEntriesByType('resource').map(r => r.name).filter(n => !n.startsWith('data:'))}), '*');
});</script>"""


def browse(page, width, height, *more):
    """Standard output and the console's errors."""
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run([BROWSER, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},{height}", *more,
                               page.as_uri()], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def unfiltered(kind, line, before, channels):
    """A row of a PNG from its filtered bytes and the row before it (PNG specification, 9.2)."""
    if kind == 2:
        return bytearray((value + up) & 255 for value, up in zip(line, before))
    for i in range(len(line) if kind else 0):
        left, corner = (line[i - channels], before[i - channels]) if i >= channels else (0, 0)
        up = before[i]
        if kind == 1:
            guess = left
        elif kind == 3:
            guess = (left + up) // 2
        else:
            by_left, by_up = abs(up - corner), abs(left - corner)
            by_corner = abs(left + up - 2 * corner)
            guess = left if by_left <= by_up and by_left <= by_corner else up if by_up <= by_corner else corner
        line[i] = line[i] + guess & 255
    return line


def pixels(png):
    """Rows of (r, g, b) bytes of an 8-bit RGB or RGBA PNG."""
    at, data, channels = 8, b"", 0
    while at < len(png):
        size, kind = struct.unpack(">I4s", png[at:at + 8])
        body = png[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, colour = struct.unpack(">IIBB", body[:10])
            assert depth == 8 and colour in (2, 6)
            channels = 3 if colour == 2 else 4
        if kind == b"IDAT":
            data += body
        at += size + 12
    raw, stride, rows = zlib.decompress(data), width * channels, []
    row = bytearray(stride)
    for start in range(0, height * (stride + 1), stride + 1):
        row = unfiltered(raw[start], bytearray(raw[start + 1:start + 1 + stride]), row, channels)
        rows.append(list(zip(row[0::channels], row[1::channels], row[2::channels])))
    return rows


def ink(rows, box):
    """The share of pixels in the box that are far from white."""
    x, y, width, height = (round(v) for v in box[:4])
    inside = [p for row in rows[max(0, y):y + height] for p in row[max(0, x):x + width]]
    return sum(min(p) < 200 for p in inside) / max(1, len(inside))


class References(html.parser.HTMLParser):
    """Whatever would make a browser fetch something."""
    found = []

    def handle_starttag(self, tag, attributes):
        assert tag not in ("script", "iframe", "object", "embed"), tag
        for name, value in attributes:
            if name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action") and not value.startswith("data:"):
                self.found.append((tag, name, value))


def check_text(text):
    parser = References()
    parser.feed(text)
    assert not parser.found, parser.found
    assert not re.search(r"url\(|@import", text)
    assert len(text) < 5e6, len(text)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f]", text)


def framed(page, width, height):
    """A page beside the given one that shows it in a frame."""
    frame = page.with_name("frame.html")
    frame.write_text(FRAME % (page.name, width, height))
    return frame


def check_at(page, text, name, width, where):
    probed = where / "probed.html"
    probed.write_text(text.replace("</body>", PROBE + "</body>"))
    dom, errors = browse(framed(probed, width, 1000), max(width, NARROWEST), 1000, "--dump-dom")
    assert not errors, errors
    seen = json.loads(re.search('<pre id="probe">(.*?)</pre>', dom, re.S).group(1))
    assert not seen["requests"], seen["requests"]
    assert seen["width"] <= width, f"{name}: the page is {seen['width']} wide"
    shot = where / f"{name}.png"
    _, errors = browse(framed(page, width, seen["height"]), max(width, NARROWEST), seen["height"], f"--screenshot={shot}")
    assert not errors, errors
    rows = pixels(shot.read_bytes())
    assert len(seen["charts"]) >= 6, len(seen["charts"])
    for box in seen["charts"]:
        assert box[2] > 200 and box[3] > 100, (name, box)
        assert ink(rows, box) > 0.004, (name, box, ink(rows, box))
    assert seen["letters"] >= SMALLEST, f"{name}: words of charts are {seen['letters']} pixels high"
    assert seen["pictures"]
    for box in seen["pictures"]:
        assert box[2] > 200 and box[3] > 10 and box[4] > 0, (name, box)
        assert ink(rows, box) > 0.2, (name, box)
    print(f"{name}: {len(seen['charts'])} charts and {len(seen['pictures'])} pictures show")


if BROWSER is None:
    skip("no Chromium")
with tiny_run(sys.argv[1], sys.argv[2]) as run:
    where = run.parent
    run = run.rename(where / ("name_wider_than_a_phone" * 3))
    page = where / "report.html"
    program(sys.argv[1], "report", run.name, "-o", "report.html", where=where)
    text = page.read_text()
    check_text(text)
    left = [int(share) for share in re.findall(r"<figcaption>after scorer \d+, before block \d+: (\d+) % left", text)]
    assert len(left) >= 2 and left[0] > left[1], left
    for name, width in WIDTHS.items():
        check_at(page, text, name, width, where)
    if len(sys.argv) > 3:
        for file in (page, *where.glob("*.png")):
            shutil.copy(file, sys.argv[3])
