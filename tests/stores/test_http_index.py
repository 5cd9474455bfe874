"""The names in a directory are read from the pages of many servers, and nothing else is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storekit.stores._http_index import BrokenIndexError, names_in

URL = "http://host/data/a%20b/"

NGINX = """<html>
<head><title>Index of /data/a b/</title></head>
<body>
<h1>Index of /data/a b/</h1><hr><pre><a href="../">../</a>
<a href="dir1/">dir1/</a>                              24-Nov-2025 14:04           -
<a href="x%20y%23.txt">x y#.txt</a>                    24-Nov-2025 13:57         612
<a href="a-name-that-is-too-long-to-be-shown-in-full-width.nc">a-name-that-is-too-lo..&gt;</a>  1
</pre><hr></body>
</html>"""
APACHE_TABLE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /data/a b</title></head><body><h1>Index of /data/a b</h1>
<table><tr><th><a href="?C=N;O=D">Name</a></th><th><a href="?C=M;O=A">Last modified</a></th></tr>
<tr><td><a href="/data/">Parent Directory</a></td><td>&nbsp;</td></tr>
<tr><td><img alt="[DIR]"></td><td><a href="calque/">calque/</a></td></tr>
<tr><td><img alt="[   ]"></td><td><a href="a&amp;b.bin">a&amp;b.bin</a></td></tr>
</table><address>Apache/2.4.41 Server at host Port 80</address></body></html>"""
APACHE_PRE = """<html><head><title>Index of /data/a b</title></head><body>
<h1>Index of /data/a b</h1>
<pre><img alt="Icon "> <a href="?C=N;O=D">Name</a> <a href="?C=S;O=A">Size</a><hr>
<img alt="[PARENTDIR]"> <a href="/data/">Parent Directory</a>          -
<img alt="[DIR]"> <a href="3.0.4/">3.0.4/</a>                  2012-09-11 09:37    -
<hr></pre></body></html>"""
PYTHON = """<!DOCTYPE HTML><html lang="en"><head>
<title>Directory listing for /data/a b/</title></head>
<body><h1>Directory listing for /data/a b/</h1><hr><ul>
<li><a href="d/">d/</a></li>
<li><a href="link">link@</a></li>
<li><a href="%E2%82%AC">€</a></li>
</ul><hr></body></html>"""
RCLONE = """<!DOCTYPE html><html><head><title>/a b</title></head><body><h1>
<a href="../">/</a><a href="">a b</a>/ <a class="zip-root" href="?download=zip">zip</a></h1>
<a href="?sort=name&order=asc">Name</a><a href=".."><span class="goup">Go up</span></a>
<span class="name"><a href="b/">b/</a></span><a class="zip" href="b/?download=zip"></a>
<span class="name"><a href="./c:d">c:d</a></span></body></html>"""
NGINX_JSON = json.dumps(
    [
        {"name": "videos", "type": "directory", "mtime": "Wed, 27 Feb 2019 12:04:00 GMT"},
        {"name": "a #%41.nc", "type": "file", "mtime": "…", "size": 13},
        {"name": "pipe", "type": "other", "mtime": "…"},
    ]
)
CADDY_JSON = json.dumps(
    [
        {"name": "sub/", "size": 4096, "url": "./sub/", "is_dir": True, "is_symlink": False},
        {"name": "f%41", "size": 1, "url": "./f%2541", "is_dir": False, "is_symlink": False},
    ]
)
HTML, JSON = "text/html; charset=utf-8", "application/json"

PAGES = {
    "nginx": (
        NGINX,
        HTML,
        {"dir1/", "x y#.txt", "a-name-that-is-too-long-to-be-shown-in-full-width.nc"},
    ),
    "Apache, a table": (APACHE_TABLE, HTML, {"calque/", "a&b.bin"}),
    "Apache, plain": (APACHE_PRE, HTML, {"3.0.4/"}),
    "Python": (PYTHON, HTML, {"d/", "link", "€"}),
    "rclone": (RCLONE, HTML, {"b/", "c:d"}),
    "nginx, JSON": (NGINX_JSON, JSON, {"videos/", "a #%41.nc", "pipe"}),
    "Caddy": (CADDY_JSON, JSON, {"sub/", "f%41"}),
    "Caddy, empty": ("null", JSON, set()),
    "nginx, empty": ("[ ]", JSON, set()),
}


@pytest.mark.parametrize("server", PAGES)
def test_the_names_of_a_directory_are_found(server: str) -> None:
    """Of each server's page come the names as they are, directories with a slash."""
    page, kind, names = PAGES[server]
    assert names_in(page.encode(), kind, URL) == names


NO_INDEX = {
    "a web page": ("<title>Welcome</title><a href='../'>up</a><a href='a'>a</a>", HTML),
    "a page without a title": ("<a href='../'>up</a><a href='a'>a</a>", HTML),
    "a page with the name of another path": ("<title>/x</title><a href='../'>u</a>", HTML),
    "a page of the right name that leads nowhere": ("<title>/a b</title><a href='a'>a</a>", HTML),
    "nothing": ("", HTML),
    "binary": ("\0\1\2", "application/octet-stream"),
    "a number": ("5", JSON),
    "an object": ("{}", JSON),
    "an error": ('{"error": "no such thing"}', JSON),
    "names alone": ('["a", "b"]', JSON),
    "entries without a type": ('[{"name": "a"}]', JSON),
    "names that are none": ('[{"name": 5, "type": "file"}]', JSON),
    "no JSON": ("[", JSON),
    "deep JSON": ("[" * 100_000, JSON),
}


@pytest.mark.parametrize("page", NO_INDEX)
def test_another_page_is_no_index(page: str) -> None:
    """A page that is no index gives None, whatever it links to."""
    text, kind = NO_INDEX[page]
    assert names_in(text.encode(), kind, URL) is None


TRICKS = [
    "../a",
    "../../etc/passwd",
    "%2e%2e/a",
    "..%2Fa",
    "a%2Fb",
    "a%2F",
    "/",
    "/data/",
    "/data/other/a",
    "/data/a%20bc",
    "http://other/data/a%20b/x",
    "https://host/data/a%20b/x",
    "//other/data/a%20b/x",
    "sub/deeper",
    "sub/deeper/",
    ".",
    "./",
    "..",
    "...",
    "%2e%2e",
    "%2e",
    "nul%00",
    "%FF",
    "",
    "#top",
    "?sort=name",
    "a?download=zip",
    "mailto:somebody",
    "javascript:alert(1)",
    "http://[",
    ".storekit-temporary",
    "x" * 300,
]


@pytest.mark.parametrize("link", TRICKS)
def test_links_to_elsewhere_are_left_out(link: str) -> None:
    """A link that leads out of the directory, or to what is no name, gives no key; JSON that names
    what cannot be in a directory is an error."""
    page = f'<title>Index of /</title><a href="{link}">x</a><a href="good">good</a>'
    assert names_in(page.encode(), HTML, URL) == {"good"}
    entries = [{"name": link, "type": "file"}, {"name": "good", "type": "file"}]
    page = json.dumps(entries)
    if link in ("", "/") or "/" in link[:-1]:
        with pytest.raises(BrokenIndexError, match="an entry of the name"):
            names_in(page.encode(), JSON, URL)
        return
    names = names_in(page.encode(), JSON, URL)
    assert names is not None
    assert "good" in names
    assert all("/" not in name[:-1] and name.strip("./") for name in names)


@pytest.mark.parametrize("server", [name for name in PAGES if PAGES[name][1] == HTML])
def test_half_a_page_is_no_list(server: str) -> None:
    """Wherever a server's page is cut, it is no index, or an error, or has all names."""
    page, kind, names = PAGES[server]
    found = set()
    for size in range(len(page)):
        try:
            some = names_in(page[:size].encode(), kind, URL)
        except BrokenIndexError:
            found.add("error")
        else:
            assert some is None or some == names
    assert found == {"error"}


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([HTML, JSON, ""]))
def test_no_page_breaks_the_reader(page: bytes, kind: str) -> None:
    """Whatever a server sends is read as names, or as no index, or is broken; nothing else."""
    for begin in (b"", b"<title>Index of /</title><a href='"):
        try:
            names = names_in(begin + page, kind, URL)
        except BrokenIndexError:
            continue
        assert names is None or all("/" not in name[:-1] for name in names)
